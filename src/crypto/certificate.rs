//! Check that a certificate fits the request that it was issued for.

use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::request::CertReq;

use crate::model::Timestamp;

/// Reason why a certificate cannot be used for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MisfitError {
    /// The text is not PEM, or contains no certificate.
    #[error("it is no PEM certificate")]
    NoCertificate,
    /// The signing request of the instance cannot be read.
    #[error("the signing request of the standby is no PEM request")]
    NoRequest,
    /// The certificate is for another key.
    #[error("its key is not the one of the signing request")]
    OtherKey,
    /// The certificate is not that of a CA.
    #[error("it is not the certificate of an authority (basic constraints do not say CA)")]
    NoAuthority,
    /// The certificate has expired.
    #[error("it expired at {0}")]
    Expired(Timestamp),
}

/// Checks that the first certificate of a PEM text is a CA certificate for the key of the request (PEM) and has not
/// expired at the time `now`.
///
/// Does not check the signature on the certificate; that is up to those who trust its signer.
///
/// # Errors
/// [`MisfitError`] with the reason why the certificate does not fit.
pub fn fits_request(certificate: &str, request: &str, now: Timestamp) -> Result<(), MisfitError> {
    let request = CertReq::from_pem(request.as_bytes()).map_err(|_| MisfitError::NoRequest)?;
    let chain = Certificate::load_pem_chain(certificate.as_bytes()).map_err(|_| MisfitError::NoCertificate)?;
    let first = chain.first().ok_or(MisfitError::NoCertificate)?.tbs_certificate();
    let asked = request.info.public_key.to_der().map_err(|_| MisfitError::NoRequest)?;
    let given = first.subject_public_key_info().to_der().map_err(|_| MisfitError::NoCertificate)?;
    if asked != given {
        return Err(MisfitError::OtherKey);
    }
    match first.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) if constraints.ca => {}
        _ => return Err(MisfitError::NoAuthority),
    }
    let ends = first.validity().not_after.to_unix_duration().as_millis();
    let ends = Timestamp::from_millis(i64::try_from(ends).unwrap_or(i64::MAX));
    if ends <= now { Err(MisfitError::Expired(ends)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl`: a P-256 request, a CA certificate and a plain certificate for its key, a CA for another key;
    // all end in 2126.
    const REQUEST: &str = include_str!("testdata/request.pem");
    const AUTHORITY: &str = include_str!("testdata/authority.pem");
    const PLAIN: &str = include_str!("testdata/plain.pem");
    const OTHER: &str = include_str!("testdata/other.pem");

    #[test]
    fn only_a_living_authority_for_the_very_key_fits() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let fits = |certificate: &str| fits_request(certificate, REQUEST, now);
        assert_eq!(fits(AUTHORITY), Ok(()));
        assert_eq!(fits(&format!("{AUTHORITY}{OTHER}")), Ok(()), "a chain: its own certificate comes first");
        assert_eq!(fits(&format!("{OTHER}{AUTHORITY}")), Err(MisfitError::OtherKey));
        assert_eq!(fits(PLAIN), Err(MisfitError::NoAuthority));
        assert_eq!(fits(OTHER), Err(MisfitError::OtherKey));
        assert_eq!(fits("-----BEGIN NOTHING"), Err(MisfitError::NoCertificate));
        assert_eq!(fits_request(AUTHORITY, "", now), Err(MisfitError::NoRequest));
        let late: Timestamp = "2226-01-01T00:00:00Z".parse().unwrap();
        assert!(matches!(fits_request(AUTHORITY, REQUEST, late), Err(MisfitError::Expired(_))));
    }
}
