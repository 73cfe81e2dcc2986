//! Durations: given as text, returned in seconds.

use super::super::input::InputBody;
use super::super::refusal::Refusal;

/// Documented maximum length of a duration, in characters.
const LENGTH: usize = 10;

/// Parses `12h`, `30d`, `5m`, `90s` or `90` to seconds.
pub(crate) fn seconds(member: &str, text: &str) -> Result<u64, Refusal> {
    let wrong = || Refusal::invalid(format!("The field '{member}' must be a duration like 90s, 5m, 12h or 30d."));
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match text.strip_prefix(digits).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    if text.len() > LENGTH || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Reads an optional duration from a body, between `least` and `most` seconds.
pub(crate) fn member(body: &InputBody<'_>, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
    let Some(text) = body.string(name)? else { return Ok(None) };
    let seconds = seconds(name, &text)?;
    if (least..=most).contains(&seconds) {
        return Ok(Some(seconds));
    }
    Err(Refusal::invalid(format!("The field '{name}' must be between {least} and {most} seconds.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_are_read_and_others_refused() {
        for (text, expected) in [("90", 90), ("90s", 90), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(seconds("ttl", text).unwrap(), expected, "{text}");
        }
        for text in ["", "h", "1w", "1hh", "-1", "1.5h", " 1h", "12345678901", "1h30m", "+5s"] {
            assert_eq!(seconds("ttl", text).unwrap_err().status, 400, "{text}");
        }
    }
}
