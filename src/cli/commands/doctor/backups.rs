//! What there is already: the newest good snapshot, the last verification.

use super::repository::Found;
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::{human, wire};
use crate::config::Settings;
use crate::job::status::{Stale, measure};
use crate::model::FailureKind;

const OVERDUE: &str = "`keyhaven status` shows the last days; `keyhaven schedule next` the next runs";

/// The rows.
pub(super) async fn rows(app: &App, settings: &Settings, found: &Found) -> Rows {
    let mut rows = Rows::new("Backups");
    let (Some(repository), Some(ledger)) = (&found.repository, &found.ledger) else { return rows };
    let (now, objectives) = (app.context().clock.now(), wire::objectives(settings));
    let status = match measure(repository, ledger, &objectives, now).await {
        Ok(status) => status,
        Err(error) => {
            rows.failed("newest good snapshot", &error.into(), "run it again");
            return rows;
        }
    };
    let backups = &status.backups;
    match (&backups.newest_good, backups.achieved_rpo_seconds) {
        (Some(newest), Some(age)) => {
            let text = format!(
                "{}, {} old",
                newest.time.map_or_else(|| "of an unknown time".to_owned(), human::time),
                human::seconds(age)
            );
            let late = status.stale.iter().find(|stale| matches!(stale, Stale::RpoMissed { .. }));
            match late {
                Some(late) => rows.bad("newest good snapshot", FailureKind::Stale, late.to_string(), OVERDUE),
                None => rows.good("newest good snapshot", text),
            }
        }
        _ if backups.newest.is_some() => rows.bad(
            "newest good snapshot",
            FailureKind::Stale,
            "every snapshot is suspect or forgotten",
            "`keyhaven snapshots` says why; a custodian may run `keyhaven snapshots accept`",
        ),
        _ => rows.warning("newest good snapshot", "there is none yet", "keyhaven backup"),
    }
    if let Some(since) = backups.suspect_since.filter(|_| backups.newest_good.is_some()) {
        rows.warning(
            "suspect",
            format!("every snapshot since {} is suspect", human::time(since)),
            "`keyhaven snapshots` says why; a custodian may run `keyhaven snapshots accept`",
        );
    }
    let late = status
        .stale
        .iter()
        .find(|stale| matches!(stale, Stale::NeverVerified { .. } | Stale::VerifiedTooLongAgo { .. }));
    match (&status.verified, late) {
        (_, Some(late)) => rows.bad(
            "verification",
            FailureKind::Stale,
            late.to_string(),
            "keyhaven verify --record, on a host whose key has the role verifier",
        ),
        (Some(verified), None) => rows.good(
            "verification",
            format!("{} at level {}, up to snapshot {}", human::time(verified.at), verified.level, verified.covers),
        ),
        (None, None) if backups.newest_good.is_some() => rows.warning(
            "verification",
            "none is recorded",
            "keyhaven verify --record; objectives.verified_within makes it an objective",
        ),
        (None, None) => {}
    }
    if let Some(check) = &status.failed_check {
        rows.bad(
            "verification",
            FailureKind::Integrity,
            format!("the last one ({}) found {}", human::time(check.at), human::count(check.problems, "problem")),
            format!("`keyhaven verify --level {}` names them", check.level),
        );
    }
    rows
}
