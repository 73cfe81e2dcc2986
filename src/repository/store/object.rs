//! The operations that the folder and the bucket share, and how their failures are told apart.

use std::error::Error;
use std::io;

use bytes::Bytes;
#[cfg(feature = "s3")]
use futures_util::{TryStreamExt as _, stream::BoxStream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode};

use super::error::Cause;
#[cfg(feature = "s3")]
use super::limits::LISTED_OBJECTS;
use super::{Created, ObjectInfo, StoreError};
use crate::model::Timestamp;

/// One store of object_store's and where our objects begin in it.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) prefix: &'a str,
    pub(super) place: &'a str,
}

impl Objects<'_> {
    pub(super) async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        let result = match self.store.get(&self.locate(path)?).await {
            Ok(result) => result,
            Err(error) => return Err(self.explain(format!("read {path}"), path, &error)),
        };
        // Asked before the body is read: a foreign object of any size must not fill the memory.
        let limit = limit as u64;
        let size = result.range.end.saturating_sub(result.range.start);
        if size > limit {
            let (path, place) = (path.to_owned(), self.place.to_owned());
            return Err(StoreError::TooLarge { path, place, size, limit });
        }
        result.bytes().await.map_err(|error| self.explain(format!("read {path}"), path, &error))
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        // Overwriting on purpose: a name is the digest of its bytes, so a repeated write is the same write. Create-only
        // writes are ignored on versioned buckets and say nothing after a lost answer.
        let result = self.store.put(&self.locate(path)?, bytes.into()).await;
        result.map(drop).map_err(|error| self.explain(format!("write {path}"), path, &error))
    }

    pub(super) async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        match self.store.put_opts(&self.locate(path)?, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Present),
            Err(error) => Err(self.explain(format!("create {path}"), path, &error)),
        }
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.locate(path)?).await {
            Ok(()) => Ok(()),
            Err(error) => match self.explain(format!("delete {path}"), path, &error) {
                StoreError::NotFound { .. } => Ok(()),
                error => Err(error),
            },
        }
    }

    pub(super) async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        match self.store.head(&self.locate(path)?).await {
            Ok(meta) => Ok(self.info(&meta)),
            Err(error) => match self.explain(format!("look for {path}"), path, &error) {
                StoreError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// The path with our prefix. Parsed and never encoded: our names need no encoding, and another name must not
    /// silently become a different one.
    fn locate(&self, path: &str) -> Result<Path, StoreError> {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(&whole).map_err(|error| StoreError::Settings { what: whole, why: error.to_string() })
    }

    fn info(&self, meta: &ObjectMeta) -> Option<ObjectInfo> {
        let whole = meta.location.as_ref();
        let path = if self.prefix.is_empty() { whole } else { whole.strip_prefix(self.prefix)?.strip_prefix('/')? };
        Some(ObjectInfo { path: path.to_owned(), size: meta.size, modified: Timestamp::from(meta.last_modified) })
    }

    fn explain(&self, what: String, path: &str, error: &object_store::Error) -> StoreError {
        explain(what, path, self.place, error)
    }
}

/// Listings, which a folder makes by itself: object_store leaves out some of its files.
#[cfg(feature = "s3")]
impl Objects<'_> {
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let prefix = self.locate(folder)?;
        self.gather(folder, self.store.list(Some(&prefix))).await
    }

    pub(super) async fn list_from(&self, folder: &str, after: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let (prefix, after) = (self.locate(folder)?, self.locate(after)?);
        self.gather(folder, self.store.list_with_offset(Some(&prefix), &after)).await
    }

    async fn gather(
        &self,
        folder: &str,
        mut stream: BoxStream<'static, object_store::Result<ObjectMeta>>,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let what = || format!("list {folder}/");
        let mut objects = Vec::new();
        while let Some(meta) = stream.try_next().await.map_err(|error| self.explain(what(), folder, &error))? {
            if objects.len() >= LISTED_OBJECTS {
                let source = Cause::new(&format!("more than {LISTED_OBJECTS} objects"));
                return Err(StoreError::Other { what: what(), place: self.place.to_owned(), source });
            }
            objects.extend(self.info(&meta));
        }
        Ok(objects)
    }
}

