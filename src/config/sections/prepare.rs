//! `[prepare]`.

use super::section;
use crate::config::value::SecretRef;

section! {
    /// How `keyhaven prepare-standby` gets signatures of the source.
    pub struct PrepareSection in "prepare" {
        /// An API key of the source that has the role Manager: only that role may let an authority sign. Default: the
        /// key of the section source. Keep it away from the host that backs up.
        source_api_key: Option<SecretRef>, r#""file:/etc/keyhaven/source-manager-api-key""#;
    }
}
