//! Atomic replacement of whole files.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Durability of a replaced file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the end of the process. After a crash of the host the file may have any content; its reader must detect
    /// that with a digest.
    Process,
    /// Survives a crash of the host with the whole old file or the whole new one.
    Content,
    /// Survives a crash of the host right after this has returned, with the new file.
    ContentAndName,
}

/// Writes a temporary file and renames it, so that a reader sees the whole new file or the whole old one. The file gets
/// exactly these permissions, whatever the umask.
///
/// # Errors
/// When the directory does not exist or is not writable, or the disk is full. The temporary file is removed then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    prefix.push(".");
    let permissions = fs::Permissions::from_mode(mode);
    let mut beside = tempfile::Builder::new().prefix(&prefix).permissions(permissions.clone()).tempfile_in(folder)?;
    beside.as_file().set_permissions(permissions)?;
    beside.write_all(bytes)?;
    if durability != Durability::Process {
        beside.as_file().sync_all()?;
    }
    beside.persist(path).map_err(|error| error.error)?;
    match durability {
        Durability::ContentAndName => fs::File::open(folder)?.sync_all(),
        Durability::Process | Durability::Content => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "looks at what was written")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_permissions_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (text, mode) in [("one", 0o600), ("two", 0o644)] {
            for durability in [Durability::Process, Durability::Content, Durability::ContentAndName] {
                replace(&path, text.as_bytes(), mode, durability).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            }
        }
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x", 0o600, Durability::Content).is_err());
        assert!(replace(Path::new("/"), b"x", 0o600, Durability::Content).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing that was written beside stays");
    }
}
