//! Processing of a request until it is answered: token, pace, retries, counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::answer::Answer;
use super::clock::ProviderClock;
use super::failure::{Refusal, message};
use super::retry::{Tries, asked};
use super::token::{Token, TokenCell};
use super::transport::{Fault, Raw, attempt, body, client};
use crate::model::Timestamp;
use crate::provider::ibm::Pace;
use crate::provider::ibm::settings::{ClientSettings, RetrySettings, checked_url};
use crate::provider::{InstanceError, RequestBody, Requests};

/// Header that distinguishes configurations of the same name.
const CONFIGURATION_TYPE: &str = "X-Sm-Accept-Configuration-Type";

/// Maximum number of new tokens for one request after a 401. A token can expire in transit, perhaps even twice; the
/// limit stops retries for an identity whose access was revoked.
const RENEWALS: u32 = 3;

/// Category under which a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider::ibm) enum Purpose {
    /// A page of a list.
    Listing,
    /// A read of an item.
    Reading,
    /// A write.
    Writing,
}

/// One request to the instance's API.
#[derive(Debug)]
pub(in crate::provider::ibm) struct WireRequest<'a> {
    what: String,
    purpose: Purpose,
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    config_type: Option<&'a str>,
    body: Option<&'a RequestBody>,
}

