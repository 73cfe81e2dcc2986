//! The client of one instance.

use std::fmt;
use std::sync::Arc;

use super::pace::Pace;
use super::settings::ClientSettings;
use super::wire::Wire;
use crate::provider::InstanceError;

/// A client of one instance. Cheap to clone; clones share connections, token, pace and counters.
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientInner>,
}

struct ClientInner {
    wire: Wire,
    read_unknown_types: Vec<String>,
}

impl Client {
    /// Validates the settings; sends no request yet.
    ///
    /// # Errors
    /// [`InstanceError::Settings`] for an invalid URL, plain HTTP to another machine, a CA file without a certificate,
    /// an empty API key, or a pace that is not above 0 and at most 10,000.
    pub fn new(settings: ClientSettings) -> Result<Self, InstanceError> {
        let rate = settings.requests_per_second;
        if !(rate > 0.0 && rate <= 10_000.0) {
            let what = "requests_per_second".to_owned();
            return Err(InstanceError::Settings { what, why: "is not above 0 and at most 10,000".to_owned() });
        }
        let pace = Pace::new(rate);
        Self::with_pace(settings, pace)
    }

    /// As [`Client::new`], with a limiter shared with other clients of the instance; ignores the pace of the settings.
    ///
    /// # Errors
    /// As [`Client::new`].
    #[expect(clippy::needless_pass_by_value, reason = "the settings hold the API key; taking them lets it be wiped")]
    pub fn with_pace(settings: ClientSettings, pace: Pace) -> Result<Self, InstanceError> {
        let wire = Wire::new(&settings, pace)?;
        let read_unknown_types = settings.read_unknown_types.clone();
        Ok(Self { inner: Arc::new(ClientInner { wire, read_unknown_types }) })
    }

    /// Returns the limiter, for another client of the same instance.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.wire().pace().clone()
    }

    /// Host and port of the instance.
    #[must_use]
    pub fn host(&self) -> String {
        self.wire().host()
    }

    /// Returns secret types outside the published list whose payloads may be read.
    pub(super) fn vouched_types(&self) -> &[String] {
        &self.inner.read_unknown_types
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.inner.wire
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host()).finish_non_exhaustive()
    }
}
