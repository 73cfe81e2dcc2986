//! Errors with their causes.

use std::error::Error;

/// Returns an error and its causes on one line, outermost first. The reason is often in the last one.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_their_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(with_causes(&error), "cannot read: invalid digit found in string");
        assert_eq!(with_causes(&error.0), "invalid digit found in string");
    }
}
