//! Where events go: a file that is only ever appended to, or standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// An open place for events.
#[derive(Debug)]
pub(super) enum Sink {
    /// A file.
    File(File),
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
        Ok(Self::File(file))
    }

    /// Writes one line in one piece, so that lines of several processes never mix, and makes it last.
    ///
    /// # Errors
    /// When it could not be written as a whole.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        let mark = if let Self::Err(mark) = self { mark } else { "" };
        let bytes = format!("{mark}{line}\n").into_bytes();
        match self {
            Self::File(file) => {
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
