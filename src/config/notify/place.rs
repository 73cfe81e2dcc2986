//! The URL of a target: plain if there is nothing secret in it, else a reference.

use std::fmt;
use std::path::Path;

use crate::config::value::{SecretRef, TextValue, ValueError, is_loopback, text_value};

/// Location of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyPlace {
    /// A URL without a secret in it.
    Plain(String),
    /// A URL that is kept like a secret.
    Secret(SecretRef),
}

impl fmt::Display for NotifyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(url) => f.write_str(url),
            Self::Secret(secret) => write!(f, "URL in {secret}"),
        }
    }
}

impl TextValue for NotifyPlace {
    const MAY_BE_SECRET: bool = true;

    fn parse(text: &str, base: &Path) -> Result<Self, ValueError> {
        if let Some(reference) = SecretRef::from_scheme(text, base) {
            return reference.map(Self::Secret);
        }
        check_url(text).map_err(|problem| ValueError::Problem(problem.to_owned()))?;
        if looks_secret(text) {
            let problem = "looks like one with a secret in it; put it into a file of its own and write \"file:PATH\", or \
                           \"env:NAME\", \"credential:NAME\"";
            return Err(ValueError::Problem(problem.to_owned()));
        }
        Ok(Self::Plain(text.to_owned()))
    }
}

text_value! { read NotifyPlace: "\"file:PATH\", \"env:NAME\", \"credential:NAME\", or a URL without a secret in it"; }

/// Checks that a URL can be a notification target.
///
/// # Errors
/// In words that do not repeat the URL.
pub fn check_url(text: &str) -> Result<(), &'static str> {
    let url = url::Url::parse(text).map_err(|_| "is no URL")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(text) => {}
        "http" => {
            return Err("is plain http, which is for loopback only: notifications would cross the network in clear");
        }
        _ => return Err("must begin with https://"),
    }
    if url.host().is_none() { Err("names no host") } else { Ok(()) }
}

/// Whether a URL holds what may be a secret: a user, a password, a query, or a part of the path that nobody would type.
fn looks_secret(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return true };
    let random = |part: &str| {
        let both = part.bytes().any(|b| b.is_ascii_digit()) && part.bytes().any(|b| b.is_ascii_alphabetic());
        part.len() >= 32 || part.len() >= 9 && both
    };
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
        || url.path_segments().is_some_and(|mut parts| parts.any(random))
}
