//! An apply run: locates an item, sends its next step, determines the outcome.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chain::Chain;
use super::halt::Halt;
use super::input::ApplyInput;
use super::needs::{reference_of, unusable};
use super::report::ApplyCounts;
use super::signatures::{Signatures, SigningRequest};
use crate::job::event::{JobEvent, Stage};
use crate::job::restore::backup::Payloads;
use crate::job::restore::error::RestoreError;
use crate::job::restore::examine::ListedStandby;
use crate::job::restore::guard::check_answer;
use crate::job::restore::plan::Step;
use crate::job::restore::snapshot::SnapshotItems;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::job::restore::state::{ItemState, position};
use crate::model::with_causes;
use crate::model::{ItemKey, ItemKind, Timestamp};
use crate::provider::{
    Action, InstanceError, ItemConverter, Listed, Phase, ReferenceNames, RegistrationNames, RestoreItem, Standby,
    Write, Written, unanswered,
};

/// Maximum number of attempts per step.
const TRIES: u32 = 3;

/// Number of consecutive items with server errors after which the instance is considered at fault.
const OVERLOADS: u32 = 5;

/// State shared by all steps of a run.
#[derive(Debug)]
pub(super) struct ApplyRun<'a> {
    job: ApplyInput<'a>,
    snapshot: &'a SnapshotItems,
    pub(super) payloads: &'a Payloads<'a>,
    pub(super) standby: &'a dyn Standby,
    pub(super) listed: &'a ListedStandby,
    signatures: Signatures<'a>,
    shared: Mutex<ApplyShared>,
}

#[derive(Debug)]
struct ApplyShared {
    /// Instance id that the target must have; `None` once verified.
    named: Option<String>,
    /// Full name of the target, once an item shows it.
    full_name: Option<String>,
    /// Group ids in the standby by name.
    groups: BTreeMap<String, String>,
    /// Number of consecutive items that ended in server errors.
    overloads: u32,
    /// Items that dependent items cannot use, by reference, with the reason.
    unusable: BTreeMap<String, String>,
    /// Certificates that the source signed in this run, by request.
    signed: BTreeMap<String, String>,
    tally: ApplyCounts,
}

impl<'a> ApplyRun<'a> {
    pub(super) fn new(
        job: ApplyInput<'a>,
        snapshot: &'a SnapshotItems,
        payloads: &'a Payloads<'a>,
        listed: &'a ListedStandby,
        named: Option<String>,
        signatures: Signatures<'a>,
    ) -> Self {
        let waits = |(view, _): (&RestoreItem, &Listed)| Some((reference_of(view), unusable(view)?.to_owned()));
        let waiting = listed.inventory.iter().filter_map(waits).collect();
        let groups = listed.inventory.groups().clone();
        let shared = Mutex::new(ApplyShared {
            named,
            full_name: listed.name.full_name.clone(),
            groups,
            overloads: 0,
            unusable: waiting,
            signed: BTreeMap::new(),
            tally: ApplyCounts::default(),
        });
        Self { job, snapshot, payloads, standby: job.standby, listed, signatures, shared }
    }

    fn shared(&self) -> MutexGuard<'_, ApplyShared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if the target has not yet shown which instance it is.
    pub(super) fn unproven(&self) -> bool {
        self.shared().named.is_some()
    }

    /// Returns true if the whole run was stopped.
    pub(super) fn stopped(&self) -> bool {
        self.shared().tally.stopped.is_some()
    }

    /// Stops the whole run.
    pub(super) fn stop(&self, error: &RestoreError) {
        self.shared().tally.stop(error);
    }

    /// Returns the id of a group in the standby.
    pub(super) fn group(&self, name: &str) -> Option<String> {
        self.shared().groups.get(name).cloned()
    }

