//! Signs requests that object_store does not make, or makes with fewer headers than we send.

use std::fmt;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest};

/// Signs requests to one bucket (AWS Signature Version 4).
pub(super) struct RequestSigner {
    credential: AwsCredential,
    region: String,
}

impl RequestSigner {
    pub(super) fn new(credential: AwsCredential, region: &str) -> Self {
        Self { credential, region: region.to_owned() }
    }

    /// Signs a request with all its headers and replaces an existing signature. Takes the digest of the body from the
    /// previous signature.
    pub(super) fn sign(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let header = request.headers().get("x-amz-content-sha256").and_then(|digest| digest.to_str().ok());
        let digest = header.and_then(|digest| data_encoding::HEXLOWER.decode(digest.as_bytes()).ok());
        request.headers_mut().remove("authorization");
        let authorizer = AwsAuthorizer::new(&self.credential, "s3", &self.region);
        authorizer
            .try_authorize(request, digest.as_deref())
            .map_err(|error| HttpError::new(HttpErrorKind::Request, error))
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSigner").field("region", &self.region).finish_non_exhaustive()
    }
}
