//! The repository: reachable, readable, writable, protected, its clock, its ledger, this host's roles in it.

use std::cell::Cell;

use super::limit::Limit;
use super::purpose::HostPurpose;
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::memory::MemoryReport;
use crate::cli::{services, text};
use crate::config::{Location, Settings};
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::{Entry, Policy, names};
use crate::model::{Clock, Digest, FailureKind, Timestamp, limits};
use crate::repository::ledger::{Ledger, Problem, Severity};
use crate::repository::store::LifecycleAction;
use crate::repository::trust::Trust;
use crate::repository::{Repository, SKEW_MILLIS, StoreError};

const LEDGER_MEND: &str = "`keyhaven verify --level ledger` lists all of it";
const REPOSITORY: &str =
    "check repository.url, repository.endpoint, the access key and its right to list and read, and the network between";

/// Input of further checks.
#[derive(Debug, Default)]
pub(super) struct RepositoryFacts {
    pub(super) repository: Option<Repository>,
    pub(super) ledger: Option<Ledger>,
}

/// The rows.
pub(super) async fn rows(
    app: &App,
    settings: &Settings,
    host: &HostPurpose,
    signing_key: Option<&SigningKey>,
    limit: Limit,
) -> (Rows, RepositoryFacts) {
    let mut rows = Rows::new("Repository");
    let mut found = RepositoryFacts::default();
    let opened = limit.within(FailureKind::Failed, services::repository(settings, None)).await;
    let Some(repository) = rows.take("repository", opened, |one| one.store().place(), REPOSITORY) else {
        return (rows, found);
    };
    for warning in repository.warnings() {
        rows.warning("repository", warning.clone(), "`keyhaven verify --level objects` checks what counts");
    }
    let reading = async { repository.read_ledger_anew().await.map_err(Failure::from) };
    let counted = |ledger: &Ledger| {
        let entries = ledger.counted().count() as u64;
        format!("listed and read; {} that count", text::count(entries, "entry"))
    };
    let read = limit.within(FailureKind::Failed, reading).await;
    let ledger = rows.take("reading", read, counted, "the identity needs the right to list and to read the bucket");
    clock(&mut rows, &repository, &*app.context().clock, ledger.is_some());
    if let Some(ledger) = ledger {
        let present = repository.store().clock().unwrap_or_else(|| app.context().clock.now());
        problems(&mut rows, &ledger, present);
        memory(&mut rows, &ledger);
        policy(&mut rows, &ledger);
        if host.signs() {
            writing(&mut rows, &repository, &ledger, limit).await;
        }
        protection(&mut rows, settings, &repository, &ledger, limit).await;
        if let Some(key) = signing_key {
            roles(&mut rows, &ledger, key.public().fingerprint(), host);
        }
        found.ledger = Some(ledger);
    }
    found.repository = Some(repository);
    (rows, found)
}

/// The store's clock against ours; `answered` says whether the store has answered at all.
fn clock(rows: &mut Rows, repository: &Repository, clock: &dyn Clock, answered: bool) {
    let (what, store) = ("clock and store", repository.store());
    match store.clock() {
        Some(theirs) => skew(rows, what, clock.now().millis_since(theirs)),
        None if answered && !store.shares_clock() => rows.warning(
            what,
            "not compared: no answer of the store has a date",
            "see to it that this host's clock is right (`timedatectl`): nothing else notices",
        ),
        None => {}
    }
}

/// Compares this host's clock with another's.
pub(super) fn skew(rows: &mut Rows, what: &'static str, millis: i64) {
    let mend = "set this host's clock (`timedatectl set-ntp true`); nothing is signed until then";
    if millis.abs() > SKEW_MILLIS {
        rows.bad(what, FailureKind::Failed, format!("{} apart", text::millis(millis.abs())), mend);
    } else if millis.abs() > SKEW_MILLIS / 5 {
        let found = format!("{} apart; past 5 min nothing is signed", text::millis(millis.abs()));
        rows.warning(what, found, "set this host's clock (`timedatectl set-ntp true`)");
    } else {
        rows.good(what, "agree");
    }
}

fn problems(rows: &mut Rows, ledger: &Ledger, present: Timestamp) {
    // The rows of the trust policy say these.
    let said = |problem: &&Problem| matches!(problem, Problem::Fork { .. } | Problem::MissingVersion { .. });
    let ahead = ledger.ahead_of(present, SKEW_MILLIS);
    let problems: Vec<_> = ledger.problems().iter().filter(|problem| !said(problem)).chain(&ahead).collect();
    let worst = problems.iter().max_by_key(|problem| problem.severity());
    let Some(worst) = worst else { return rows.good("ledger", "whole, every signature good") };
    let more = match problems.len() {
        1 => String::new(),
        several => format!(" (and {} more)", several - 1),
    };
    let grave = if worst.severity() == Severity::Error { "; `verify` fails, backups go on" } else { "" };
    rows.warning("ledger", format!("{worst}{more}{grave}"), LEDGER_MEND);
}

