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

/// Maximum time that the end of a run waits for unfinished start pings.
const PINGS: Duration = Duration::from_secs(5);

/// A started run, to be passed to [`Notifier::run_finished`].
#[derive(Debug)]
pub struct StartedRun {
    id: Uuid,
    veto: Option<HookFailure>,
    pings: JoinSet<Option<NotifyWarning>>,
}

impl StartedRun {
    /// Returns the id of the run, the same in every ping, notification and hook.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns why the run must not begin: the run-before hook failed. It then counts as failed with exit code 1.
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
    /// Targets that cannot be notified at all, each with the reason.
    broken: Vec<NotifyWarning>,
}

impl Notifier {
    /// Creates a notifier. `state` is the repository's state directory, where it stores the last notifications; without
    /// it everything counts as new. `repository` and `host` are used in keys, and in texts for targets that may have
    /// names.
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

    /// Creates a notifier without targets and hooks.
    #[must_use]
    pub fn silent(clock: Arc<dyn Clock>) -> Self {
        Self::new(Vec::new(), Hooks::default(), None, "", "", clock)
    }

    /// Adds a target that cannot be notified, for example because its URL file is missing. Every run then returns the
    /// warning.
    pub fn add_broken(&mut self, warning: NotifyWarning) {
        self.broken.push(warning);
    }

    /// Returns the targets that cannot be notified, each with the reason.
    #[must_use]
    pub fn broken(&self) -> &[NotifyWarning] {
        &self.broken
    }

    /// True if there is no target and no hook.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.targets.is_empty() && self.hooks.is_empty() && self.broken.is_empty()
    }

    /// Returns the names of all targets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str()).chain(self.broken.iter().map(|one| one.who.as_str()))
    }

    /// Announces the start of a run: runs the run-before hook and waits for it, and sends pings without waiting for
    /// them. Ends the hook if `stop` is cancelled; that is then the veto.
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

    /// Announces the end of a run: hooks, pings, notifications. If another attempt follows (`again`), only hooks run,
    /// because the failure may be temporary. Returns failed notifications for the caller to log.
    pub async fn run_finished(&self, mut started: StartedRun, run: &JobRun, again: bool) -> Vec<NotifyWarning> {
        let mut warnings = self.hooks.after(run, started.id).await;
        // A start ping must not arrive after the end ping.
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
            // A requested stop is neither good nor bad news.
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

    /// Notifies that the repository has become stale or fresh again; sends nothing if that has not changed.
    pub async fn freshness(&self, freshness: &Freshness) -> Vec<NotifyWarning> {
        let seen = (!freshness.stale.is_empty()).then_some(BadCondition::Stale);
        let subject = NotificationSubject::of_freshness(freshness);
        self.notify(&subject, "", &freshness.instance, seen).await
    }

    /// Notifies all targets, whatever jobs they are for, of an invalid new configuration (`why`) or of a valid one
    /// after it. With an invalid one, the daemon keeps the previous configuration.
    pub async fn configuration(&self, why: Option<&str>) -> Vec<NotifyWarning> {
        let subject = NotificationSubject::of_configuration(why, self.clock.now());
        let key = "configuration of the daemon".to_owned();
        // Send a recovery only to targets that were notified of the problem.
        let (known, _) = self.notified.read().await;
        if why.is_none() && !self.targets.iter().any(|target| known.of(&target.name, &key).is_some()) {
            return Vec::new();
        }
        self.notify_of(key, &subject, "", "", why.map(|_| BadCondition::Failed)).await
    }

    /// Sends a test to one target, whatever occasions it wants.
    ///
    /// # Errors
    /// The reason, without URLs and secrets.
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

    /// Returns the targets for a job of an instance. An empty job means the repository itself.
    fn of(&self, job: &str, instance: &str) -> impl Iterator<Item = &Arc<NotifyEndpoint>> {
        let wants = |list: &[String], one: &str| list.is_empty() || one.is_empty() || list.iter().any(|own| own == one);
        self.targets.iter().filter(move |target| wants(&target.jobs, job) && wants(&target.instances, instance))
    }

    /// Decides what to send to every target, sends it, and stores what was delivered.
    async fn notify(
        &self,
        subject: &NotificationSubject,
        job: &str,
        instance: &str,
        seen: Option<BadCondition>,
    ) -> Vec<NotifyWarning> {
        self.notify_of(format!("{instance}:{job}"), subject, job, instance, seen).await
    }

    /// Does the same as [`Notifier::notify`], stored under this key.
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
                // Keep the stored state, so that the next run sends it again.
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
