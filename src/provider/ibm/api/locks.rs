//! Locks of secrets and versions.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::pages::member;
use super::secrets::SECRETS;
use super::{Pages, Which};
use crate::model::json::JsonObject;
use crate::model::{Payload, Timestamp};
use crate::provider::ibm::Client;
use crate::provider::ibm::wire::{Family, WireRequest};
use crate::provider::{InstanceError, RequestBody};

const LOCKS: &str = "locks";
const LOCKS_BULK: &str = "locks_bulk";
const SECRETS_LOCKS: &str = "secrets_locks";

impl Client {
    /// `GET /secrets_locks`: one row per secret, with its versions and the names of their locks, in no particular
    /// order.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Incomplete`] if the pages are inconsistent or repeat a secret.
    pub async fn secrets_locks(&self) -> Result<Vec<JsonObject>, InstanceError> {
        let mut pages = self.secrets_locks_pages();
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        while let Some(page) = pages.next().await? {
            for row in page.rows()? {
                let row = page.answer().split_text(row.get(), Family::Secret)?.metadata;
                let Some(id) = row.str("secret_id") else {
                    return Err(page.answer().malformed("a row has no `secret_id`"));
                };
                if seen.insert(id) {
                    all.push(row);
                } else if pages.steady_so_far() {
                    return Err(page.answer().incomplete("it repeats a secret".to_owned()));
                }
            }
        }
        Ok(all)
    }

    pub(in crate::provider::ibm) fn secrets_locks_pages(&self) -> Pages<'_> {
        Pages::new(self, "list the locks of all secrets", &[SECRETS_LOCKS], SECRETS_LOCKS, 1_000)
    }

    /// `GET /secrets/{id}/locks`: the locks of a secret with their attributes, sorted by name.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such secret, [`InstanceError::Incomplete`] if the pages
    /// are inconsistent, [`InstanceError::Moved`] if locks were added or removed meanwhile.
    pub async fn locks(&self, secret: &str) -> Result<Vec<JsonObject>, InstanceError> {
        let (rows, _, _) = self.lock_rows(secret).await?;
        Ok(rows.iter().filter_map(|row| JsonObject::parse(row).ok()).collect())
    }

    /// Returns the rows as text, the members cut out of them, and the provider's clock in the last answer.
    pub(in crate::provider::ibm) async fn lock_rows(
        &self,
        secret: &str,
    ) -> Result<(Vec<String>, Vec<Payload>, Option<Timestamp>), InstanceError> {
        let what = format!("list the locks of secret {secret}");
        let path = [SECRETS, secret, LOCKS];
        let mut pages = Pages::new(self, &what, &path, LOCKS, 100).sorted("name").counted_as_reading();
        let (mut all, mut cuts, mut at, mut seen) = (Vec::new(), Vec::new(), None, BTreeSet::new());
        while let Some(page) = pages.next().await? {
            at = page.answer().date().ok().or(at);
            for row in page.rows()? {
                if !seen.insert(identity(row)) {
                    return Err(page.answer().incomplete("it repeats a lock".to_owned()));
                }
                let cut = page.answer().cut_text(row.get(), Family::Other, Some(&format!("{LOCKS}/{}", all.len())))?;
                all.push(cut.rest);
                cuts.extend(cut.payload);
            }
        }
        if !pages.steady() {
            let problem = "locks came or went while they were listed".to_owned();
            return Err(InstanceError::Moved { what, problem });
        }
        Ok((all, cuts, at))
    }

    /// `POST /secrets/{id}/locks_bulk` or, with a version, `…/versions/{version}/locks_bulk`; `body` has `locks`, a
    /// list of `name`, `description`, `attributes`. Uses the provider's default mode, which removes nothing.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn add_locks(
        &self,
        secret: &str,
        version: Option<Which<'_>>,
        body: &RequestBody,
    ) -> Result<JsonObject, InstanceError> {
        let what = format!("lock secret {secret}");
        let request = WireRequest::post(what, &bulk_path(secret, version), body);
        Ok(self.wire().json(request).await?.split(Family::Secret)?.metadata)
    }

    /// `DELETE /secrets/{id}/locks_bulk` or, with a version, `…/versions/{version}/locks_bulk`, for the named locks.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unsafe`] without a name, because that would remove all locks.
    pub async fn remove_locks(
        &self,
        secret: &str,
        version: Option<Which<'_>>,
        names: &[&str],
    ) -> Result<JsonObject, InstanceError> {
        let what = format!("unlock secret {secret}");
        if names.is_empty() || names.iter().any(|name| name.is_empty() || name.contains(',')) {
            let why = "a lock's name is missing, and without one every lock would go".to_owned();
            return Err(InstanceError::Unsafe { what, why });
        }
        let request = WireRequest::delete(what, &bulk_path(secret, version)).query("name", names.join(","));
        Ok(self.wire().json(request).await?.split(Family::Secret)?.metadata)
    }
}

fn bulk_path<'a>(secret: &'a str, version: Option<Which<'a>>) -> Vec<&'a str> {
    match version {
        None => vec![SECRETS, secret, LOCKS_BULK],
        Some(version) => vec![SECRETS, secret, "versions", version.as_str(), LOCKS_BULK],
    }
}

/// Returns a lock's name and version. A version that becomes the previous one keeps its locks, so a name can occur
/// twice.
fn identity(row: &RawValue) -> (Option<String>, Option<String>) {
    (member(row, "name"), member(row, "secret_version_id"))
}
