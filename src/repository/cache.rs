//! On-disk cache of entries, so that each run fetches only entries that it has not read before.
//!
//! Entries never change. A cached file is used if it has the listed size and matches the digest at its start, which
//! also covers its name; any other file is removed. The listing decides which entries exist. Commands that check the
//! store (`verify`, `forget`, `sweep`) bypass the cache.
//!
//! The cache never causes a failure: if it cannot be read or written, entries come from the store. It contains nothing
//! secret, and losing it only costs requests.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{ObjectInfo, StateDirectory};
use crate::crypto::digest::sha256;
use crate::files::{Durability, replace};
use crate::format::names;
use crate::model::Digest;

const FOLDER: &str = "cache";
/// Maximum size of the entries of one repository, in bytes. With a run every 15 minutes it holds seven years for 1,000
/// secrets and two and a half years for 10,000.
const ROOM: u64 = 1 << 30;
/// Number of bytes of the digest at the start of each file.
const SEAL: usize = 32;
/// Minimum disk space of a file, in bytes; it also bounds the number of files.
const BLOCK: u64 = 4 << 10;
/// Time for which an unlisted file is kept: another process may be writing it, or have a newer listing.
const UNWANTED: Duration = Duration::from_secs(24 * 60 * 60);

/// The cached entries of one repository on this host, in directories of a thousand as in the ledger.
#[derive(Debug)]
pub(super) struct EntryCache {
    /// The state directory, which must exist: the cache never creates it.
    root: PathBuf,
    folder: PathBuf,
    /// Entries of lower sequences are neither stored nor looked up.
    floor: AtomicU64,
    writable: AtomicBool,
    tidied: AtomicBool,
}

impl EntryCache {
    /// Creates the cache in a state directory. Does not access the disk yet.
    pub(super) fn new(state: &StateDirectory) -> Self {
        let folder = state.path().join(FOLDER);
        let root = state.path().parent().unwrap_or_else(|| state.path()).to_owned();
        let (floor, writable, tidied) = (AtomicU64::new(0), AtomicBool::new(true), AtomicBool::new(false));
        Self { root, folder, floor, writable, tidied }
    }

    /// Adapts to the size of the ledger: keeps as many of the newest entries as there is room for.
    pub(super) fn admit(&self, listed: &[ObjectInfo]) {
        self.floor.store(floor(listed, ROOM), Ordering::Relaxed);
    }

    /// Returns the bytes of an entry that a listing shows with this size; `None` if they are not cached.
    pub(super) async fn get(&self, path: &str, size: u64) -> Option<Bytes> {
        let (file, path) = (self.place_of(path)?, path.to_owned());
        let reading = move || {
            let stored = read(&file, size.saturating_add(SEAL as u64)).transpose()?.ok();
            let bytes = stored.and_then(|stored| unsealed(&path, &stored));
            if bytes.is_none() {
                // Corrupt or outdated: remove it, and it is fetched again.
                drop(fs::remove_file(&file));
            }
            bytes
        };
        tokio::task::spawn_blocking(reading).await.ok().flatten()
    }

    /// Stores the bytes of an entry, which must match its name. Returns true if they are cached now. Blocks on the
    /// disk.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> bool {
        let Some(file) = self.place_of(path).filter(|_| self.writable.load(Ordering::Relaxed)) else { return false };
        let is_kept = write(&self.root, &file, &sealed(path, bytes)).is_ok();
        // One failure is enough: a full disk or a directory of another user fails for every entry.
        self.writable.fetch_and(is_kept, Ordering::Relaxed);
        is_kept
    }

    /// Removes old files that are not entries of this listing, once per opening of the repository.
    pub(super) async fn tidy(&self, listed: &[ObjectInfo]) {
        if self.tidied.swap(true, Ordering::Relaxed) {
            return;
        }
        let wanted: HashSet<PathBuf> = listed.iter().filter_map(|object| self.place_of(&object.path)).collect();
        let (root, ledger) = (self.root.clone(), self.folder.join(names::LEDGER));
        drop(tokio::task::spawn_blocking(move || tidy(&root, &ledger, &wanted)).await);
    }

    /// Returns the path of an entry in the cache; `None` for other files, and for entries without room.
    fn place_of(&self, path: &str) -> Option<PathBuf> {
        let sequence = names::parse_entry(path)?.sequence;
        (sequence >= self.floor.load(Ordering::Relaxed)).then(|| self.folder.join(path))
    }
}

