//! Classification of object_store's errors.

use std::error::Error;
use std::io;

use super::error::{Cause, StoreError};

/// Converts an error of object_store into a [`StoreError`].
///
/// Its variants do not distinguish a missing bucket from a missing object, a full disk from other failures, or a wrong
/// secret from a missing permission; the text of the answer and the system's error do.
pub(super) fn explain(what: String, path: &str, place: &str, error: &object_store::Error) -> StoreError {
    let place = place.to_owned();
    let source = cause(error);
    let said = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["NoSuchBucket"]) {
        return StoreError::NoBucket { what, place };
    }
    #[cfg(feature = "s3")]
    if let Some(other) = innermost::<super::s3::NotAListing>(error) {
        return StoreError::NotAListing { what, place, source: Cause::new(&other.to_string()) };
    }
    if says(&["<Code>PermanentRedirect<", "<Code>AuthorizationHeaderMalformed<", "<Code>IllegalLocationConstraint"]) {
        return StoreError::Region { what, place, named: element(&said, "Region").map(str::to_owned) };
    }
    if says(&["<Code>InvalidObjectState<"]) {
        return StoreError::Archived { path: path.to_owned(), place };
    }
    if wants_other_checksum(&said) {
        return StoreError::Checksum { what, place, source };
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
    // A denied listing is a generic error, unlike a denied read or write.
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

/// Returns true if an error is about the checksum header of a write. Its code is generic; only the message shows it.
fn wants_other_checksum(said: &str) -> bool {
    let message = element(said, "Message").unwrap_or_default().to_ascii_lowercase();
    let of_checksum = ["checksum", "content-md5"].iter().any(|word| message.contains(word));
    let codes = ["InvalidRequest", "InvalidArgument", "NotImplemented", "InvalidDigest"];
    of_checksum && element(said, "Code").is_some_and(|code| codes.contains(&code))
}

/// Returns the innermost error of a type in the chain of causes.
fn innermost<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = error.source();
    }
    found
}

/// Returns the cause in one line: the code and message of an S3 answer, or the text of the innermost error.
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
        assert!(matches!(explained(&answer(&body("InvalidObjectState"))), StoreError::Archived { .. }));
        let malformed =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>x</Message><Region>eu-gb</Region></Error>";
        let error = explained(&answer(malformed));
        assert!(matches!(&error, StoreError::Region { named: Some(region), .. } if region == "eu-gb"), "{error}");
        let checksum =
            |message: &str| format!("<Error><Code>InvalidRequest</Code><Message>{message}</Message></Error>");
        for message in ["Unsupported header 'x-amz-checksum-sha256'", "Content-MD5 is required with Object Lock"] {
            assert!(matches!(explained(&answer(&checksum(message))), StoreError::Checksum { .. }), "{message}");
        }
        assert!(!matches!(explained(&answer(&checksum("Too many parts"))), StoreError::Checksum { .. }));
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
