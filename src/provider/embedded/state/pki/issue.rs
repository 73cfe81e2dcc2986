//! Signing of certificates, requests and revocation lists.

use std::time::Duration;

use p256::pkcs8::LineEnding;
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Error};
use x509_cert::certificate::TbsCertificate;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, Ia5String, ObjectIdentifier, OctetString};
use x509_cert::der::flagset::FlagSet;
use x509_cert::der::{DateTime, DecodePem, Encode, EncodePem};
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, CrlNumber, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, ExtensionReq, RequestBuilder};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    DynSignatureAlgorithmIdentifier, SignatureBitStringEncoding, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

use p256::ecdsa::signature::Signer;

use super::super::ids::Ids;
use super::super::refusal::Refusal;
use super::super::rules;
use super::key::{CertificateKey, EncodedSignature};
use super::names::Sans;
use super::verify::verifies;
use crate::model::Timestamp;

const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// Contents of a certificate.
#[derive(Debug, Default)]
pub(crate) struct CertificateSpec {
    pub(crate) subject: Name,
    pub(crate) sans: Sans,
    pub(crate) role: SubjectRole,
    pub(crate) key_usage: Option<FlagSet<KeyUsages>>,
    pub(crate) extended_key_usage: Vec<ObjectIdentifier>,
    pub(crate) policies: Vec<ObjectIdentifier>,
    /// Domains that an authority may issue for; empty means all.
    pub(crate) permitted_domains: Vec<String>,
    /// URL of the issuer's revocation list.
    pub(crate) crl_url: Option<String>,
    /// URL of the issuer's certificate.
    pub(crate) issuer_url: Option<String>,
}

/// Role of the subject: whether it may sign certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SubjectRole {
    /// End entity, without basic constraints.
    #[default]
    Plain,
    /// End entity, stated in basic constraints.
    EndEntity,
    /// Authority, with at most this many authorities below it.
    Authority(Option<u8>),
}

/// Validity period, in whole seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValidityPeriod {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Issuer: its key, and its certificate or `None` for a self-signed one.
pub(crate) struct Issuer<'a> {
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) key: &'a CertificateKey,
}

/// A revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// Serial number as hexadecimal bytes with colons.
    pub(crate) serial: String,
    pub(crate) at: Timestamp,
}

struct Profile<'a> {
    wanted: &'a CertificateSpec,
    issuer: Option<Name>,
    issuer_key_id: Option<OctetString>,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.clone().unwrap_or_else(|| subject.clone())
    }

    fn get_subject(&self) -> Name {
        self.wanted.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> Result<Vec<Extension>, Error> {
        let (wanted, subject) = (self.wanted, tbs.subject());
        let mut list = Vec::new();
        if let Some(usage) = wanted.key_usage {
            list.push(KeyUsage(usage).to_extension(subject, &list)?);
        }
        if !wanted.extended_key_usage.is_empty() {
            list.push(ExtendedKeyUsage(wanted.extended_key_usage.clone()).to_extension(subject, &list)?);
        }
        match wanted.role {
            SubjectRole::Plain => {}
            SubjectRole::EndEntity => {
                list.push(BasicConstraints { ca: false, path_len_constraint: None }.to_extension(subject, &list)?);
            }
            SubjectRole::Authority(depth) => {
                list.push(BasicConstraints { ca: true, path_len_constraint: depth }.to_extension(subject, &list)?);
            }
        }
        list.push(SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &list)?);
        let issuer = match &self.issuer_key_id {
            Some(id) => AuthorityKeyIdentifier { key_identifier: Some(id.clone()), ..Default::default() },
            None => AuthorityKeyIdentifier::try_from(issuer_key)?,
        };
        list.push(issuer.to_extension(subject, &list)?);
        // The names were already checked when parsed, so an unsuitable one is an encoding error.
        let names = wanted.sans.general_names().map_err(|_| Error::MissingAttributes)?;
        if !names.is_empty() {
            list.push(SubjectAltName(names).to_extension(subject, &list)?);
        }
        if !wanted.permitted_domains.is_empty() {
            list.push(permitted(&wanted.permitted_domains)?.to_extension(subject, &list)?);
        }
        if !wanted.policies.is_empty() {
            let policies = wanted.policies.iter();
            let policies =
                policies.map(|oid| PolicyInformation { policy_identifier: *oid, policy_qualifiers: None }).collect();
            list.push(CertificatePolicies(policies).to_extension(subject, &list)?);
        }
        if let Some(url) = &wanted.crl_url {
            let point = DistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
                reasons: None,
                crl_issuer: None,
            };
            list.push(CrlDistributionPoints(vec![point]).to_extension(subject, &list)?);
        }
        if let Some(url) = &wanted.issuer_url {
            let access = AccessDescription { access_method: CA_ISSUERS, access_location: uri(url)? };
            list.push(AuthorityInfoAccessSyntax(vec![access]).to_extension(subject, &list)?);
        }
        Ok(list)
    }
}

