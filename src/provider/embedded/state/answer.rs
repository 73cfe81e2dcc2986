//! Successful responses.

use zeroize::Zeroizing;

/// A successful response: a status and usually a body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Option<Zeroizing<String>>,
}

impl Answer {
    pub(crate) fn ok(body: Zeroizing<String>) -> Self {
        Self { status: 200, body: Some(body) }
    }

    pub(crate) fn created(body: Zeroizing<String>) -> Self {
        Self { status: 201, body: Some(body) }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: None }
    }
}
