//! `keyhaven get`.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::app::App;
use crate::cli::escape;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot;
use crate::cli::text;
use crate::cli::timeline::{self, Timeline, VersionHistory};
use crate::crypto::Identities;
use crate::model::json::Members;
use crate::model::{Digest, FailureKind, Payload, Slot, Timestamp};
use crate::repository::Repository;
use crate::repository::find::SnapshotQuery;

/// Gets one version of one item: its metadata and, only with --reveal, its value.
///
/// Finds every version in the kept snapshots, including those that the provider has dropped. Prints the value as the
/// JSON object that the provider returned, byte for byte.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven get payments/db-password
  keyhaven get db-password --reveal --field password --identity recovery-identity.txt
  keyhaven get db-password --at 2026-11-01T00:00:00Z --reveal")]
pub(in crate::cli) struct Arguments {
    /// The item: its name, GROUP/NAME or id
    item: String,
    /// The id of a version, or the start of it; the newest without it
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
    /// As it was in this snapshot: `latest`, a sequence number, or the start of a digest
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "at")]
    snapshot: Option<SnapshotQuery>,
    /// As it was in the newest good snapshot that is not younger than this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print the value; needs a recovery identity
    #[arg(long)]
    reveal: bool,
    /// Print only this field of the value, as plain text if it is text
    #[arg(long, value_name = "NAME", requires = "reveal")]
    field: Option<String>,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

#[derive(Serialize)]
struct ShownPayload<'a> {
    key: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    item_type: &'a str,
    version: &'a str,
    created_at: Option<&'a str>,
    last_snapshot: u64,
    pack: Digest,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { repository, keys, ledger, .. } = match arguments.reveal {
        true => OpenedRepository::begin_with_packs(app, &arguments.recovery).await?,
        false => OpenedRepository::begin(app, &arguments.recovery).await?,
    };
    let snapshots = match arguments.at.map(SnapshotQuery::At).or(arguments.snapshot) {
        Some(wanted) => vec![snapshot::pick_to_read(&app.printer, &ledger, &wanted)?],
        None => snapshot::live(&ledger),
    };
    let timeline = timeline::read(&repository, &keys, &snapshots, &arguments.item).await?;
    let (version, pack) = choose(&timeline, arguments.version_id.as_deref())?;
    let shown = ShownPayload {
        key: timeline.item.key.as_str(),
        name: &timeline.item.name,
        item_type: &timeline.item.item_type,
        version: version.slot.as_str(),
        created_at: version.created_at.as_deref(),
        last_snapshot: version.last,
        pack,
    };
    if !arguments.reveal {
        app.printer.result(&shown, |printer| {
            printer.facts(&[
                ("name", timeline.item.name.clone()),
                ("type", timeline.item.item_type.clone()),
                ("key", timeline.item.key.to_string()),
                ("version", version.slot.as_str().to_owned()),
                ("created", version.created_at.clone().unwrap_or_default()),
                ("last seen", format!("snapshot {} of {}", version.last, text::time(version.last_time))),
                ("pack", pack.to_string()),
            ])?;
            printer.line("The value is in the pack; --reveal prints it.")
        })?;
        return Ok(CommandOutcome::done());
    }
    let payload = payload(&repository, &keys, &timeline, &version.slot, pack).await?;
    if let Some(trail) = &app.trail {
        trail.revealing(&timeline.item.key, version.slot.as_str(), &timeline.item.name)?;
    }
    print(app, &shown, &payload, arguments.field.as_deref())?;
    Ok(CommandOutcome::done())
}

/// Returns the requested version with its pack. Never returns an older version in place of the newest.
fn choose<'a>(timeline: &'a Timeline, wanted: Option<&str>) -> Result<(&'a VersionHistory, Digest), Failure> {
    let kept = || timeline.versions.iter().filter_map(|version| Some((version, version.pack?)));
    let Some(wanted) = wanted else {
        let own = |version: &&VersionHistory| version.slot.as_str() != Slot::WITHHELD;
        let newest = timeline.versions.iter().find(own);
        if let Some((version, pack)) = newest.and_then(|version| Some((version, version.pack?))) {
            return Ok((version, pack));
        }
        let key = &timeline.item.key;
        let why = match newest.filter(|_| kept().any(|(version, _)| own(&version))) {
            Some(newest) => format!("no payload of the newest version of {key}, {}, was kept", newest.slot.as_str()),
            None => format!("no payload of {key} was kept: its class is {}", timeline.item.class),
        };
        return Err(Failure::new(FailureKind::Failed, why)
            .hinted("`keyhaven history` lists what was seen of it; --version-id gets an older version"));
    };
    if let Some(one) = kept().find(|(version, _)| version.slot.as_str() == wanted) {
        return Ok(one);
    }
    let fitting: Vec<_> = kept().filter(|(version, _)| version.slot.as_str().starts_with(wanted)).collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::usage(format!("no payload of a version `{wanted}` was kept"))
            .hinted("`keyhaven history` lists the versions")),
        _ => Err(Failure::usage(format!("several versions start with `{wanted}`")).hinted("give more of the id")),
    }
}

