//! Context of every command: arguments, configuration, printer, clock, cancellation.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::args::Globals;
use super::audit::AuditTrail;
use super::clock::SystemClock;
use super::env;
use super::failure::Failure;
use super::printer::Printer;
use super::progress::Terminal;
use super::scheduled;
use crate::config::instances::check_apart;
use crate::config::jobs::check_kinds;
use crate::config::sections::LogFormat;
use crate::config::{Layer, Settings, ShownEntry};
use crate::daemon::kinds::KINDS;
use crate::format::names;
use crate::job::Context;
use crate::provider::ibm::convert::recast::TYPES;
use crate::repository::Repository;

/// The largest configuration or other public text file that is read.
const LARGEST: u64 = 1024 * 1024;
/// The largest plan that is read: some 100,000 steps with their states.
const LARGEST_PLAN: u64 = 1024 * 1024 * 1024;

/// The largest list of objects or ids that is read.
const LARGEST_LIST: u64 = 256 * 1024 * 1024;

/// The surroundings of a command. Clones share one state.
#[derive(Debug, Clone)]
pub(super) struct App {
    /// Everything that can be typed, for those who read or print it.
    pub(super) program: clap::Command,
    pub(super) globals: Globals,
    pub(super) printer: Printer,
    /// The audit trail of the command, where there is one.
    pub(super) trail: Option<Arc<AuditTrail>>,
    cancel: CancellationToken,
    /// True if the command has begun to change something.
    changing: Arc<AtomicBool>,
    /// Repositories that the command reads.
    opened: Arc<Mutex<Vec<Repository>>>,
}

impl App {
    /// Puts them together.
    pub(super) fn new(program: clap::Command, globals: Globals, printer: Printer, cancel: CancellationToken) -> Self {
        Self { program, globals, printer, trail: None, cancel, changing: Arc::default(), opened: Arc::default() }
    }

    /// Returns the context of a job: the system's clock, the terminal, cancellation.
    pub(super) fn context(&self) -> Context {
        Context {
            clock: Arc::new(SystemClock),
            observer: Arc::new(Terminal::new(self.printer.clone(), &self.globals)),
            cancel: self.cancel.clone(),
        }
    }

