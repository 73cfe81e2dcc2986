//! Files that hold keys and secrets: read only if no other user can read them, and never overwritten.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::env;
use super::failure::Failure;
use crate::config::SecretRef;
use crate::files::{self, Durability};
use crate::model::FailureKind;

/// The largest file that is taken for a key. A recovery identity file may hold several identities and a sheet of
/// comments.
const LARGEST: usize = 64 * 1024;

/// Runs what blocks: files, prompts, what makes a key of a passphrase. `what` says what cannot be done when it panics.
///
/// # Errors
/// Those of `work`.
pub(super) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(FailureKind::Failed, what).because(error)))
}

/// Reads a file that holds a secret; `what` is what messages call it.
///
/// # Errors
/// As [`read_unless`].
pub(super) fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_unless(path, what, |_| false)
}

/// Reads a file that holds a secret, unless `sealed` finds that it is protected by itself; `what` is what messages call
/// it.
///
/// Refused when the world may read or write it. A group may read it: that is how a Kubernetes volume with `fsGroup` and
/// a systemd credential come.
///
/// # Errors
/// Kind 12 when the file is missing, readable by the world, or no plain file of a sensible size.
pub(super) fn read_unless(
    path: &Path,
    what: &str,
    sealed: impl Fn(&[u8]) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = path.display();
    let key = |text: String| Failure::new(FailureKind::Key, text);
    // Opening a pipe waits for a writer.
    if path.metadata().is_ok_and(|about| !about.is_file()) {
        return Err(key(format!("the {what} {shown} is no file")));
    }
    let mut file = File::open(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path in the configuration (`keyhaven config show`)".to_owned(),
            _ => format!("the user that runs keyhaven must be able to read it: `ls -l {shown}`"),
        };
        key(format!("cannot read the {what} {shown}")).because(error).hinted(hint)
    })?;
    let about = file.metadata().map_err(|error| key(format!("cannot read the {what} {shown}")).because(error))?;
    if !about.is_file() {
        return Err(key(format!("the {what} {shown} is no file")));
    }
    // Full size at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX) + 1;
    Read::by_ref(&mut file)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| key(format!("cannot read the {what} {shown}")).because(error))?;
    if bytes.len() > LARGEST {
        return Err(key(format!("the {what} {shown} is larger than {LARGEST} bytes: that is no key")));
    }
    if about.mode() & 0o007 != 0 && !sealed(&bytes) {
        return Err(key(format!(
            "the {what} {shown} is open to every user of this machine (mode {:03o})",
            about.mode() & 0o777
        ))
        .hinted(format!("chmod 600 {shown}; if others have had access to this machine, replace the key")));
    }
    Ok(bytes)
}

/// Reads a text file that holds a secret, as [`read`] does.
///
/// # Errors
/// As [`read`], and kind 12 when it is no UTF-8.
pub(super) fn read_text(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let bytes = read(path, what)?;
    text(&bytes, what, &path.display().to_string())
}

/// Gets a secret from wherever the configuration says that it is.
///
/// # Errors
/// Kind 12 when it is not there, not a text, or in a file that others can read.
pub(super) fn resolve(place: &SecretRef, what: &str) -> Result<Zeroizing<String>, Failure> {
    match place {
        SecretRef::File(path) => read_text(path, what),
        SecretRef::Env(name) => env::variable(name).map(Zeroizing::new).ok_or_else(|| {
            Failure::new(FailureKind::Key, format!("the {what} is not in the environment variable {name}"))
                .hinted(format!("set {name}, or name another place in the configuration"))
        }),
        SecretRef::Credential(name) => read_text(&credential(name, what)?, what),
    }
}

/// Gets a secret that is one line, such as an API key: white space around it is no part of it.
///
/// # Errors
/// As [`resolve`], and kind 12 when it is empty.
pub(super) fn resolve_line(place: &SecretRef, what: &str) -> Result<SecretString, Failure> {
    let text = resolve(place, what)?;
    let line = text.trim();
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(Failure::new(FailureKind::Key, format!("the {what} is not one line of text")));
    }
    Ok(SecretString::from(line))
}

