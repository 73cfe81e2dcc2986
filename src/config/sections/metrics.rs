//! `[metrics]`.

use super::section;
use crate::config::value::FilePath;

section! {
    /// Prometheus metrics. The daemon serves the same at daemon.listen.
    pub struct MetricsSection in "metrics" {
        /// Where every command that is run by hand or by a timer leaves its metrics for node_exporter's textfile
        /// collector, which reads only names that end in `.prom`. Several instances may share one file.
        textfile: Option<FilePath>, r#""/var/lib/prometheus/node-exporter/keyhaven.prom""#;
        /// Name certificates and secrets that expire soon in metrics, instead of only their type. Whoever reads the
        /// metrics then learns these names.
        names: bool = "false", "false";
    }
}
