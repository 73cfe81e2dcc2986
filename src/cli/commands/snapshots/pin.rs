//! `keyhaven snapshots pin` and `unpin`.

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{identity, snapshot, wire};
use crate::format::event::{Event, PinChange};
use crate::repository::find::Wanted;
use crate::repository::ledger::Life;

/// Signs that a snapshot is kept whatever the policy says, or no longer.
#[derive(Debug, clap::Args)]
pub(super) struct PinArguments {
    /// The snapshot: a sequence number or the start of its digest
    snapshot: Wanted,
    /// Why; it stays in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A reaper's or a custodian's key (PEM, protected by age or not) instead of this host's own
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with the passphrase of that key, instead of asking
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
}

/// Pins (`set`) or releases.
pub(super) async fn run(app: &App, arguments: PinArguments, set: bool) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let ledger = repository.read_ledger().await?;
    let found = snapshot::pick(&ledger, &arguments.snapshot)?;
    let sequence = found.entry.sequence;
    match (&found.life, &found.pinned, set) {
        (Life::Swept { .. }, ..) => {
            return Err(Failure::usage(format!("snapshot {sequence} was swept: there is nothing left to keep")));
        }
        // A pin does not take back what was given up: that must be said on purpose.
        (Life::Forgotten { .. }, _, true) => {
            return Err(Failure::usage(format!("snapshot {sequence} is forgotten, and a pin does not take that back"))
                .hinted(format!("keyhaven forget --undo {sequence} --reason …, then pin it")));
        }
        (_, None, false) => return Err(Failure::usage(format!("snapshot {sequence} is not pinned"))),
        _ => {}
    }
    let writer = match arguments.key {
        Some(key) => {
            let key = identity::signing_key(key, arguments.passphrase_file).await?;
            wire::writer_with(key, app, &settings, repository.id())?
        }
        None => wire::writer(app, &settings, repository.id())?,
    };
    let (snapshot, reason) = (found.entry.digest, arguments.reason);
    let change = match set {
        true => PinChange::Set { snapshot, reason },
        false => PinChange::Release { snapshot, reason },
    };
    let draft = super::super::draft(&*writer.clock, Event::Pin(change));
    let entry = app.change(repository.commit(&writer, draft)).await?;
    let done = serde_json::json!({
        "snapshot": snapshot, "pinned": set, "entry": entry.digest, "sequence": entry.sequence,
    });
    app.printer.result(&done, |printer| {
        let word = if set { "pinned" } else { "unpinned" };
        printer.line(format!("Snapshot {sequence} {word} by entry {}.", entry.sequence))
    })?;
    Ok(Outcome::Done)
}
