//! The access token: fetched once for all callers, used until shortly before it expires.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::json::Members;
use crate::provider::InstanceError;

/// Time before its expiry in which a token is not used: the request could arrive too late.
const DEAD_BEFORE_EXPIRY: Duration = Duration::from_secs(10);
/// Minimum delay after a failed refresh of a token that is still valid.
const REFRESH_AGAIN: Duration = Duration::from_secs(30);
/// Maximum lifetime of a token, whatever the answer says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// One access token.
#[derive(Debug)]
pub(super) struct Token {
    text: SecretString,
    /// Identifies the token, so that of several callers with a 401 for the same token only one fetches a new one.
    number: u64,
    refresh_at: Instant,
    dead_at: Instant,
}

impl Token {
    /// Parses the identity service's answer to a request that was sent at `asked`.
    pub(super) fn parse(answer: &str, asked: Instant) -> Result<Self, InstanceError> {
        let what = "exchange the API key for a token";
        let malformed = |problem: &str| InstanceError::Malformed { what: what.to_owned(), problem: problem.to_owned() };
        let members = Members::parse(answer).map_err(|_| malformed("it is no JSON object"))?;
        let member = |name: &str| members.0.iter().rev().find(|(member, _)| member == name).map(|(_, v)| v.get());
        let text = member("access_token")
            .and_then(|value| serde_json::from_str::<Box<str>>(value).ok())
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| malformed("it has no `access_token`"))?;
        let life = member("expires_in")
            .and_then(|value| value.parse().ok())
            .map(Duration::from_secs)
            .filter(|life| *life > DEAD_BEFORE_EXPIRY)
            .ok_or_else(|| malformed("its `expires_in` is no number of seconds above 10"))?
            .min(LONGEST_LIFE);
        let dead_at = asked + life - DEAD_BEFORE_EXPIRY;
        let refresh_at = dead_at.min(asked + life.mul_f64(0.8));
        Ok(Self { text: SecretString::from(text), number: 0, refresh_at, dead_at })
    }

    /// Returns true if it is too close to its expiry to be sent.
    fn is_dead(&self) -> bool {
        Instant::now() >= self.dead_at
    }

    /// Returns the token text.
    pub(super) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// Cache of the current token, which fetches the next one.
#[derive(Debug, Default)]
pub(super) struct TokenCell {
    current: RwLock<Option<Arc<Token>>>,
    /// Held by the one caller that fetches; counts the tokens.
    fetching: Mutex<u64>,
}

