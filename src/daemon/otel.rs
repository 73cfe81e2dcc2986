//! Export of runs to an OpenTelemetry collector: one span per run, over OTLP and HTTP. Only in builds with the feature
//! `otel`.
//!
//! Endpoint, headers and timeout come from the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`), which the exporter reads.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use reqwest::{Client, redirect, retry};
use uuid::Uuid;

use super::JobRun;
use super::notify::NotifyWarning;
use crate::model::Timestamp;

/// Maximum time that a run waits for the collector.
const WITHIN: Duration = Duration::from_secs(10);

/// Exports a finished run. The run's id is the trace id, so that logs and pings lead to the trace.
pub async fn export(run: &JobRun, id: Uuid) -> Option<NotifyWarning> {
    let warning = |why: String| Some(NotifyWarning { who: "OpenTelemetry".to_owned(), why });
    // A redirect could send the headers elsewhere.
    let client = Client::builder().redirect(redirect::Policy::none()).retry(retry::never()).timeout(WITHIN).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return warning(format!("no TLS: {error}")),
    };
    let mut exporter = match SpanExporter::builder().with_http().with_http_client(client).build() {
        Ok(exporter) => exporter,
        Err(_) => return warning("its endpoint or headers cannot be used".to_owned()),
    };
    exporter.set_resource(
        &Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "keyhaven"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build(),
    );
    match tokio::time::timeout(WITHIN, exporter.export(vec![span(run, id)])).await {
        Ok(Ok(())) => None,
        // Omit the error: it may repeat the endpoint.
        Ok(Err(_)) => warning("the collector did not take the span".to_owned()),
        Err(_) => warning(format!("the collector did not answer within {} s", WITHIN.as_secs())),
    }
}

/// Converts a run to a span with numbers, digests and the job name.
fn span(run: &JobRun, id: Uuid) -> SpanData {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("keyhaven.job", run.job.clone()),
        KeyValue::new("keyhaven.kind", run.kind.clone()),
        KeyValue::new("keyhaven.ending", run.ending.word()),
        KeyValue::new("keyhaven.attempt", i64::from(run.attempt)),
    ];
    if !run.instance.is_empty() {
        attributes.push(KeyValue::new("keyhaven.instance", run.instance.clone()));
    }
    attributes.extend(run.facts.snapshot.map(|digest| KeyValue::new("keyhaven.snapshot", digest.to_string())));
    for (name, value) in [
        ("keyhaven.sequence", run.facts.sequence),
        ("keyhaven.requests", run.facts.requests),
        ("keyhaven.problems", run.facts.problems),
    ] {
        attributes.extend(value.map(|value| KeyValue::new(name, number(value))));
    }
    let [a, b, c, d, e, f, g, h, ..] = *Uuid::new_v4().as_bytes();
    let span = SpanId::from_bytes([a, b, c, d, e, f, g, h]);
    let trace = TraceId::from_bytes(*id.as_bytes());
    SpanData {
        span_context: SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default()),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: format!("keyhaven.{}", run.kind).into(),
        start_time: moment(run.started),
        end_time: moment(run.ended),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if run.is_good() { Status::Ok } else { Status::error(run.ending.word()) },
        instrumentation_scope: InstrumentationScope::builder("keyhaven").build(),
    }
}

fn moment(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0))
}
