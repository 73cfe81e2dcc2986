//! Locations: URLs, paths, buckets, and references to secrets.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::{TextValue, ValueError, text_value};
use crate::config::node::quoted;

/// The URL of a service, without credentials in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(pub String);

impl TextValue for HttpUrl {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        let fits = url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.host().is_some() && plain(&url) && url.query().is_none()
        });
        if fits { Ok(Self(text.to_owned())) } else { Err(ValueError::Found(quoted(text))) }
    }
}

/// Returns true if a URL holds no user and no password.
fn plain(url: &url::Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Returns true if a URL points at this machine.
pub(in crate::config) fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| crate::model::is_loopback(&url))
}

/// A path. A relative one in the file starts at the file's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl TextValue for FilePath {
    fn parse(text: &str, base: &Path) -> Result<Self, ValueError> {
        if text.is_empty() { Err(ValueError::Found("empty".to_owned())) } else { Ok(Self(joined(base, text))) }
    }
}

/// A path from its base, without `.` and doubled slashes; `..` stays, since what is before it may be a link.
fn joined(base: &Path, text: &str) -> PathBuf {
    base.join(text).components().collect()
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// A place for objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl TextValue for Location {
    fn parse(text: &str, base: &Path) -> Result<Self, ValueError> {
        let found = || ValueError::Found(quoted(text));
        let Some((scheme, rest)) = text.split_once("://") else {
            return FilePath::parse(text, base).map(|path| Self::Folder(path.0));
        };
        let url = url::Url::parse(text).map_err(|_| found())?;
        match scheme {
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| found()),
            "s3" if url.host_str().is_some_and(|bucket| !bucket.is_empty()) && plain(&url) && url.query().is_none() => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
            }
            _ => Err(found()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// A reference to a secret. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In a file.
    File(PathBuf),
    /// In an environment variable of that name.
    Env(String),
    /// In a systemd credential of that name.
    Credential(String),
}

impl SecretRef {
    /// Reads a text that begins with one of the schemes; `None` for every other text.
    pub(in crate::config) fn from_scheme(text: &str, base: &Path) -> Option<Result<Self, ValueError>> {
        let (scheme, rest) = text.split_once(':')?;
        let name = |fits: fn(char) -> bool| !rest.is_empty() && rest.len() <= 255 && rest.chars().all(fits);
        let wrong = |what: &str| Err(ValueError::Found(format!("\"{scheme}:\" {what}")));
        Some(match scheme {
            "file" if rest.is_empty() => wrong("without a path"),
            "file" if rest.starts_with("//") && !rest.starts_with("///") => wrong("with a host; write \"file:/PATH\""),
            "file" => Ok(Self::File(joined(base, rest))),
            "env" if name(|c| c.is_ascii_alphanumeric() || c == '_') => Ok(Self::Env(rest.to_owned())),
            "env" => wrong("without a valid name of a variable"),
            "credential" if name(|c| c.is_ascii_alphanumeric() || "._-@".contains(c)) => {
                Ok(Self::Credential(rest.to_owned()))
            }
            "credential" => wrong("without a valid name of a credential"),
            _ => return None,
        })
    }
}

impl TextValue for SecretRef {
    const MAY_BE_SECRET: bool = true;

    fn parse(text: &str, base: &Path) -> Result<Self, ValueError> {
        let inline = || Err(ValueError::Found(if text.is_empty() { "empty" } else { "the secret itself" }.to_owned()));
        Self::from_scheme(text, base).unwrap_or_else(inline)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

text_value! {
    HttpUrl: "an http:// or https:// URL without credentials";
    FilePath: "a path";
    Location: "a path, a file:// URL or an s3://BUCKET/PREFIX URL without credentials";
    SecretRef: "\"file:PATH\", \"env:NAME\" or \"credential:NAME\"";
}
