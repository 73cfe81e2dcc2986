//! One run: looks where an item stands, sends its next step, finds out what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chain::Chain;
use super::report::Tally;
use super::{Job, ListedStandby};
use crate::instance::standby::{Look, Phase, RegistrationNames, Standby, Wanted, Write, Written, unanswered};
use crate::instance::{InstanceError, Listed};
use crate::job::event::{Event, Stage};
use crate::job::restore::backup::Payloads;
use crate::job::restore::error::{RestoreError, in_words};
use crate::job::restore::goal::Goal;
use crate::job::restore::guard::check_answer;
use crate::job::restore::known::{Known, Need, need, settings_digest};
use crate::job::restore::matching::Match;
use crate::job::restore::plan::{Action, Step};
use crate::job::restore::snapshot::{Entry, Snapshot};
use crate::job::restore::state::{State, position};
use crate::job::restore::survey::{Found, Surveyor};
use crate::model::{ItemKey, ItemKind, Timestamp};

/// How often one step is sent when nothing came of it before.
const TRIES: u32 = 3;

/// Items in a row whose requests end in server errors: from here on it is the instance and not the items.
const OVERLOADS: u32 = 5;

/// Everything that the steps of a run share.
#[derive(Debug)]
pub(super) struct Run<'a> {
    job: Job<'a>,
    snapshot: &'a Snapshot,
    pub(super) payloads: &'a Payloads<'a>,
    pub(super) standby: &'a dyn Standby,
    listed: &'a ListedStandby,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The instance id that the target must turn out to have; nothing once it is known.
    named: Option<String>,
    /// The full name (CRN) of the target, once something shows it.
    crn: Option<String>,
    /// Ids of groups in the standby by name.
    groups: BTreeMap<String, String>,
    /// Items in a row that ended in server errors.
    overloads: u32,
    tally: Tally,
}

/// Why no further step of an item is done.
#[derive(Debug)]
pub(super) enum Halt {
    /// Its state is in none of the plan's.
    Conflict(String),
    /// A step was refused.
    Failed(String),
    /// It cannot be brought back any more.
    Lost(String),
    /// Server errors to the end: this item's, or the whole instance's.
    Overload(RestoreError),
    /// The whole run stops.
    Stop(RestoreError),
}

