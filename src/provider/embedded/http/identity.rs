//! Identity service: exchanges an API key for a token.

use url::form_urlencoded;
use zeroize::Zeroizing;

use super::super::instance::EmbeddedInstance;
use super::super::state::Answer;
use super::super::state::text::ObjectText;

const GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";

/// Answers `POST /identity/token`.
pub(crate) fn token(instance: &EmbeddedInstance, form: &str) -> Answer {
    let field = |wanted: &str| {
        form_urlencoded::parse(form.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| Zeroizing::new(value.into_owned()))
    };
    if field("grant_type").is_none_or(|grant| *grant != GRANT) {
        return refused("BXNIM0137E", "Bad value for parameter 'grant_type'.");
    }
    let Some(api_key) = field("apikey") else {
        return refused("BXNIM0109E", "Property missing or empty: apikey.");
    };
    let Some((access_token, now)) = instance.exchange(&api_key) else {
        return refused("BXNIM0415E", "Provided API key could not be found.");
    };
    let seconds = instance.options().token_seconds;
    let expiration = u64::try_from(now.millis() / 1000).unwrap_or(0) + seconds;
    let mut body = ObjectText::new();
    body.str("access_token", &access_token).str("refresh_token", "not_supported").str("token_type", "Bearer");
    body.num("expires_in", seconds).num("expiration", expiration).str("scope", "ibm openid");
    Answer::ok(body.finish())
}

fn refused(code: &str, message: &str) -> Answer {
    let mut context = ObjectText::new();
    context.str("requestId", "embedded").str("requestType", "incoming.Identity_Token");
    let mut body = ObjectText::new();
    body.str("errorCode", code).str("errorMessage", message).raw("context", &context.finish());
    Answer { status: 400, body: Some(body.finish()) }
}