/// Reports entries and policy versions that this host saw and the bucket lacks.
fn memory(rows: &mut Rows, ledger: &Ledger) {
    let memory = MemoryReport::of(ledger);
    match memory.heads.as_slice() {
        [] => rows.good("known heads", "everything that this host remembers is there"),
        [first, ..] => rows.bad(
            "known heads",
            FailureKind::Integrity,
            format!("{first} was there when this host looked last, and is gone; `backup` ends with 3"),
            "find out who deleted it; then `keyhaven ledger accept-loss --reason …`, signed by custodians",
        ),
    }
}

/// The trust policy: forks, missing versions, custodians who have never signed.
fn policy(rows: &mut Rows, ledger: &Ledger) {
    let (what, memory) = ("trust policy", MemoryReport::of(ledger));
    if !memory.fork.is_empty() {
        let found = format!("forked into {} branches; nothing is swept", memory.fork.len());
        rows.bad(
            what,
            FailureKind::Integrity,
            found,
            "`keyhaven trust propose` follows both; custodians of both sign it",
        );
    }
    if let Some(other) = memory.other_branches.first() {
        let found = format!("another branch is there, {other}; this host keeps to its own");
        rows.warning(what, found, "find out who published it; `keyhaven trust propose --join` follows both");
    }
    if let Some(version) = memory.missing.first() {
        let found = format!("version {version} is missing, and the version in force names it");
        rows.bad(
            what,
            FailureKind::Integrity,
            found,
            "put it back from a copy of the bucket, or from a host that saw it",
        );
    }
    if let Some(version) = memory.policies.first() {
        let found = format!("the bucket lacks version {version}, or signatures of it");
        rows.warning(what, found, "the next backup puts it back; find out who deleted it");
    }
    let Some((version, in_force)) = ledger.trust().writes_under() else { return };
    let silent = never_signed(ledger.trust(), in_force);
    let threshold = format!("{} of {} custodians must sign", in_force.threshold, in_force.custodians.len());
    match silent.as_slice() {
        [] => rows.good(what, format!("version {}; {threshold}", version.version)),
        names => rows.warning(
            what,
            format!(
                "version {}; {threshold}; {} never signed: {}",
                version.version,
                have(names.len()),
                names.join(", ")
            ),
            "let every custodian sign once, to know that their keys work: `keyhaven trust propose --reason …`, then \
             `keyhaven trust sign` and `keyhaven trust publish`",
        ),
    }
}

fn have(count: usize) -> &'static str {
    if count == 1 { "one has" } else { "some have" }
}

/// The custodians in force of whom no version above 1 has a good signature.
fn never_signed(trust: &Trust, in_force: &Policy) -> Vec<String> {
    let later =
        || trust.fit().iter().filter(|version| version.version > 1).filter_map(|version| trust.envelope(version));
    let silent = in_force.custodians.iter().filter(|custodian| {
        let key = custodian.public_key.ed25519();
        !key.is_some_and(|key| later().any(|envelope| envelope.is_signed_by(key)))
    });
    silent.map(|custodian| custodian.name.clone()).collect()
}

/// Writes something that is there already, with the same bytes: that shows the right to write and changes nothing.
async fn writing(rows: &mut Rows, repository: &Repository, ledger: &Ledger, limit: Limit) {
    let (what, store) = ("writing", repository.store());
    // Some errors say themselves what to change, and no right would help.
    let explains_itself = Cell::new(false);
    let proving = async {
        let Some((path, bytes)) = known_object(repository, ledger).await? else { return Ok(None) };
        let put = store.put(&path, bytes).await;
        explains_itself.set(matches!(
            put,
            Err(StoreError::Checksum { .. }
                | StoreError::Region { .. }
                | StoreError::Full { .. }
                | StoreError::Clock { .. })
        ));
        put.map_err(Failure::from)?;
        Ok(Some(path))
    };
    match limit.within(FailureKind::Failed, proving).await {
        Ok(Some(path)) => {
            let found = format!("allowed: {path} was written again with its own bytes; deleting was not tried");
            rows.good(what, found);
        }
        Ok(None) => rows.warning(
            what,
            "not tried: neither RECOVER.md nor the newest pack list is what it should be",
            "`keyhaven verify --level objects` says what is wrong with them",
        ),
        Err(failure) if explains_itself.get() => {
            rows.failed(what, &failure, "change what is named here, then run `keyhaven doctor` again");
        }
        Err(failure) => rows.failed(
            what,
            &failure,
            "give the identity the right to put objects (Object Writer and Content Reader, or Writer, on the bucket)",
        ),
    }
}

