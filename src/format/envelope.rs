//! The DSSE envelope: one payload, one signature, one encoding.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::FormatError;
use crate::crypto::digest::sha256;
use crate::crypto::dsse::pre_authentication;
use crate::crypto::{PublicKey, SigningKey};
use crate::model::{Digest, limits};

/// The type of the payload of every envelope here.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signed payload. The signature is not checked by reading; see [`Envelope::fits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What is signed.
    pub payload: Vec<u8>,
    /// The fingerprint of the key that is said to have signed.
    pub key: Digest,
    /// The signature.
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: [WireSignature; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: Digest,
    sig: String,
}

impl Envelope {
    /// Signs a payload.
    #[must_use]
    pub fn sign(payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&pre_authentication(PAYLOAD_TYPE, &payload));
        Self { payload, key: key.public().fingerprint(), signature }
    }

    /// Whether `key` is the key that it names and the signature is that key's.
    #[must_use]
    pub fn fits(&self, key: &PublicKey) -> bool {
        key.fingerprint() == self.key && key.verify(&pre_authentication(PAYLOAD_TYPE, &self.payload), &self.signature)
    }

    /// The digest of the payload.
    #[must_use]
    pub fn payload_digest(&self) -> Digest {
        sha256(&self.payload)
    }

    /// The one encoding: these members in this order, no white space, padded Base64, no line feed at the end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!(
            r#"{{"payload":"{}","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"{}","sig":"{}"}}]}}"#,
            BASE64.encode(&self.payload),
            self.key,
            BASE64.encode(&self.signature)
        )
        .into_bytes()
    }

    /// Reads an envelope; anything but its one encoding is refused.
    ///
    /// A signature covers the payload only. If any other spelling were taken, whoever can write into the bucket could
    /// make a second valid file, with a second digest, out of any entry.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] over 1 MiB, [`FormatError::Malformed`] for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let what = "envelope";
        if bytes.len() > limits::ENTRY {
            return Err(FormatError::TooLarge { what, size: bytes.len(), limit: limits::ENTRY });
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| FormatError::json(what, &error))?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(FormatError::malformed(what, "another payload type"));
        }
        let [WireSignature { keyid, sig }] = wire.signatures;
        let not_base64 = |_| FormatError::malformed(what, "not padded Base64");
        let payload = BASE64.decode(wire.payload.as_bytes()).map_err(not_base64)?;
        let signature = BASE64.decode(sig.as_bytes()).map_err(not_base64)?;
        let signature = signature.try_into().map_err(|_| FormatError::malformed(what, "a signature has 64 bytes"))?;
        let envelope = Self { payload, key: keyid, signature };
        if envelope.encode() != bytes {
            return Err(FormatError::malformed(what, "not the one encoding (order, white space, or spelling differ)"));
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> (SigningKey, Envelope) {
        let key = SigningKey::from_seed(&[1; 32]);
        let envelope = Envelope::sign(br#"{"a":1}"#.to_vec(), &key);
        (key, envelope)
    }

    #[test]
    fn an_envelope_reads_back_and_fits_its_key_only() {
        let (key, envelope) = envelope();
        let read = Envelope::decode(&envelope.encode()).unwrap();
        assert_eq!(read, envelope);
        assert!(read.fits(&key.public()));
        assert!(!read.fits(&SigningKey::from_seed(&[2; 32]).public()));
        let renamed = Envelope { key: SigningKey::from_seed(&[2; 32]).public().fingerprint(), ..read.clone() };
        assert!(!renamed.fits(&key.public()), "the name of the key must be right too");
        let changed = Envelope { payload: br#"{"a":2}"#.to_vec(), ..read };
        assert!(!changed.fits(&key.public()));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let (_, envelope) = envelope();
        let text = String::from_utf8(envelope.encode()).unwrap();
        let payload = BASE64.encode(&envelope.payload);
        let signature = text.split_once(r#""signatures":"#).unwrap().1.trim_end_matches('}').to_owned() + "}]";
        let signature = signature.trim_end_matches("]}]").to_owned() + "]";
        for (name, changed) in [
            ("re-indented", text.replace(',', ", ")),
            ("line feed at the end", format!("{text}\n")),
            ("unpadded", text.replace(&payload, payload.trim_end_matches('='))),
            ("url-safe", text.replace('+', "-").replace('/', "_")),
            ("extra member", text.replacen('{', r#"{"x":1,"#, 1)),
            ("escaped", text.replacen("\"payload\"", r#""p\u0061yload""#, 1)),
            ("other type", text.replace("in-toto", "other")),
            ("no signature", text.replace(&signature, "[]")),
            ("upper-case key", text.replace(&envelope.key.to_string(), &envelope.key.to_string().to_uppercase())),
        ] {
            assert_ne!(changed, text, "{name} changed nothing");
            assert!(Envelope::decode(changed.as_bytes()).is_err(), "{name}");
        }
    }
}
