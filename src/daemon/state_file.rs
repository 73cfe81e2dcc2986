//! A small JSON file in a state directory, written atomically by several processes of this host, one at a time.
//!
//! No run depends on such a file. So any problem with it is a warning for the caller to report, never a reason to fail:
//! a damaged file is set aside and counts as absent.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{Durability, replace};
use crate::repository::StateDirectory;

/// Maximum size of the file, in bytes: enough for thousands of jobs.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Lock attempts and the pause between them: 5 seconds in all. Other processes hold the lock for milliseconds; a
/// stopped or hanging one must not block us.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Reason why state could not be stored or read. Report it as a warning, not as a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// The operating system returned an error.
    #[error("cannot {action} {file}; check that the folder is writable and its disk is not full")]
    File {
        /// Failed operation.
        action: &'static str,
        /// The file.
        file: String,
        /// Error from the operating system.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock for too long.
    #[error("another process holds the lock on {file}; check for a hanging `keyhaven` process")]
    Locked {
        /// The lock file.
        file: String,
    },
    /// The file is damaged; it was set aside, and its content starts anew.
    #[error("{file} is damaged and was set aside as {aside}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// New name of the damaged file.
        aside: String,
        /// The damage.
        problem: String,
    },
}

/// Reason why a file could not be parsed.
enum Unreadable {
    Refused(StateFileError),
    Damaged(String),
}

/// One file of a state directory.
#[derive(Debug, Clone)]
pub struct StateFile {
    folder: PathBuf,
    name: &'static str,
}

impl StateFile {
    /// Creates a handle for a file name, such as `runs.json`.
    #[must_use]
    pub fn new(folder: &StateDirectory, name: &'static str) -> Self {
        Self { folder: folder.path().to_owned(), name }
    }