/// Prepends the digest of name and bytes. The name of an entry covers its payload but not its signatures, so a cached
/// file needs its own digest.
fn sealed(path: &str, bytes: &[u8]) -> Vec<u8> {
    [digest_of(path, bytes).as_bytes().as_slice(), bytes].concat()
}

fn unsealed(path: &str, stored: &Bytes) -> Option<Bytes> {
    let (digest, bytes) = stored.split_at_checked(SEAL)?;
    (digest_of(path, bytes).as_bytes() == digest).then(|| stored.slice(SEAL..))
}

fn digest_of(path: &str, bytes: &[u8]) -> Digest {
    sha256(&[path.as_bytes(), b"\n", bytes].concat())
}

/// Returns the lowest sequence that there is room for, counted from the newest entry.
fn floor(listed: &[ObjectInfo], room: u64) -> u64 {
    let entry = |object: &ObjectInfo| Some((names::parse_entry(&object.path)?.sequence, object.size.max(BLOCK)));
    let mut entries: Vec<(u64, u64)> = listed.iter().filter_map(entry).collect();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    let mut left = room;
    for (sequence, size) in entries {
        match left.checked_sub(size) {
            Some(less) => left = less,
            None => return sequence + 1,
        }
    }
    0
}

/// Reads a file of this size. Returns `None` if it does not exist, an error if it is anything else.
fn read(file: &Path, size: u64) -> io::Result<Option<Bytes>> {
    // Checked before opening: opening a pipe would wait for its writer.
    let found = match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !found.is_file() || found.len() != size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(size).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}

/// Writes a file atomically. It is not synced: its digest detects what a crash leaves.
fn write(root: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    // Run by root, this would leave files in another user's state directory that the owner can neither read nor
    // replace.
    if !is_ours(root)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    if fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64) {
        return Ok(());
    }
    let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    replace(file, bytes, 0o600, Durability::Process)
}

fn is_ours(root: &Path) -> io::Result<bool> {
    Ok(fs::metadata(root)?.uid() == rustix::process::geteuid().as_raw())
}