fn uri(url: &str) -> Result<GeneralName, Error> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}

fn permitted(domains: &[String]) -> Result<NameConstraints, Error> {
    let subtree = |domain: &String| -> Result<GeneralSubtree, Error> {
        Ok(GeneralSubtree { base: GeneralName::DnsName(Ia5String::new(domain)?), minimum: 0, maximum: None })
    };
    let subtrees: Result<Vec<_>, _> = domains.iter().map(subtree).collect();
    Ok(NameConstraints { permitted_subtrees: Some(subtrees?), excluded_subtrees: None })
}

fn unencodable(_: impl Sized) -> Refusal {
    Refusal::invalid("The certificate cannot be created: a name, date or key is not valid in X.509.")
}

fn time(time: Timestamp) -> Result<Time, Refusal> {
    let seconds = u64::try_from(time.millis() / 1000).map_err(unencodable)?;
    DateTime::from_unix_duration(Duration::from_secs(seconds)).map(Time::from).map_err(unencodable)
}

/// Generates a serial number: positive, 20 bytes.
pub(crate) fn serial(ids: &mut Ids) -> [u8; 20] {
    let mut bytes = *ids.bytes::<20>();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    bytes
}

/// Formats a serial number for answers.
pub(crate) fn serial_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Signs a certificate for a public key.
pub(crate) fn certificate(
    wanted: &CertificateSpec,
    public: SubjectPublicKeyInfoOwned,
    issuer: &Issuer<'_>,
    serial: &[u8; 20],
    life: ValidityPeriod,
) -> Result<Certificate, Refusal> {
    wanted.sans.general_names()?;
    let profile = Profile {
        wanted,
        issuer: issuer.certificate.map(|certificate| certificate.tbs_certificate().subject().clone()),
        issuer_key_id: issuer.certificate.and_then(key_id),
    };
    let validity = Validity::new(time(life.from)?, time(life.to)?);
    let serial = SerialNumber::new(serial).map_err(unencodable)?;
    let builder = CertificateBuilder::new(profile, serial, validity, public).map_err(unencodable)?;
    builder.build::<_, EncodedSignature>(issuer.key).map_err(unencodable)
}

fn key_id(certificate: &Certificate) -> Option<OctetString> {
    let (_, id) = certificate.tbs_certificate().get_extension::<SubjectKeyIdentifier>().ok()??;
    Some(id.0)
}

/// Encodes a certificate as PEM.
pub(crate) fn to_pem(certificate: &Certificate) -> Result<String, Refusal> {
    certificate.to_pem(LineEnding::LF).map_err(unencodable)
}

/// True if the issuer's key signed the certificate.
pub(crate) fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let Ok(message) = certificate.tbs_certificate().to_der() else { return false };
    let oid = certificate.signature_algorithm().oid;
    let public = issuer.tbs_certificate().subject_public_key_info();
    verifies(public, oid, &message, certificate.signature().raw_bytes())
}

