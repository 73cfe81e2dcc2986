//! Access tokens: signed by a key that only this instance knows, so that no list of them is kept.

use data_encoding::BASE64URL_NOPAD;

use super::state::text::ObjectText;
use crate::crypto::digest::sha256;
use crate::model::Timestamp;
use crate::model::json::Object;

/// Gives tokens out and checks them. They look like the provider's JWTs; the signature is our own.
pub(crate) struct Tokens {
    key: String,
    /// Tokens of an earlier generation are no longer good.
    generation: u64,
    given: u64,
}

impl Tokens {
    pub(crate) fn new(key: String) -> Self {
        Self { key, generation: 0, given: 0 }
    }

    /// A token good from `now` for so many seconds.
    pub(crate) fn give(&mut self, now: Timestamp, seconds: u64, subject: &str) -> String {
        self.given += 1;
        let issued = u64::try_from(now.millis() / 1000).unwrap_or(0);
        let mut claims = ObjectText::new();
        claims.str("iam_id", subject).str("sub", subject).str("scope", "ibm openid");
        claims.num("iat", issued).num("exp", issued + seconds);
        claims.num("generation", self.generation).num("jti", self.given);
        let head = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT","kid":"embedded"}"#);
        let signed = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.finish().as_bytes()));
        let signature = self.signature(&signed);
        format!("{signed}.{signature}")
    }

    fn signature(&self, signed: &str) -> String {
        BASE64URL_NOPAD.encode(sha256(format!("{}\n{signed}\n{}", self.key, self.key).as_bytes()).as_bytes())
    }

    /// Whether a token is ours and still good.
    pub(crate) fn good(&self, now: Timestamp, token: &str) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        if self.signature(signed) != signature {
            return false;
        }
        let claims = signed.split('.').nth(1).and_then(|claims| BASE64URL_NOPAD.decode(claims.as_bytes()).ok());
        let claims = claims.and_then(|claims| String::from_utf8(claims).ok());
        let Some(claims) = claims.and_then(|claims| Object::parse(&claims).ok()) else { return false };
        let expires = claims.u64("exp").and_then(|exp| i64::try_from(exp).ok()).unwrap_or(0);
        claims.u64("generation") == Some(self.generation) && now.millis() < expires.saturating_mul(1000)
    }

    /// Makes every token given out so far invalid.
    pub(crate) fn expire_all(&mut self) {
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_with_their_time_their_generation_and_any_change() {
        let mut tokens = Tokens::new("key".to_owned());
        let now = Timestamp::from_millis(1_700_000_000_000);
        let token = tokens.give(now, 60, "iam-ServiceId-x");
        assert_eq!(token.split('.').count(), 3);
        assert!(tokens.good(now, &token));
        assert!(tokens.good(now.plus_millis(59_999), &token));
        assert!(!tokens.good(now.plus_millis(60_000), &token));
        assert!(!tokens.good(now, &token[..token.len() - 1]));
        assert!(!tokens.good(now, ""));
        assert!(!Tokens::new("other".to_owned()).good(now, &token));
        tokens.expire_all();
        assert!(!tokens.good(now, &token));
        let next = tokens.give(now, 60, "iam-ServiceId-x");
        assert!(tokens.good(now, &next));
    }
}