    pub(super) fn converter(&self) -> &'a dyn ItemConverter {
        self.standby.converter()
    }

    /// Returns the names of the standby's ids.
    pub(super) fn names(&self) -> &'a ReferenceNames {
        &self.listed.names
    }

    pub(super) fn signatures(&self) -> Signatures<'a> {
        self.signatures
    }

    /// Returns an item of the snapshot.
    pub(super) fn entry(&self, key: &ItemKey) -> Option<&'a SnapshotItem> {
        self.snapshot.get(key)
    }

    /// Returns the time at which the plan was made, by the standby's clock.
    pub(super) fn planned_at(&self) -> Timestamp {
        self.job.plan.made
    }

    /// Returns why items that depend on this one must not be created; `None` if they may be.
    pub(super) fn unusable(&self, reference: &str) -> Option<String> {
        self.shared().unusable.get(reference).cloned()
    }

    /// Marks an item as unusable with a reason, or as usable again.
    pub(super) fn set_unusable(&self, reference: String, why: Option<String>) {
        let mut shared = self.shared();
        match why {
            Some(why) => drop(shared.unusable.insert(reference, why)),
            None => drop(shared.unusable.remove(&reference)),
        }
    }

    /// Returns the certificate that the source signed for a request in this run.
    pub(super) fn signed(&self, request: &str) -> Option<String> {
        self.shared().signed.get(request).cloned()
    }

    /// Caches a certificate, so that the source need not sign again if the standby did not receive it.
    pub(super) fn cache_certificate(&self, request: &str, certificate: &str) {
        self.shared().signed.insert(request.to_owned(), certificate.to_owned());
    }

    /// Records a request that must be signed outside the standby.
    pub(super) fn ask(&self, request: SigningRequest) {
        self.shared().tally.signing_requests.push(request);
    }

    pub(super) fn finish(self) -> ApplyCounts {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner).tally
    }

    /// Returns true if restored secrets may rotate automatically.
    pub(super) fn allows_rotation(&self) -> bool {
        self.job.plan.options.allow_rotation
    }

    /// Returns the registration names that the plan sets, if any.
    pub(super) fn planned_names(&self) -> Option<RegistrationNames> {
        self.job.plan.options.registration.clone()
    }

    /// Returns the current time, by the standby's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.standby.provider_now().unwrap_or_else(|| self.job.context.clock.now())
    }

    /// Executes at most `limit` steps of one phase of an item.
    pub(super) async fn advance(&self, chain: &mut Chain<'_>, phase: Phase, limit: usize) {
        if let Err(halt) = self.try_advance(chain, phase, limit).await {
            self.halt(chain, halt);
        }
    }

    async fn try_advance(&self, chain: &mut Chain<'_>, phase: Phase, limit: usize) -> Result<(), Halt> {
        for _ in 0..limit {
            if chain.ended || self.stopped() {
                return Ok(());
            }
            self.go_on()?;
            let Some(first) = chain.first() else { return Ok(()) };
            let entry = self
                .snapshot
                .get(&first.key)
                .ok_or_else(|| Halt::Conflict("the snapshot does not have it; the plan was altered".to_owned()))?;
            if chain.at.is_none() {
                self.locate(chain, entry).await?;
            }
            let Some(step) = chain.next(phase) else { return Ok(()) };
            if let Some(why) = self.missing_requirement(entry) {
                return Err(Halt::Skipped(why));
            }
            self.step(chain, entry, step).await?;
        }
        Ok(())
    }

    /// Stops the run if it was cancelled.
    fn go_on(&self) -> Result<(), Halt> {
        match self.job.context.cancel.is_cancelled() {
            true => Err(Halt::Stop(RestoreError::Interrupted)),
            false => Ok(()),
        }
    }

    fn halt(&self, chain: &mut Chain<'_>, halt: Halt) {
        let remark = |reason: String| {
            let entry = self.snapshot.get(&chain.first()?.key)?;
            Some(entry.remark(reason))
        };
        let taken_away = chain.taken_away();
        let remark = |why: String| remark(format!("{why}{taken_away}"));
        self.note_unmade(chain, &halt);
        let mut shared = self.shared();
        match halt {
            Halt::Conflict(why) => shared.tally.conflicts.extend(remark(why)),
            Halt::Failed(why) => shared.tally.failed.extend(remark(why)),
            Halt::Lost(why) => shared.tally.losses.extend(remark(why)),
            Halt::Waiting(why) => shared.tally.waiting.extend(remark(why)),
            Halt::Skipped(why) => shared.tally.skipped.extend(remark(why)),
            Halt::Overload(error) => {
                shared.overloads += 1;
                if shared.overloads >= OVERLOADS {
                    shared.tally.stop(&error);
                } else {
                    shared.tally.failed.extend(remark(with_causes(&error)));
                }
            }
            Halt::Stop(error) => shared.tally.stop(&error),
        }
        chain.ended = true;
    }

    /// Executes one step and makes sure of its outcome.
    async fn step(&self, chain: &mut Chain<'_>, entry: &SnapshotItem, step: &Step) -> Result<(), Halt> {
        let index = chain.at.unwrap_or(0);
        // Before deleting or unlocking, check that the item can be re-created.
        for later in chain.remade() {
            if matches!(later.action, Action::CreateSecret { .. } | Action::CreateConfiguration) {
                self.request(chain, entry, later).await?;
            } else if let Action::AddVersion { version, .. } = &later.action {
                self.payload(entry, version).await?;
            }
        }
        for _ in 0..TRIES {
            if self.is_patched(chain, entry, step).await? {
                chain.at = Some(index + 1);
                self.found_done(1);
                return Ok(());
            }
            let write = self.request(chain, entry, step).await?;
            let error = match self.send(write).await {
                Ok(written) => {
                    self.done(chain, entry, step, written);
                    return Ok(());
                }
                Err(RestoreError::Instance(error)) => error,
                Err(error) => return Err(Halt::Stop(error)),
            };
            let unclear = unanswered(&error);
            if at_an_end(&error) {
                return Err(RestoreError::from(error).into());
            }
            if unclear {
                self.job.context.observer.observe(JobEvent::Note(with_causes(&error)));
                tokio::time::sleep(self.job.options.settle).await;
            }
            // Refused or unknown: in both cases the standby shows the item's actual state.
            let state = self.observe(chain, entry).await?;
            match position(&chain.steps, &state) {
                Some(at) if at > index => {
                    self.note_made(chain, entry, step);
                    self.found_after(chain, step, at, index);
                    return Ok(());
                }
                // The request had no effect, so stopping is safe here too.
                Some(at) if at == index && unclear => self.go_on()?,
                Some(at) if at == index => return Err(Halt::Failed(with_causes(&error))),
                _ => {
                    let why = moved(step, &state);
                    return Err(Halt::Conflict(format!("{}; {why}", with_causes(&error))));
                }
            }
        }
        Err(Halt::Failed(format!("nothing came of {} in {TRIES} attempts", step.action.as_str())))
    }

    /// Sends one change and checks the target that its response shows.
    async fn send(&self, write: Write) -> Result<Written, RestoreError> {
        let written = self.standby.write(write).await?;
        if let Some(full_name) = &written.instance {
            self.check_target(full_name)?;
        }
        Ok(written)
    }

    /// Checks the target's full name, as shown by a response or a row.
    pub(super) fn check_target(&self, full_name: &str) -> Result<(), RestoreError> {
        let named = self.shared().named.take();
        let expected = named.or_else(|| self.standby.instance_id(self.listed.name.full_name.as_ref()?));
        let source = &self.job.plan.snapshot.source;
        check_answer(self.standby, source, full_name, expected.as_deref(), self.job.consent)?;
        self.shared().full_name.get_or_insert_with(|| full_name.to_owned());
        Ok(())
    }

    /// Returns the full name of the target, if anything has shown it.
    pub(super) fn full_name(&self) -> Option<String> {
        self.shared().full_name.clone()
    }

    fn done(&self, chain: &mut Chain<'_>, entry: &SnapshotItem, step: &Step, written: Written) {
        if chain.target.is_none() {
            chain.target = written.id;
        }
        if let (Some(source), Some(own)) = (step.action.payload_of(), written.version) {
            chain.versions.insert(source.to_owned(), own);
        }
        if entry.item.key.kind() == ItemKind::Group
            && let Some(id) = &chain.target
        {
            self.shared().groups.insert(entry.view.name.clone(), id.clone());
        }
        self.note_made(chain, entry, step);
        if matches!(step.action, Action::Delete { .. }) {
            chain.forget();
        }
        chain.at = chain.at.map(|at| at + 1);
        self.count(step);
    }

    /// Records a step, and possibly later ones, found completed although no response confirmed it.
    fn found_after(&self, chain: &mut Chain<'_>, step: &Step, at: usize, index: usize) {
        if let (Some(id), Some(name)) = (&chain.target, chain.name())
            && chain.is_of(ItemKind::Group)
        {
            self.shared().groups.insert(name.to_owned(), id.clone());
        }
        // The item read is the deleted one, unless its replacement already exists.
        if matches!(step.action, Action::Delete { .. }) && at == index + 1 {
            chain.forget();
        }
        chain.at = Some(at);
        self.count(step);
        self.found_done(at.saturating_sub(index + 1));
    }

    fn count(&self, step: &Step) {
        let mut shared = self.shared();
        shared.overloads = 0;
        shared.tally.done += 1;
        *shared.tally.actions.entry(step.action.as_str().to_owned()).or_default() += 1;
        shared.tally.last_change = Some(self.job.context.clock.now());
        drop(shared);
        self.job.context.observer.observe(JobEvent::Advance { stage: Stage::Apply, by: 1 });
    }

    pub(super) fn found_done(&self, steps: usize) {
        self.shared().tally.already += steps as u64;
        self.job.context.observer.observe(JobEvent::Advance { stage: Stage::Apply, by: steps as u64 });
    }
}

/// Describes how an item's state differs from every state of its chain.
pub(super) fn moved(step: &Step, state: &ItemState) -> String {
    let what = match (step.expect.present, state.present) {
        (true, false) => "it is gone from the standby".to_owned(),
        (false, true) => "something else has taken its place in the standby".to_owned(),
        _ if step.expect.newest != state.newest && step.expect.newest.is_some() => format!(
            "its newest version in the standby is {} and not {}",
            state.newest.as_deref().unwrap_or("none"),
            step.expect.newest.as_deref().unwrap_or("none")
        ),
        _ => "its metadata or locks in the standby have changed".to_owned(),
    };
    format!("{what} since the plan was made; make a new plan")
}

/// Returns true if the outcome is final (never accepted, or all retries used), so that re-reading the item is
/// pointless.
fn at_an_end(error: &InstanceError) -> bool {
    matches!(
        error,
        InstanceError::Unauthenticated { .. } | InstanceError::Settings { .. } | InstanceError::Overloaded { .. }
    )
}
