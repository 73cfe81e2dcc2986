//! Authorities that wait for a signature: from their issuer in the standby, from the source while it is alive, or from
//! the holder of an external key.

use super::chain::Chain;
use super::halt::Halt;
use super::run::ApplyRun;
use super::signatures::SigningRequest;
use crate::crypto::certificate::fits_request;
use crate::job::restore::error::RestoreError;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::ItemKey;
use crate::model::with_causes;
use crate::provider::RestoreItem;

impl ApplyRun<'_> {
    /// Returns the issuer of an authority in the standby.
    pub(super) fn issuer(&self, view: &RestoreItem) -> Result<ItemKey, Halt> {
        let issuer = self.converter().issuers(view).into_iter().find(|key| self.names().reference(key.id()).is_some());
        issuer.ok_or_else(|| Halt::Failed("its issuer is not in the standby".to_owned()))
    }

    /// Returns the certificate for an authority's signing request, or records the request if there is none.
    pub(super) async fn signed_certificate(
        &self,
        chain: &mut Chain<'_>,
        entry: &SnapshotItem,
        by: Option<&ItemKey>,
    ) -> Result<String, Halt> {
        let known = self.known(chain, entry).await?;
        let request = known.view.request.ok_or_else(|| {
            Halt::Failed(
                "the standby shows no signing request of it: the key of the standby needs the role Manager".into(),
            )
        })?;
        let certificate = self.certificate(entry, by, &request).await?;
        fits_request(&certificate, &request, self.now())
            .map_err(|error| Halt::Failed(format!("the certificate for it does not fit and was not sent: {error}")))?;
        Ok(certificate)
    }

    async fn certificate(&self, entry: &SnapshotItem, by: Option<&ItemKey>, request: &str) -> Result<String, Halt> {
        let name = &entry.view.name;
        let signatures = self.signatures();
        if let Some(given) = signatures.given.and_then(|given| given.get(name)) {
            return Ok(given.clone());
        }
        if let Some(signed) = self.signed(request) {
            return Ok(signed);
        }
        match (by, signatures.source) {
            (Some(authority), Some(source)) => {
                let certificate = source.sign(authority, request).await.map_err(|error| {
                    let error = RestoreError::from(error);
                    Halt::Failed(format!("the source did not sign its request: {}", with_causes(&error)))
                })?;
                self.cache_certificate(request, &certificate);
                Ok(certificate)
            }
            _ => {
                let pem = request.to_owned();
                self.ask(SigningRequest { key: entry.item.key.clone(), name: name.clone(), pem });
                let why = "waiting for a signed certificate: have the request signed as a CA certificate, then apply \
                           the same plan with it";
                Err(Halt::Waiting(why.to_owned()))
            }
        }
    }
}
