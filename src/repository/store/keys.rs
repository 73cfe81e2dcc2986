//! Keys in a bucket that object_store has no path for.
//!
//! One key with an empty segment, a `..` or a control character makes object_store refuse a whole page of a listing.
//! Whoever may write to the bucket could stop every backup and every restore with one such object. So such a key is
//! spelled differently in the answer before object_store sees it; it is foreign anyway, and stays visible as that.

/// Spells the keys of a ListObjectsV2 answer so that each is a path; `None` when all are.
///
/// The new spelling holds a `%`, which none of our names does, so it never passes for one of them.
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

/// Whether object_store takes a key, which stands here as XML writes it. A character reference is most likely a control
/// character; that an odd printable one is spelled differently too does no harm.
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
