//! The DSSE envelope: one payload and its signatures, in canonical form.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde::Deserialize;

use super::{FormatError, canonical};
use crate::crypto::digest::sha256;
use crate::crypto::dsse::pre_authentication;
use crate::crypto::{PublicKey, SigningKey};
use crate::model::{Digest, limits};

/// The payload type of every envelope of this format.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Maximum bytes of one signature of any algorithm.
const SIGNATURE: usize = 8_192;

/// Content of an envelope; the bounds depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// An entry: 1 MiB, 1 to 8 signatures.
    Entry,
    /// A version of the trust policy: 512 KiB; up to 64 signatures, 256 KiB in total, or none.
    Policy,
}

/// A signed payload. Reading does not check signatures; [`Envelope::is_signed_by`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signatures, in stored order.
    pub signatures: BTreeSet<Signature>,
}

/// One signature and the key that it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The fingerprint of the key.
    pub keyid: Digest,
    /// The signature; 64 bytes for Ed25519.
    pub bytes: Vec<u8>,
}

/// Ordered by key, then by Base64 text, as stored. Within one key this differs from the order by bytes.
impl Ord for Signature {
    fn cmp(&self, other: &Self) -> Ordering {
        let differs = self.bytes.iter().zip(&other.bytes).take_while(|(one, other)| one == other).count();
        // Base64 encodes three bytes at a time, so only one group of the texts has to be compared.
        let group = |bytes: &[u8]| {
            let group = bytes.chunks(3).nth(differs / 3);
            group.map(|group| BASE64.encode(group)).unwrap_or_default()
        };
        self.keyid.cmp(&other.keyid).then_with(|| group(&self.bytes).cmp(&group(&other.bytes)))
    }
}

impl PartialOrd for Signature {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: Digest,
    sig: String,
}

impl Envelope {
    /// Creates an envelope without a signature.
    #[must_use]
    pub fn unsigned(payload: Vec<u8>) -> Self {
        Self { payload, signatures: BTreeSet::new() }
    }

    /// Adds the signature of a key. Repeating it has no effect: Ed25519 is deterministic.
    pub fn sign(&mut self, key: &SigningKey) {
        let bytes = key.sign(&pre_authentication(PAYLOAD_TYPE, &self.payload)).to_vec();
        self.pool([Signature { keyid: key.public().fingerprint(), bytes }]);
    }

    /// Adds the signatures of another copy of this payload.
    pub fn pool(&mut self, signatures: impl IntoIterator<Item = Signature>) {
        self.signatures.extend(signatures);
    }

