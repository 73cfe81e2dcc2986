//! A small repository in memory with everything in it that format 1 has, and what a check must say and a restore must give
//! when something was done to one of its objects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::open::open;
use keyhaven::crypto::{Recipient, Recipients, Sealed, SigningKey};
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::snapshot::PartRef;
use keyhaven::format::{Entry, EntryEvent, Policy, RepositoryId, names};
use keyhaven::job::forget::forget_snapshots;
use keyhaven::job::restore::{Backup as _, RepositorySnapshot, RestoreError};
use keyhaven::job::verify::{Level, Problem, VerifyKeys, VerifyOptions, VerifyReport, record, verify};
use keyhaven::model::{Digest, FailureKind};
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::ledger::Ledger;
use keyhaven::repository::{EntryWriter, Repository, StateDirectory, Store};

use super::clock::context;
use super::environment::is_long;
use super::files::contents;
use super::policy::signed;
use super::repository::{Contents, Kit, TOOL, item, part};
use super::store::{MemoryStore, Objects};

/// The bytes that are under a name instead; nothing when the object is gone.
pub(crate) type Change = (String, Option<Bytes>);
pub(crate) type Changed = Vec<Change>;

/// Who checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// A host that never saw the repository, and has no pin.
    Blind,
    /// One that read it before, and remembers its heads and its policy.
    Reader,
    /// The one that wrote the newest entry, and keeps its bytes, too.
    Collector,
}

pub(crate) const HOSTS: [Host; 3] = [Host::Blind, Host::Reader, Host::Collector];

/// A snapshot: everything that it needs besides the ledger and the policy, and what is in it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) entry: Entry,
    needs: BTreeSet<String>,
    payloads: BTreeMap<String, String>,
}

