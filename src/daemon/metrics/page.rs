//! A page of metrics: samples by metric, and how they become text.
//!
//! The text is the classic format (`text/plain; version=0.0.4`): Prometheus takes that and OpenMetrics, but the textfile
//! collector of node_exporter reads the classic one only. prometheus-client writes OpenMetrics; the two differ for what we
//! use in the name that a counter is declared by and in the last line.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::definition::{ALL, Definition, MetricKind};

/// The labels of a sample, in the order in which they are written.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a sample says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SampleValue {
    /// A gauge.
    Number(f64),
    /// A counter.
    Count(u64),
    /// A histogram: the sum, and how many lie in each bucket by its upper bound, not cumulated.
    Buckets(f64, Vec<(f64, u64)>),
}

/// Samples by metric.
#[derive(Debug, Default)]
pub(super) struct MetricsPage {
    /// In the order of [`ALL`].
    samples: Vec<(&'static Definition, Vec<(Labels, SampleValue)>)>,
}

impl MetricsPage {
    /// A page without samples.
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

    /// The page in the classic text format.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut open = String::new();
        if text::encode_registry(&mut open, &registry).is_err() {
            // Writing to a string does not fail: only a sample that has not its metric's shape does.
            tracing::error!("a metric does not have the shape that it is declared with; the page ends there");
        }
        classic(&open)
    }
}

/// The two lines that declare a metric, as [`MetricsPage::text`] writes them.
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
                // An empty set of labels would be written as `{}`.
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

/// A counter's name as prometheus-client wants it: it adds the ending itself.
fn bare(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// OpenMetrics without exemplars and units as the classic format: a counter is declared by the name that its samples have.
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
