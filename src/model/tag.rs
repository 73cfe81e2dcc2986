//! Tags that an operator gives a snapshot.

/// Maximum number of tags of one snapshot.
pub const TAGS: usize = 16;
/// Maximum number of bytes of a tag.
pub const TAG_LENGTH: usize = 64;

/// The text is not a valid tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 1 to 64 bytes, and no white space, comma or control character")]
pub struct TagError;

/// Checks that a text is a valid tag. Entries and lists show tags, and everyone with access to the bucket can read
/// entries.
///
/// # Errors
/// [`TagError`] if it is not.
pub fn check_tag(text: &str) -> Result<(), TagError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    match !text.is_empty() && text.len() <= TAG_LENGTH && !text.chars().any(bad) {
        true => Ok(()),
        false => Err(TagError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_words() {
        for good in ["release-7", "vor-dem-umzug", "ü", "a:b/c=d", &"x".repeat(64)] {
            assert_eq!(check_tag(good), Ok(()), "{good}");
        }
        for bad in ["", "two words", "a,b", "line\nfeed", "\u{1b}[31m", "\u{2003}", &"x".repeat(65)] {
            assert_eq!(check_tag(bad), Err(TagError), "{bad:?}");
        }
    }
}
