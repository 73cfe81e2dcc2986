//! Settings of a client.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::model::is_loopback;
use crate::provider::InstanceError;

/// The identity service of the public cloud.
pub const IAM_URL: &str = "https://iam.cloud.ibm.com";
/// Default requests per second for a source: a quarter of the provider's recommendation for all clients of an instance.
pub const SOURCE_PACE: f64 = 5.0;
/// Default requests per second for a standby, which has no other users yet: the provider's recommendation.
pub const STANDBY_PACE: f64 = 20.0;

/// Settings of a client. Not validated before [`super::Client::new`].
#[derive(Clone)]
pub struct ClientSettings {
    /// The instance: `https://{instance_id}.{region}.secrets-manager.appdomain.cloud`, without `/api/v2`.
    pub base_url: String,
    /// The identity service, without `/identity/token`.
    pub iam_url: String,
    /// The IAM API key that is exchanged for tokens.
    pub api_key: SecretString,
    /// Certificate authorities to trust in addition to the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The pace: requests per second of all clients of this instance together, above 0 and at most 10,000.
    pub requests_per_second: f64,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Retries.
    pub retry: RetrySettings,
    /// Secret types outside the provider's published list whose payloads may be read nevertheless. A read can change
    /// the secret, so otherwise only the metadata of an unlisted type is kept.
    pub read_unknown_types: Vec<String>,
}

impl ClientSettings {
    /// Creates settings with the pace of a source, default timeouts and retries, and the system's certificate
    /// authorities.
    #[must_use]
    pub fn new(base_url: &str, iam_url: &str, api_key: SecretString) -> Self {
        Self {
            base_url: base_url.to_owned(),
            iam_url: iam_url.to_owned(),
            api_key,
            ca_pem: None,
            requests_per_second: SOURCE_PACE,
            timeouts: Timeouts::default(),
            retry: RetrySettings::default(),
            read_unknown_types: Vec::new(),
        }
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("base_url", &self.base_url)
            .field("iam_url", &self.iam_url)
            .field("requests_per_second", &self.requests_per_second)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("read_unknown_types", &self.read_unknown_types)
            .finish_non_exhaustive()
    }
}

/// Timeouts of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Timeout for the connection, including TLS.
    pub connect: Duration,
    /// Timeout between two parts of an answer.
    pub read: Duration,
    /// Timeout for the whole attempt.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 10 s, 30 s, 120 s: a failover inside the region can take 30 s.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), read: Duration::from_secs(30), total: Duration::from_secs(120) }
    }
}

/// Retries of repeatable requests: delays start at `first`, double up to `longest`, and are each shortened randomly by
/// up to half.
#[derive(Debug, Clone, Copy)]
pub struct RetrySettings {
    /// Maximum number of attempts; 1 means no retry.
    pub attempts: u32,
    /// The first delay.
    pub first: Duration,
    /// The longest delay, unless the provider requests a longer one.
    pub longest: Duration,
    /// Time after the first attempt in which further attempts may start.
    pub within: Duration,
}

impl Default for RetrySettings {
    /// Nine attempts within two minutes, with delays of 0.5 s to 20 s: enough for a failover of 30 s even if every
    /// random delay is the shortest possible.
    fn default() -> Self {
        Self {
            attempts: 9,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(20),
            within: Duration::from_secs(120),
        }
    }
}

/// Validates one of the two URLs: HTTPS, or plain HTTP to this machine only; no user, query or fragment.
pub(super) fn checked_url(what: &str, text: &str, suffix: &str) -> Result<Url, InstanceError> {
    let bad = |why: &str| InstanceError::Settings { what: format!("{what} `{}`", shown(text)), why: why.to_owned() };
    let trimmed = text.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(suffix).unwrap_or(trimmed).trim_end_matches('/');
    let url = Url::parse(trimmed).map_err(|_| bad("is no URL; give it as https://HOST"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user or password; give the API key in its own setting"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("holds a query or a fragment; give the plain host"));
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(bad("is plain HTTP to another machine, which would show every secret; use https://")),
        _ => Err(bad("is neither https:// nor http:// to this machine")),
    }
}

/// Returns the text without the part before an `@`, which may contain a password.
fn shown(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_waits_outlast_a_fail_over_and_the_longest_end_in_time() {
        let retry = RetrySettings::default();
        let waits = (1..retry.attempts).map(|n| retry.first.saturating_mul(1 << (n - 1)).min(retry.longest));
        let longest: Duration = waits.sum();
        assert!(longest / 2 > Duration::from_secs(30), "{longest:?}");
        assert!(longest < retry.within, "{longest:?}");
    }

    #[test]
    fn plain_http_only_to_this_machine() {
        for good in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost:9", "https://a.b"]
        {
            assert!(checked_url("base_url", good, "/api/v2").is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1", "http://localhost.example", "ftp://localhost", "https://", "x", "file:///etc"] {
            assert!(checked_url("base_url", bad, "/api/v2").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_paths_that_people_paste_along_are_taken_off() {
        let url = checked_url("base_url", "https://h.example/api/v2/", "/api/v2").unwrap();
        assert_eq!(url.as_str(), "https://h.example/");
        let url = checked_url("iam_url", "https://iam.example/identity/token", "/identity/token").unwrap();
        assert_eq!(url.as_str(), "https://iam.example/");
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let error = checked_url("base_url", "https://u:hunter2@h.example", "").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let debug = format!("{:?}", ClientSettings::new("https://h", IAM_URL, SecretString::from("hunter2")));
        assert!(!debug.contains("hunter2"), "{debug}");
    }
}