/// Turns an error of object_store's into ours.
///
/// Its variants do not tell a missing bucket from a missing object, a full disk from any other failure, or a wrong
/// secret from a missing right; the answer's text and the system's error do.
pub(super) fn explain(what: String, path: &str, place: &str, error: &object_store::Error) -> StoreError {
    let place = place.to_owned();
    let source = cause(error);
    let said = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["NoSuchBucket"]) {
        return StoreError::NoBucket { what, place };
    }
    if says(&["RequestTimeTooSkewed"]) {
        return StoreError::Clock { what, place };
    }
    if says(&["QuotaExceeded", "InsufficientStorage", "StorageFull", "507 Insufficient"]) {
        return StoreError::Full { what, place, source };
    }
    if says(&["SignatureDoesNotMatch", "InvalidAccessKeyId"]) {
        return StoreError::Unauthenticated { what, place, source };
    }
    // A refused listing comes as a general failure, unlike a refused read or write.
    if says(&["<Code>AccessDenied</Code>"]) {
        return StoreError::Denied { what, place, source };
    }
    if let Some(io) = innermost::<io::Error>(error) {
        match io.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                return StoreError::Full { what, place, source };
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                return StoreError::Denied { what, place, source };
            }
            _ => {}
        }
    }
    match error {
        object_store::Error::NotFound { .. } => StoreError::NotFound { path: path.to_owned(), place },
        object_store::Error::PermissionDenied { .. } => StoreError::Denied { what, place, source },
        object_store::Error::Unauthenticated { .. } => StoreError::Unauthenticated { what, place, source },
        #[cfg(feature = "s3")]
        _ if innermost::<object_store::client::HttpError>(error).is_some() => {
            StoreError::Unreachable { what, place, source }
        }
        _ => StoreError::Other { what, place, source },
    }
}

/// The innermost error of a type in the chain of causes.
fn innermost<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = error.source();
    }
    found
}

/// One line of the reason: the code and message of an S3 answer, or the innermost error's words.
fn cause(error: &object_store::Error) -> Cause {
    let said = error.to_string();
    if let Some(code) = element(&said, "Code") {
        return Cause::new(&match element(&said, "Message").filter(|message| !message.is_empty()) {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        });
    }
    let mut deepest: &dyn Error = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    Cause::new(&deepest.to_string())
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(error: &object_store::Error) -> StoreError {
        explain("write packs/x".to_owned(), "packs/x", "here", error)
    }

    fn io(kind: io::ErrorKind) -> object_store::Error {
        object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(io::Error::from(kind)) }
    }

    fn answer(body: &str) -> object_store::Error {
        object_store::Error::PermissionDenied { path: "packs/x".to_owned(), source: body.to_owned().into() }
    }

    #[test]
    fn what_the_system_says_is_told_apart() {
        assert!(matches!(explained(&io(io::ErrorKind::StorageFull)), StoreError::Full { .. }));
        assert!(matches!(explained(&io(io::ErrorKind::QuotaExceeded)), StoreError::Full { .. }));
        assert!(matches!(explained(&io(io::ErrorKind::ReadOnlyFilesystem)), StoreError::Denied { .. }));
        assert!(matches!(explained(&io(io::ErrorKind::PermissionDenied)), StoreError::Denied { .. }));
        assert!(matches!(explained(&io(io::ErrorKind::BrokenPipe)), StoreError::Other { .. }));
    }

    #[test]
    fn what_a_server_says_is_told_apart() {
        let body = |code: &str| format!("403: <Error><Code>{code}</Code><Message>No.</Message></Error>");
        assert!(matches!(explained(&answer(&body("AccessDenied"))), StoreError::Denied { .. }));
        let listing = object_store::Error::Generic { store: "S3", source: body("AccessDenied").into() };
        assert!(matches!(explained(&listing), StoreError::Denied { .. }));
        assert!(matches!(explained(&answer(&body("QuotaExceeded"))), StoreError::Full { .. }));
        assert!(matches!(explained(&answer(&body("SignatureDoesNotMatch"))), StoreError::Unauthenticated { .. }));
        assert!(matches!(explained(&answer(&body("InvalidAccessKeyId"))), StoreError::Unauthenticated { .. }));
        assert!(matches!(explained(&answer(&body("RequestTimeTooSkewed"))), StoreError::Clock { .. }));
        assert!(matches!(explained(&answer(&body("NoSuchBucket"))), StoreError::NoBucket { .. }));
    }

    #[test]
    fn the_cause_is_one_short_line_without_what_was_signed() {
        let body = format!(
            "<Error><Code>SignatureDoesNotMatch</Code><Message>two\nlines</Message><StringToSign>{}</StringToSign></Error>",
            "canary".repeat(100)
        );
        let error = explained(&answer(&body));
        let cause = Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "SignatureDoesNotMatch: two lines");
        assert!(!format!("{error:?}").contains("canary"));
    }
}
