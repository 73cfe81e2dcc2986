//! Notifies the targets of one instance.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::decide::{self, BadCondition, LastNotification};
use super::event::{Freshness, NotifyWarning, RunStart};
use super::hooks::{HookFailure, Hooks};
use super::message::{self, Message, NotificationSubject};
use super::notification_state::NotificationState;
use super::target::{Channel, NotifyEndpoint};
use crate::daemon::{JobRun, RunOutcome};
use crate::model::Clock;
use crate::repository::StateDirectory;

/// How long the start of a run waits at most for pings that are still on their way when it ends.
const PINGS: Duration = Duration::from_secs(5);

/// A run that was told to begin. [`Notifier::run_finished`] takes it back.
#[derive(Debug)]
pub struct StartedRun {
    id: Uuid,
    veto: Option<HookFailure>,
    pings: JoinSet<Option<NotifyWarning>>,
}

impl StartedRun {
    /// The id of the run, the same in every ping, notification and hook.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Why the run must not begin: the run-before hook failed. It then counts as failed with exit code 1.
    #[must_use]
    pub fn veto(&self) -> Option<&HookFailure> {
        self.veto.as_ref()
    }
}

/// Notifies the configured targets and runs the hooks.
#[derive(Debug)]
pub struct Notifier {
    targets: Vec<Arc<NotifyEndpoint>>,
    hooks: Hooks,
    notified: NotificationState,
    repository: String,
    host: String,
    clock: Arc<dyn Clock>,
    /// Targets that cannot be told at all, each with the reason.
    broken: Vec<NotifyWarning>,
}

