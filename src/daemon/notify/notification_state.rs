//! Last notification of each target, kept in `notified.json` of the state directory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::LastNotification;
use super::event::NotifyWarning;
use crate::daemon::state_file::{StateFile, StateFileError};
use crate::repository::StateDirectory;

const FILE: &str = "notified.json";
/// Maximum number of subjects per target; beyond it, the one with the oldest notification is removed.
const MOST: usize = 1_000;

/// Last notifications by target, then by `INSTANCE:JOB`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct NotifiedJobs {
    targets: BTreeMap<String, BTreeMap<String, LastNotification>>,
}

impl NotifiedJobs {
    /// Returns the last notification of a target about a subject.
    pub(super) fn of(&self, target: &str, subject: &str) -> Option<&LastNotification> {
        self.targets.get(target)?.get(subject)
    }

    fn settle(&mut self, target: &str, subject: &str, told: Option<LastNotification>) {
        let subjects = self.targets.entry(target.to_owned()).or_default();
        match told {
            Some(told) => {
                subjects.insert(subject.to_owned(), told);
            }
            None => {
                subjects.remove(subject);
            }
        }
        if subjects.len() > MOST
            && let Some(oldest) = subjects.iter().min_by_key(|(_, told)| told.at).map(|(subject, _)| subject.clone())
        {
            subjects.remove(&oldest);
        }
        self.targets.retain(|_, subjects| !subjects.is_empty());
    }
}

/// The stored notifications; `None` without a state directory, and then nothing is stored.
#[derive(Debug)]
pub(super) struct NotificationState(Option<StateFile>);

impl NotificationState {
    pub(super) fn new(state: Option<&StateDirectory>) -> Self {
        Self(state.map(|folder| StateFile::new(folder, FILE)))
    }

    /// Reads the stored notifications. An unreadable file counts as empty: a duplicate notification is better than
    /// none.
    pub(super) async fn read(&self) -> (NotifiedJobs, Option<NotifyWarning>) {
        let Some(memory) = self.0.clone() else { return (NotifiedJobs::default(), None) };
        let read = tokio::task::spawn_blocking(move || memory.read::<NotifiedJobs>()).await;
        match read {
            Ok(Ok(known)) => (known.unwrap_or_default(), None),
            Ok(Err(error)) => (NotifiedJobs::default(), Some(warning(&error))),
            Err(_) => (NotifiedJobs::default(), None),
        }
    }

    /// Stores the last notifications of a subject.
    pub(super) async fn settle(
        &self,
        subject: String,
        settled: Vec<(String, Option<LastNotification>)>,
    ) -> Option<NotifyWarning> {
        let memory = self.0.clone()?;
        let change = move |known: &mut NotifiedJobs| {
            for (target, told) in settled {
                known.settle(&target, &subject, told);
            }
        };
        let updated = tokio::task::spawn_blocking(move || memory.update(change)).await;
        match updated {
            Ok(Ok((_, damaged))) => damaged.as_ref().map(warning),
            Ok(Err(error)) => Some(warning(&error)),
            Err(_) => None,
        }
    }
}

fn warning(error: &StateFileError) -> NotifyWarning {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    NotifyWarning { who: FILE.to_owned(), why: format!("{error}{cause}; a notification may come twice") }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make, spoil and read files")]
mod tests {
    use super::*;
    use crate::daemon::notify::BadCondition;
    use crate::model::Timestamp;

    fn told(at: i64) -> Option<LastNotification> {
        let at = Timestamp::from_millis(at);
        Some(LastNotification { condition: BadCondition::Failed, since: at, at })
    }

    #[tokio::test]
    async fn what_was_told_comes_back_in_another_process_and_rubbish_counts_as_nothing() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(root.path(), "id");
        let notified = NotificationState::new(Some(&state));
        assert_eq!(notified.settle(":backup".into(), vec![("chat".into(), told(1))]).await, None);
        let (known, none) = NotificationState::new(Some(&state)).read().await;
        assert_eq!((known.of("chat", ":backup").cloned(), none), (told(1), None));
        assert_eq!(known.of("chat", "pay:backup"), None);
        std::fs::write(state.path().join(FILE), b"{\"targets\":3}").unwrap();
        let (known, warning) = notified.read().await;
        assert_eq!(known, NotifiedJobs::default());
        assert!(warning.unwrap().to_string().contains("damaged"));
        assert_eq!(notified.settle(":backup".into(), vec![("chat".into(), None)]).await, None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let mut known = NotifiedJobs::default();
        for at in 0..1_200 {
            known.settle("chat", &format!(":job-{at}"), told(at));
        }
        assert_eq!(known.targets["chat"].len(), MOST);
        assert!(known.of("chat", ":job-0").is_none() && known.of("chat", ":job-1199").is_some());
    }
}
