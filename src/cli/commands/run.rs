//! `keyhaven run`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cli::app::App;
use crate::cli::clock::SystemClock;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{env, key_file, metrics, run_hooks};
use crate::config::Settings;
use crate::daemon::engine::{Engine, PULSE, Setup};
use crate::daemon::systemd::ServiceManager;
use crate::daemon::{DaemonState, Notifier, http};
use crate::model::FailureKind;

mod ledgers;
mod observers;
mod setup;

/// Time without a heartbeat after which `/healthz` reports a stall.
const ALIVE_WITHIN: Duration = Duration::from_secs(60);

/// Runs the configured jobs on their schedules, until it is stopped.
///
/// Each run is a separate process. The ledger shows what ran last, so several daemons can serve one repository and take
/// over from each other. SIGHUP reloads the configuration; an invalid one is reported and the current one stays in
/// force. SIGTERM and Ctrl-C start no new jobs and give running ones `daemon.stop_within` to end; a second signal ends
/// everything at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A job:
  [jobs.backup]
  kind = \"backup\"
  cron = \"*/15 * * * *\"

Examples:
  keyhaven schedule next 10
  keyhaven run
  keyhaven run --log-level debug")]
pub(in crate::cli) struct Arguments {}

pub(super) async fn run(app: &App) -> Result<CommandOutcome, Failure> {
    let failed = |what: &'static str| move |error| Failure::new(FailureKind::Failed, what).because(error);
    let mut hangups = signal(SignalKind::hangup()).map_err(failed("cannot listen for signals"))?;
    let manager = Arc::new(ServiceManager::new(env::variable("NOTIFY_SOCKET").map(Into::into)));
    let daemon_state = DaemonState::new(Arc::new(SystemClock), ALIVE_WITHIN.max(PULSE * 3));
    let Prepared { settings, setup, mut notifier } = prepare(app, &daemon_state, &manager, report_invalid).await?;
    let mut servers = JoinSet::new();
    let listen = settings.first().and_then(|settings| settings.daemon().listen.clone());
    let (in_force, watched) = watch::channel(settings.clone());
    if let Some(address) = &listen {
        servers.spawn(metrics::follow(watched, daemon_state.clone()));
        let (listener, daemon_state) = (bind(address).await?, daemon_state.clone());
        if settings.iter().any(|settings| settings.metrics().names)
            && !listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
        {
            warn!("names of items stand in /metrics (metrics.names), and daemon.listen shows it to the network");
        }
        let stop = app.cancel().clone();
        servers.spawn(async move {
            if let Err(error) = http::serve(listener, daemon_state, stop).await {
                error!("the HTTP server ended: {error}");
            }
        });
    }
    daemon_state.configured(false);
    info!(jobs = setup.tasks.len(), instances = settings.len(), "running");
    manager.ready();

    let (setups, incoming) = mpsc::channel::<Setup>(1);
    let engine = Engine::new(setup).run(incoming, app.cancel().clone());
    let reloads = async {
        tell(notifier.as_ref(), None).await;
        while hangups.recv().await.is_some() {
            manager.reloading();
            match reload(app, &daemon_state, &manager, listen.as_deref(), &in_force).await {
                Ok((setup, notifier_in_force)) => {
                    daemon_state.configured(false);
                    info!(jobs = setup.tasks.len(), "the configuration was read again");
                    if setups.send(setup).await.is_err() {
                        break;
                    }
                    manager.ready();
                    notifier = notifier_in_force;
                    tell(notifier.as_ref(), None).await;
                }
                Err(failure) => {
                    daemon_state.configured(true);
                    let why = failure.chain().join(": ");
                    error!("the new configuration is wrong, the one before stays in force: {why}");
                    manager.ready();
                    tell(notifier.as_ref(), Some(&why)).await;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    // Both here, on the main thread, and not in tasks: the jobs end with the thread that starts them.
    tokio::select! {
        () = engine => {}
        () = reloads => {}
    }
    servers.shutdown().await;
    info!("ended");
    Ok(CommandOutcome::done())
}

/// Tells that a new configuration is wrong, or that it is right again.
async fn tell(notifier: Option<&Notifier>, why: Option<&str>) {
    let Some(notifier) = notifier else { return };
    for warning in notifier.configuration(why).await {
        warn!("not notified: {warning}");
    }
}

/// A configuration that was read and is ready to run.
struct Prepared {
    settings: Vec<Settings>,
    setup: Setup,
    notifier: Option<Notifier>,
}

/// Reads the configuration and everything it names. On another thread: the run loop must not wait for files and locks.
async fn prepare(
    app: &App,
    daemon_state: &DaemonState,
    manager: &Arc<ServiceManager>,
    check: fn(&Settings) -> Result<(), Failure>,
) -> Result<Prepared, Failure> {
    let (app, daemon_state, manager) = (app.clone(), daemon_state.clone(), Arc::clone(manager));
    let mut prepared = key_file::blocking("cannot read the configuration", move || {
        let (settings, text) = app.all_settings_and_text()?;
        settings.iter().try_for_each(check)?;
        let setup = setup::load(&app, &settings, text.as_deref(), &daemon_state, &manager)?;
        let notifier = settings.first().map(|settings| run_hooks::notifier(&app, settings));
        Ok(Prepared { settings, setup, notifier })
    })
    .await?;
    prepared.setup.ports.leases.probe().await;
    Ok(prepared)
}

/// Reports settings with which jobs will fail. At the start they keep no other job from running.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a check")]
fn report_invalid(settings: &Settings) -> Result<(), Failure> {
    if let Err(failure) = super::config::validate_one(settings) {
        error!(instance = settings.instance(), "jobs will fail: {}", failure.chain().join(": "));
    }
    Ok(())
}

async fn reload(
    app: &App,
    daemon_state: &DaemonState,
    manager: &Arc<ServiceManager>,
    listen: Option<&str>,
    in_force: &watch::Sender<Vec<Settings>>,
) -> Result<(Setup, Option<Notifier>), Failure> {
    let Prepared { settings, setup, notifier } =
        prepare(app, daemon_state, manager, |settings| super::config::validate_one(settings).map(drop)).await?;
    if settings.first().and_then(|settings| settings.daemon().listen.as_deref()) != listen {
        warn!("daemon.listen has changed; that takes a restart");
    }
    let names: Vec<String> = settings.iter().map(|settings: &Settings| settings.instance().to_owned()).collect();
    daemon_state.keep_only(&names);
    in_force.send_replace(settings);
    Ok((setup, notifier))
}

async fn bind(address: &str) -> Result<TcpListener, Failure> {
    let parsed: SocketAddr = address.parse().map_err(|_| {
        Failure::usage(format!("`daemon.listen` is \"{address}\", which is no ADDRESS:PORT"))
            .hinted("for example \"127.0.0.1:9464\", or \"[::]:9464\" for every address of this host")
    })?;
    let failed = |error| {
        Failure::new(FailureKind::Failed, format!("cannot listen on {address}"))
            .because(error)
            .hinted("another process may listen there; choose another port in `daemon.listen`")
    };
    let listener = TcpListener::bind(parsed).await.map_err(failed)?;
    let shown = listener.local_addr().map_err(failed)?;
    info!("metrics at http://{shown}/metrics");
    Ok(listener)
}
