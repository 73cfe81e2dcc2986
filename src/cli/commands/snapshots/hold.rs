//! `keyhaven snapshots hold` and `release`.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot::{self, OpenedSnapshot};
use crate::cli::trust::change::PolicyChange;
use crate::cli::trust::session::{Session, SigningKeys};
use crate::cli::{draft, identity, services};
use crate::crypto::SigningKey;
use crate::format::event::{EntryEvent, SnapshotsEvent};
use crate::job::{RunFacts, RunResult};
use crate::model::Digest;
use crate::repository::EntryWriter;
use crate::repository::find::SnapshotQuery;
use crate::repository::ledger::SnapshotState;

/// Holds a snapshot, whatever the retention policy says, or releases it.
///
/// A reaper's key, by default this host's own, signs an entry of the ledger. A custodian's key, or --propose, changes
/// the trust policy instead: no reaper can release that hold.
#[derive(Debug, clap::Args)]
pub(super) struct HoldArguments {
    /// The snapshot: a sequence number or the start of its digest
    snapshot: SnapshotQuery,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A reaper's or a custodian's key (PEM, protected by age or not) instead of this host's own
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with the passphrase of that key, instead of asking
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// Change the trust policy: write a proposal for custodians to sign
    #[arg(long, conflicts_with = "key")]
    propose: bool,
    /// Where the proposal file goes [default: policy-NUMBER.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Holds (`hold`) or releases.
pub(super) async fn run(app: &App, arguments: HoldArguments, hold: bool) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let found = snapshot::pick(&session.ledger, &arguments.snapshot)?;
    check(&found, hold)?;
    let digest = found.entry.digest;
    let key = match &arguments.key {
        Some(path) => Some(identity::signing_key(path.clone(), arguments.passphrase_file.clone()).await?),
        None => None,
    };
    if arguments.propose || key.as_ref().is_some_and(|key| is_custodian(&session, key)) {
        let change = if hold { PolicyChange::Hold(digest) } else { PolicyChange::Release(digest) };
        let next = session.next(&[change], Some(arguments.reason), false).map_err(|failure| match hold {
            true => failure,
            false => failure.hinted("an entry of the ledger holds it: release it with a reaper's key"),
        })?;
        let details = serde_json::Map::from_iter([("snapshot".to_owned(), serde_json::json!(digest))]);
        let passphrase_file = arguments.passphrase_file;
        let key = arguments.key.into_iter().collect();
        let with = SigningKeys { key, passphrase_file, out: arguments.out, sheet: None };
        let word = if hold { "held" } else { "released" };
        return session.carry_out(word, details, &next, None, &with).await;
    }
    if !hold && session.ledger.trust().holds(&digest) {
        return Err(Failure::usage(format!("the trust policy holds snapshot {}", found.entry.sequence))
            .hinted("only custodians release it: --key CUSTODIAN-KEY, or --propose"));
    }
    if let Some(out) = &arguments.out {
        return Err(Failure::usage(format!(
            "{} would not be written: a reaper's key signs an entry of the ledger at once",
            out.display()
        ))
        .hinted("leave --out away, or say --propose to let custodians decide"));
    }
    let writer = match key {
        Some(key) => services::writer_with(key, app, &session.settings, session.repository.id())?,
        None => services::writer(app, &session.settings, session.repository.id())?,
    };
    record(&session, &writer, &found, arguments.reason, hold).await
}

fn is_custodian(session: &Session<'_>, key: &SigningKey) -> bool {
    let own = key.public().fingerprint();
    let custodians = session.ledger.trust().branches().flat_map(|(_, policy)| &policy.custodians);
    custodians.into_iter().any(|custodian| custodian.public_key.fingerprint() == own)
}

fn check(found: &OpenedSnapshot, hold: bool) -> Result<(), Failure> {
    let sequence = found.entry.sequence;
    match (&found.state, &found.held, hold) {
        (SnapshotState::Swept { .. }, ..) => {
            Err(Failure::usage(format!("snapshot {sequence} was swept: there is nothing left to keep")))
        }
        // A hold does not undo a forget: that must be said on purpose.
        (SnapshotState::Forgotten { .. }, _, true) => {
            Err(Failure::usage(format!("snapshot {sequence} is forgotten, and a hold does not undo that"))
                .hinted(format!("keyhaven forget --undo {sequence} --reason …, then hold it")))
        }
        (_, None, false) => Err(Failure::usage(format!("snapshot {sequence} is not held"))),
        _ => Ok(()),
    }
}

/// The recorded entry.
#[derive(Serialize)]
struct HoldReport {
    snapshot: Digest,
    /// True if it is held from now on; else it is released.
    held: bool,
    /// The entry that says so, and its sequence.
    entry: Digest,
    sequence: u64,
}

impl RunResult for HoldReport {
    fn facts(&self) -> RunFacts {
        RunFacts { sequence: Some(self.sequence), snapshot: Some(self.snapshot), ..RunFacts::default() }
    }
}

async fn record(
    session: &Session<'_>,
    writer: &EntryWriter,
    found: &OpenedSnapshot,
    reason: String,
    hold: bool,
) -> Result<CommandOutcome, Failure> {
    let (snapshot, sequence) = (found.entry.digest, found.entry.sequence);
    let event = SnapshotsEvent { snapshots: vec![snapshot], reason };
    let event = if hold { EntryEvent::Hold(event) } else { EntryEvent::Release(event) };
    let draft = draft::draft(&*writer.clock, event);
    let done = session.app.change(session.repository.commit(writer, draft)).await?;
    let entry = done.entry.clone();
    done.into_warnings().for_each(|warning| session.app.printer.warning(&warning));
    let done = HoldReport { snapshot, held: hold, entry: entry.digest, sequence: entry.sequence };
    session.app.printer.run_result(&done, |printer| {
        let word = if hold { "held" } else { "released" };
        printer.line(format!("Snapshot {sequence} {word} by entry {}.", entry.sequence))
    })?;
    Ok(CommandOutcome::done().with(&done))
}
