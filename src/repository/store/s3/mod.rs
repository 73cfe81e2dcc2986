//! A prefix in an S3 bucket.

mod checksum;
mod client;
mod dialect;
mod lifecycle;
mod listing;
mod retention_headers;
mod signer;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::Extensions;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential, Checksum};
use object_store::client::HttpConnector as _;
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use secrecy::ExposeSecret as _;
use url::Url;

use super::error::StoreError;
use super::explain::explain;
use super::info::{LifecycleRule, ObjectVersion};
use super::s3_settings::{ChecksumHeader, S3Settings};
use crate::model::{Timestamp, is_loopback};
use client::{BucketClient, Unanswered};
use dialect::{Dialect, StoreClock};
use signer::RequestSigner;

pub(super) use dialect::hearing;
pub(super) use listing::NotAListing;

impl S3Settings {
    /// Returns the validated endpoint as a URL for object_store.
    fn url(&self) -> Result<Url, StoreError> {
        let refuse =
            |why: &str| StoreError::Settings { what: "the endpoint of the repository".to_owned(), why: why.to_owned() };
        let mut url = Url::parse(&self.endpoint).map_err(|_| refuse("is no URL; write it as https://host[:port]"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("must not hold credentials; they have settings of their own"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("must end behind the host; bucket and prefix have settings of their own"));
        }
        match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => {}
            ("http", false) => return Err(refuse("must be https: plain http is for this host itself only")),
            _ => return Err(refuse("must start with https://")),
        }
        if self.virtual_hosted {
            let host = format!("{}.{}", self.bucket, url.host_str().unwrap_or_default());
            url.set_host(Some(&host)).map_err(|_| refuse("and the bucket make no host name; use path style"))?;
        }
        Ok(url)
    }
}

/// A configured bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) store: AmazonS3,
    /// Prefix of the repository in it; may be empty.
    pub(super) prefix: String,
    pub(super) place: String,
    clock: Arc<StoreClock>,
    checksum: ChecksumHeader,
    client: BucketClient,
    /// True if versions cannot be listed.
    without_versions: AtomicBool,
}

impl Bucket {
    /// Returns the current time by the store's clock, once it has answered.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    /// Lists all versions of the keys with this prefix. `None` if the store does not support the call, or this identity
    /// is not allowed to use it.
    pub(super) async fn versions(&self, prefix: &str) -> object_store::Result<Option<Vec<ObjectVersion>>> {
        if self.without_versions.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match versions::list(&self.client, prefix).await {
            Ok(versions) => Ok(Some(versions)),
            Err(Unanswered::Unsupported) => {
                self.without_versions.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(Unanswered::Failed(error)) => Err(error),
        }
    }

    /// Lists the lifecycle rules that would delete or archive keys with this prefix. Empty if the store does not
    /// support the call, or this identity is not allowed to use it.
    pub(super) async fn lifecycle(&self, prefix: &str) -> object_store::Result<Vec<LifecycleRule>> {
        match lifecycle::rules(&self.client, prefix).await {
            Ok(rules) => Ok(rules),
            Err(Unanswered::Unsupported) => Ok(Vec::new()),
            Err(Unanswered::Failed(error)) => Err(error),
        }
    }

    /// Returns the extensions of a write request for these bytes.
    pub(super) fn for_write(&self, bytes: &Bytes) -> Extensions {
        checksum::for_write(self.checksum, bytes)
    }
}

/// Validates the settings and builds a client; sends no request.
pub(super) fn connect(settings: &S3Settings) -> Result<Bucket, StoreError> {
    let refuse = |what: &str, why: &str| StoreError::Settings { what: what.to_owned(), why: why.to_owned() };
    let url = settings.url()?;
    // With an empty credential, object_store would request one from the cloud's metadata service.
    if settings.bucket.is_empty() {
        return Err(refuse("the bucket of the repository", "is empty; name one"));
    }
    if settings.access_key_id.is_empty() || settings.secret_access_key.expose_secret().is_empty() {
        return Err(refuse(
            "the credentials of the repository",
            "are empty; give an HMAC access key id and its secret",
        ));
    }
    let prefix = settings.prefix.trim_matches('/').to_owned();
    let spelled = |c: char| c.is_ascii_alphanumeric() || "._=-/".contains(c);
    if !prefix.chars().all(spelled) || Path::parse(&prefix).is_err() {
        return Err(refuse(
            "the prefix of the repository",
            "may hold letters, digits, `.`, `_`, `=`, `-` and single slashes",
        ));
    }
    let clock = Arc::new(StoreClock::default());
    let host = url.host_str().unwrap_or_default();
    let place = match prefix.as_str() {
        "" => format!("s3://{} at {host}", settings.bucket),
        prefix => format!("s3://{}/{prefix} at {host}", settings.bucket),
    };
    let credential = AwsCredential {
        key_id: settings.access_key_id.clone(),
        secret_key: settings.secret_access_key.expose_secret().to_owned(),
        token: None,
    };
    let signer = Arc::new(RequestSigner::new(credential, &settings.region));
    let options = client_options(settings, &url)?;
    let dialect = Dialect { clock: Arc::clone(&clock), signer: Arc::clone(&signer) };
    let client =
        dialect.connect(&options).map_err(|error| explain("set up the client".to_owned(), "", &place, &error))?;
    let mut bucket = url.clone();
    if !settings.virtual_hosted {
        bucket.set_path(&settings.bucket);
    }
    let client = BucketClient::new(client, signer, bucket, settings.retries);
    let builder = AmazonS3Builder::new()
        .with_endpoint(url.as_str().trim_end_matches('/'))
        .with_region(&settings.region)
        .with_bucket_name(&settings.bucket)
        .with_access_key_id(&settings.access_key_id)
        .with_secret_access_key(settings.secret_access_key.expose_secret())
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        .with_allow_http(url.scheme() == "http")
        // One DELETE per object: the answer for a retained object must not be lost among a thousand others.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: settings.retries,
            retry_timeout: settings.retry_for,
        })
        .with_client_options(options.clone())
        .with_http_connector(dialect.clone());
    let builder = match settings.checksum {
        ChecksumHeader::Sha256 => builder.with_checksum_algorithm(Checksum::SHA256),
        ChecksumHeader::Md5 | ChecksumHeader::None => builder,
    };
    let store = builder.build().map_err(|error| explain("set up the client".to_owned(), "", &place, &error))?;
    Ok(Bucket {
        store,
        prefix,
        place,
        clock,
        checksum: settings.checksum,
        client,
        without_versions: AtomicBool::new(false),
    })
}

