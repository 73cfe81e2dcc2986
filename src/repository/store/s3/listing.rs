//! Checks answers to a listing request, and corrects keys that object_store cannot parse.
//!
//! A proxy, a login page or a failing gateway may answer 200 with something else, which must never pass for an empty
//! bucket.
//!
//! One key with an empty segment, a `..` or a control character makes object_store reject a whole page of a listing.
//! Anyone with write access to the bucket could stop every backup and restore with one such object. So such a key is
//! respelled before object_store sees it. It is foreign anyway, and remains visible as foreign.

use object_store::client::{HttpError, HttpErrorKind};

/// Maximum length of the quoted beginning of an answer that is not a listing.
const SHOWN: usize = 60;
/// Codes of transient errors.
const PASSING: [&str; 5] = ["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"];

/// An answer that is not a listing.
#[derive(Debug, thiserror::Error)]
#[error("the answer begins with `{begins}`")]
pub(in crate::repository::store) struct NotAListing {
    begins: String,
}

/// Kind of an answer with status 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// A page of a listing.
    Listing,
    /// An error in spite of its status; `passes` is true if a retry may help.
    Error { passes: bool },
}

/// Checks that an answer is a page of a listing with this root element.
pub(super) fn check(answer: &[u8], root: &str) -> Result<Checked, HttpError> {
    let text = String::from_utf8_lossy(answer);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let body = match text.strip_prefix("<?") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body).trim_start(),
        None => text,
    };
    let begins_with = |element: &str| {
        let rest = body.strip_prefix('<').and_then(|rest| rest.strip_prefix(element));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))
    };
    // A truncated page does not show whether more pages follow.
    if begins_with(root) && body.contains("<IsTruncated>") && body.trim_end().ends_with(&format!("</{root}>")) {
        return Ok(Checked::Listing);
    }
    if begins_with("Error") {
        return Ok(Checked::Error {
            passes: PASSING.iter().any(|code| body.contains(&format!("<Code>{code}</Code>"))),
        });
    }
    let begins = text.chars().take(SHOWN).collect();
    Err(HttpError::new(HttpErrorKind::Decode, NotAListing { begins }))
}

/// Respells keys of a ListObjectsV2 answer that are not valid paths. Returns `None` if all are valid.
///
/// The new spelling contains a `%`, which none of our names does, so it never passes for one of them.
pub(super) fn respell(answer: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = answer;
    let mut changed = false;
    while let Some((before, from)) = rest.split_once("<Key>") {
        let (key, after) = from.split_once("</Key>")?;
        out.push_str(before);
        out.push_str("<Key>");
        if is_path(key) {
            out.push_str(key);
        } else {
            changed = true;
            out.push_str(&spell(key));
        }
        out.push_str("</Key>");
        rest = after;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// Returns true if object_store accepts a key, given in its XML form. A character reference is most likely a control
/// character; respelling a printable one does no harm.
fn is_path(key: &str) -> bool {
    let key = key.strip_prefix('/').unwrap_or(key);
    let key = key.strip_suffix('/').unwrap_or(key);
    let fine = |segment: &str| !matches!(segment, "" | "." | "..");
    key.is_empty() || (key.split('/').all(fine) && !key.contains("&#") && !key.contains(|c: char| c.is_ascii_control()))
}

fn spell(key: &str) -> String {
    let spell_segment = |segment: &str| match segment {
        "" | "." | ".." => format!("%2F{segment}%2F"),
        segment => segment.replace("&#", "%26%23").replace(|c: char| c.is_ascii_control(), "%"),
    };
    key.split('/').map(spell_segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    #[test]
    fn only_a_whole_listing_passes_for_one() {
        let root = "ListBucketResult";
        let listing = |text: &str| check(text.as_bytes(), root);
        for page in [
            "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
            "\u{feff}<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated></ListBucketResult>\n",
        ] {
            assert_eq!(listing(page).unwrap(), Checked::Listing, "{page}");
        }
        for page in [
            "",
            "<html><body>Sign in</body></html>",
            "{}",
            "<ListBucketResult></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>",
            "<ListBucketResults><IsTruncated>false</IsTruncated></ListBucketResults>",
        ] {
            assert!(listing(page).is_err(), "{page}");
        }
        let error = |code: &str| listing(&format!("<Error><Code>{code}</Code></Error>")).unwrap();
        assert_eq!(error("SlowDown"), Checked::Error { passes: true });
        assert_eq!(error("AccessDenied"), Checked::Error { passes: false });
    }

    fn keys(answer: &str) -> Vec<&str> {
        answer.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").unwrap().0).collect()
    }

    #[test]
    fn an_ordinary_page_is_left_alone() {
        let page =
            "<R><Contents><Key>r/packs/a.jsonl.zst.age</Key></Contents><Contents><Key>a&amp;b</Key></Contents></R>";
        assert_eq!(respell(page), None);
    }

    #[test]
    fn every_hostile_key_becomes_a_path_below_the_same_folder() {
        let hostile = [
            "ledger//x",
            "ledger/../packs/x",
            "ledger/./x",
            "ledger/a&#10;b",
            "ledger/a\u{1}b",
            "ledger///",
            "//ledger/x",
        ];
        for key in hostile {
            assert!(key.contains("&#") || Path::parse(key).is_err(), "{key:?} is none");
            let page = format!("<R><Key>good</Key><Contents><Key>{key}</Key></Contents><Key>also/good</Key></R>");
            let respelled = respell(&page).unwrap();
            let keys = keys(&respelled);
            assert_eq!((keys[0], keys[2]), ("good", "also/good"));
            let path = Path::parse(keys[1]).unwrap();
            assert!(path.as_ref().contains('%'), "{path}");
            assert_eq!(path.as_ref().starts_with("ledger/"), key.starts_with("ledger/"), "{path}");
        }
    }
}
