//! Signing requests for imported certificates, created by the instance, which keeps the key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::data::Secret;
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::text::ObjectText;
use super::issue::{self, SubjectRole};
use super::key::{Algorithm, CertificateKey};
use super::members::{self, MemberShape, MemberTable, flag, integer, one_of};
use super::names::{self, Sans};
use crate::model::Payload;
use crate::model::json::{JsonObject, raw};

const TEXTS: [&str; 7] = ["ou", "organization", "country", "locality", "province", "street_address", "postal_code"];
const FLAGS: [(&str, bool); 6] = [
    ("require_cn", true),
    ("exclude_cn_from_sans", false),
    ("server_flag", true),
    ("client_flag", true),
    ("code_signing_flag", false),
    ("email_protection_flag", false),
];
const MEMBERS: MemberTable = &[
    ("ou", MemberShape::Texts),
    ("organization", MemberShape::Texts),
    ("country", MemberShape::Texts),
    ("locality", MemberShape::Texts),
    ("province", MemberShape::Texts),
    ("street_address", MemberShape::Texts),
    ("postal_code", MemberShape::Texts),
    ("require_cn", MemberShape::Flag),
    ("common_name", MemberShape::Text),
    ("alt_names", MemberShape::Text),
    ("ip_sans", MemberShape::Text),
    ("uri_sans", MemberShape::Text),
    ("other_sans", MemberShape::Text),
    ("exclude_cn_from_sans", MemberShape::Flag),
    ("user_ids", MemberShape::Text),
    ("server_flag", MemberShape::Flag),
    ("client_flag", MemberShape::Flag),
    ("code_signing_flag", MemberShape::Flag),
    ("email_protection_flag", MemberShape::Flag),
    ("key_type", MemberShape::Text),
    ("key_bits", MemberShape::Number),
    ("key_usage", MemberShape::Text),
    ("ext_key_usage", MemberShape::Text),
    ("policy_identifiers", MemberShape::Text),
    ("ext_key_usage_oids", MemberShape::Text),
    ("rotate_keys", MemberShape::Flag),
];

/// A signing request with its key, stored in its secret where no answer shows the key by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Managed {
    /// Members as given, or their defaults.
    settings: JsonObject,
    pub(crate) csr: String,
    #[serde(with = "super::super::payload_text")]
    key: Option<Arc<Payload>>,
    /// Metadata for the first version, until it exists.
    pub(crate) version_custom_metadata: Option<Box<RawValue>>,
}

impl Managed {
    /// Returns the request of a secret, if any.
    pub(crate) fn of(secret: &Secret) -> Option<Self> {
        serde_json::from_str(secret.inner.as_deref()?.expose()).ok()
    }

    /// Returns the text that [`Managed::of`] reads.
    pub(crate) fn to_inner(&self) -> Payload {
        // Plain data with string keys always serializes.
        Payload::new(Zeroizing::new(serde_json::to_string(self).unwrap_or_default()))
    }

    /// Returns its private key, PKCS #8 in PEM.
    pub(crate) fn key(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.as_deref().map(Payload::expose).unwrap_or_default().to_owned())
    }

    /// Returns the member `managed_csr`, with or without the key.
    pub(crate) fn object(&self, with_key: bool) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        for (name, value) in self.settings.iter() {
            object.raw(name, value.get());
        }
        object.str("csr", &self.csr);
        if with_key {
            object.str("private_key", &self.key());
        }
        object.finish()
    }

    /// Returns the same as a metadata member, without the key.
    pub(crate) fn field(&self) -> Box<RawValue> {
        RawValue::from_string(self.object(false).to_string()).unwrap_or_default()
    }
}

impl InstanceState {
    /// Creates a signing request from the member `managed_csr`. With `before`, only the given members change.
    pub(crate) fn manage_csr(&mut self, member: &RawValue, before: Option<&Managed>) -> Result<Managed, Refusal> {
        let body = InputBody::parse(member.get())?;
        body.only(&members::names(&[MEMBERS], &[]))?;
        let mut settings = before.map(|before| before.settings.clone()).unwrap_or_default();
        for (name, _) in MEMBERS.iter().filter(|(name, _)| body.clears(name)) {
            settings.remove(name);
        }
        for (name, value) in members::given(&body, &[MEMBERS])?.iter() {
            settings.set(name, value.to_owned());
        }
        one_of(&settings, "key_type", &["rsa", "ec", "ed25519"])?;
        let bits = integer(&settings, "key_bits").map(|bits| u64::try_from(bits).unwrap_or(1));
        let algorithm = Algorithm::parse(settings.str("key_type").as_deref(), bits)?;
        let kept = before.filter(|before| {
            let same =
                |name: &str, value: Box<RawValue>| before.settings.get(name).is_some_and(|b| b.get() == value.get());
            !flag(&settings, "rotate_keys", false)
                && same("key_type", raw(algorithm.key_type()))
                && same("key_bits", raw(&algorithm.key_bits()))
        });
        settings.set("key_type", raw(algorithm.key_type()));
        settings.set("key_bits", raw(&algorithm.key_bits()));
        for name in TEXTS {
            if settings.get(name).is_none() {
                settings.set(name, raw::<[&str]>(&[]));
            }
        }
        for (name, otherwise) in FLAGS {
            if settings.get(name).is_none() {
                settings.set(name, raw(&otherwise));
            }
        }
        let common_name = settings.str("common_name").filter(|name| !name.is_empty());
        if common_name.is_none() && flag(&settings, "require_cn", true) {
            return Err(Refusal::invalid("The field 'managed_csr.common_name' is required."));
        }
        let mut sans = Sans::parse(&settings)?;
        if let Some(name) = common_name.as_deref().filter(|_| !flag(&settings, "exclude_cn_from_sans", false)) {
            sans.add_common_name(name);
        }
        let key = match kept {
            Some(before) => CertificateKey::from_pem(&before.key())?,
            None => CertificateKey::generate(algorithm, &mut self.ids)?,
        };
        let csr = issue::request(names::subject(&settings, common_name.as_deref())?, &sans, SubjectRole::Plain, &key)?;
        Ok(Managed {
            settings,
            csr,
            key: Some(Arc::new(Payload::new(key.to_pem()?))),
            version_custom_metadata: before.and_then(|before| before.version_custom_metadata.clone()),
        })
    }
}
