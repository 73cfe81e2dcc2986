//! Settings of a bucket.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::limits::{REQUEST_TIMEOUT, RETRY_FOR};

/// The checksum header of a write. Independent of it, objects are named by their digest and read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChecksumHeader {
    /// `x-amz-checksum-sha256`, with `x-amz-sdk-checksum-algorithm`.
    #[default]
    Sha256,
    /// `Content-MD5`, for stores that support only this, or require it with Object Lock.
    Md5,
    /// None, for stores that reject checksum headers.
    None,
}

/// Settings of a bucket. They are complete: no `AWS_…` variables or metadata service are read.
#[derive(Clone)]
pub struct S3Settings {
    /// The server, as `https://host[:port]`. Plain `http://` only for this host itself.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Prefix of the repository in the bucket; may be empty. `[A-Za-z0-9._=-]`, separated by slashes.
    pub prefix: String,
    /// The HMAC access key id.
    pub access_key_id: String,
    /// The HMAC secret.
    pub secret_access_key: SecretString,
    /// Certificates in PEM to trust in addition to the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// True if the bucket is part of the host name (`https://BUCKET.host`) instead of the path.
    pub virtual_hosted: bool,
    /// The checksum header of writes.
    pub checksum: ChecksumHeader,
    /// Timeout of a connection.
    pub connect_timeout: Duration,
    /// Timeout of one whole request, which must suffice to transfer an object of 64 MiB.
    pub request_timeout: Duration,
    /// Maximum number of retries after a 5xx, 429, a lost connection or a timeout.
    pub retries: usize,
    /// Time after the first attempt in which retries may start.
    pub retry_for: Duration,
}

impl S3Settings {
    /// Creates settings with path style, SHA-256, 10 s to connect, 5 min per request, 5 retries within 2 min.
    #[must_use]
    pub fn new(endpoint: &str, region: &str, bucket: &str, access_key_id: &str, secret: SecretString) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            bucket: bucket.to_owned(),
            prefix: String::new(),
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret,
            ca_pem: None,
            virtual_hosted: false,
            checksum: ChecksumHeader::default(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: REQUEST_TIMEOUT,
            retries: 5,
            retry_for: RETRY_FOR,
        }
    }
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("secret_access_key", &"[redacted]")
            .finish_non_exhaustive()
    }
}