    /// Reads the file; `None` if it does not exist. Takes no lock, because the file is only ever replaced as a whole.
    ///
    /// # Errors
    /// If it cannot be read. [`StateFileError::Damaged`] is returned only once, because the file is then set aside.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, StateFileError> {
        match self.parse() {
            Ok(value) => Ok(value),
            Err(Unreadable::Refused(error)) => Err(error),
            // Another process may have repaired it by now: read again under the lock.
            Err(Unreadable::Damaged(_)) => {
                let _lock = self.lock()?;
                self.read_locked()
            }
        }
    }

    fn read_locked<T: DeserializeOwned>(&self) -> Result<Option<T>, StateFileError> {
        self.parse().map_err(|error| match error {
            Unreadable::Refused(error) => error,
            Unreadable::Damaged(problem) => self.set_aside(problem),
        })
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<Option<T>, Unreadable> {
        let path = self.path();
        match read_limited(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| Unreadable::Damaged(error.to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(Unreadable::Damaged(error.to_string())),
            Err(source) => Err(Unreadable::Refused(file_error("read", &path, source))),
        }
    }

    /// Reads the file, applies `change` to its content (the default if absent or damaged), and replaces the file.
    /// Excludes other processes of this host. Blocks for at most a few seconds.
    ///
    /// # Errors
    /// If the lock, the directory or the file cannot be used; the file is then unchanged. A damaged file is not an
    /// error here: it is returned as a warning with the result.
    pub fn update<T: Default + Serialize + DeserializeOwned>(
        &self,
        change: impl FnOnce(&mut T),
    ) -> Result<(T, Option<StateFileError>), StateFileError> {
        let failed = |source| file_error("make the folder of", &self.path(), source);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let _lock = self.lock()?;
        let (mut value, damaged) = match self.read_locked::<T>() {
            Ok(value) => (value.unwrap_or_default(), None),
            Err(error @ StateFileError::Damaged { .. }) => (T::default(), Some(error)),
            Err(error) => return Err(error),
        };
        change(&mut value);
        let failed = |source| file_error("write", &self.path(), source);
        let bytes = serde_json::to_vec(&value).map_err(io::Error::from).map_err(failed)?;
        replace(&self.path(), &bytes, 0o600, Durability::Content).map_err(failed)?;
        Ok((value, damaged))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    fn lock(&self) -> Result<fs::File, StateFileError> {
        let path = self.folder.join(format!(".{}.lock", self.name));
        let locked = lock(&path).map_err(|source| file_error("lock", &path, source))?;
        locked.ok_or_else(|| StateFileError::Locked { file: path.display().to_string() })
    }

    fn set_aside(&self, problem: String) -> StateFileError {
        let path = self.path();
        // Use a single name: repeated damage must not fill the disk.
        let aside = self.folder.join(format!("{}.damaged", self.name));
        let problem = match fs::rename(&path, &aside) {
            Ok(()) => problem,
            Err(error) => format!("{problem}, and it cannot be renamed: {error}"),
        };
        StateFileError::Damaged { file: path.display().to_string(), aside: aside.display().to_string(), problem }
    }
}

/// Creates and locks a lock file; `None` if another process holds it for several seconds. A separate file is needed
/// because a replaced file cannot be its own lock. Dropping the handle unlocks it; the kernel does so even if the
/// process is killed.
///
/// # Errors
/// If the file cannot be created or locked.
pub(super) fn lock(path: &Path) -> io::Result<Option<fs::File>> {
    let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    for _ in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {LARGEST} bytes")));
    }
    Ok(bytes)
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> StateFileError {
    StateFileError::File { action, file: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn memory(root: &Path) -> StateFile {
        StateFile::new(&StateDirectory::new(root, "id"), "m.json")
    }

    #[test]
    fn what_is_written_comes_back_and_is_nobody_elses() {
        let root = tempfile::tempdir().unwrap();
        let memory = memory(root.path());
        assert_eq!(memory.read::<Vec<u32>>().unwrap(), None);
        let (value, damaged) = memory.update(|value: &mut Vec<u32>| value.push(1)).unwrap();
        assert!(value == [1] && damaged.is_none());
        memory.update(|value: &mut Vec<u32>| value.push(2)).unwrap();
        assert_eq!(memory.read::<Vec<u32>>().unwrap().unwrap(), [1, 2]);
        let mode = fs::metadata(memory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let root = tempfile::tempdir().unwrap();
        let memory = memory(root.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..25).for_each(|_| drop(memory.update(|count: &mut u32| *count += 1).unwrap())));
            }
        });
        assert_eq!(memory.read::<u32>().unwrap(), Some(200));
        let left = fs::read_dir(root.path().join("id")).unwrap().count();
        assert_eq!(left, 2, "the file and its lock");
    }

    #[test]
    fn a_damaged_file_is_set_aside_once() {
        let root = tempfile::tempdir().unwrap();
        let memory = memory(root.path());
        memory.update(|count: &mut u32| *count = 7).unwrap();
        fs::write(memory.path(), b"{\"half\":").unwrap();
        assert!(matches!(memory.read::<u32>(), Err(StateFileError::Damaged { .. })));
        assert_eq!(memory.read::<u32>().unwrap(), None, "the second time there is none");
        fs::write(memory.path(), b"more rubbish").unwrap();
        let (value, damaged) = memory.update(|count: &mut u32| *count += 1).unwrap();
        assert_eq!(value, 1);
        let told = damaged.unwrap().to_string();
        assert!(told.contains("m.json.damaged"), "{told}");
        assert_eq!(fs::read(root.path().join("id/m.json.damaged")).unwrap(), b"more rubbish");
    }

    #[test]
    fn a_file_too_large_to_be_ours_is_not_read_into_memory() {
        let root = tempfile::tempdir().unwrap();
        let memory = memory(root.path());
        memory.update(|count: &mut u32| *count = 7).unwrap();
        fs::File::create(memory.path()).unwrap().set_len(LARGEST * 1000).unwrap();
        assert!(matches!(memory.read::<u32>(), Err(StateFileError::Damaged { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_name() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("id"), b"a file").unwrap();
        let error = memory(root.path()).update(|count: &mut u32| *count += 1).unwrap_err();
        assert!(error.to_string().contains("m.json"), "{error}");
        assert_eq!(fs::read(root.path().join("id")).unwrap(), b"a file");
    }
}
