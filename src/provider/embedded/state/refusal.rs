//! Refused requests: the status and the error body.

use super::text::ObjectText;

/// A refused request, before it becomes an error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// Suffix of the error code after `secrets-manager.`. The provider publishes no list, so these numbers are ours.
    pub(crate) code: &'static str,
    /// Error message. Never contains a payload.
    pub(crate) message: String,
}

/// The provider's message if a lock prevents an action.
pub(crate) const LOCKED: &str = "The requested action can't be completed because the secret version is locked.";

impl Refusal {
    /// 400: the request violates a rule.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, code: "Error00400", message: message.into() }
    }

    /// 400: the rotation would come after the end. The number is the provider's.
    pub(crate) fn interval() -> Self {
        let message = "The rotation interval is longer than the time until the current version expires.";
        Self { status: 400, code: "Error02009", message: message.to_owned() }
    }

    /// 400 or 409, depending on the switch: the name is taken.
    pub(crate) fn conflict(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: "Error00409", message: message.into() }
    }

    /// 401: the token is missing or invalid.
    pub(crate) fn unauthenticated() -> Self {
        Self { status: 401, code: "Error00401", message: "The provided token is missing or not valid.".to_owned() }
    }

    /// 401: a context-based restriction rejects the caller.
    pub(crate) fn outside_context() -> Self {
        let message = "The request is refused by a context-based restriction.";
        Self { status: 401, code: "Error00401", message: message.to_owned() }
    }

    /// 403: the caller's roles do not allow it.
    pub(crate) fn forbidden() -> Self {
        let message = "You do not have the role that this action needs.";
        Self { status: 403, code: "Error00403", message: message.to_owned() }
    }

    /// 403 or 404, depending on the switch: the item is in a secret group that the caller cannot see.
    pub(crate) fn hidden(status: u16) -> Self {
        if status == 404 { Self::missing("The item") } else { Self::forbidden() }
    }

    /// 404: the item does not exist.
    pub(crate) fn missing(what: &str) -> Self {
        Self { status: 404, code: "Error00404", message: format!("{what} was not found.") }
    }

    /// 404: there is no API at this path.
    pub(crate) fn endpoint(path: &str) -> Self {
        let message = format!("{path} is not a valid access endpoint");
        Self { status: 404, code: "Error00404", message }
    }

    /// 405: the path does not support the method.
    pub(crate) fn method() -> Self {
        Self { status: 405, code: "Error00405", message: "The method is not allowed for this endpoint.".to_owned() }
    }

    /// 412: a lock prevents the action.
    pub(crate) fn locked() -> Self {
        Self { status: 412, code: "Error00412", message: LOCKED.to_owned() }
    }

    /// 413: the body exceeds the instance's limit.
    pub(crate) fn too_large() -> Self {
        Self { status: 413, code: "Error00413", message: "The request body is too large.".to_owned() }
    }

    /// 415: the body's compression is not supported.
    pub(crate) fn encoding() -> Self {
        let message = "The request body may be compressed with gzip only.";
        Self { status: 415, code: "Error00415", message: message.to_owned() }
    }

    /// 300: several configurations of different types have this name.
    pub(crate) fn ambiguous() -> Self {
        Self {
            status: 300,
            code: "Error00300",
            message: "Several configurations have this name; set X-Sm-Accept-Configuration-Type.".to_owned(),
        }
    }

    /// Returns the error body in the format of the provider's SDKs.
    pub(crate) fn body(&self, trace: &str) -> String {
        let mut error = ObjectText::new();
        error.str("code", &format!("secrets-manager.{}", self.code)).str("message", &self.message);
        error.str("more_info", "https://cloud.ibm.com/apidocs/secrets-manager/secrets-manager-v2");
        let mut body = ObjectText::new();
        body.raw("errors", &format!("[{}]", error.finish().as_str()));
        body.num("status_code", u64::from(self.status)).str("trace", trace);
        body.finish().to_string()
    }
}
