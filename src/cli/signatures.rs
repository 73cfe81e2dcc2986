//! Certificates that were signed outside the standby: requests are written beside the plan, certificates are found
//! there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::app::read_public;
use super::failure::Failure;
use super::key_file;
use crate::job::restore::Plan;
use crate::job::restore::apply::SigningRequest;
use crate::provider::Action;

/// A certificate that was given on the command line.
#[derive(Debug, Clone)]
pub(super) struct GivenCertificate {
    name: String,
    file: PathBuf,
}

impl FromStr for GivenCertificate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
        let (name, file) = parts.ok_or("it is NAME=FILE: the authority's name and its certificate")?;
        Ok(Self { name: name.to_owned(), file: file.into() })
    }
}

/// The certificates for a plan, as PEM by the authority's name: those that were named, else those that lie beside the
/// plan as `PLAN.NAME.signed.pem`.
///
/// # Errors
/// Kind 2 when a file cannot be read, or a name is none that the plan waits for.
pub(super) fn given(path: &Path, plan: &Plan, named: &[GivenCertificate]) -> Result<BTreeMap<String, String>, Failure> {
    let waits =
        |name: &str| plan.steps.iter().any(|step| matches!(step.action, Action::SetSigned { .. }) && step.name == name);
    let mut certificates = BTreeMap::new();
    for signed in named {
        if !waits(&signed.name) {
            let text = format!("the plan waits for no certificate of an authority called {}", signed.name);
            return Err(Failure::usage(text).hinted("--signed takes the name as the plan shows it"));
        }
        certificates.insert(signed.name.clone(), read_public(&signed.file, "certificate")?);
    }
    for step in plan.steps.iter().filter(|step| waits(&step.name) && !named.iter().any(|one| one.name == step.name)) {
        let beside = beside(path, &step.name, "signed");
        if beside.exists() {
            certificates.insert(step.name.clone(), read_public(&beside, "certificate")?);
        }
    }
    Ok(certificates)
}

/// Writes every request as `PLAN.NAME.csr.pem`; returns the paths.
///
/// # Errors
/// When the disk refuses.
pub(super) fn write_requests(path: &Path, requests: &[SigningRequest]) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::new();
    for request in requests {
        let file = beside(path, &request.name, "csr");
        key_file::replace(&file, request.pem.as_bytes())?;
        written.push(file);
    }
    Ok(written)
}

/// `plan.json` and `ca` make `plan.ca.csr.pem`. Every other byte than those of ordinary names is written as `%` and two
/// hexadecimal digits, so that no name leads to another folder and no two names to one file.
fn beside(plan: &Path, name: &str, what: &str) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let spelled = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = name.bytes().map(spelled).collect();
    plan.with_extension(format!("{name}.{what}.pem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_beside_the_plan_whatever_the_authority_is_called() {
        assert_eq!(beside(Path::new("/a/plan.json"), "ca-1.x", "csr"), Path::new("/a/plan.ca-1.x.csr.pem"));
        assert_eq!(beside(Path::new("/a/plan"), "../b c", "signed"), Path::new("/a/plan...%2Fb%20c.signed.pem"));
        assert_ne!(beside(Path::new("/p"), "a b", "csr"), beside(Path::new("/p"), "a_b", "csr"));
    }

    #[test]
    fn a_certificate_is_named_and_may_lie_anywhere() {
        let signed: GivenCertificate = "ca=/tmp/a=b.pem".parse().unwrap();
        assert_eq!((signed.name.as_str(), signed.file.as_path()), ("ca", Path::new("/tmp/a=b.pem")));
        assert!("ca".parse::<GivenCertificate>().is_err() && "=x".parse::<GivenCertificate>().is_err());
    }
}
