//! Metrics for Prometheus: runs, schedules and repositories, as text.
//!
//! Everything except [`textfile`] is pure. Names follow Velero's where it has a metric with that meaning. Our own
//! labels are `instance_name` and `job_name`, because Prometheus sets `instance` and `job` on every target and renames
//! labels that collide.

pub mod definition;
mod jobs;
mod page;
mod repository;
pub mod textfile;

use self::page::{Labels, MetricsPage};
use super::daemon_state::{DaemonRole, DaemonState, InstanceView};
use crate::model::Timestamp;

/// Metrics of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessMetrics {
    /// Current role of the daemon.
    pub role: DaemonRole,
    /// True if the newest configuration was invalid.
    pub reload_failed: bool,
}

/// Renders the metrics of these instances in the classic text format. `process` is `None` for a one-shot command.
#[must_use]
pub fn render(instances: &[&InstanceView], process: Option<ProcessMetrics>, now: Timestamp) -> String {
    let mut page = MetricsPage::new();
    page.gauge(&definition::BUILD_INFO, vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
    if let Some(process) = process {
        add_process(&mut page, process);
    }
    for instance in instances {
        page.gauge(&definition::WRITTEN, of_instance(instance), seconds(Some(now)));
        jobs::add(&mut page, instance);
        repository::add(&mut page, instance, now);
    }
    page.text()
}

/// Renders the metrics of everything in a daemon state.
#[must_use]
pub fn render_board(daemon_state: &DaemonState) -> String {
    let shown = daemon_state.instances();
    let instances: Vec<&InstanceView> = shown.iter().map(AsRef::as_ref).collect();
    let process = ProcessMetrics { role: daemon_state.role(), reload_failed: daemon_state.reload_failed() };
    render(&instances, Some(process), daemon_state.now())
}

fn add_process(page: &mut MetricsPage, process: ProcessMetrics) {
    for role in DaemonRole::ALL {
        let labels = vec![("role", role.as_str().to_owned())];
        page.gauge(&definition::ROLE, labels, flag(role == process.role));
    }
    page.gauge(&definition::RELOAD, Labels::new(), flag(!process.reload_failed));
}

/// Returns the labels that every sample of an instance starts with.
fn of_instance(instance: &InstanceView) -> Labels {
    vec![("instance_name", instance.name.clone())]
}

/// Returns seconds since 1970. Never is 0, so that an age computed from it exceeds every bound.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this epoch fit into 2^53")]
fn seconds(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.millis() as f64 / 1000.0)
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}
