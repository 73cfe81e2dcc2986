//! Metrics file of a one-shot command, read by node_exporter's textfile collector between two runs.
//!
//! Commands of several instances share one file. Each replaces its own part and keeps the rest, under a lock. The new
//! file is written next to the old one and renamed, so a reader sees one or the other. The file is world-readable
//! whatever our umask is: node_exporter runs as another user, and item names appear only if `metrics.names` allows it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::definition::{ALL, MetricScope};
use crate::daemon::state_file::lock;
use crate::files::{Durability, replace};

/// Largest existing file that is merged, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// File mode: readable by everybody.
const MODE: u32 = 0o644;

/// Reason why the textfile could not be written. Only a warning: the file is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextfileError {
    /// The operating system returned an error.
    #[error("cannot write the metrics to {file}; check metrics.textfile, its folder and the space there")]
    File {
        /// The file.
        file: String,
        /// Error from the operating system.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock for too long.
    #[error("cannot write the metrics: another process holds the lock on {file}")]
    Locked {
        /// The file.
        file: String,
    },
}

/// Metrics of one command.
#[derive(Debug, Clone, Copy)]
pub struct TextfilePart<'a> {
    /// Instance that the command worked on; empty if there is only one.
    pub instance: &'a str,
    /// All configured instances. Metrics of any other instance are dropped from the file.
    pub instances: &'a [String],
    /// Metrics text from [`render`](super::render).
    pub text: &'a str,
    /// True if the text includes the repository. If not, the file keeps its previous repository metrics: an unreachable
    /// repository has not lost its snapshots.
    pub repository_read: bool,
}

/// Replaces an instance's part of the file. Blocks for at most a few seconds.
///
/// # Errors
/// When the directory is missing, not writable or full. The file is then unchanged, and no temporary file remains.
pub fn write(path: &Path, part: &TextfilePart<'_>) -> Result<(), TextfileError> {
    let shown = || path.display().to_string();
    let failed = |source| TextfileError::File { file: shown(), source };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "not a file name")))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let locked = lock(&folder.join(format!(".{name}.lock"))).map_err(failed)?;
    let _lock = locked.ok_or_else(|| TextfileError::Locked { file: shown() })?;
    let before = read(path).map_err(failed)?;
    replace(path, merge(&before, part).as_bytes(), MODE, Durability::Content).map_err(failed)
}

/// Reads the existing file. Returns an empty string if there is no file, or none that we could have written.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST);
    Ok(if whole { String::from_utf8(bytes).unwrap_or_default() } else { String::new() })
}

/// Merges the new part with the existing file. Keeps the metrics of other configured instances, and this instance's
/// repository metrics if the part has none. Drops everything that is not ours.
fn merge(before: &str, part: &TextfilePart<'_>) -> String {
    let (old, new) = (families(before), families(part.text));
    let mut out = String::new();
    for metric in ALL {
        let mine = new.get(metric.name);
        let mut samples: Vec<&str> = Vec::new();
        let kept = old.get(metric.name).map_or(&[][..], |family| &family[..]);
        let of_mine: Vec<&str> =
            kept.iter().filter(|line| instance_of(line).as_deref() == Some(part.instance)).copied().collect();
        let keeps_mine = metric.scope == MetricScope::Repository && !part.repository_read && !of_mine.is_empty();
        let others = kept.iter().copied().filter(|line| {
            instance_of(line).is_some_and(|name| name != part.instance && part.instances.contains(&name))
        });
        samples.extend(others);
        samples.extend(if keeps_mine { of_mine } else { mine.cloned().unwrap_or_default() });
        if samples.is_empty() {
            continue;
        }
        out.push_str(&super::page::declaration(metric));
        for sample in samples {
            out.push_str(sample);
            out.push('\n');
        }
    }
    out
}

/// Returns the sample lines by metric.
fn families(text: &str) -> BTreeMap<&'static str, Vec<&str>> {
    let mut found: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let owner = ALL.iter().find(|metric| {
            name.strip_prefix(metric.name).is_some_and(|rest| matches!(rest, "" | "_sum" | "_count" | "_bucket"))
        });
        if let Some(owner) = owner {
            found.entry(owner.name).or_default().push(line);
        }
    }
    found
}

/// Returns the instance label of a sample, unescaped. The search pattern cannot occur inside a value, because quotation
/// marks are escaped there.
fn instance_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("instance_name=\"")?;
    let mut name = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(name),
            '\\' => match characters.next()? {
                'n' => name.push('\n'),
                other => name.push(other),
            },
            other => name.push(other),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests spoil files on purpose")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::daemon::daemon_state::{InstanceView, JobView};
    use crate::daemon::metrics::render;
    use crate::model::Timestamp;

    fn text(instance: &str) -> String {
        let mut instance = InstanceView::new(instance);
        let job = |name: &str| JobView {
            name: name.to_owned(),
            kind: "backup".to_owned(),
            interval: None,
            next: None,
            running: false,
        };
        instance.jobs = vec![job("nightly"), job("hourly")];
        render(&[&instance], None, Timestamp::from_millis(5000))
    }

    fn part<'a>(instance: &'a str, instances: &'a [String], text: &'a str) -> TextfilePart<'a> {
        TextfilePart { instance, instances, text, repository_read: true }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn everybody_may_read_it_and_only_the_lock_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyhaven.prom");
        write(&path, &part("", &[], &text(""))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text(""), "alone, it is what was rendered");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn each_instance_replaces_its_own_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyhaven.prom");
        let odd = "a\"b\\c\nd";
        let known = names(&["pay", odd, "web"]);
        for instance in [odd, "pay", "web", "pay", odd] {
            write(&path, &part(instance, &known, &text(instance))).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        for one in [text("pay"), text(odd), text("web")] {
            for line in one.lines() {
                assert_eq!(written.matches(&format!("{line}\n")).count(), 1, "{line}");
            }
        }
        let only = names(&["web"]);
        write(&path, &part("web", &only, &text("web"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text("web"), "those no longer configured go");
    }

    #[test]
    fn what_is_not_ours_is_not_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyhaven.prom");
        for rubbish in
            [&b"\xff\xfe"[..], b"up{instance_name=\"web\"} 1\nkeyhaven_job_attempt_total{instance_name=\"we", b"{"]
        {
            fs::write(&path, rubbish).unwrap();
            write(&path, &part("pay", &names(&["pay", "web"]), &text("pay"))).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text("pay"));
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/keyhaven.prom");
        let error = write(&path, &part("", &[], &text(""))).unwrap_err();
        assert!(error.to_string().contains("missing/keyhaven.prom"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn many_at_once_leave_every_part_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyhaven.prom");
        let known: Vec<String> = (0..6).map(|index| format!("i{index}")).collect();
        std::thread::scope(|scope| {
            for name in &known {
                let (path, known) = (&path, &known);
                scope.spawn(move || write(path, &part(name, known, &text(name))).unwrap());
            }
        });
        let written = fs::read_to_string(&path).unwrap();
        for line in known.iter().flat_map(|name| text(name).lines().map(str::to_owned).collect::<Vec<_>>()) {
            assert!(written.contains(&line), "{line}");
        }
    }
}