fn client_options(settings: &S3Settings, url: &Url) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::new()
        .with_allow_http(url.scheme() == "http")
        .with_connect_timeout(settings.connect_timeout)
        .with_timeout(settings.request_timeout);
    if is_loopback(url) {
        // Setting a proxy disables the proxy variables of the environment; the excludes then bypass it for this host.
        options = options.with_proxy_url("http://127.0.0.1:9").with_proxy_excludes("localhost,127.0.0.0/8,::1");
    }
    if let Some(pem) = &settings.ca_pem {
        let refuse =
            |why: String| StoreError::Settings { what: "the CA certificates of the repository".to_owned(), why };
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| refuse(format!("are no PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(refuse("hold no certificate; give a PEM file".to_owned()));
        }
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn settings(endpoint: &str) -> S3Settings {
        S3Settings::new(endpoint, "eu-de", "backups", "access", SecretString::from("hunter2secret".to_owned()))
    }

    #[test]
    fn plain_http_leaves_this_host_never() {
        assert!(connect(&settings("http://127.0.0.1:9000")).is_ok());
        assert!(connect(&settings("http://localhost:9000")).is_ok());
        for endpoint in ["http://s3.example.com", "http://127.0.0.1.example.com", "ftp://127.0.0.1", "s3.example.com"] {
            let error = connect(&settings(endpoint)).unwrap_err();
            assert!(matches!(error, StoreError::Settings { .. }), "{endpoint}: {error}");
        }
    }

    #[test]
    fn empty_credentials_never_reach_the_metadata_service() {
        let mut without = settings("https://s3.example.com");
        without.secret_access_key = SecretString::from(String::new());
        assert!(matches!(connect(&without), Err(StoreError::Settings { .. })));
    }

    #[test]
    fn the_secret_is_in_no_debug_text() {
        let settings = settings("https://s3.example.com");
        let bucket = connect(&settings).unwrap();
        for text in [format!("{settings:?}"), format!("{bucket:?}"), bucket.place.clone()] {
            assert!(!text.contains("hunter2secret"), "{text}");
        }
    }

    #[test]
    fn credentials_and_paths_in_the_endpoint_are_refused() {
        for endpoint in
            ["https://user:pass@s3.example.com", "https://s3.example.com/bucket", "https://s3.example.com/?a=b"]
        {
            assert!(matches!(connect(&settings(endpoint)), Err(StoreError::Settings { .. })), "{endpoint}");
        }
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let mut with = settings("https://s3.example.com");
        with.ca_pem = Some(b"nothing".to_vec());
        assert!(matches!(connect(&with), Err(StoreError::Settings { .. })));
    }
}