/// Creates a signing request for a key, in PEM.
pub(crate) fn request(subject: Name, sans: &Sans, role: SubjectRole, key: &CertificateKey) -> Result<String, Refusal> {
    let mut builder = RequestBuilder::new(subject).map_err(unencodable)?;
    let names = sans.general_names()?;
    if !names.is_empty() {
        builder.add_extension(&SubjectAltName(names)).map_err(unencodable)?;
    }
    if let SubjectRole::Authority(depth) = role {
        builder.add_extension(&BasicConstraints { ca: true, path_len_constraint: depth }).map_err(unencodable)?;
    }
    builder.build::<_, EncodedSignature>(key).map_err(unencodable)?.to_pem(LineEnding::LF).map_err(unencodable)
}

/// A client's signing request: its names and the public key whose possession it proves.
pub(crate) struct CertificateRequest {
    pub(crate) subject: Name,
    pub(crate) sans: Sans,
    pub(crate) public: SubjectPublicKeyInfoOwned,
}

impl CertificateRequest {
    /// Parses a request and checks its size and signature.
    pub(crate) fn parse(pem: &str) -> Result<Self, Refusal> {
        rules::csr(pem)?;
        let wrong = || Refusal::invalid("The field 'csr' is not a PEM encoded certificate signing request.");
        let request = CertReq::from_pem(pem.trim_start().as_bytes()).map_err(|_| wrong())?;
        let message = request.info.to_der().map_err(|_| wrong())?;
        if !verifies(&request.info.public_key, request.algorithm.oid, &message, request.signature.raw_bytes()) {
            return Err(Refusal::invalid("The field 'csr' is not signed by the key that it is for."));
        }
        Ok(Self { sans: requested_names(&request), subject: request.info.subject, public: request.info.public_key })
    }
}

fn requested_names(request: &CertReq) -> Sans {
    let extensions = request
        .info
        .attributes
        .iter()
        .flat_map(|attribute| attribute.values.iter())
        .filter_map(|value| value.decode_as::<ExtensionReq>().ok())
        .flat_map(|list| list.0);
    let names = extensions.filter_map(|extension| {
        use x509_cert::der::{Decode, oid::AssociatedOid};
        (extension.extn_id == SubjectAltName::OID)
            .then(|| SubjectAltName::from_der(extension.extn_value.as_bytes()).ok())?
    });
    Sans::of(&names.flat_map(|names| names.0).collect::<Vec<_>>())
}

/// Creates a revocation list of an authority, in PEM.
pub(crate) fn revocation_list(
    certificate: &Certificate,
    key: &CertificateKey,
    number: u64,
    revoked: &[Revocation],
    life: ValidityPeriod,
) -> Result<String, Refusal> {
    let name = certificate.tbs_certificate().subject().clone();
    let number = CrlNumber::try_from(number).map_err(unencodable)?;
    let mut extensions = vec![number.to_extension(&name, &[]).map_err(unencodable)?];
    let id = AuthorityKeyIdentifier { key_identifier: key_id(certificate), ..Default::default() };
    extensions.push(id.to_extension(&name, &extensions).map_err(unencodable)?);
    let entry = |revocation: &Revocation| -> Result<RevokedCert, Refusal> {
        let serial: Result<Vec<u8>, _> =
            revocation.serial.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
        Ok(RevokedCert {
            serial_number: SerialNumber::new(&serial.map_err(unencodable)?).map_err(unencodable)?,
            revocation_date: time(revocation.at)?,
            crl_entry_extensions: None,
        })
    };
    let entries = revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let signature = key.signature_algorithm_identifier().map_err(unencodable)?;
    let list = TbsCertList {
        version: x509_cert::certificate::Version::V2,
        signature: signature.clone(),
        issuer: name,
        this_update: time(life.from)?,
        next_update: Some(time(life.to)?),
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(extensions),
    };
    let signed = key.try_sign(&list.to_der().map_err(unencodable)?).map_err(unencodable)?;
    let signed: BitString = signed.to_bitstring().map_err(unencodable)?;
    let list = CertificateList { tbs_cert_list: list, signature_algorithm: signature, signature: signed };
    list.to_pem(LineEnding::LF).map_err(unencodable)
}

/// Returns the key usage of an authority.
pub(crate) fn authority_usage() -> FlagSet<KeyUsages> {
    KeyUsages::KeyCertSign | KeyUsages::CRLSign
}