fn tidy(root: &Path, ledger: &Path, wanted: &HashSet<PathBuf>) {
    // The owner of a directory could use a link to make root remove other users' files.
    if !is_ours(root).unwrap_or(false) {
        return;
    }
    let inside = |folder: &Path| {
        let real = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
        let found = real.then(|| fs::read_dir(folder).ok()).flatten();
        found.into_iter().flatten().flatten().map(|found| found.path())
    };
    for file in inside(ledger).flat_map(|folder| inside(&folder)).filter(|file| !wanted.contains(file)) {
        let written = fs::symlink_metadata(&file).and_then(|found| found.modified()).ok();
        if written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > UNWANTED) {
            drop(fs::remove_file(&file));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    use super::*;
    use crate::format::EntryRef;
    use crate::model::Timestamp;

    const BYTES: &[u8] = b"an entry, as far as a cache knows";

    fn path(sequence: u64, bytes: &[u8]) -> String {
        names::entry(&EntryRef { sequence, digest: sha256(bytes) })
    }

    fn listed(sequence: u64, size: u64) -> ObjectInfo {
        ObjectInfo { path: path(sequence, BYTES), size, modified: Timestamp::from_millis(0) }
    }

    fn cache(root: &Path) -> EntryCache {
        EntryCache::new(&StateDirectory::new(root, "id"))
    }

    #[tokio::test]
    async fn what_was_kept_comes_back_for_another_process_and_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let path = path(42_017, BYTES);
        assert_eq!(cache(root.path()).get(&path, BYTES.len() as u64).await, None);
        assert!(cache(root.path()).put(&path, BYTES));
        let file = root.path().join("id/cache").join(&path);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing staged stays");
        assert_eq!(cache(root.path()).get(&path, BYTES.len() as u64).await.as_deref(), Some(BYTES));
    }

    #[tokio::test]
    async fn what_is_not_what_its_name_and_the_listing_say_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = path(1, BYTES);
        let file = root.path().join("id/cache").join(&path);
        let size = BYTES.len() as u64;
        let good = sealed(&path, BYTES);
        let altered = sealed(&path, &BYTES.to_ascii_uppercase()).split_off(32);
        let altered = [&good[..32], &altered[..]].concat();
        let elsewhere = sealed(&super::tests::path(2, BYTES), BYTES);
        let wrong =
            [(&altered[..], size), (&good[..5], size), (&[], size), (&good[..], size + 1), (&elsewhere[..], size)];
        for (bytes, listed) in wrong {
            let cache = cache(root.path());
            assert!(cache.put(&path, BYTES));
            fs::write(&file, bytes).unwrap();
            assert_eq!(cache.get(&path, listed).await, None, "{bytes:?} of {listed}");
            assert!(!file.exists(), "{bytes:?} of {listed}");
        }
        fs::create_dir(&file).unwrap();
        assert_eq!(cache(root.path()).get(&path, size).await, None, "a folder is no entry, and stops nothing");
    }

    #[tokio::test]
    async fn without_a_state_folder_none_is_made() {
        let root = tempfile::tempdir().unwrap();
        let none = root.path().join("none");
        assert!(!cache(&none).put(&path(1, BYTES), BYTES));
        assert!(!none.exists());
    }

    #[tokio::test]
    async fn names_that_are_no_entries_reach_no_file() {
        let root = tempfile::tempdir().unwrap();
        for path in ["ledger/../../heads.json", "packs/a", "ledger/000000000/rubbish.json"] {
            assert!(!cache(root.path()).put(path, BYTES), "{path}");
            assert_eq!(cache(root.path()).get(path, BYTES.len() as u64).await, None, "{path}");
        }
        assert!(!root.path().join("id").exists());
    }

    #[test]
    fn the_newest_are_kept_when_there_is_no_room_for_all() {
        let all = [listed(3, 10), listed(1, 10), listed(2, BLOCK + 1)];
        assert_eq!(floor(&all, 3 * BLOCK + 1), 0);
        assert_eq!(floor(&all, 3 * BLOCK), 2, "the oldest goes first");
        assert_eq!(floor(&all, 2 * BLOCK), 3);
        assert_eq!(floor(&[], 0), 0);
    }

    #[tokio::test]
    async fn only_what_is_old_and_in_no_listing_is_tidied_away() {
        let root = tempfile::tempdir().unwrap();
        let (wanted, gone, fresh) = (path(1, BYTES), path(1, b"gone"), path(1, b"fresh"));
        let writer = cache(root.path());
        for (path, bytes) in [(&wanted, BYTES), (&gone, b"gone"), (&fresh, b"fresh")] {
            assert!(writer.put(path, bytes));
        }
        let place = root.path().join("id/cache");
        let stray = place.join("ledger/000000000/.half-written");
        fs::write(&stray, b"").unwrap();
        let old = SystemTime::now() - 2 * UNWANTED;
        for file in [place.join(&wanted), place.join(&gone), stray.clone()] {
            fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
        }
        cache(root.path()).tidy(&[listed(1, BYTES.len() as u64)]).await;
        assert!(place.join(&wanted).exists() && place.join(&fresh).exists());
        assert!(!place.join(&gone).exists() && !stray.exists());
    }

    #[tokio::test]
    async fn nothing_is_tidied_away_behind_a_link() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = other.path().join("folder/precious");
        fs::create_dir(other.path().join("folder")).unwrap();
        fs::write(&precious, b"years of work").unwrap();
        let old = SystemTime::now() - 2 * UNWANTED;
        fs::File::options().write(true).open(&precious).unwrap().set_modified(old).unwrap();
        let place = root.path().join("id/cache");
        fs::create_dir_all(place.join("ledger")).unwrap();
        std::os::unix::fs::symlink(other.path().join("folder"), place.join("ledger/000000000")).unwrap();
        cache(root.path()).tidy(&[]).await;
        assert!(precious.exists(), "a link for the folder of a thousand");
        fs::remove_dir_all(place.join("ledger")).unwrap();
        std::os::unix::fs::symlink(other.path(), place.join("ledger")).unwrap();
        cache(root.path()).tidy(&[]).await;
        assert!(precious.exists(), "a link for the folder of all");
    }

    /// Root, with the state directory of the user who runs the backups.
    #[tokio::test]
    async fn in_somebody_elses_folder_nothing_is_written_or_tidied() {
        let root = tempfile::tempdir().unwrap();
        let (gone, new) = (path(1, b"gone"), path(2, BYTES));
        assert!(cache(root.path()).put(&gone, b"gone"));
        let file = root.path().join("id/cache").join(&gone);
        fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::now() - 2 * UNWANTED).unwrap();
        // Only root can change the owner of a directory; for other users there is nothing to test.
        if std::os::unix::fs::chown(root.path(), Some(65_534), None).is_err() {
            return;
        }
        let theirs = cache(root.path());
        assert!(!theirs.put(&new, BYTES));
        theirs.tidy(&[]).await;
        assert!(file.exists() && !root.path().join("id/cache").join(&new).exists());
        assert_eq!(theirs.get(&gone, 4).await.as_deref(), Some(&b"gone"[..]), "what is right may be read");
    }
}