impl Notifier {
    /// A notifier of these targets and hooks. `state` is the folder of the repository, where it keeps what was told; without
    /// it everything counts as new. `repository` and `host` go into keys and, where a target has names, into texts.
    #[must_use]
    pub fn new(
        targets: Vec<NotifyEndpoint>,
        hooks: Hooks,
        state: Option<&StateDirectory>,
        repository: &str,
        host: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            targets: targets.into_iter().map(Arc::new).collect(),
            hooks,
            notified: NotificationState::new(state),
            repository: repository.to_owned(),
            host: host.to_owned(),
            clock,
            broken: Vec::new(),
        }
    }

    /// A notifier without targets and hooks.
    #[must_use]
    pub fn silent(clock: Arc<dyn Clock>) -> Self {
        Self::new(Vec::new(), Hooks::default(), None, "", "", clock)
    }

    /// Adds a target that cannot be told, such as one whose URL file is missing: a warning for every run.
    pub fn add_broken(&mut self, warning: NotifyWarning) {
        self.broken.push(warning);
    }

    /// The targets that cannot be told, each with why.
    #[must_use]
    pub fn broken(&self) -> &[NotifyWarning] {
        &self.broken
    }

    /// Whether it has anybody to tell or anything to run.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.targets.is_empty() && self.hooks.is_empty() && self.broken.is_empty()
    }

    /// The names of all targets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str()).chain(self.broken.iter().map(|one| one.who.as_str()))
    }

    /// Tells that a run begins: runs the run-before hook and waits for it, and sends pings without waiting for them. Ends
    /// the hook when `stop` is cancelled; the veto then says so.
    pub async fn run_started(&self, start: &RunStart, stop: &CancellationToken) -> StartedRun {
        let id = Uuid::new_v4();
        let mut pings = JoinSet::new();
        for target in self.of(&start.job, &start.instance) {
            if let Channel::Ping(ping) = &target.way {
                let (ping, name) = (ping.clone(), target.name.clone());
                pings.spawn(async move { ping.start(id).await.err().map(|why| NotifyWarning { who: name, why }) });
            }
        }
        let veto = self.hooks.before(start, id, stop).await.err();
        StartedRun { id, veto, pings }
    }

    /// Tells how a run ended: hooks, pings, notifications. `again` says that another attempt follows: then hooks run, and
    /// nobody is notified of a failure that may pass. Returns what could not be notified, for the caller to log.
    pub async fn run_finished(&self, mut started: StartedRun, run: &JobRun, again: bool) -> Vec<NotifyWarning> {
        let mut warnings = self.hooks.after(run, started.id).await;
        // A ping of the start must not arrive after that of the end.
        let waited = tokio::time::timeout(PINGS, async {
            while let Some(done) = started.pings.join_next().await {
                warnings.extend(done.ok().flatten());
            }
        });
        if waited.await.is_err() {
            started.pings.abort_all();
        }
        warnings.extend(self.broken.iter().cloned());
        if again {
            return warnings;
        }
        let seen = match &run.ending {
            // It was asked for: no news of the job, neither good nor bad.
            RunOutcome::Interrupted => return warnings,
            _ if run.is_good() => None,
            RunOutcome::Succeeded => None,
            RunOutcome::Partial => Some(BadCondition::Partial),
            RunOutcome::Suspect => Some(BadCondition::Suspect),
            RunOutcome::Failed { .. } | RunOutcome::TimedOut => Some(BadCondition::Failed),
        };
        let subject = NotificationSubject::of_run(run, started.id);
        let exit = if run.is_good() { Some(0) } else { message::exit(run) };
        let mut sending = JoinSet::new();
        for target in self.of(&run.job, &run.instance) {
            if let Channel::Ping(ping) = &target.way {
                let (ping, name, exit, id) = (ping.clone(), target.name.clone(), exit, started.id);
                sending
                    .spawn(async move { ping.end(id, exit).await.err().map(|why| NotifyWarning { who: name, why }) });
            }
        }
        warnings.extend(self.notify(&subject, &run.job, &run.instance, seen).await);
        while let Some(done) = sending.join_next().await {
            warnings.extend(done.ok().flatten());
        }
        warnings
    }

    /// Tells that the repository has become stale, or fresh again; nothing when it is as it was told before.
    pub async fn freshness(&self, freshness: &Freshness) -> Vec<NotifyWarning> {
        let seen = (!freshness.stale.is_empty()).then_some(BadCondition::Stale);
        let subject = NotificationSubject::of_freshness(freshness);
        self.notify(&subject, "", &freshness.instance, seen).await
    }

    /// Tells that the daemon was given a configuration that is wrong (`why`) and keeps the one before, or that the one it was
    /// given is right. Every target hears of it, whatever jobs it is for.
    pub async fn configuration(&self, why: Option<&str>) -> Vec<NotifyWarning> {
        let subject = NotificationSubject::of_configuration(why, self.clock.now());
        let key = "configuration of the daemon".to_owned();
        // That all is as it should be is news to those only who heard that it was not.
        let (known, _) = self.notified.read().await;
        if why.is_none() && !self.targets.iter().any(|target| known.of(&target.name, &key).is_some()) {
            return Vec::new();
        }
        self.notify_of(key, &subject, "", "", why.map(|_| BadCondition::Failed)).await
    }

    /// Sends one target a test, whatever it wants to be told.
    ///
    /// # Errors
    /// What went wrong, without URLs and secrets.
    pub async fn test(&self, name: &str) -> Result<(), NotifyWarning> {
        let wrong = |why: String| NotifyWarning { who: name.to_owned(), why };
        if let Some(broken) = self.broken.iter().find(|broken| broken.who == name) {
            return Err(broken.clone());
        }
        let target = self.targets.iter().find(|target| target.name == name);
        let target = target.ok_or_else(|| wrong("no such target".to_owned()))?;
        let now = self.clock.now();
        let message = Message::test(target.names, &self.repository, &self.host, now);
        match &target.way {
            Channel::Ping(ping) => ping.test().await.map_err(wrong),
            Channel::Webhook(webhook) => webhook.send(&message, target.timeout).await.map_err(wrong),
            #[cfg(feature = "mail")]
            Channel::Mail(mail) => mail.send(&message, target.timeout).await.map_err(wrong),
        }
    }

    /// The targets that want to hear of a job of an instance; an empty job is the repository itself.
    fn of(&self, job: &str, instance: &str) -> impl Iterator<Item = &Arc<NotifyEndpoint>> {
        let wants = |list: &[String], one: &str| list.is_empty() || one.is_empty() || list.iter().any(|own| own == one);
        self.targets.iter().filter(move |target| wants(&target.jobs, job) && wants(&target.instances, instance))
    }

    /// Decides for every target what it is told, sends that, and remembers what arrived.
    async fn notify(
        &self,
        subject: &NotificationSubject,
        job: &str,
        instance: &str,
        seen: Option<BadCondition>,
    ) -> Vec<NotifyWarning> {
        self.notify_of(format!("{instance}:{job}"), subject, job, instance, seen).await
    }

    /// As [`Notifier::notify`], remembered under this key.
    async fn notify_of(
        &self,
        key: String,
        subject: &NotificationSubject,
        job: &str,
        instance: &str,
        seen: Option<BadCondition>,
    ) -> Vec<NotifyWarning> {
        let now = self.clock.now();
        let (known, damaged) = self.notified.read().await;
        let mut warnings: Vec<NotifyWarning> = damaged.into_iter().collect();
        let mut sending = JoinSet::new();
        let mut settled: Vec<(String, Option<LastNotification>)> = Vec::new();
        for target in self.of(job, instance) {
            if matches!(target.way, Channel::Ping(_)) {
                continue;
            }
            let told = known.of(&target.name, &key);
            let decision = decide::decide(told, seen, &target.on, now, target.repeat_every);
            match decision.tell {
                None if decision.remember.as_ref() != told => settled.push((target.name.clone(), decision.remember)),
                None => {}
                Some(occasion) => {
                    let since = told.map(|told| told.since);
                    let message =
                        Message::new(target.names, occasion, subject, &self.repository, &self.host, now, since);
                    let (target, remember) = (target.clone(), decision.remember);
                    sending.spawn(async move {
                        let sent = match &target.way {
                            Channel::Ping(_) => Ok(()),
                            Channel::Webhook(webhook) => webhook.send(&message, target.timeout).await,
                            #[cfg(feature = "mail")]
                            Channel::Mail(mail) => mail.send(&message, target.timeout).await,
                        };
                        (target.name.clone(), remember, sent)
                    });
                }
            }
        }
        while let Some(done) = sending.join_next().await {
            match done {
                Ok((name, remember, Ok(()))) => settled.push((name, remember)),
                // It stays as it was, so that the next run tells it.
                Ok((who, _, Err(why))) => warnings.push(NotifyWarning { who, why }),
                Err(_) => {}
            }
        }
        if !settled.is_empty() {
            warnings.extend(self.notified.settle(key, settled).await);
        }
        warnings
    }
}