/// Writes a new file that only its owner can read, and makes sure that it survives a power cut.
///
/// # Errors
/// When there is something at that path already, or the disk refuses.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    create_with(path, |file| file.write_all(bytes).and_then(|()| file.sync_all()))
}

/// Creates a file and fills it. Removes it again if it cannot be filled, so that the next attempt finds nothing half
/// there.
#[expect(clippy::disallowed_methods, reason = "the file that was just made is removed, at the edge")]
fn create_with(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Failure> {
    let shown = path.display();
    let failed = |error| Failure::new(FailureKind::Failed, format!("cannot write {shown}")).because(error);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => failed(error),
    })?;
    if let Err(error) = fill(&mut file) {
        // The first failure is the one to tell.
        drop(std::fs::remove_file(path));
        return Err(failed(error));
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Writes a file that only its owner can read, in the place of one that may be there: whole or not at all.
///
/// # Errors
/// When the disk refuses; then the old file is as it was.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::replace(path, bytes, 0o600, Durability::ContentAndName)
        .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot write {}", path.display())).because(error))
}

/// Refuses when something is at one of the paths already: asked before anything is made, so that a command that makes
/// several files makes all or none.
///
/// # Errors
/// Kind 2 with the first path that is taken.
pub(super) fn all_free(paths: &[&Path]) -> Result<(), Failure> {
    match paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(exists(path)),
        None => Ok(()),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists already and is never overwritten", path.display()))
        .hinted("choose another folder, or move the file away if it is really no longer needed")
}

/// Creates a directory for its owner only, with its missing parents.
///
/// # Errors
/// When the platform refuses.
#[expect(clippy::disallowed_methods, reason = "a folder for keys or state, at the edge")]
pub(super) fn create_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| {
        Failure::new(FailureKind::Failed, format!("cannot make the folder {}", path.display())).because(error)
    })
}

/// The path of a systemd credential.
fn credential(name: &str, what: &str) -> Result<PathBuf, Failure> {
    if name.contains('/') || name.starts_with('.') {
        return Err(Failure::usage(format!("`{name}` is no name of a systemd credential")));
    }
    env::variable("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(name)).ok_or_else(|| {
        Failure::new(
            FailureKind::Key,
            format!("the {what} is the systemd credential `{name}`, and there are none here"),
        )
        .hinted(format!("run it in a unit with `LoadCredential={name}:/path` or `LoadCredentialEncrypted=`"))
    })
}

fn text(bytes: &[u8], what: &str, shown: &str) -> Result<Zeroizing<String>, Failure> {
    std::str::from_utf8(bytes)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Failure::new(FailureKind::Key, format!("the {what} {shown} is no text")))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_the_world_can_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path, "key").unwrap().as_slice(), b"secret");
        for (mode, fits) in [(0o640, true), (0o400, true), (0o440, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match read(&path, "key") {
                Ok(_) => assert!(fits, "{mode:o}"),
                Err(failure) => {
                    assert!(!fits, "{mode:o}");
                    assert_eq!(failure.kind(), FailureKind::Key);
                    assert!(failure.hint().unwrap().starts_with(&format!("chmod 600 {}", path.display())));
                }
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), FailureKind::Usage);
        assert!(all_free(&[&path]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        // A dangling link is something, too: the file would appear elsewhere.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(all_free(&[&link]).is_err());
        assert!(create(&link, b"x").is_err());
    }

    #[test]
    fn a_file_that_could_not_be_filled_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let full = |file: &mut File| {
            file.write_all(b"half")?;
            Err(std::io::ErrorKind::StorageFull.into())
        };
        assert_eq!(create_with(&path, full).unwrap_err().kind(), FailureKind::Failed);
        assert!(!path.exists());
        create(&path, b"whole").unwrap();
    }

    #[test]
    fn a_missing_key_is_a_key_failure() {
        let folder = tempfile::tempdir().unwrap();
        let failure = read(&folder.path().join("key"), "signing key").unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Key);
        assert!(failure.chain().join("\n").contains("signing key"));
        let failure = resolve(&SecretRef::Env("KEYHAVEN_TEST_NOT_SET".into()), "API key").unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Key);
        assert_eq!(credential("../x", "key").unwrap_err().kind(), FailureKind::Usage);
    }
}
