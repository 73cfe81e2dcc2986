//! Keys of this host: there, readable by nobody else, and apart from each other.

use super::Host;
use super::row::Rows;
use crate::cli::{key_file, wire};
use crate::config::Settings;
use crate::crypto::{Identities, SigningKey};
use crate::model::FailureKind;

const MADE_BY_INIT: &str =
    "`keyhaven init` makes it; put it back from your copy, or make this host anew with `keyhaven keys host`";
const RECIPIENTS: &str = "put the recipients of `keyhaven keys new` into keys.recovery_recipients";

/// The rows, and the signing key for those who look whether the ledger knows it.
pub(super) fn rows(settings: &Settings, host: &Host) -> (Rows, Option<SigningKey>) {
    let mut rows = Rows::new("Keys");
    let signing_key = signing_key(&mut rows, settings, host);
    let mut catalogue = None;
    if host.collects || settings.keys().catalogue_key.is_some() {
        let names =
            |keys: &Identities| keys.recipients().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        catalogue = rows.take("catalogue key", wire::catalogue_key(settings), names, MADE_BY_INIT);
    }
    if host.collects {
        recipients(&mut rows, settings, catalogue.as_ref());
    }
    recovery_identity(&mut rows, settings, host);
    (rows, signing_key)
}

fn signing_key(rows: &mut Rows, settings: &Settings, host: &Host) -> Option<SigningKey> {
    if !host.signs() && settings.keys().signing_key.is_none() {
        rows.good("signing key", "none named, and nothing that this host does needs one");
        return None;
    }
    let fingerprint = |key: &SigningKey| key.public().fingerprint().to_string();
    rows.take("signing key", wire::signing_key(settings), fingerprint, MADE_BY_INIT)
}

fn recipients(rows: &mut Rows, settings: &Settings, catalogue: Option<&Identities>) {
    let what = "recovery recipients";
    let recipients = match wire::recovery_recipients(settings) {
        Ok(recipients) => recipients,
        Err(failure) => return rows.failed(what, &failure, RECIPIENTS),
    };
    let own = catalogue.map(Identities::recipients).unwrap_or_default();
    if own.iter().any(|own| recipients.iter().any(|other| other == own)) {
        let found = "the catalogue key of this host is one of them, so that this host can open its own backups";
        let mend = "take it out of keys.recovery_recipients; `keyhaven keys new`, on another machine, makes one";
        return refused_unless_accepted(rows, what, settings, found, mend);
    }
    match recipients.len() {
        0 | 1 => rows.warning(
            what,
            "one: if its key is lost, every backup is lost",
            "make a second kit with `keyhaven keys new` and add its recipient to keys.recovery_recipients",
        ),
        several => rows.good(what, several.to_string()),
    }
}

fn recovery_identity(rows: &mut Rows, settings: &Settings, host: &Host) {
    let what = "recovery identity";
    let Some(file) = settings.keys().recovery_identity_file else {
        return match host.collects {
            true => rows.good(what, "none on this host, as it should be where backups run"),
            false => rows.good(what, "none named; give it with --identity"),
        };
    };
    // A file under a passphrase may be read by others; a plain one may not.
    if let Err(failure) = key_file::read_unless(&file, what, Identities::is_encrypted) {
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
    if settings.keys().recovery_key_on_collector {
        rows.warning(what, format!("{found}; accepted, and every entry says so"), mend);
    } else {
        rows.bad(what, FailureKind::Usage, format!("{found}; `keyhaven backup` refuses to run"), mend);
    }
}
