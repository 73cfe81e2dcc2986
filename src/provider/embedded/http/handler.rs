//! Handles one request, from the wire to the state and back, with its faults.

use std::future;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request as HttpRequest, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::access::Caller;
use super::super::faults::{Act, SeenRequest};
use super::super::instance::EmbeddedInstance;
use super::super::state::{Answer, ApiRequest, Class, PUBLIC, PageFault, Refusal, Verb, class_of, query};
use super::connection::ConnectionHandle;
use super::{answer, body, identity};
use crate::model::Clock;

const TOKEN_PATH: &str = "/identity/token";

/// Faults to apply after the request was processed.
#[derive(Default)]
struct Spoiled {
    page: Option<PageFault>,
    ending: Option<Act>,
    after: Vec<Act>,
}

/// Handles every request, whatever its path.
pub(crate) async fn handle(
    Extract(instance): Extract<EmbeddedInstance>,
    ConnectInfo(line): ConnectInfo<ConnectionHandle>,
    request: HttpRequest,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let now = instance.clock().now();
    let path = parts.uri.path();
    let Some(verb) = Verb::parse(parts.method.as_str()) else {
        return answer::whole(error(&Refusal::method()), now);
    };
    let class = if path == TOKEN_PATH { Class::Token } else { class_of(verb, path) };
    let seen = SeenRequest { verb, path: path.to_owned(), class };
    let body = body::read(body, &parts.headers, instance.switches().max_body).await;
    let mut spoiled = Spoiled::default();
    for act in instance.arrive(&seen) {
        match act {
            Act::Status { status, retry_after } => {
                let refusal = Refusal { status, code: "Error00000", message: "A fault was ordered.".to_owned() };
                return answer::with_retry_after(answer::whole(error(&refusal), now), retry_after.as_deref());
            }
            Act::DropBefore => {
                line.cut();
                return future::pending().await;
            }
            Act::Hang => return future::pending().await,
            Act::ExpireTokens => instance.expire_tokens(),
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Before(hook) => hook(&instance, &seen),
            Act::Page(fault) => spoiled.page = Some(fault),
            Act::After(_) => spoiled.after.push(act),
            ending => spoiled.ending = Some(ending),
        }
    }
    let done = match body {
        Ok(text) if class == Class::Token => identity::token(&instance, &text),
        // Certificates and revocation lists are public.
        Ok(_) if verb == Verb::Get && path.starts_with(PUBLIC) => public(&instance, path),
        Ok(text) => perform(&instance, verb, &parts, &text, spoiled.page),
        Err(refusal) => error(&refusal),
    };
    for act in &spoiled.after {
        if let Act::After(hook) = act {
            hook(&instance, &seen);
        }
    }
    send(done, spoiled.ending, &instance, &line).await
}

fn public(instance: &EmbeddedInstance, path: &str) -> Answer {
    match instance.change(|state, _| state.public_authority_text(path)) {
        Some(pem) => Answer::ok(Zeroizing::new(pem)),
        None => error(&Refusal::endpoint(path)),
    }
}

fn perform(instance: &EmbeddedInstance, verb: Verb, parts: &Parts, body: &str, page: Option<PageFault>) -> Answer {
    let token = header(&parts.headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let caller = match token.and_then(|token| instance.caller(token)) {
        None => return error(&Refusal::unauthenticated()),
        Some(Caller::Outside) => return error(&Refusal::outside_context()),
        Some(caller) => caller,
    };
    let mut query = query(parts.uri.query().unwrap_or_default());
    query.fault = page;
    let config_type = header(&parts.headers, "x-sm-accept-configuration-type");
    let request = ApiRequest { verb, path: parts.uri.path(), query, config_type, body, grants: caller.grants() };
    instance.perform(&request).unwrap_or_else(|refusal| error(&refusal))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn error(refusal: &Refusal) -> Answer {
    let trace = Uuid::new_v4().to_string();
    Answer { status: refusal.status, body: Some(Zeroizing::new(refusal.body(&trace))) }
}

/// Sends the answer, modified by a fault if there is one. Reads the clock again, because processing may have taken
/// time.
async fn send(
    done: Answer,
    ending: Option<Act>,
    instance: &EmbeddedInstance,
    line: &ConnectionHandle,
) -> Response<Body> {
    let now = instance.clock().now();
    let body = |text: &str| Some(Zeroizing::new(text.to_owned()));
    match ending {
        Some(Act::DropAfter) => {
            line.cut();
            future::pending().await
        }
        Some(Act::CutBody) => answer::cut(done, now),
        Some(Act::EmptyBody) => answer::whole(Answer { status: 200, body: body("") }, now),
        Some(Act::InvalidJson) => answer::whole(Answer { body: body(r#"{"secrets":[{"id":"#), ..done }, now),
        Some(Act::Body(text)) => answer::whole(Answer { body: body(&text), ..done }, now),
        _ => answer::whole(done, now),
    }
}