    /// The settings: the file, what it sets for the instance in question, the environment, the flags; later ones win.
    ///
    /// # Errors
    /// When a file that was named cannot be read, or anything in it is wrong, or it has several instances and
    /// --instance names none.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_with(&[])
    }

    /// As [`App::settings`], with further flags: key, flag, value.
    ///
    /// # Errors
    /// As [`App::settings`].
    pub(super) fn settings_with(&self, flags: &[(&str, &str, &str)]) -> Result<Settings, Failure> {
        let file = self.file()?;
        let own = file.instance(self.globals.instance())?;
        build(&self.globals, [Some(file), own].into_iter().flatten(), flags)
    }

    /// The names of the instances of the file; none where it has no `[[instances]]`.
    ///
    /// # Errors
    /// When the file cannot be read, or anything in it is wrong.
    pub(super) fn instances(&self) -> Result<Vec<String>, Failure> {
        Ok(self.file()?.instances().map(str::to_owned).collect())
    }

    /// Returns the settings of each instance in the file, for people.
    ///
    /// # Errors
    /// As [`App::instances`].
    pub(super) fn instances_shown(&self) -> Result<Vec<ShownEntry>, Failure> {
        Ok(self.file()?.instances_shown())
    }

    /// The settings of one instance of the file, whatever --instance says. Without a name those that hold for all.
    ///
    /// # Errors
    /// As [`App::settings`], and when there is no such instance.
    pub(super) fn settings_of(&self, name: &str) -> Result<Settings, Failure> {
        let file = self.file()?;
        let own = if name.is_empty() { None } else { file.instance(Some(name))? };
        build(&self.globals, [Some(file), own].into_iter().flatten(), &[])
    }

    /// The settings of every instance of the file that --instance leaves, in its order; of the one without a name where
    /// it has no `[[instances]]`.
    ///
    /// # Errors
    /// As [`App::settings_of`], and when two of them have one repository.
    pub(super) fn all_settings(&self) -> Result<Vec<Settings>, Failure> {
        Ok(self.all_settings_and_text()?.0)
    }

    /// As [`App::all_settings`], and the text of the file that they are from, read once; none where there is no file.
    ///
    /// # Errors
    /// As [`App::all_settings`].
    pub(super) fn all_settings_and_text(&self) -> Result<(Vec<Settings>, Option<String>), Failure> {
        let path = self.config_path();
        let text = path.as_deref().map(read_text).transpose()?;
        let file = match (&path, &text) {
            (Some(path), Some(text)) => layer(path, text)?,
            _ => Layer::default(),
        };
        let of = |own: Option<Layer>| build(&self.globals, [Some(file.clone()), own].into_iter().flatten(), &[]);
        let names: Vec<&str> = file.instances().collect();
        if names.is_empty() || self.globals.instance().is_some() {
            return Ok((vec![of(file.instance(self.globals.instance())?)?], text));
        }
        let all = names.iter().map(|name| of(file.instance(Some(name))?)).collect::<Result<Vec<_>, _>>()?;
        check_apart(&all)?;
        Ok((all, text))
    }

    /// The configuration file; an empty one if there is none.
    fn file(&self) -> Result<Layer, Failure> {
        self.config_path().map_or_else(|| Ok(Layer::default()), |path| read_layer(&path))
    }

    /// The configuration file: the one that was named, else the first that is there.
    pub(super) fn config_path(&self) -> Option<PathBuf> {
        let named = self.globals.config.clone().or_else(|| env::variable("KEYHAVEN_CONFIG").map(PathBuf::from));
        named.or_else(|| default_paths().into_iter().find(|path| path.exists()))
    }

    /// Returns the paths that were searched for a configuration file, if none was found.
    pub(super) fn searched(&self) -> Option<String> {
        let paths = || default_paths().iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        self.config_path().is_none().then(paths)
    }

    /// Returns the log format from the environment and the file. Errors in them are left to the command.
    pub(super) fn log_format(&self) -> Option<LogFormat> {
        let variables = env::ours();
        let variables = variables.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let environment = Layer::environment(variables, &working_folder()).ok();
        let file = || self.config_path().and_then(|path| read_layer(&path).ok());
        let said = |layer: Layer| Settings::build([layer]).ok()?.log_format();
        environment.and_then(said).or_else(|| file().and_then(said))
    }

    /// A token that is cancelled when the user wants us to stop.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Runs the part of a command that changes something. From its beginning to the end of the command, a signal drops
    /// nothing: the job stops at its next safe point, and the command reports what the job did.
    ///
    /// # Errors
    /// Those of `work`. Kind 130 if a signal came first; then `work` was not started.
    pub(super) async fn change<T, E: Into<Failure>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        self.changing.store(true, Ordering::Relaxed);
        work.await.map_err(Into::into)
    }

    /// Notes a repository that the command reads.
    pub(super) fn opened(&self, repository: &Repository) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(repository.clone());
    }

    /// Packs, parts and lists that were read from older versions in the bucket. Of the ledger its reader says so.
    pub(super) fn superseded(&self) -> Vec<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let all = opened.iter().flat_map(Repository::superseded);
        all.filter(|path| !path.starts_with(names::LEDGER)).collect()
    }

    /// Returns true if [`App::change`] has begun.
    pub(super) fn is_changing(&self) -> bool {
        self.changing.load(Ordering::Relaxed)
    }

    /// The folder of a writer's memory, as configured or as the platform says.
    ///
    /// # Errors
    /// When there is no home to put it in.
    pub(super) fn state_folder(&self, settings: &Settings) -> Result<PathBuf, Failure> {
        state_folder(settings).ok_or_else(|| Settings::missing("state_dir").into())
    }
}

