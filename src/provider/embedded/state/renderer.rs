//! Settings for rendering the answers of one instance; the methods are in `render`.

use crate::provider::embedded::options::{Precision, Switches};

/// Renders the answers of one instance.
#[derive(Debug, Clone)]
pub struct Renderer {
    pub(crate) crn: String,
    pub(crate) created_by: String,
    pub(crate) precision: Precision,
    pub(crate) show_managed_csr_key: bool,
    pub(crate) versions_newest_first: bool,
}

impl Renderer {
    pub(crate) fn new(crn: String, created_by: String, switches: &Switches) -> Self {
        Self {
            crn,
            created_by,
            precision: switches.precision,
            show_managed_csr_key: switches.show_managed_csr_key,
            versions_newest_first: switches.versions_newest_first,
        }
    }
}
