//! Metrics for Prometheus: what is known of runs, schedules and repositories, as text.
//!
//! Pure but for [`textfile`]. Names follow Velero's where it has one of that meaning. The labels of our own are
//! `instance_name` and `job_name`: Prometheus gives `instance` and `job` to every target, and renames those that a target
//! brings along.

pub mod definition;
mod jobs;
mod page;
mod repository;
pub mod textfile;

use self::page::{Labels, MetricsPage};
use super::daemon_state::{DaemonRole, DaemonState, InstanceView};
use crate::model::Timestamp;

/// What is said of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessMetrics {
    /// What the daemon does now.
    pub role: DaemonRole,
    /// Whether the newest configuration was wrong.
    pub reload_failed: bool,
}

/// The metrics of these instances, in the classic text format. `process` is for the daemon; a one-shot command has none.
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

/// The metrics of everything that a daemon_state shows.
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

/// The label that every sample of an instance begins with.
fn of_instance(instance: &InstanceView) -> Labels {
    vec![("instance_name", instance.name.clone())]
}

/// Seconds since 1970; 0 for never, so that an age computed from it is beyond every bound.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this epoch fit into 2^53")]
fn seconds(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.millis() as f64 / 1000.0)
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}