async fn payload(
    repository: &Repository,
    keys: &Arc<Identities>,
    timeline: &Timeline,
    slot: &Slot,
    pack: Digest,
) -> Result<Payload, Failure> {
    let (key, slot) = (timeline.item.key.clone(), slot.clone());
    let wanted = format!("{key}, version {}", slot.as_str());
    let fold = move |line: crate::format::pack::PackLine, found: &mut Option<Payload>| {
        if line.key == key && line.version == slot {
            *found = Some(line.payload);
        }
    };
    repository.read_pack(&pack, keys, fold).await?.0.ok_or_else(|| {
        Failure::new(
            FailureKind::Integrity,
            format!("pack {pack} does not hold {wanted}, although the catalogue says so"),
        )
        .hinted("`keyhaven verify --level payload` says what else is wrong")
    })
}

/// Prints the value. It is put together in one buffer that is wiped.
fn print(app: &App, shown: &ShownPayload<'_>, payload: &Payload, field: Option<&str>) -> Result<(), Failure> {
    let text = payload.expose();
    let value = match field {
        None => text,
        Some(name) => {
            let members = Members::parse(text)
                .map_err(|error| Failure::new(FailureKind::Integrity, "the value is no JSON object").because(error))?;
            let found = members.0.iter().rev().find(|(member, _)| member == name).map(|(_, value)| value.get());
            found.ok_or_else(|| {
                let names: Vec<&str> = members.0.iter().map(|(name, _)| name.as_str()).collect();
                Failure::usage(format!("the value has no field `{name}`; it has {}", names.join(", ")))
            })?
        }
    };
    if app.printer.is_json() {
        let head = serde_json::to_string(shown)
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot write the result as JSON").because(error))?;
        let head = escape::json(head.trim_end_matches('}'));
        return app.printer.raw(joined(&[&head, ",\"payload\":", value, "}\n"]).as_bytes());
    }
    if field.is_some()
        && let Ok(plain) = serde_json::from_str::<String>(value).map(Zeroizing::new)
    {
        return app.printer.raw(joined(&[&plain, "\n"]).as_bytes());
    }
    app.printer.raw(joined(&[value, "\n"]).as_bytes())
}

/// The parts as one text that is wiped and never moved while it grows.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Item, Restorability};

    /// Versions newest first, and whether the payload of each was kept.
    fn timeline(versions: &[(&str, bool)]) -> Timeline {
        let time = Timestamp::from_millis(0);
        let version = |&(id, kept): &(&str, bool)| VersionHistory {
            slot: Slot::new(id).unwrap(),
            created_at: None,
            first: 1,
            last: 1,
            last_time: time,
            pack: kept.then(|| Digest::from_bytes([1; 32])),
        };
        let item = Item {
            key: "secret/1".parse().unwrap(),
            name: "db".into(),
            item_type: "arbitrary".into(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs: crate::model::Docs::new(),
        };
        Timeline { item, first_seen: 1, last_seen: 1, versions: versions.iter().map(version).collect() }
    }

    fn chosen(versions: &[(&str, bool)], wanted: Option<&str>) -> Result<String, String> {
        let timeline = timeline(versions);
        choose(&timeline, wanted)
            .map(|(version, _)| version.slot.as_str().to_owned())
            .map_err(|failure| failure.chain().join(": "))
    }

    #[test]
    fn an_older_version_never_stands_in_for_the_newest() {
        assert_eq!(chosen(&[("v3", true), ("v2", true)], None).as_deref(), Ok("v3"));
        let why = chosen(&[("v3", false), ("v2", true)], None).unwrap_err();
        assert!(why.contains("newest version of secret/1, v3,"), "{why}");
        assert_eq!(chosen(&[("v3", false), ("v2", true)], Some("v2")).as_deref(), Ok("v2"));
        let why = chosen(&[("v3", false), (Slot::WITHHELD, true)], None).unwrap_err();
        assert!(why.contains("no payload of secret/1 was kept"), "{why}");
    }

    #[test]
    fn a_whole_id_is_that_version_and_a_start_must_be_of_one_only() {
        let versions = [("v11", true), ("v1", true)];
        assert_eq!(chosen(&versions, Some("v1")).as_deref(), Ok("v1"));
        assert!(chosen(&versions, Some("v")).unwrap_err().contains("several versions"));
    }
}
