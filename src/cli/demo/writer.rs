//! An application that goes on working while its secrets are backed up.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::json;
use crate::provider::embedded::{EmbeddedInstance, Verb};

/// Changes in one burst.
const BURST: u32 = 12;
/// Between two changes of a burst.
const BETWEEN: Duration = Duration::from_millis(60);
/// Between two bursts.
const PAUSE: Duration = Duration::from_secs(6);

/// Changes an instance in bursts until it is stopped; returns the number of changes.
pub(super) async fn run(instance: EmbeddedInstance, stop: CancellationToken) -> u64 {
    let ids: Vec<String> = changeable(&instance);
    let mut done = 0;
    for step in 0_u32.. {
        let pause = if step > 0 && step.is_multiple_of(BURST) { PAUSE } else { BETWEEN };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        done += u64::from(change(&instance, &ids, step));
    }
    done
}

/// Makes `count` changes at once; returns the number of changes made.
pub(super) fn burst(instance: &EmbeddedInstance, count: u32) -> u64 {
    let ids = changeable(instance);
    (0..count).map(|step| u64::from(change(instance, &ids, 1_000 + step))).sum()
}

/// Text secrets that take a new version: no lock on the version that would be dropped.
fn changeable(instance: &EmbeddedInstance) -> Vec<String> {
    let snapshot = instance.snapshot();
    let secrets = snapshot.items.secrets.values();
    let text = secrets.filter(|secret| secret.secret_type == "arbitrary" && secret.locks_total() == 0);
    text.map(|secret| secret.id.clone()).collect()
}

/// A rotation, a new description, or a new secret, in turn. Says whether the instance took it.
fn change(instance: &EmbeddedInstance, ids: &[String], step: u32) -> bool {
    let at = usize::try_from(step).unwrap_or_default().wrapping_mul(7) % ids.len().max(1);
    let Some(id) = ids.get(at) else { return false };
    let text = |words: String| json::raw(&words);
    let reply = match step % 3 {
        0 => {
            let body = format!(r#"{{"payload":{}}}"#, text(format!("rotated while it was backed up, {step}")));
            instance.call(Verb::Post, &format!("/api/v2/secrets/{id}/versions"), &body)
        }
        1 => {
            let body = format!(r#"{{"description":{}}}"#, text(format!("changed while it was backed up, {step}")));
            instance.call(Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), &body)
        }
        _ => {
            let body = format!(
                r#"{{"secret_type":"kv","name":"made-during-backup-{step}","data":{{"step":{step},"big":12345678901234567890,"x":1e400}}}}"#
            );
            instance.call(Verb::Post, "/api/v2/secrets", &body)
        }
    };
    reply.status < 300
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::embedded::{Options, seed};

    #[test]
    fn every_change_is_taken() {
        let instance = EmbeddedInstance::new(Options { history: true, ..Options::default() });
        seed(&instance, 1, 40).unwrap();
        let before = instance.history().unwrap().states();
        assert_eq!(burst(&instance, 6), 6);
        assert_eq!(instance.history().unwrap().states(), before + 6);
    }
}