impl<'a> WireRequest<'a> {
    /// Creates a GET request; `what` completes the sentence "cannot …".
    pub(in crate::provider::ibm) fn get(purpose: Purpose, what: String, path: &[&'a str]) -> Self {
        Self::new(purpose, Method::GET, what, path)
    }

    /// Creates a POST request, which is resent only if it was certainly not accepted.
    pub(in crate::provider::ibm) fn post(what: String, path: &[&'a str], body: &'a RequestBody) -> Self {
        Self { body: Some(body), ..Self::new(Purpose::Writing, Method::POST, what, path) }
    }

    /// Creates a merge-patch request, which can be repeated.
    pub(in crate::provider::ibm) fn patch(what: String, path: &[&'a str], body: &'a RequestBody) -> Self {
        Self { body: Some(body), ..Self::new(Purpose::Writing, Method::PATCH, what, path) }
    }

    /// Creates a DELETE request, which can be repeated.
    pub(in crate::provider::ibm) fn delete(what: String, path: &[&'a str]) -> Self {
        Self::new(Purpose::Writing, Method::DELETE, what, path)
    }

    fn new(purpose: Purpose, method: Method, what: String, path: &[&'a str]) -> Self {
        let path = path.to_vec();
        Self { what, purpose, method, path, query: Vec::new(), config_type: None, body: None }
    }

    /// Adds a query parameter.
    pub(in crate::provider::ibm) fn query(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }

    /// Sets the type of the configuration.
    pub(in crate::provider::ibm) fn config_type(mut self, config_type: &'a str) -> Self {
        self.config_type = Some(config_type);
        self
    }

    fn url(&self, base: &Url) -> Result<Url, InstanceError> {
        let mut url = base.clone();
        let refuse = |why: &str| InstanceError::Unsafe { what: self.what.clone(), why: why.to_owned() };
        {
            let mut path = url.path_segments_mut().map_err(|()| refuse("the base URL takes no path"))?;
            path.pop_if_empty().extend(["api", "v2"]);
            for part in &self.path {
                // Such a segment would vanish from the path, and the request would mean something else.
                if matches!(*part, "" | "." | "..") {
                    return Err(refuse("an id or name in it is empty or a dot"));
                }
                path.push(part);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query.iter().map(|(name, value)| (*name, value.as_str())));
        }
        Ok(url)
    }
}

/// The connection to one instance.
#[derive(Debug)]
pub(in crate::provider::ibm) struct Wire {
    http: Client,
    base: Url,
    iam: Url,
    api_key: SecretString,
    retry: RetrySettings,
    pace: Pace,
    clock: ProviderClock,
    tokens: TokenCell,
    counts: SentCounts,
}

#[derive(Debug, Default)]
struct SentCounts {
    listing: AtomicU64,
    reading: AtomicU64,
    writing: AtomicU64,
    retried: AtomicU64,
    tokens: AtomicU64,
}

impl Wire {
    /// Validates the settings. Sends no request yet.
    pub(in crate::provider::ibm) fn new(settings: &ClientSettings, pace: Pace) -> Result<Self, InstanceError> {
        let base = checked_url("base_url", &settings.base_url, "/api/v2")?;
        let iam = checked_url("iam_url", &settings.iam_url, "/identity/token")?;
        if settings.api_key.expose_secret().trim().is_empty() {
            let why = "is empty; give the IAM API key of the identity that backs up".to_owned();
            return Err(InstanceError::Settings { what: "api_key".to_owned(), why });
        }
        Ok(Self {
            http: client(settings, &base, &iam)?,
            base,
            iam,
            api_key: settings.api_key.clone(),
            retry: settings.retry,
            pace,
            clock: ProviderClock::default(),
            tokens: TokenCell::default(),
            counts: SentCounts::default(),
        })
    }

    /// Host and port of the instance.
    pub(in crate::provider::ibm) fn host(&self) -> String {
        host(&self.base)
    }

    /// Returns the base URL; [`checked_url`] does not allow credentials in it.
    pub(in crate::provider::ibm) fn base_url(&self) -> &Url {
        &self.base
    }

    /// The limiter.
    pub(in crate::provider::ibm) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Returns the provider's current time.
    pub(in crate::provider::ibm) fn now(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    /// Returns the number of requests sent.
    pub(in crate::provider::ibm) fn requests(&self) -> Requests {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests {
            listing: read(&self.counts.listing),
            reading: read(&self.counts.reading),
            writing: read(&self.counts.writing),
            retried: read(&self.counts.retried),
            tokens: read(&self.counts.tokens),
        }
    }

    /// Sends a request whose answer is JSON.
    pub(in crate::provider::ibm) async fn json(&self, request: WireRequest<'_>) -> Result<Answer, InstanceError> {
        let (text, date) = self.send(&request, true).await?;
        Ok(Answer { what: request.what, text, date })
    }

    /// Sends a request whose answer body is ignored.
    pub(in crate::provider::ibm) async fn done(&self, request: WireRequest<'_>) -> Result<(), InstanceError> {
        self.send(&request, false).await.map(|_| ())
    }

    /// Sends the request until there is a usable answer, or no further attempt is allowed.
    async fn send(
        &self,
        request: &WireRequest<'_>,
        json: bool,
    ) -> Result<(Zeroizing<String>, Option<Timestamp>), InstanceError> {
        let url = request.url(&self.base)?;
        let body = request.body.map(RequestBody::bytes);
        let creates = request.method == Method::POST;
        let mut tries = Tries::new(self.retry);
        let mut renewed = 0;
        loop {
            let token = self.turn().await?;
            tries.begin();
            self.count(request.purpose, tries.made() > 1 || renewed > 0);
            let outcome = attempt(self.build(request, url.clone(), body.clone(), &token)?).await;
            let trouble = match outcome {
                Ok(raw) => {
                    let date = self.clock.learn(&raw.headers);
                    match self.judge(request, json, raw) {
                        AnswerClass::Good(text) => {
                            self.pace.succeeded();
                            return Ok((text, date));
                        }
                        AnswerClass::NewToken(error) => {
                            self.tokens.refuse(&token);
                            // The first renewal has no delay, because tokens do expire. Further ones wait as after any
                            // other failure.
                            if renewed >= RENEWALS || (renewed > 0 && !tries.again(None).await) {
                                return Err(error);
                            }
                            renewed += 1;
                            continue;
                        }
                        AnswerClass::Final(error) => return Err(error),
                        AnswerClass::Trouble(trouble) => trouble,
                    }
                }
                // The next answer would be just as large.
                Err(fault @ Fault::TooLarge) => {
                    return Err(Trouble::Lost(fault).into_error(&request.what, self.host(), tries.made(), creates));
                }
                Err(fault) => Trouble::of(fault),
            };
            if let Trouble::Refused { pause, .. } = &trouble {
                self.pace.overloaded(*pause);
            }
            if (creates && !trouble.is_untaken()) || !tries.again(trouble.pause()).await {
                return Err(trouble.into_error(&request.what, self.host(), tries.made(), creates));
            }
        }
    }

    /// Interprets a complete answer.
    fn judge(&self, request: &WireRequest<'_>, json: bool, raw: Raw) -> AnswerClass {
        let what = || request.what.clone();
        let told = |raw: &Raw| request.body.map_or_else(|| message(&raw.text), |body| body.redact(message(&raw.text)));
        match raw.status {
            200..=299 if json => match serde_json::from_str::<&RawValue>(&raw.text) {
                Ok(_) => AnswerClass::Good(raw.text),
                Err(_) if raw.text.trim().is_empty() => AnswerClass::Trouble(Trouble::Unusable("it is empty")),
                Err(_) => AnswerClass::Trouble(Trouble::Unusable("it is no JSON, or cut off")),
            },
            200..=299 => AnswerClass::Good(raw.text),
            401 => AnswerClass::NewToken(InstanceError::Unauthenticated { what: what(), message: told(&raw) }),
            403 => AnswerClass::Final(InstanceError::Forbidden { what: what(), message: told(&raw) }),
            404 => AnswerClass::Final(InstanceError::Gone { what: what() }),
            429 | 500 | 502..=599 => {
                let refusal = Refusal { status: raw.status, message: told(&raw) };
                AnswerClass::Trouble(Trouble::Refused { refusal, pause: asked(&raw.headers, &self.clock) })
            }
            status => AnswerClass::Final(InstanceError::Refused { what: what(), status, message: told(&raw) }),
        }
    }

    fn build(
        &self,
        request: &WireRequest<'_>,
        url: Url,
        body: Option<Bytes>,
        token: &Token,
    ) -> Result<reqwest::RequestBuilder, InstanceError> {
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| InstanceError::Malformed {
            what: request.what.clone(),
            problem: "the token fits into no header".to_owned(),
        })?;
        bearer.set_sensitive(true);
        let mut built = self
            .http
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(config_type) = request.config_type {
            built = built.header(CONFIGURATION_TYPE, config_type);
        }
        if let Some(body) = body {
            let patch = request.method == Method::PATCH;
            let kind = if patch { "application/merge-patch+json" } else { "application/json" };
            built = built.header(CONTENT_TYPE, HeaderValue::from_static(kind)).body(body);
        }
        Ok(built)
    }

    /// Waits for the turn, and then returns the token to send. The token comes second because it might expire during
    /// the wait, and its replacement as well.
    async fn turn(&self) -> Result<Arc<Token>, InstanceError> {
        // Without a valid token no request can be sent, so all callers wait in the queue while one fetches it.
        // Otherwise those past their turn would all send at the same moment, faster than the pace.
        let needed = async { if self.tokens.is_alive() { Ok(()) } else { self.token().await.map(drop) } };
        self.pace.turn_when(needed).await?;
        self.token().await
    }

    async fn token(&self) -> Result<Arc<Token>, InstanceError> {
        self.tokens.get(|| self.fetch_token()).await
    }

    /// Exchanges the API key for a token. The pace does not apply, because it is another service.
    async fn fetch_token(&self) -> Result<Token, InstanceError> {
        let what = "exchange the API key for a token";
        let mut url = self.iam.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["identity", "token"]);
        }
        let form = body(self.form());
        let mut tries = Tries::new(self.retry);
        loop {
            tries.begin();
            let asked_at = Instant::now();
            self.counts.tokens.fetch_add(1, Ordering::Relaxed);
            let request = self
                .http
                .post(url.clone())
                .header(ACCEPT, HeaderValue::from_static("application/json"))
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
                .body(form.clone());
            let trouble = match attempt(request).await {
                Ok(raw) if (200..300).contains(&raw.status) => return Token::parse(&raw.text, asked_at),
                Ok(raw) => {
                    let told = message(&raw.text).replace(self.api_key.expose_secret(), "[redacted]");
                    match raw.status {
                        400 | 401 | 403 => {
                            return Err(InstanceError::Unauthenticated { what: what.to_owned(), message: told });
                        }
                        status @ (429 | 500 | 502..=599) => {
                            let pause = asked(&raw.headers, &self.clock);
                            Trouble::Refused { refusal: Refusal { status, message: told }, pause }
                        }
                        status => {
                            return Err(InstanceError::Refused { what: what.to_owned(), status, message: told });
                        }
                    }
                }
                Err(fault) => Trouble::of(fault),
            };
            if !tries.again(trouble.pause()).await {
                return Err(trouble.into_error(what, host(&self.iam), tries.made(), false));
            }
        }
    }

    /// Returns the form for the exchange, in one buffer that never grows.
    fn form(&self) -> Zeroizing<String> {
        let key = self.api_key.expose_secret().trim();
        let mut form = Zeroizing::new(String::with_capacity(128 + 3 * key.len()));
        form.push_str("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&response_type=cloud_iam&apikey=");
        form_urlencoded::byte_serialize(key.as_bytes()).for_each(|part| form.push_str(part));
        form
    }

    fn count(&self, purpose: Purpose, again: bool) {
        let count = match purpose {
            Purpose::Listing => &self.counts.listing,
            Purpose::Reading => &self.counts.reading,
            Purpose::Writing => &self.counts.writing,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if again {
            self.counts.retried.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Interprets a complete answer.
#[derive(Debug)]
enum AnswerClass {
    Good(Zeroizing<String>),
    NewToken(InstanceError),
    Trouble(Trouble),
    Final(InstanceError),
}

/// A failure that another attempt may avoid.
#[derive(Debug)]
enum Trouble {
    /// The request was not sent.
    Unsent(Fault),
    /// The request may have been sent and carried out.
    Lost(Fault),
    /// 429 or 5xx.
    Refused { refusal: Refusal, pause: Option<std::time::Duration> },
    /// Answered with success, but the body is empty or truncated.
    Unusable(&'static str),
}

impl Trouble {
    fn of(fault: Fault) -> Self {
        if matches!(fault, Fault::Unsent(_)) { Self::Unsent(fault) } else { Self::Lost(fault) }
    }

    /// Returns true if the instance certainly did nothing. A 5xx does not guarantee that.
    fn is_untaken(&self) -> bool {
        match self {
            Self::Unsent(_) => true,
            Self::Refused { refusal, .. } => refusal.status == 429,
            Self::Lost(_) | Self::Unusable(_) => false,
        }
    }

    fn pause(&self) -> Option<std::time::Duration> {
        match self {
            Self::Refused { pause, .. } => *pause,
            _ => None,
        }
    }

    fn into_error(self, what: &str, host: String, attempts: u32, creates: bool) -> InstanceError {
        let what = what.to_owned();
        let unanswered = creates && !self.is_untaken();
        match self {
            Self::Unsent(source) => InstanceError::Unreachable { what, host, source: Box::new(source) },
            Self::Lost(source) if unanswered => InstanceError::Unanswered { what, host, source: Box::new(source) },
            Self::Lost(source @ (Fault::TooLarge | Fault::NoText)) => {
                InstanceError::Malformed { what, problem: source.to_string() }
            }
            Self::Lost(source) => InstanceError::Unreachable { what, host, source: Box::new(source) },
            Self::Refused { refusal, .. } if unanswered => {
                InstanceError::Unanswered { what, host, source: Box::new(refusal) }
            }
            Self::Refused { refusal: Refusal { status, message }, .. } => {
                InstanceError::Overloaded { what, status, attempts, message }
            }
            Self::Unusable(problem) if unanswered => InstanceError::Unanswered { what, host, source: problem.into() },
            Self::Unusable(problem) => InstanceError::Malformed { what, problem: problem.to_owned() },
        }
    }
}

/// Returns host and port of a URL.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}
