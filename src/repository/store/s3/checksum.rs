//! Checksum headers of writes, in addition to the signature.

use bytes::Bytes;
use data_encoding::BASE64;
use md5::{Digest as _, Md5};
use object_store::Extensions;
use object_store::client::HttpRequest;

use crate::repository::store::s3_settings::ChecksumHeader;

/// The header of the algorithm. Some servers check the value only if it is present, and Object Lock may require either.
const ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

/// The value of `Content-MD5` for a request, passed as an extension.
#[derive(Debug, Clone)]
struct ContentMd5(String);

/// Returns the request extensions for a write of these bytes.
pub(super) fn for_write(kind: ChecksumHeader, bytes: &Bytes) -> Extensions {
    let mut extensions = Extensions::new();
    if kind == ChecksumHeader::Md5 {
        extensions.insert(ContentMd5(BASE64.encode(&Md5::digest(bytes))));
    }
    extensions
}

/// Adds the headers that object_store does not send. Returns true if it added any, so that the request must be signed
/// again.
pub(super) fn add_headers(request: &mut HttpRequest) -> bool {
    let md5 = request.extensions().get::<ContentMd5>().and_then(|md5| md5.0.parse().ok());
    if let Some(md5) = md5 {
        request.headers_mut().insert("content-md5", md5);
        return true;
    }
    if request.headers().contains_key("x-amz-checksum-sha256")
        && let Ok(sha256) = "SHA256".parse()
    {
        request.headers_mut().insert(ALGORITHM, sha256);
        return true;
    }
    false
}