impl From<RestoreError> for Halt {
    /// What concerns one item fails that item; the rest stops the run.
    fn from(error: RestoreError) -> Self {
        match &error {
            RestoreError::Instance(
                InstanceError::Refused { .. }
                | InstanceError::Forbidden { .. }
                | InstanceError::Unsafe { .. }
                | InstanceError::Malformed { .. },
            )
            | RestoreError::PayloadMissing { .. }
            | RestoreError::PackDamaged { .. } => Self::Failed(in_words(&error)),
            RestoreError::Instance(InstanceError::Overloaded { .. }) => Self::Overload(error),
            RestoreError::Instance(InstanceError::Gone { .. } | InstanceError::Moved { .. }) => {
                Self::Conflict(in_words(&error))
            }
            _ => Self::Stop(error),
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(
        job: Job<'a>,
        snapshot: &'a Snapshot,
        payloads: &'a Payloads<'a>,
        listed: &'a ListedStandby,
        named: Option<String>,
    ) -> Self {
        let groups = listed.inventory.groups().clone();
        let shared =
            Mutex::new(Shared { named, crn: listed.name.crn.clone(), groups, overloads: 0, tally: Tally::default() });
        Self { job, snapshot, payloads, standby: job.standby, listed, shared }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the target has still to show which instance it is.
    pub(super) fn unproven(&self) -> bool {
        self.shared().named.is_some()
    }

    /// Whether the whole run was stopped.
    pub(super) fn stopped(&self) -> bool {
        self.shared().tally.stopped.is_some()
    }

    /// Stops the whole run.
    pub(super) fn stop(&self, error: &RestoreError) {
        self.shared().tally.stop(error);
    }

    /// The id of a group in the standby.
    pub(super) fn group(&self, name: &str) -> Option<String> {
        self.shared().groups.get(name).cloned()
    }

    pub(super) fn finish(self) -> Tally {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner).tally
    }

    /// Whether restored secrets may rotate by themselves.
    pub(super) fn allows_rotation(&self) -> bool {
        self.job.plan.options.allow_rotation
    }

    /// What the notification service shall call the standby, if it was said.
    pub(super) fn planned_names(&self) -> Option<RegistrationNames> {
        self.job.plan.options.registration.clone()
    }

    /// The present, by the standby's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.standby.provider_now().unwrap_or_else(|| self.job.context.clock.now())
    }

    /// Does at most `limit` steps of one class of an item.
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
            if self.job.context.cancel.is_cancelled() {
                return Err(Halt::Stop(RestoreError::Interrupted));
            }
            let Some(first) = chain.first() else { return Ok(()) };
            let entry = self
                .snapshot
                .get(&first.key)
                .ok_or_else(|| Halt::Conflict("the snapshot does not have it; the plan was altered".to_owned()))?;
            if chain.at.is_none() {
                self.locate(chain, entry).await?;
            }
            let Some(step) = chain.next(phase) else { return Ok(()) };
            self.step(chain, entry, step).await?;
        }
        Ok(())
    }

    fn halt(&self, chain: &mut Chain<'_>, halt: Halt) {
        let remark = |reason: String| {
            let entry = self.snapshot.get(&chain.first()?.key)?;
            Some(entry.remark(reason))
        };
        let unlocked = chain.unlocked();
        let remark = |why: String| remark(format!("{why}{unlocked}"));
        let mut shared = self.shared();
        match halt {
            Halt::Conflict(why) => shared.tally.conflicts.extend(remark(why)),
            Halt::Failed(why) => shared.tally.failed.extend(remark(why)),
            Halt::Lost(why) => shared.tally.losses.extend(remark(why)),
            Halt::Overload(error) => {
                shared.overloads += 1;
                if shared.overloads >= OVERLOADS {
                    shared.tally.stop(&error);
                } else {
                    shared.tally.failed.extend(remark(in_words(&error)));
                }
            }
            Halt::Stop(error) => shared.tally.stop(&error),
        }
        chain.ended = true;
    }

    /// What the secret should become, worked out as the plan did.
    pub(super) fn goal(&self, entry: &Entry) -> Result<Goal, Halt> {
        Goal::new(&entry.item, &entry.view, self.job.plan.made).map_err(Halt::Lost)
    }

    fn surveyor(&self) -> Surveyor<'_> {
        Surveyor { standby: self.standby, payloads: self.payloads, deep: false }
    }

    /// Finds out how many steps of the item are done, from the listing where that says enough.
    async fn locate(&self, chain: &mut Chain<'_>, entry: &Entry) -> Result<(), Halt> {
        let key = &entry.item.key;
        let found = match &chain.target {
            Some(id) => {
                let key = ItemKey::new(key.kind(), id).map_err(|error| Halt::Stop(error.into()))?;
                self.listed.inventory.get(&key)
            }
            None => match self.listed.inventory.find(&entry.view, entry.group.as_deref()) {
                Match::Absent => None,
                Match::Found((_, listed)) => Some(listed),
                Match::Conflict(why) => return Err(Halt::Conflict(why)),
            },
        };
        let at = match found {
            Some(listed) if self.settled(chain, entry, listed)? => {
                chain.learn(Some(listed.clone()), None);
                Some(chain.steps.len())
            }
            Some(listed) => {
                let known = self.look(entry, listed, false).await?;
                let state = state(entry, known.as_ref());
                chain.learn(Some(listed.clone()), known);
                place(chain, &state)?
            }
            None => place(chain, &State::default())?,
        };
        chain.at = at;
        self.found_done(at.unwrap_or(0));
        Ok(())
    }

    /// Whether the rows of a secret say that its whole chain is done.
    fn settled(&self, chain: &Chain<'_>, entry: &Entry, listed: &Listed) -> Result<bool, Halt> {
        let Some(last) = chain.steps.last().filter(|_| entry.item.key.kind() == ItemKind::Secret) else {
            return Ok(false);
        };
        let view = self.standby.recipe().view(&listed.item);
        let names = entry.view.settings.iter().map(|(name, _)| name);
        let settings = settings_digest(&view.settings, names, view.mark.as_ref());
        let goal = self.goal(entry)?;
        Ok(last.leaves.settings == Some(settings) && need(&goal, entry.item.key.id(), &view) == Need::Nothing)
    }

    /// Looks at an item that is there.
    async fn look(&self, entry: &Entry, listed: &Listed, fresh: bool) -> Result<Option<Known>, Halt> {
        let surveyor = self.surveyor();
        let found = match entry.item.key.kind() {
            ItemKind::Group | ItemKind::Registration => Found { known: Some(surveyor.plain(listed)), compared: 0 },
            ItemKind::Configuration => surveyor.configuration(&entry.item, listed).await?,
            ItemKind::Secret => surveyor.details(&entry.item, &self.goal(entry)?, listed, fresh).await?,
        };
        Ok(found.known)
    }

    /// Looks at the item as it is now, wherever it came from.
    pub(super) async fn observe(&self, chain: &mut Chain<'_>, entry: &Entry) -> Result<State, Halt> {
        let secret = entry.item.key.kind() == ItemKind::Secret;
        let listed = match chain.listed.clone().filter(|_| secret) {
            Some(listed) => Some(listed),
            None => self.find(entry).await?,
        };
        // The answer that would have shown it may be the one that got lost.
        if let Some(crn) = listed.as_ref().and_then(|listed| self.standby.recipe().instance(&listed.item)) {
            self.check_target(&crn)?;
        }
        let known = match &listed {
            Some(listed) => self.look(entry, listed, true).await?,
            None => None,
        };
        let state = state(entry, known.as_ref());
        chain.learn(listed, known);
        Ok(state)
    }

    async fn find(&self, entry: &Entry) -> Result<Option<Listed>, Halt> {
        let group = entry.group.as_deref().and_then(|name| self.group(name));
        let wanted = Wanted {
            key: &entry.item.key,
            item_type: &entry.view.item_type,
            name: &entry.view.name,
            group: group.as_deref(),
        };
        Ok(self.standby.find(&wanted).await.map_err(RestoreError::from)?)
    }

    /// Does one step, whatever it takes to know that it is done.
    async fn step(&self, chain: &mut Chain<'_>, entry: &Entry, step: &Step) -> Result<(), Halt> {
        let index = chain.at.unwrap_or(0);
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
                self.job.context.observer.observe(Event::Note(in_words(&error)));
                tokio::time::sleep(self.job.options.settle).await;
            }
            // Refused or not known: either way the standby itself says where the item stands now.
            let state = self.observe(chain, entry).await?;
            match position(&chain.steps, &state) {
                Some(at) if at > index => {
                    self.found_after(chain, step, at, index);
                    return Ok(());
                }
                Some(at) if at == index && unclear => {}
                Some(at) if at == index => return Err(Halt::Failed(in_words(&error))),
                _ => {
                    let why = moved(step, &state);
                    return Err(Halt::Conflict(format!("{}; {why}", in_words(&error))));
                }
            }
        }
        Err(Halt::Failed(format!("nothing came of {} in {TRIES} attempts", step.action.as_str())))
    }

    /// Looks at the row of a secret whose metadata is to be patched: whether it is right already. A version that was
    /// added before may have changed it, so what was known earlier does not count.
    async fn is_patched(&self, chain: &mut Chain<'_>, entry: &Entry, step: &Step) -> Result<bool, Halt> {
        let Action::PatchMetadata { .. } = &step.action else { return Ok(false) };
        let id = chain.target.as_deref().unwrap_or_default();
        let key = ItemKey::new(ItemKind::Secret, id).map_err(RestoreError::from)?;
        let look = Look { row: true, ..Look::default() };
        let mut item = entry.item.clone();
        item.docs = self.standby.look(&key, look).await.map_err(RestoreError::from)?;
        let row = self.standby.recipe().view(&item);
        let names = entry.view.settings.iter().map(|(name, _)| name);
        let now = settings_digest(&row.settings, names, row.mark.as_ref());
        chain.row = Some(row);
        Ok(step.leaves.settings == Some(now))
    }

    /// Sends one change and checks what its answer says about the target.
    async fn send(&self, write: Write) -> Result<Written, RestoreError> {
        let written = self.standby.write(write).await?;
        if let Some(crn) = &written.instance {
            self.check_target(crn)?;
        }
        Ok(written)
    }

    /// Checks what an answer or a row says about the target.
    fn check_target(&self, crn: &str) -> Result<(), RestoreError> {
        let recipe = self.standby.recipe();
        let named = self.shared().named.take();
        let expected = named.or_else(|| recipe.instance_id(self.listed.name.crn.as_ref()?));
        let source = &self.job.plan.snapshot.source;
        check_answer(recipe, source, crn, expected.as_deref(), self.job.consent)?;
        self.shared().crn.get_or_insert_with(|| crn.to_owned());
        Ok(())
    }

    /// The full name (CRN) of the target, if anything has shown it.
    pub(super) fn crn(&self) -> Option<String> {
        self.shared().crn.clone()
    }

    fn done(&self, chain: &mut Chain<'_>, entry: &Entry, step: &Step, written: Written) {
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
        chain.at = chain.at.map(|at| at + 1);
        self.count(step);
    }

    /// A step, and perhaps what follows it, turned out to be done although no answer said so.
    fn found_after(&self, chain: &mut Chain<'_>, step: &Step, at: usize, index: usize) {
        if let (Some(id), Some(name)) = (&chain.target, chain.name())
            && chain.is_of(ItemKind::Group)
        {
            self.shared().groups.insert(name.to_owned(), id.clone());
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
        self.job.context.observer.observe(Event::Advance { stage: Stage::Apply, by: 1 });
    }

    fn found_done(&self, steps: usize) {
        self.shared().tally.already += steps as u64;
        self.job.context.observer.observe(Event::Advance { stage: Stage::Apply, by: steps as u64 });
    }
}

/// The state of an item, as far as its plan cares.
fn state(entry: &Entry, known: Option<&Known>) -> State {
    known.map(|known| known.state(entry.view.settings.iter().map(|(name, _)| name))).unwrap_or_default()
}

/// Where the item stands in its chain.
fn place(chain: &Chain<'_>, state: &State) -> Result<Option<usize>, Halt> {
    match (position(&chain.steps, state), chain.first()) {
        (Some(at), _) => Ok(Some(at)),
        (None, Some(first)) => Err(Halt::Conflict(moved(first, state))),
        (None, None) => Ok(None),
    }
}

/// Says that an item is in none of the states of its chain.
fn moved(step: &Step, state: &State) -> String {
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

/// Whether looking what became of the request is no use: it was never accepted, or every try was spent.
fn at_an_end(error: &InstanceError) -> bool {
    matches!(
        error,
        InstanceError::Unauthenticated { .. } | InstanceError::Settings { .. } | InstanceError::Overloaded { .. }
    )
}
