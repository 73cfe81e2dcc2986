//! Checks of existing backups: the newest good snapshot, the last verification.

use super::repository::RepositoryFacts;
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::{services, text};
use crate::config::Settings;
use crate::job::status::{Backups, Stale, measure};
use crate::model::FailureKind;

const ACCEPT: &str = "`keyhaven snapshots` says why; a custodian may run `keyhaven snapshots accept`";
const OVERDUE: &str = "`keyhaven status` shows the last days; `keyhaven schedule next` the next runs";

/// The rows.
pub(super) async fn rows(app: &App, settings: &Settings, found: &RepositoryFacts) -> Rows {
    let mut rows = Rows::new("Backups");
    let (Some(repository), Some(ledger)) = (&found.repository, &found.ledger) else { return rows };
    let (now, objectives) = (app.context().clock.now(), services::objectives(settings));
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
                newest.time.map_or_else(|| "of an unknown time".to_owned(), text::time),
                text::seconds(age)
            );
            let late = status.stale.iter().find(|stale| matches!(stale, Stale::RpoMissed { .. }));
            match late {
                Some(late) => rows.bad("newest good snapshot", FailureKind::Stale, late.to_string(), OVERDUE),
                None => rows.good("newest good snapshot", text),
            }
        }
        (Some(_), None) => rows.bad(
            "newest good snapshot",
            FailureKind::Stale,
            "nobody can tell from when it is: its own time lies ahead of the present",
            "keyhaven backup, with a clock that is right",
        ),
        (None, _) if backups.newest.is_some() => none_good(&mut rows, backups),
        _ => rows.warning("newest good snapshot", "there is none yet", "keyhaven backup"),
    }
    if let Some(since) = backups.suspect_since.filter(|_| backups.newest_good.is_some()) {
        rows.warning("suspect", format!("every snapshot since {} is suspect", text::time(since)), ACCEPT);
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
            format!("{} at level {}, up to snapshot {}", text::time(verified.at), verified.level, verified.covers),
        ),
        // One that failed has a line of its own, below.
        (None, None) if backups.newest_good.is_some() && status.failed_check.is_none() => rows.warning(
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
            format!(
                "the one of {} found {}, and none as deep has passed since",
                text::time(check.at),
                text::count(check.problems, "problem")
            ),
            format!(
                "`keyhaven verify --level {0}` names them; `--record`, once it passes, makes this good",
                check.level
            ),
        );
    }
    rows
}

/// There are snapshots, and none to restore from.
fn none_good(rows: &mut Rows, backups: &Backups) {
    let mut mend = Vec::new();
    mend.extend((backups.suspect > 0).then_some(ACCEPT));
    mend.extend((backups.forgotten > 0).then_some("`keyhaven forget --undo …` undoes what is forgotten and not swept"));
    mend.push("`keyhaven backup` makes a new one");
    rows.bad(
        "newest good snapshot",
        FailureKind::Stale,
        format!(
            "no snapshot can be relied upon: {} suspect, {} forgotten, {} swept",
            backups.suspect, backups.forgotten, backups.swept
        ),
        mend.join("; "),
    );
}
