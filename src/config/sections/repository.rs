//! `[repository]`.

use super::section;
use crate::config::value::words;
use crate::config::value::{FilePath, HttpUrl, Location, PolicyPins, SecretRef};

words! {
    /// The checksum header that a write to a bucket carries.
    pub enum Checksum {
        /// `x-amz-checksum-sha256`.
        Sha256 = "sha256",
        /// `Content-MD5`.
        Md5 = "md5",
        /// None.
        None = "none",
    }
}

words! {
    /// Where the name of the bucket is in a request.
    pub enum Addressing {
        /// In the path: `https://HOST/BUCKET/KEY`.
        Path = "path",
        /// In the host name: `https://BUCKET.HOST/KEY`.
        VirtualHost = "virtual-host",
    }
}

section! {
    /// Where the backups go: a prefix in a bucket, or a directory.
    pub struct RepositorySection in "repository" {
        /// A bucket and prefix, or a directory. One repository is one source instance.
        url: Option<Location>, r#""s3://BUCKET/PREFIX""#;
        /// The repository id that `init` printed. It pins everything that the repository says.
        id: Option<String>, r#""64 hexadecimal digits""#;
        /// Versions of the trust policy that this host relies on, whatever the bucket shows: each its reference, or the
        /// reference, a space and its bytes in Base64. `keyhaven trust publish` prints that line. The newest one is
        /// enough.
        policy: PolicyPins = "[]", r#"["000002-64 hexadecimal digits"]"#;
        /// The S3 endpoint. Choose a bucket outside the region of the source.
        endpoint: Option<HttpUrl>, r#""https://s3.eu-gb.cloud-object-storage.appdomain.cloud""#;
        /// The bucket's region.
        region: Option<String>, r#""eu-gb""#;
        /// Where the name of the bucket is in a request: in the path, or in the host name.
        addressing: Addressing = "path", r#""virtual-host""#;
        /// The checksum header of a write. Some stores refuse the default, some want `Content-MD5` under Object Lock.
        /// What is stored is named by its SHA-256 and read back in any case.
        checksum: Checksum = "sha256", r#""md5""#;
        /// The first half of the bucket's HMAC key.
        access_key_id: Option<SecretRef>, r#""file:/etc/keyhaven/s3-access-key-id""#;
        /// The second half of the bucket's HMAC key.
        secret_access_key: Option<SecretRef>, r#""file:/etc/keyhaven/s3-secret-access-key""#;
        /// Trust also these CA certificates (PEM) for the bucket.
        ca_file: Option<FilePath>, r#""/etc/keyhaven/ca.pem""#;
    }
}
