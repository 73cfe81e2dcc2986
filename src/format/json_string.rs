//! JSON strings that contain secrets: read without leaving copies in memory.

use zeroize::Zeroizing;

/// Returns the text of a JSON string literal (`raw` includes the quotes); `None` if an escape is broken.
///
/// A general reader collects an escaped string in a buffer that grows and is not wiped. The text is never longer than
/// its literal, so this one allocates all the room at once.
pub(super) fn unescape(raw: &str) -> Option<Zeroizing<String>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut tail = after.chars();
        let plain = match tail.next()? {
            quoted @ ('"' | '\\' | '/') => quoted,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, behind) = unicode(tail.as_str())?;
                tail = behind.chars();
                character
            }
            _ => return None,
        };
        text.push(plain);
        rest = tail.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// Reads the four digits of `\u`, and the second half if they are the first half of a surrogate pair.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (high, rest) = four_digits(text)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Some((char::from_u32(high)?, rest));
    }
    let (low, rest) = four_digits(rest.strip_prefix("\\u")?)?;
    let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + low)?, rest))
}

fn four_digits(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| u32::from_str_radix(digits, 16).ok()).flatten().map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_escape_is_read_as_others_read_it() {
        for raw in [r#""""#, r#""a\"b\\c\/d\b\f\n\r\t""#, r#""\u00e9\u20AC\ud83d\ude00x""#, r#""é€😀""#] {
            let expected: String = serde_json::from_str(raw).unwrap();
            assert_eq!(unescape(raw).unwrap().as_str(), expected, "{raw}");
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        for raw in
            [r#""\x""#, r#""\u12""#, r#""\u+123""#, r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#, "1", r#"""#]
        {
            assert!(unescape(raw).is_none(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back_and_the_buffer_never_grew(text in any::<String>()) {
            let raw = serde_json::to_string(&text).unwrap();
            let read = unescape(&raw).unwrap();
            prop_assert_eq!(read.as_str(), text.as_str());
            prop_assert!(read.capacity() <= raw.len());
        }
    }
}