/// An object of this repository that the ledger vouches for, with its bytes.
async fn known_object(repository: &Repository, ledger: &Ledger) -> Result<Option<(String, bytes::Bytes)>, Failure> {
    let list =
        ledger.latest_good().and_then(|entry| entry.snapshot()).map(|event| (names::list(&event.list), event.list));
    let recover = ledger.policy().map(|policy| (names::RECOVER_MD.to_owned(), policy.settings.recover_md));
    for (path, digest) in list.into_iter().chain(recover) {
        match repository.store().get(&path, limits::LIST).await {
            Ok(bytes) if sha256(&bytes) == digest => return Ok(Some((path, bytes))),
            Ok(_) | Err(StoreError::NotFound { .. } | StoreError::TooLarge { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Checks what protects the repository against a stolen collector.
async fn protection(rows: &mut Rows, settings: &Settings, repository: &Repository, ledger: &Ledger, limit: Limit) {
    let what = "protection";
    if !matches!(settings.repository().map(|one| one.location), Ok(Location::Bucket { .. })) {
        return rows.warning(
            what,
            "a folder: unprotected against its own collector, and without older versions",
            "whoever takes this host over can delete the backups; use a bucket with versioning or Object Lock, or have \
             another host copy the folder away",
        );
    }
    let version = || ledger.trust().writes_under().map(|(version, _)| names::policy(&version));
    let newest = ledger.latest_good().map(Entry::name).or_else(version);
    let asking = async {
        match &newest {
            Some(path) => repository.store().retention(path).await.map_err(Failure::from),
            None => Ok(None),
        }
    };
    let asked = match limit.within(FailureKind::Failed, asking).await {
        Ok(asked) => asked,
        Err(failure) => return rows.failed(what, &failure, REPOSITORY),
    };
    let rules = async { repository.store().lifecycle().await.map_err(Failure::from) };
    for rule in limit.within(FailureKind::Failed, rules).await.unwrap_or_default() {
        let does = match rule.action {
            LifecycleAction::Deletes => "deletes",
            LifecycleAction::Archives => "archives",
        };
        rows.warning(
            "lifecycle",
            format!("the bucket's lifecycle rule `{}` {does} objects of the repository {}", rule.id, rule.due),
            "the oldest entries and packs go first, and every later snapshot may need them: take the repository's prefix out \
             of the rule; `keyhaven forget` and `sweep` free room",
        );
    }
    let versioned = asked.as_ref().is_some_and(|kept| kept.versioned);
    let seen = async { repository.store().shows_versions(names::TRUST).await.map_err(Failure::from) };
    if versioned && !limit.within(FailureKind::Failed, seen).await.unwrap_or(true) {
        rows.warning(
            "older versions",
            "the bucket keeps versions, and this identity may not list them: what is deleted or overwritten is not read",
            "give it the rights s3:ListBucketVersions and s3:GetObjectVersion",
        );
    }
    match asked.as_ref().map(|kept| (kept.hold(repository.store().clock()), kept.versioned)) {
        Some((Some(hold), _)) => rows.good(what, format!("the newest snapshot's entry is {hold}")),
        Some((None, true)) => rows.good(
            what,
            "the bucket keeps versions: what is deleted or overwritten is read all the same, as long as nobody may delete versions",
        ),
        _ => rows.warning(
            what,
            "unprotected against its own collector: the bucket shows this identity neither versions nor a retention date",
            "switch versioning, Object Lock or a retention policy on, and give this host no right to delete",
        ),
    }
}

/// Checks that the trust policy lets this host's key do what this host is to do.
fn roles(rows: &mut Rows, ledger: &Ledger, key: Digest, host: &HostPurpose) {
    for (role, why) in &host.roles {
        let what = "role";
        match ledger.check_signer(&key, *role) {
            Ok(()) => rows.good(what, format!("this host's key has the role {role}, for {why}")),
            Err(problem) => rows.bad(
                what,
                FailureKind::Key,
                format!("{why} needs the role {role}, and this host's key {} lacks it: {problem}", key.short()),
                format!("name the key that has it, or have custodians run `keyhaven keys add` with the role {role}"),
            ),
        }
    }
}