/// The folder of a writer's memory, as configured or as the platform says; `None` when there is no home to put it in.
pub(super) fn state_folder(settings: &Settings) -> Option<PathBuf> {
    let systemd = || env::variable("STATE_DIRECTORY").map(PathBuf::from);
    let xdg = || env::variable("XDG_STATE_HOME").map(|home| Path::new(&home).join("keyhaven"));
    let home = || env::variable("HOME").map(|home| Path::new(&home).join(".local/state/keyhaven"));
    settings.state_dir().or_else(systemd).or_else(xdg).or_else(home)
}

/// Puts the environment and the flags over the layers of a file.
fn build(
    globals: &Globals,
    file: impl Iterator<Item = Layer>,
    flags: &[(&str, &str, &str)],
) -> Result<Settings, Failure> {
    let variables = env::ours();
    let here = working_folder();
    let environment = Layer::environment(variables.iter().map(|(name, text)| (name.as_str(), text.as_str())), &here)?;
    let flags = Layer::flags(globals.settings().into_iter().chain(flags.iter().copied()), &here)?;
    let settings = Settings::build(file.chain([environment, flags]))?;
    settings.check_variables()?;
    settings.tables().check_types(TYPES)?;
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    check_kinds(settings.jobs(), &kinds)?;
    Ok(settings)
}

fn default_paths() -> Vec<PathBuf> {
    let name = Path::new("keyhaven.toml");
    let xdg = env::variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = xdg.or_else(|| env::variable("HOME").map(|home| Path::new(&home).join(".config")));
    let mut paths = vec![name.to_owned()];
    paths.extend(home.map(|home| home.join("keyhaven").join(name)));
    paths.push(Path::new("/etc/keyhaven").join(name));
    paths
}

/// Base of relative paths in the environment and in flags; empty if the platform does not provide it.
fn working_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

/// Reads the configuration.
fn read_layer(path: &Path) -> Result<Layer, Failure> {
    layer(path, &read_text(path)?)
}

/// The text of the configuration. A job of the daemon is handed the one that the daemon has in force: the file may have
/// been changed to nonsense since.
fn read_text(path: &Path) -> Result<String, Failure> {
    let handed = scheduled::configuration();
    read_public(handed.as_deref().unwrap_or(path), "configuration")
        .map_err(|failure| failure.hinted("`keyhaven config init` prints a commented file to start from"))
}

/// The text of the configuration as settings; what is relative in it starts beside its file.
fn layer(path: &Path, text: &str) -> Result<Layer, Failure> {
    let shown = path.display().to_string();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = path.parent().unwrap_or(Path::new(""));
    Ok(Layer::file(text, &shown, base)?)
}

/// Reads a text file that holds no secret; `what` is what messages call it.
///
/// # Errors
/// Kind 2 when it cannot be read, or is larger than such a file can be.
pub(super) fn read_public(path: &Path, what: &str) -> Result<String, Failure> {
    let bytes = read_bytes(path, what, LARGEST)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("the {what} {} is no text", path.display())))
}

/// Reads a restore plan. It holds no payload.
///
/// # Errors
/// Kind 2 when it cannot be read, or is larger than a plan can be.
pub(super) fn read_plan(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bytes(path, "plan", LARGEST_PLAN)
}

/// Reads another large file without payloads, such as an id map; `what` is what messages call it.
///
/// # Errors
/// Kind 2 when it cannot be read, or is larger than [`LARGEST_LIST`].
pub(super) fn read_list(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    read_bytes(path, what, LARGEST_LIST)
}

#[expect(clippy::disallowed_methods, reason = "files that the user names are read at the edge")]
fn read_bytes(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let failed = |error| Failure::usage(format!("cannot read the {what} {shown}")).because(error);
    let about = std::fs::metadata(path).map_err(failed)?;
    // Opening a pipe waits for a writer, and a device has no end.
    if !about.is_file() {
        return Err(Failure::usage(format!("the {what} {shown} is no plain file")));
    }
    if about.len() > limit {
        return Err(Failure::usage(format!("the {what} {shown} is larger than such a file can be")));
    }
    std::fs::read(path).map_err(failed)
}