impl TokenCell {
    /// Returns the current token. If there is none or it is about to expire, returns a new one from `fetch`. At most
    /// one caller fetches at a time. While the old token is valid, others use it, and a failed fetch is not an error.
    pub(super) async fn get<F, Fut>(&self, fetch: F) -> Result<Arc<Token>, InstanceError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Token, InstanceError>>,
    {
        let now = Instant::now();
        let current = self.current();
        if let Some(token) = &current
            && now < token.refresh_at
        {
            return Ok(Arc::clone(token));
        }
        let living = current.filter(|token| now < token.dead_at);
        let mut fetched = match (&living, self.fetching.try_lock()) {
            (_, Ok(fetched)) => fetched,
            (Some(token), Err(_)) => return Ok(Arc::clone(token)),
            (None, Err(_)) => self.fetching.lock().await,
        };
        // Another caller may have fetched a token during the wait.
        if let Some(token) = self.current()
            && Instant::now() < token.refresh_at
        {
            return Ok(token);
        }
        match (fetch().await, living) {
            (Ok(mut token), _) => {
                *fetched += 1;
                token.number = *fetched;
                let token = Arc::new(token);
                self.put(Some(Arc::clone(&token)));
                Ok(token)
            }
            (Err(_), Some(old)) if Instant::now() < old.dead_at => {
                let later = (Instant::now() + REFRESH_AGAIN).min(old.dead_at);
                let text = SecretString::from(old.expose());
                let same = Arc::new(Token { text, number: old.number, refresh_at: later, dead_at: old.dead_at });
                self.put(Some(Arc::clone(&same)));
                Ok(same)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Returns true if there is a token that can be sent.
    pub(super) fn is_alive(&self) -> bool {
        self.current().is_some_and(|token| !token.is_dead())
    }

    /// Drops a token that the instance rejected, unless it has already been replaced.
    pub(super) fn refuse(&self, refused: &Token) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|token| token.number == refused.number) {
            *current = None;
        }
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, token: Option<Arc<Token>>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tasks of a test end with its runtime")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn token(life: u64) -> Token {
        Token::parse(&format!(r#"{{"access_token":"a.b.c","expires_in":{life}}}"#), Instant::now()).unwrap()
    }

    fn failure() -> InstanceError {
        InstanceError::Unauthenticated { what: "x".to_owned(), message: "y".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_fetched_once_for_many_and_again_at_four_fifths() {
        let cell = Arc::new(TokenCell::default());
        let fetches = Arc::new(AtomicU32::new(0));
        let get = || {
            let (cell, fetches) = (Arc::clone(&cell), Arc::clone(&fetches));
            tokio::spawn(async move {
                cell.get(|| async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    fetches.fetch_add(1, Ordering::Relaxed);
                    Ok(token(3_600))
                })
                .await
                .map(|token| token.number)
            })
        };
        let all: Vec<_> = (0..20).map(|_| get()).collect();
        for one in all {
            assert_eq!(one.await.unwrap().unwrap(), 1);
        }
        tokio::time::advance(Duration::from_secs(2_870)).await;
        assert_eq!(get().await.unwrap().unwrap(), 1);
        tokio::time::advance(Duration::from_secs(20)).await;
        let (first, second) = (get(), get());
        tokio::task::yield_now().await;
        assert_eq!(first.await.unwrap().unwrap(), 2);
        assert_eq!(second.await.unwrap().unwrap(), 1, "the old one lives while the new one is fetched");
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_refresh_is_none_as_long_as_the_old_one_lives() {
        let cell = TokenCell::default();
        cell.get(|| async { Ok(token(1_000)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(900)).await;
        assert_eq!(cell.get(|| async { Err(failure()) }).await.unwrap().number, 1);
        tokio::time::advance(Duration::from_secs(89)).await;
        assert_eq!(cell.get(|| async { Err(failure()) }).await.unwrap().number, 1);
        let last = cell.get(|| async { Err(failure()) }).await.unwrap();
        assert!(!last.is_dead());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(last.is_dead());
        assert!(cell.get(|| async { Err(failure()) }).await.is_err(), "dead ten seconds before it expires");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once() {
        let cell = TokenCell::default();
        let first = cell.get(|| async { Ok(token(3_600)) }).await.unwrap();
        cell.refuse(&first);
        let second = cell.get(|| async { Ok(token(3_600)) }).await.unwrap();
        assert_eq!(second.number, 2);
        cell.refuse(&first);
        assert_eq!(cell.get(|| async { Ok(token(3_600)) }).await.unwrap().number, 2, "the second was not refused");
    }

    #[tokio::test(start_paused = true)]
    async fn rubbish_is_no_token() {
        for text in [
            "",
            "[]",
            r#"{"expires_in":3600}"#,
            r#"{"access_token":"","expires_in":3600}"#,
            r#"{"access_token":"a b","expires_in":3600}"#,
            r#"{"access_token":"a.b.c"}"#,
            r#"{"access_token":"a.b.c","expires_in":-1}"#,
            r#"{"access_token":"a.b.c","expires_in":10}"#,
        ] {
            assert!(Token::parse(text, Instant::now()).is_err(), "{text}");
        }
        assert!(!format!("{:?}", token(99)).contains("a.b.c"));
    }
}
