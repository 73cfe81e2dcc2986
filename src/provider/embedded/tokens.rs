//! Access tokens, signed with a key that only this instance knows, so that no list of tokens is kept.

use data_encoding::BASE64URL_NOPAD;

use super::state::text::ObjectText;
use crate::crypto::digest::sha256;
use crate::model::Timestamp;
use crate::model::json::JsonObject;

/// Issues and checks tokens. They look like the provider's JWTs; the signature is our own.
pub(crate) struct Tokens {
    key: String,
    /// Tokens of an earlier generation are invalid.
    generation: u64,
    given: u64,
}

impl Tokens {
    pub(crate) fn new(key: String) -> Self {
        Self { key, generation: 0, given: 0 }
    }

    /// Issues a token that is valid for `seconds` from `now`, for the API key with this number.
    pub(crate) fn give(&mut self, now: Timestamp, seconds: u64, subject: &str, key: u64) -> String {
        self.given += 1;
        let issued = u64::try_from(now.millis() / 1000).unwrap_or(0);
        let mut claims = ObjectText::new();
        claims.str("iam_id", subject).str("sub", subject).str("scope", "ibm openid");
        claims.num("iat", issued).num("exp", issued + seconds);
        claims.num("generation", self.generation).num("jti", self.given).num("key", key);
        let head = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT","kid":"embedded"}"#);
        let signed = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.finish().as_bytes()));
        let signature = self.signature(&signed);
        format!("{signed}.{signature}")
    }

    fn signature(&self, signed: &str) -> String {
        BASE64URL_NOPAD.encode(sha256(format!("{}\n{signed}\n{}", self.key, self.key).as_bytes()).as_bytes())
    }

    /// Returns the number of the API key behind a token; `None` if the token is not ours or no longer valid.
    pub(crate) fn key(&self, now: Timestamp, token: &str) -> Option<u64> {
        let (signed, signature) = token.rsplit_once('.')?;
        if self.signature(signed) != signature {
            return None;
        }
        let claims = BASE64URL_NOPAD.decode(signed.split('.').nth(1)?.as_bytes()).ok()?;
        let claims = JsonObject::parse(&String::from_utf8(claims).ok()?).ok()?;
        let expires = claims.u64("exp").and_then(|exp| i64::try_from(exp).ok()).unwrap_or(0);
        let good = claims.u64("generation") == Some(self.generation) && now.millis() < expires.saturating_mul(1000);
        claims.u64("key").filter(|_| good)
    }

    /// Invalidates all tokens issued so far.
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
        let token = tokens.give(now, 60, "iam-ServiceId-x", 3);
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(tokens.key(now, &token), Some(3));
        assert_eq!(tokens.key(now.plus_millis(59_999), &token), Some(3));
        assert_eq!(tokens.key(now.plus_millis(60_000), &token), None);
        assert_eq!(tokens.key(now, &token[..token.len() - 1]), None);
        assert_eq!(tokens.key(now, ""), None);
        assert_eq!(Tokens::new("other".to_owned()).key(now, &token), None);
        tokens.expire_all();
        assert_eq!(tokens.key(now, &token), None);
        let next = tokens.give(now, 60, "iam-ServiceId-x", 3);
        assert_eq!(tokens.key(now, &next), Some(3));
    }
}
