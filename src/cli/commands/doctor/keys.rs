//! Keys of this host: present, readable by no other user, and different from each other.

use super::purpose::HostPurpose;
use super::row::Rows;
use crate::cli::{configured_keys, key_file};
use crate::config::Settings;
use crate::crypto::{Identities, SigningKey};
use crate::format::Policy;
use crate::format::policy::PolicyRecipient;
use crate::model::FailureKind;

const MADE_BY_INIT: &str =
    "`keyhaven init` makes it; put it back from your copy, or make this host anew with `keyhaven keys host`";

/// The rows, and the keys for those who look whether the trust policy lists them.
pub(super) fn rows(settings: &Settings, host: &HostPurpose) -> (Rows, Option<SigningKey>, Option<Identities>) {
    let mut rows = Rows::new("Keys");
    let signing_key = signing_key(&mut rows, settings, host);
    let mut catalogue = None;
    if host.collects || settings.keys().catalogue_key.is_some() {
        let names =
            |keys: &Identities| keys.recipients().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        catalogue = rows.take("catalogue key", configured_keys::catalogue_key(settings), names, MADE_BY_INIT);
    }
    recovery_identity(&mut rows, settings, host);
    (rows, signing_key, catalogue)
}

fn signing_key(rows: &mut Rows, settings: &Settings, host: &HostPurpose) -> Option<SigningKey> {
    if !host.signs() && settings.keys().signing_key.is_none() {
        rows.good("signing key", "none named, and nothing that this host does needs one");
        return None;
    }
    let fingerprint = |key: &SigningKey| key.public().fingerprint().to_string();
    rows.take("signing key", configured_keys::signing_key(settings), fingerprint, MADE_BY_INIT)
}

/// Recipients in the trust policy.
pub(super) fn recipients(settings: &Settings, policy: &Policy, catalogue: Option<&Identities>) -> Rows {
    let mut rows = Rows::new("Recipients");
    let what = "recovery recipients";
    let own: Vec<String> =
        catalogue.iter().flat_map(|keys| keys.recipients()).map(|recipient| recipient.to_string()).collect();
    let is_own = |list: &[PolicyRecipient]| list.iter().any(|one| own.contains(&one.recipient));
    if is_own(&policy.recovery_recipients) {
        let found = "the catalogue key of this host is one of them, so that this host can open its own backups";
        let mend = "remove it (`keyhaven recipients remove`); `keyhaven keys new`, on another machine, makes one";
        refused_unless_accepted(&mut rows, what, settings, found, mend);
    } else if policy.recovery_recipients.len() == 1 {
        rows.warning(
            what,
            "one: if its key is lost, every backup is lost",
            "make a second kit with `keyhaven keys new` and add its recipient with `keyhaven recipients add`",
        );
    } else {
        rows.good(what, policy.recovery_recipients.len().to_string());
    }
    if !own.is_empty() && !is_own(&policy.catalogue_recipients) && !is_own(&policy.recovery_recipients) {
        rows.warning(
            "catalogue key",
            "the trust policy does not name this host's catalogue key: every backup reads everything",
            "`keyhaven recipients add --list catalogue` adds it",
        );
    }
    rows
}

fn recovery_identity(rows: &mut Rows, settings: &Settings, host: &HostPurpose) {
    let what = "recovery identity";
    let Some(file) = &settings.keys().recovery_identity_file else {
        return match host.collects {
            true => rows.good(what, "none on this host, as it should be where backups run"),
            false => rows.good(what, "none named; give it with --identity"),
        };
    };
    // A file under a passphrase may be read by others; a plain one may not.
    if let Err(failure) = key_file::read_unless(file, what, Identities::is_encrypted) {
        return rows.failed(what, &failure, "check keys.recovery_identity_file");
    }
    let shown = file.display();
    if !host.collects {
        return rows.good(what, shown.to_string());
    }
    let found = format!("{shown} is named on a host that backs up: it can open its own backups");
    let mend = "take keys.recovery_identity_file out and the file away; run restores on another host";
    if host.restores && !host.backup_job {
        // It names a source and may never back it up.
        return rows.warning(what, found, mend);
    }
    refused_unless_accepted(rows, what, settings, &found, mend);
}

/// A backup refuses to run with it, unless the configuration says that it is accepted.
fn refused_unless_accepted(rows: &mut Rows, what: &'static str, settings: &Settings, found: &str, mend: &str) {
    if settings.keys().recovery_key_on_collector.is_some() {
        rows.warning(what, format!("{found}; accepted, and every entry says so"), mend);
    } else {
        rows.bad(what, FailureKind::Usage, format!("{found}; `keyhaven backup` refuses to run"), mend);
    }
}