/// Two snapshots, the second with a pack and a part of the first; a verification, which a stranger signed, too; version 1 of
/// the policy signed by a custodian when entries carried it already; version 2; the first snapshot forgotten; a third one.
pub(crate) struct World {
    pub(crate) kit: Kit,
    pub(crate) id: RepositoryId,
    pub(crate) objects: Arc<Objects>,
    pub(crate) snapshots: Vec<Snapshot>,
    reader: StateDirectory,
    collector: StateDirectory,
    /// The repository after each step, the last one left out.
    pub(crate) earlier: Vec<Objects>,
    /// Signatures that nothing depends on: the file, where in it, and for whom.
    spare: Vec<(String, Range<usize>, &'static [Host])>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let kit = Kit::new();
        let repository = kit.init().await;
        let id = *repository.id();
        let stored =
            || -> Objects { contents(&kit.place()).into_iter().map(|(path, bytes)| (path, bytes.into())).collect() };
        let writer = kit.writer("collector", &kit.collector, &id);
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut earlier = Vec::new();

        let first = small(&kit, &id, "a", r#"{"x":1}"#);
        snapshots.push(commit(&kit, &repository, &writer, &first, &[("a", r#"{"x":1}"#)]).await);
        earlier.push(stored());

        let mut second = small(&kit, &id, "b", r#"{"y":"two"}"#);
        reuse(&mut second, &first, &snapshots[0].entry);
        let both = [("a", r#"{"x":1}"#), ("b", r#"{"y":"two"}"#)];
        snapshots.push(commit(&kit, &repository, &writer, &second, &both).await);
        earlier.push(stored());

        let verifier = kit.writer("verifier", &kit.verifier, &id);
        let options = VerifyOptions::new(Level::Payload);
        let mut report = verify(&context(kit.clock.clone()), &repository, &keys(&kit), &options).await.unwrap();
        record(&repository, &verifier, TOOL, &mut report).await.unwrap();
        let checked = repository.read_ledger().await.unwrap().get(&report.recorded.unwrap()).unwrap().name();
        earlier.push(stored());
        let stranger = SigningKey::generate().unwrap();
        let mut envelope = Envelope::decode(&stored()[&checked], Holds::Entry).unwrap();
        envelope.sign(&stranger);
        std::fs::write(kit.place().join(&checked), envelope.encode(Holds::Entry).unwrap()).unwrap();
        earlier.push(stored());

        let first_policy = stored().into_keys().find(|name| name.starts_with("trust/")).unwrap();
        let policy = Policy::decode(&stored()[&first_policy]).unwrap().1;
        std::fs::write(kit.place().join(&first_policy), signed(&policy, &[&kit.custodian]).1).unwrap();
        earlier.push(stored());

        kit.change(&repository, |policy| policy.reason = Some("second".to_owned())).await;
        earlier.push(stored());
        let reaper = kit.writer("reaper", &kit.reaper, &id);
        forget_snapshots(&repository, &reaper, TOOL, &[snapshots[0].entry.digest], "all").await.unwrap();
        earlier.push(stored());

        // As writers put it, with its padding; where every byte is tried, without its 128 KiB.
        let third = if is_long() {
            small(&kit, &id, "c", r#"{"z":[3]}"#)
        } else {
            Contents::of(&kit, &id, &[("c", r#"{"z":[3]}"#)])
        };
        snapshots.push(commit(&kit, &repository, &writer, &third, &[("c", r#"{"z":[3]}"#)]).await);

        let reader = kit.writer("reader", &kit.verifier, &id).state;
        for state in [&reader, &writer.state] {
            let repository = Repository::open(kit.store(), id).await.unwrap().remembered_in(state.clone());
            let ledger = repository.read_ledger().await.unwrap();
            repository.remember(&ledger).await;
        }
        let objects = stored();
        let spare = vec![
            (checked.clone(), signature(&objects[&checked], &stranger), &HOSTS[..]),
            // A host that saw the signature misses it.
            (first_policy.clone(), signature(&objects[&first_policy], &kit.custodian), &[Host::Blind][..]),
        ];
        let collector = writer.state;
        Self { kit, id, objects: Arc::new(objects), snapshots, reader, collector, earlier, spare }
    }

    pub(crate) fn bucket(&self, changed: impl IntoIterator<Item = Change>) -> Store {
        let (objects, changed) = (Arc::clone(&self.objects), changed.into_iter().collect());
        Arc::new(MemoryStore { objects, changed, ..MemoryStore::default() }).store()
    }

    /// Opens it as another process would, which remembers nothing from writing it.
    pub(crate) async fn open(&self, host: Host, bucket: Store) -> Repository {
        let repository = Repository::open(bucket, self.id).await.unwrap();
        match host {
            Host::Blind => repository,
            Host::Reader => repository.remembered_in(self.reader.clone()),
            Host::Collector => repository.remembered_in(self.collector.clone()),
        }
    }

    pub(crate) async fn verify(&self, host: Host, bucket: Store) -> VerifyReport {
        let repository = self.open(host, bucket).await;
        let options = VerifyOptions::new(Level::Payload);
        verify(&context(self.kit.clock.clone()), &repository, &keys(&self.kit), &options).await.unwrap()
    }

    pub(crate) fn newest_entry(&self) -> String {
        self.snapshots[2].entry.name()
    }

    /// Checks with something done to some objects; gives whether the check failed.
    async fn try_with(&self, host: Host, changed: Changed) -> Result<bool, String> {
        let report = self.verify(host, self.bucket(changed.clone())).await;
        let said = || format!("problems {:?}, warnings {:?}", report.problems, report.warnings);
        let expected: Vec<Expected> = changed.iter().map(|change| self.expected(host, change, &changed)).collect();
        let named = |name: &str| {
            let stem = stem(name);
            report.problems.iter().any(|problem| problem.to_string().contains(stem))
        };
        let warned = |name: &str| report.warnings.iter().any(|warning| warning.contains(stem(name)));
        for ((name, bytes), expected) in changed.iter().zip(&expected) {
            match expected {
                // Of two entries that are lost the lower one may be named by nothing but the file in its place.
                Expected::Failure if !(named(name) || changed.len() > 1 && warned(name)) => {
                    return Err(format!("{name} is not named: {}", said()));
                }
                // Of several files that are no entries only the first is named.
                Expected::Warning if changed.len() == 1 && bytes.is_some() && !warned(name) => {
                    return Err(format!("no warning names {name}: {}", said()));
                }
                _ => {}
            }
        }
        let fails = !report.problems.is_empty();
        let must = expected.contains(&Expected::Failure);
        let may = !must && expected.contains(&Expected::Either);
        if fails != must && !may {
            return Err(format!("accused for nothing: {}", said()));
        }
        if report.ok == fails || report.failure() != fails.then_some(FailureKind::Integrity) {
            return Err(format!("not 13: {}", said()));
        }
        if let Some(problem) = report.problems.iter().find(|problem| !is_about(problem, &changed)) {
            return Err(format!("accused beside it: {problem}"));
        }
        Ok(fails)
    }

    /// What a check must say when this was done to an object. The whole list of what is no failure, each with its reason.
    fn expected(&self, host: Host, (name, bytes): &Change, changed: &[Change]) -> Expected {
        // A file more is rubbish, which anybody may put there.
        if !self.objects.contains_key(name) {
            return Expected::Warning;
        }
        let only_in = |range: &Range<usize>| {
            let (whole, Some(bytes)) = (&self.objects[name], bytes) else { return false };
            let same = |range: Range<usize>| whole.get(range.clone()) == bytes.get(range);
            whole.len() == bytes.len() && same(0..range.start) && same(range.end..whole.len())
        };
        // It decides nothing.
        if name == names::KEYHAVEN_JSON {
            return Expected::Warning;
        }
        // Anybody may put files there that are no entries, and nothing else shows that there was one.
        let done_to = |other: &String| changed.iter().any(|(changed, _)| changed == other);
        let mut above = self.objects.keys().filter(|other| other.starts_with(names::LEDGER) && *other > name);
        if host == Host::Blind && name.starts_with(names::LEDGER) && above.all(done_to) {
            return Expected::Warning;
        }
        // No threshold needs it, and the payload is as it was.
        if self.spare.iter().any(|(file, range, hosts)| file == name && hosts.contains(&host) && only_in(range)) {
            return Expected::Either;
        }
        Expected::Failure
    }

    /// That the newest snapshot whose objects are all there restores, and that `latest` never gives anything wrong.
    pub(crate) async fn restores(&self, host: Host, changed: &[Change]) -> Result<(), String> {
        let repository = self.open(host, self.bucket(changed.to_vec())).await;
        let ledger = repository.read_ledger().await.map_err(|error| format!("no ledger: {error}"))?;
        let done_to = |name: &String| changed.iter().any(|(changed, _)| changed == name);
        let is_whole = |snapshot: &Snapshot| !done_to(&snapshot.entry.name()) && !snapshot.needs.iter().any(done_to);
        if let Some(whole) = self.snapshots.iter().rev().find(|snapshot| is_whole(snapshot)) {
            let wanted = SnapshotQuery::Named(whole.entry.digest.to_string());
            let read = self.read(&repository, &ledger, &wanted).await?.1;
            if read.as_ref().ok() != Some(&whole.payloads) {
                return Err(format!("snapshot {} does not restore: {read:?}", whole.entry.sequence));
            }
        }
        let (entry, read) = self.read(&repository, &ledger, &SnapshotQuery::Latest).await?;
        let Some(latest) = self.snapshots.iter().find(|snapshot| snapshot.entry.digest == entry) else {
            return Err("`latest` was never written".to_owned());
        };
        if latest.entry.sequence != self.snapshots[2].entry.sequence && !done_to(&self.newest_entry()) {
            return Err(format!("`latest` is snapshot {}", latest.entry.sequence));
        }
        match read {
            Ok(payloads) if payloads == latest.payloads && !latest.needs.iter().any(done_to) => Ok(()),
            Ok(payloads) => Err(format!("`latest` restored {payloads:?}")),
            Err(error) if latest.needs.iter().filter(|name| done_to(name)).any(|name| error.contains(stem(name))) => {
                Ok(())
            }
            Err(error) => Err(format!("`latest` does not restore: {error}")),
        }
    }

    /// The payloads of a snapshot, read as a restore reads them.
    async fn read(
        &self,
        repository: &Repository,
        ledger: &Ledger,
        wanted: &SnapshotQuery,
    ) -> Result<(Digest, Result<BTreeMap<String, String>, String>), String> {
        let (entry, event) = find(ledger, wanted).map_err(|error| format!("{wanted}: {error}"))?;
        let snapshot = RepositorySnapshot::new(repository, entry, event, Arc::clone(&self.kit.recovery));
        let read = async {
            let mut payloads = BTreeMap::new();
            for item in snapshot.items().await? {
                for pointer in &item.payloads {
                    let pack = snapshot.pack(&pointer.pack).await?;
                    let payload = &pack[&(item.key.clone(), pointer.version.clone())];
                    payloads.insert(item.key.to_string(), payload.expose().to_owned());
                }
            }
            Ok::<_, RestoreError>(payloads)
        };
        let read = read.await.map_err(|error| {
            assert_eq!(error.kind(), FailureKind::Integrity, "{error:?}");
            format!("{error:?}")
        });
        Ok((entry.digest, read))
    }
}

/// What a check must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It fails with 13 and names the object.
    Failure,
    /// It passes and names the object in a warning.
    Warning,
    /// Nothing depends on the bytes.
    Either,
}

fn keys(kit: &Kit) -> VerifyKeys {
    VerifyKeys { catalogue: None, recovery: Some(Arc::clone(&kit.recovery)) }
}

/// The objects of a snapshot of one secret, without the padding that readers do not ask for: a few hundred bytes.
fn small(kit: &Kit, id: &RepositoryId, secret: &str, text: &str) -> Contents {
    let mut contents = Contents::of(kit, id, &[(secret, text)]);
    contents.pack = unpadded(kit, &contents.pack, &kit.recovery.recipients());
    let listed = &mut contents.list.packs[0];
    (listed.pack, listed.size) = (contents.pack.digest, contents.pack.bytes.len() as u64);
    let both: Vec<Recipient> = kit.recovery.recipients().into_iter().chain(kit.catalogue.recipients()).collect();
    let items = [item(secret, &contents.pack.digest)];
    let part = unpadded(kit, &part(id, &items, &Recipients::new(both.clone()).unwrap()), &both);
    let event = &mut contents.event;
    (event.list, event.sealed_bytes) = (contents.list.digest().unwrap(), contents.pack.bytes.len() as u64);
    (event.parts[0].digest, event.parts[0].size) = (part.digest, part.bytes.len() as u64);
    contents.parts = vec![part];
    contents
}

fn unpadded(kit: &Kit, sealed: &Sealed, recipients: &[Recipient]) -> Sealed {
    let mut plain = Vec::new();
    open(&sealed.bytes, &kit.recovery, 1 << 20).unwrap().read_to_end(&mut plain).unwrap();
    let recipients: Vec<age::x25519::Recipient> =
        recipients.iter().map(|recipient| recipient.as_str().parse().unwrap()).collect();
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient)).unwrap();
    let mut zstd = zstd::stream::write::Encoder::new(encryptor.wrap_output(Vec::new()).unwrap(), 1).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(&plain).unwrap();
    let bytes = zstd.finish().unwrap().finish().unwrap();
    Sealed { digest: sha256(&bytes), bytes: bytes.into() }
}

/// Builds a snapshot upon another: with its packs and parts before the own ones.
fn reuse(contents: &mut Contents, before: &Contents, base: &Entry) {
    let own = std::mem::take(&mut contents.list.packs);
    let packs: Vec<ListedPack> = before.list.packs.iter().cloned().chain(own).collect();
    contents.list = PackList::new(packs).unwrap();
    let event = &mut contents.event;
    event.list = contents.list.digest().unwrap();
    event.packs += before.event.packs;
    event.sealed_bytes += before.event.sealed_bytes;
    let parts: Vec<PartRef> = before.event.parts.iter().chain(&event.parts).cloned().collect();
    event.parts = parts;
    let counts = &mut event.counts;
    for counted in counts.kinds.iter_mut().chain(counts.classes.iter_mut()).map(|(_, of)| of).chain([&mut counts.all]) {
        counted.items = Some(2);
    }
    (event.full, event.base, event.reuses) = (false, Some(base.digest), vec![base.key]);
}

async fn commit(
    kit: &Kit,
    repository: &Repository,
    writer: &EntryWriter,
    contents: &Contents,
    payloads: &[(&str, &str)],
) -> Snapshot {
    contents.put(repository).await.unwrap();
    let event = contents.event.clone();
    let parts = event.parts.iter().map(|part| names::catalogue(&part.digest));
    let packs = contents.list.packs.iter().map(|listed| names::pack(&listed.pack));
    let needs = parts.chain(packs).collect();
    let entry = repository.commit(writer, kit.draft(EntryEvent::Snapshot(Box::new(event)))).await.unwrap().entry;
    let payloads = payloads.iter().map(|(id, text)| (format!("secret/{id}"), (*text).to_owned())).collect();
    Snapshot { entry, needs, payloads }
}

/// Where the values of a key's signature are in an envelope.
fn signature(bytes: &[u8], key: &SigningKey) -> Range<usize> {
    let text = std::str::from_utf8(bytes).unwrap();
    let begin = text.find(&key.public().fingerprint().to_string()).unwrap();
    begin..begin + text[begin..].find("\"}").unwrap()
}

/// The part of an object's name that says which it is.
pub(crate) fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap();
    file.split_once('.').filter(|_| name.contains('/')).map_or(file, |(stem, _)| stem)
}

/// Whether a finding follows from what was done.
fn is_about(problem: &Problem, changed: &[Change]) -> bool {
    changed.iter().any(|(name, _)| problem.to_string().contains(stem(name)))
}

/// One thing to try: for whom, what it is called, what is done, and whether to restore beside it.
pub(crate) struct Trial {
    pub(crate) host: Host,
    pub(crate) what: String,
    pub(crate) changed: Changed,
    pub(crate) restores: bool,
}

/// Tries everything, on as many threads as there are processors; gives how many there were, and how many checks failed.
pub(crate) fn try_all(world: &World, trials: impl Iterator<Item = Trial> + Send) -> (usize, usize) {
    let trials = Mutex::new(trials);
    let wrong = Mutex::new(Vec::new());
    let counted = Mutex::new((0, 0));
    let next = || trials.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(Trial { host, what, changed, restores }) = next() {
                    let tried = async {
                        if restores {
                            world.restores(host, &changed).await?;
                        }
                        world.try_with(host, changed).await
                    };
                    match runtime.block_on(tried) {
                        Ok(failed) => {
                            let mut counted = counted.lock().unwrap();
                            *counted = (counted.0 + 1, counted.1 + usize::from(failed));
                        }
                        Err(why) => wrong.lock().unwrap().push(format!("{host:?}, {what}: {why}")),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n\n"));
    counted.into_inner().unwrap()
}
