//! Destination of events: an append-only file, or standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// An open place for events.
#[derive(Debug)]
pub(super) enum Sink {
    /// A file, with its path.
    File(File, PathBuf),
    /// Standard error, with a mark for the daemon before each line where it reads them.
    Err(&'static str),
}

impl Sink {
    /// Opens a file for appending; made for its owner only when it is not there.
    ///
    /// # Errors
    /// When the platform refuses, or when it is no plain file, or everybody may write into it.
    #[expect(clippy::disallowed_methods, reason = "the audit trail is a file of the edge")]
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let plain = |about: &std::fs::Metadata| {
            if about.is_file() { Ok(()) } else { Err(io::Error::other("it is no plain file")) }
        };
        // Asked before it is opened: a pipe that nobody reads would hold us up for ever.
        match std::fs::metadata(path) {
            Ok(about) => plain(&about)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let about = file.metadata()?;
        plain(&about)?;
        if about.mode() & 0o002 != 0 {
            return Err(io::Error::other("everybody may write into it; chmod 600"));
        }
        Ok(Self::File(file, path.to_owned()))
    }

    /// Writes one line in one piece, so that lines of several processes never mix, and makes it last.
    ///
    /// # Errors
    /// When it could not be written as a whole.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        let before = match self {
            Self::File(_, path) => {
                if is_cut_off(path) {
                    "\n"
                } else {
                    ""
                }
            }
            Self::Err(mark) => mark,
        };
        let bytes = format!("{before}{line}\n").into_bytes();
        match self {
            Self::File(file, _) => {
                let written = file.write(&bytes)?;
                if written != bytes.len() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                file.sync_data()
            }
            Self::Err(_) => io::stderr().lock().write_all(&bytes),
        }
    }
}

/// Returns true if the last line of a file has no end: the disk was full when it was written. What follows must not
/// become a part of it. A file that we may only append to is not looked at.
fn is_cut_off(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok::<_, io::Error>(last)
    };
    last().is_ok_and(|last| last != *b"\n")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests spoil files on purpose")]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_does_not_take_the_next_one_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        Sink::file(&path).unwrap().line("{\"one\":1}").unwrap();
        std::fs::write(&path, "{\"one\":1}\n{\"tw").unwrap();
        let mut sink = Sink::file(&path).unwrap();
        sink.line("{\"three\":3}").unwrap();
        sink.line("{\"four\":4}").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"one\":1}\n{\"tw\n{\"three\":3}\n{\"four\":4}\n");
    }
}