    /// Returns true if one of the signatures is a good one of `key`.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.good_of(key).is_some()
    }

    /// Returns the first good signature of `key`.
    #[must_use]
    pub fn good_of(&self, key: &PublicKey) -> Option<&Signature> {
        let mut own = self.in_the_name_of(key.fingerprint()).peekable();
        // The signed message is a copy of the payload: build it once, and only if there is something to check.
        own.peek()?;
        let message = pre_authentication(PAYLOAD_TYPE, &self.payload);
        own.find(|signature| {
            let bytes = signature.bytes.as_slice().try_into();
            bytes.is_ok_and(|bytes: &[u8; 64]| key.verify(&message, bytes))
        })
    }

    /// Removes every signature that claims `key`, except one good one. Returns true if there is one.
    pub fn keep_good_of(&mut self, key: &PublicKey) -> bool {
        let good = self.good_of(key).cloned();
        let others = self.in_the_name_of(key.fingerprint()).filter(|signature| Some(*signature) != good.as_ref());
        for other in others.cloned().collect::<Vec<_>>() {
            self.signatures.remove(&other);
        }
        good.is_some()
    }

    fn in_the_name_of(&self, keyid: Digest) -> impl Iterator<Item = &Signature> {
        let from = Signature { keyid, bytes: Vec::new() };
        self.signatures.range(from..).take_while(move |signature| signature.keyid == keyid)
    }

    /// Returns the digest of the payload, which names it everywhere.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&self.payload)
    }

    /// Returns the digest of the payload of stored bytes, without reading the rest. `None` if they cannot be an
    /// envelope.
    #[must_use]
    pub fn peek_digest(bytes: &[u8]) -> Option<Digest> {
        // In canonical form the payload is the first member, and Base64 contains no quote.
        let payload = bytes.strip_prefix(br#"{"payload":""#)?.split(|byte| *byte == b'"').next()?;
        BASE64.decode(payload).ok().map(|payload| sha256(&payload))
    }

    /// Returns the bytes to store.
    ///
    /// # Errors
    /// [`FormatError`] if it exceeds the bounds of its content.
    pub fn encode(&self, holds: Holds) -> Result<Vec<u8>, FormatError> {
        self.check_signatures(holds)?;
        let bytes = self.written().into_bytes();
        holds.check_size(bytes.len())?;
        Ok(bytes)
    }

    /// Returns the canonical form.
    fn written(&self) -> String {
        let mut text = String::with_capacity(BASE64.encode_len(self.payload.len()) + 256);
        text.push_str(r#"{"payload":""#);
        BASE64.encode_append(&self.payload, &mut text);
        text.push_str(r#"","payloadType":""#);
        text.push_str(PAYLOAD_TYPE);
        text.push_str(r#"","signatures":["#);
        for (number, signature) in self.signatures.iter().enumerate() {
            text.push_str(if number == 0 { r#"{"keyid":""# } else { r#",{"keyid":""# });
            text.push_str(&signature.keyid.to_string());
            text.push_str(r#"","sig":""#);
            BASE64.encode_append(&signature.bytes, &mut text);
            text.push_str(r#""}"#);
        }
        text.push_str("]}");
        text
    }

    /// Reads an envelope. Its payload must be canonical, too.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] if it exceeds the size, [`FormatError::Malformed`] for all other errors.
    pub fn decode(bytes: &[u8], holds: Holds) -> Result<Self, FormatError> {
        let what = holds.what();
        holds.check_size(bytes.len())?;
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| FormatError::json(what, &error))?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(FormatError::malformed(what, "another payload type"));
        }
        let base64 =
            |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| FormatError::malformed(what, "not padded Base64"));
        let payload = base64(&wire.payload)?;
        let signatures = wire.signatures.iter().map(|wire| {
            let bytes = base64(&wire.sig)?;
            Ok(Signature { keyid: wire.keyid, bytes })
        });
        let envelope = Self { payload, signatures: signatures.collect::<Result<_, FormatError>>()? };
        if !wire.signatures.is_sorted_by(|a, b| (a.keyid, &a.sig) < (b.keyid, &b.sig)) {
            return Err(FormatError::malformed(what, "its signatures are not sorted, or one is repeated"));
        }
        // One content has one spelling: refuse everything else that the JSON reader accepted.
        if envelope.written().as_bytes() != bytes {
            return Err(FormatError::malformed(what, "not in canonical form"));
        }
        envelope.check_signatures(holds)?;
        canonical::check(what, &envelope.payload)?;
        Ok(envelope)
    }

    fn check_signatures(&self, holds: Holds) -> Result<(), FormatError> {
        let refuse = |problem: &str| Err(FormatError::malformed(holds.what(), problem));
        if self.signatures.iter().any(|signature| signature.bytes.is_empty() || signature.bytes.len() > SIGNATURE) {
            return refuse("a signature has 1 to 8,192 bytes");
        }
        let bytes: usize = self.signatures.iter().map(|signature| signature.bytes.len()).sum();
        match holds {
            Holds::Entry if !(1..=8).contains(&self.signatures.len()) => refuse("an entry has 1 to 8 signatures"),
            Holds::Policy if self.signatures.len() > 64 || bytes > 256 * 1024 => {
                refuse("a policy has at most 64 signatures of together 256 KiB")
            }
            _ => Ok(()),
        }
    }
}

impl Holds {
    const fn what(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Policy => "trust policy",
        }
    }

    fn check_size(self, size: usize) -> Result<(), FormatError> {
        let limit = match self {
            Self::Entry => limits::ENTRY,
            Self::Policy => limits::POLICY,
        };
        if size > limit { Err(FormatError::TooLarge { what: self.what(), size, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn envelope(signers: &[u8]) -> Envelope {
        let mut envelope = Envelope::unsigned(br#"{"a":1}"#.to_vec());
        signers.iter().for_each(|signer| envelope.sign(&key(*signer)));
        envelope
    }

    #[test]
    fn an_envelope_reads_back_and_knows_its_signers() {
        let envelope = envelope(&[3, 1]);
        let bytes = envelope.encode(Holds::Entry).unwrap();
        let read = Envelope::decode(&bytes, Holds::Entry).unwrap();
        assert_eq!(read, envelope);
        assert!(read.is_signed_by(&key(1).public()) && read.is_signed_by(&key(3).public()));
        assert!(!read.is_signed_by(&key(2).public()));
        let changed = Envelope { payload: br#"{"a":2}"#.to_vec(), ..read };
        assert!(!changed.is_signed_by(&key(1).public()));
    }

    #[test]
    fn a_bad_signature_beside_a_good_one_changes_nothing() {
        let mut envelope = envelope(&[1]);
        envelope.pool([Signature { keyid: key(1).public().fingerprint(), bytes: vec![0; 64] }]);
        envelope.pool([Signature { keyid: key(2).public().fingerprint(), bytes: vec![7; 2_420] }]);
        let read = Envelope::decode(&envelope.encode(Holds::Entry).unwrap(), Holds::Entry).unwrap();
        assert!(read.is_signed_by(&key(1).public()) && !read.is_signed_by(&key(2).public()));
    }

    #[test]
    fn a_policy_may_be_unsigned_and_an_entry_may_not() {
        let unsigned = envelope(&[]);
        assert!(unsigned.encode(Holds::Policy).is_ok() && unsigned.encode(Holds::Entry).is_err());
        let many: Vec<u8> = (1..=9).collect();
        assert!(envelope(&many).encode(Holds::Entry).is_err() && envelope(&many).encode(Holds::Policy).is_ok());
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let envelope = envelope(&[1, 2]);
        let text = String::from_utf8(envelope.encode(Holds::Entry).unwrap()).unwrap();
        let payload = BASE64.encode(&envelope.payload);
        let array = ["payload", "payloadType", "signatures"]
            .into_iter()
            .fold(text.clone(), |text, member| text.replace(&format!("\"{member}\":"), ""));
        let array = format!("[{}]", &array[1..array.len() - 1]);
        let signatures: Vec<&Signature> = envelope.signatures.iter().collect();
        let [first, second] = signatures.as_slice() else { panic!() };
        for (name, changed) in [
            ("re-indented", text.replace(',', ", ")),
            ("line feed at the end", format!("{text}\n")),
            ("unpadded", text.replace(&payload, payload.trim_end_matches('='))),
            ("extra member", text.replacen('{', r#"{"aaa":1,"#, 1)),
            ("escaped", text.replacen("\"payload\"", r#""p\u0061yload""#, 1)),
            ("other type", text.replace("in-toto", "other")),
            ("upper-case key", text.replace(&first.keyid.to_string(), &first.keyid.to_string().to_uppercase())),
            ("an array of its members", array),
            ("payload not canonical", text.replace(&payload, &BASE64.encode(br#"{"a": 1}"#))),
            (
                "repeated",
                text.replace(&second.keyid.to_string(), &first.keyid.to_string())
                    .replace(&BASE64.encode(&second.bytes), &BASE64.encode(&first.bytes)),
            ),
        ] {
            assert_ne!(changed, text, "{name} changed nothing");
            assert!(Envelope::decode(changed.as_bytes(), Holds::Entry).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn signatures_are_in_the_order_of_their_texts(
            one in proptest::collection::vec(250u8..=255, 0..9),
            other in proptest::collection::vec(250u8..=255, 0..9),
        ) {
            let signature = |bytes: &[u8]| Signature { keyid: sha256(b"key"), bytes: bytes.to_vec() };
            let texts = BASE64.encode(&one).cmp(&BASE64.encode(&other));
            prop_assert_eq!(signature(&one).cmp(&signature(&other)), texts);
        }
    }

    #[test]
    fn of_a_key_one_good_signature_is_kept_and_others_are_left_alone() {
        let mut envelope = envelope(&[1, 2]);
        let whole = envelope.clone();
        let made_up = |seed: u8, byte| Signature { keyid: key(seed).public().fingerprint(), bytes: vec![byte; 64] };
        envelope.pool([0, 100, 255].map(|byte| made_up(1, byte)));
        assert!(envelope.keep_good_of(&key(1).public()));
        assert_eq!(envelope, whole);
        envelope.pool([made_up(3, 7)]);
        assert!(!envelope.keep_good_of(&key(3).public()));
        assert_eq!(envelope, whole);
    }
}
