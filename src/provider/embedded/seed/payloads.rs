//! Made-up payloads, as members of a create body.

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::super::state::text::{ObjectText, string};
use super::words;

/// Returns a token of 24 to 48 characters.
pub(crate) fn token(rng: &mut ChaCha20Rng) -> Zeroizing<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let length = rng.random_range(24..=48);
    let mut token = Zeroizing::new(String::with_capacity(48));
    for _ in 0..length {
        let index = rng.random_range(0..ALPHABET.len());
        token.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
    }
    token
}

/// Returns a token, a connection string, or a few lines of a file.
pub(crate) fn arbitrary(rng: &mut ChaCha20Rng) -> Zeroizing<String> {
    let token = token(rng);
    let payload = Zeroizing::new(match rng.random_range(0..4) {
        0 => format!("postgres://app:{}@db.example.com:5432/orders?sslmode=verify-full", *token),
        1 => {
            format!("# generated\nuser = \"app\"\npath = C:\\keys\npassword = \"{}\" # ü, 鍵, \u{1F511}\n", *token)
        }
        _ => token.to_string(),
    });
    let mut object = ObjectText::new();
    object.str("payload", &payload);
    object.finish()
}

/// Returns a JSON object, sometimes with numbers that no machine type can hold.
pub(crate) fn key_value(rng: &mut ChaCha20Rng) -> Zeroizing<String> {
    let (key, secret) = (token(rng), token(rng));
    let mut data = ObjectText::new();
    data.str("client_id", &key).str("client_secret", &secret);
    match rng.random_range(0..4) {
        0 => data.raw("limits", r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#),
        1 => data.raw("hosts", r#"["a.example.com","b.example.com"]"#).raw("weight", "0.1000000000000000055511"),
        2 => data.raw("retry", &format!(r#"{{"max":{},"jitter":1E-7}}"#, rng.random_range(1..9))),
        _ => data.str("note", "line one\nline two\t\"quoted\""),
    };
    let mut object = ObjectText::new();
    object.raw("data", &data.finish());
    object.finish()
}

/// Returns a user name and a password.
pub(crate) fn credentials(rng: &mut ChaCha20Rng) -> Zeroizing<String> {
    let index = rng.random_range(0..words::SYSTEMS.len());
    let system = words::SYSTEMS.get(index).copied().unwrap_or("orders");
    let mut object = ObjectText::new();
    object.str("username", &format!("svc.{system}")).str("password", &token(rng));
    object.finish()
}

/// Returns typical custom metadata of a secret.
pub(crate) fn metadata(rng: &mut ChaCha20Rng, owner: &str) -> String {
    let cost = format!("{}.{:02}0", rng.random_range(1..900), rng.random_range(0..100));
    let number: u64 = rng.random();
    format!(r#"{{"owner":{},"cost":{cost},"asset":{number}00,"tags":["a", "b"]}}"#, string(owner))
}
