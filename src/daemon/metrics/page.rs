//! A page of metrics: samples by metric, and their text form.
//!
//! The text is the classic format (`text/plain; version=0.0.4`): Prometheus reads both it and OpenMetrics, but
//! node_exporter's textfile collector reads only the classic one. prometheus-client writes OpenMetrics. For what we
//! use, the two differ in the declared name of a counter and in the last line.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::definition::{ALL, Definition, MetricKind};

/// Labels of a sample, in output order.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Value of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SampleValue {
    /// Gauge.
    Number(f64),
    /// Counter.
    Count(u64),
    /// Histogram: the sum, and for each bucket its upper bound and its own count (not cumulative).
    Buckets(f64, Vec<(f64, u64)>),
}

/// Samples by metric.
#[derive(Debug, Default)]
pub(super) struct MetricsPage {
    /// In the order of [`ALL`].
    samples: Vec<(&'static Definition, Vec<(Labels, SampleValue)>)>,
}

impl MetricsPage {
    /// Creates an empty page.
    pub(super) fn new() -> Self {
        Self { samples: ALL.iter().map(|definition| (definition, Vec::new())).collect() }
    }

    /// Adds a sample of a metric.
    pub(super) fn add(&mut self, metric: &Definition, labels: Labels, value: SampleValue) {
        if let Some((_, samples)) = self.samples.iter_mut().find(|(known, _)| known.name == metric.name) {
            samples.push((labels, value));
        }
    }

    /// Adds a sample of a gauge.
    pub(super) fn gauge(&mut self, metric: &Definition, labels: Labels, value: f64) {
        self.add(metric, labels, SampleValue::Number(value));
    }

    /// Returns the page in the classic text format.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut open = String::new();
        if text::encode_registry(&mut open, &registry).is_err() {
            // Writing to a string never fails; only a sample with the wrong type for its metric does.
            tracing::error!("a metric value does not match its declared type; the metrics page is truncated");
        }
        classic(&open)
    }
}

/// Returns the two lines that declare a metric, as [`MetricsPage::text`] writes them.
pub(super) fn declaration(metric: &Definition) -> String {
    let shape = match metric.shape {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
        MetricKind::Histogram => "histogram",
    };
    format!("# HELP {} {}\n# TYPE {} {shape}\n", metric.name, metric.help, metric.name)
}

impl Collector for MetricsPage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (metric, samples) in self.samples.iter().filter(|(_, samples)| !samples.is_empty()) {
            let (name, shape) = match metric.shape {
                MetricKind::Gauge => (metric.name, MetricType::Gauge),
                MetricKind::Counter => (bare(metric.name), MetricType::Counter),
                MetricKind::Histogram => (metric.name, MetricType::Histogram),
            };
            let mut family = encoder.encode_descriptor(name, metric.help, None, shape)?;
            for (labels, value) in samples {
                // An empty label set would be written as `{}`.
                if labels.is_empty() {
                    sample(metric.shape, value, &mut family)?;
                } else {
                    sample(metric.shape, value, &mut family.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn sample(shape: MetricKind, value: &SampleValue, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match (shape, value) {
        (MetricKind::Gauge, SampleValue::Number(value)) => encoder.encode_gauge(value),
        (MetricKind::Counter, SampleValue::Count(value)) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
        (MetricKind::Histogram, SampleValue::Buckets(sum, buckets)) => {
            let count = buckets.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        _ => Err(fmt::Error),
    }
}

/// Removes the suffix of a counter's name: prometheus-client adds it itself.
fn bare(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// Converts OpenMetrics without exemplars and units to the classic format, where a counter is declared by the name of
/// its samples.
fn classic(open: &str) -> String {
    let counter = |name: &str| ALL.iter().find(|known| known.shape == MetricKind::Counter && bare(known.name) == name);
    let mut out = String::with_capacity(open.len());
    for line in open.lines() {
        let declared = ["# HELP ", "# TYPE "].into_iter().find_map(|start| {
            let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
            Some((start, counter(name)?.name, rest))
        });
        match declared {
            Some((start, name, rest)) => out.extend([start, name, " ", rest]),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::metrics::definition::{ATTEMPT, DURATION, LAST_RUN};

    #[test]
    fn a_counter_is_declared_as_it_is_sampled_and_labels_are_escaped() {
        let mut page = MetricsPage::new();
        let labels = || vec![("instance_name", "a\"b\\c\nd".to_owned())];
        page.add(&ATTEMPT, labels(), SampleValue::Count(3));
        page.gauge(&LAST_RUN, labels(), f64::NAN);
        page.gauge(&LAST_RUN, vec![], f64::INFINITY);
        page.add(&DURATION, vec![], SampleValue::Buckets(7.5, vec![(1.0, 2), (f64::INFINITY, 1)]));
        let text = page.text();
        let expected = [
            "# HELP keyhaven_job_attempt_total ",
            "# TYPE keyhaven_job_attempt_total counter\n",
            "keyhaven_job_attempt_total{instance_name=\"a\\\"b\\\\c\\nd\"} 3\n",
            "_seconds{instance_name=\"a\\\"b\\\\c\\nd\"} NaN\n",
            "keyhaven_job_last_run_timestamp_seconds inf\n",
            "keyhaven_job_duration_seconds_sum 7.5\n",
            "keyhaven_job_duration_seconds_count 3\n",
            "keyhaven_job_duration_seconds_bucket{le=\"1.0\"} 2\n",
            "keyhaven_job_duration_seconds_bucket{le=\"+Inf\"} 3\n",
        ];
        for part in expected {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("EOF"), "{text}");
    }

    #[test]
    fn a_metric_without_a_sample_is_not_declared() {
        assert_eq!(MetricsPage::new().text(), "");
    }
}
