//! Verification of external signatures: customers' requests and externally signed certificates.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519 as EDWARDS, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::key::{EC, ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512, ED25519, P256, P384, P521, RSA, SHA256_RSA};

const SHA384_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");

/// True if the key verifies `signature` over `message` with the algorithm `oid`. False for unknown algorithms.
pub(crate) fn verifies(
    public: &SubjectPublicKeyInfoOwned,
    oid: ObjectIdentifier,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let curve = public.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    let algorithm: &'static dyn VerificationAlgorithm = match (public.algorithm.oid, curve, oid) {
        (RSA, _, SHA256_RSA) => &RSA_PKCS1_2048_8192_SHA256,
        (RSA, _, SHA384_RSA) => &RSA_PKCS1_2048_8192_SHA384,
        (RSA, _, SHA512_RSA) => &RSA_PKCS1_2048_8192_SHA512,
        (EC, Some(P256), ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
        (EC, Some(P256), ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
        (EC, Some(P256), ECDSA_SHA512) => &ECDSA_P256_SHA512_ASN1,
        (EC, Some(P384), ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
        (EC, Some(P384), ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
        (EC, Some(P384), ECDSA_SHA512) => &ECDSA_P384_SHA512_ASN1,
        (EC, Some(P521), ECDSA_SHA256) => &ECDSA_P521_SHA256_ASN1,
        (EC, Some(P521), ECDSA_SHA384) => &ECDSA_P521_SHA384_ASN1,
        (EC, Some(P521), ECDSA_SHA512) => &ECDSA_P521_SHA512_ASN1,
        (ED25519, _, ED25519) => &EDWARDS,
        _ => return false,
    };
    UnparsedPublicKey::new(algorithm, public.subject_public_key.raw_bytes()).verify(message, signature).is_ok()
}
