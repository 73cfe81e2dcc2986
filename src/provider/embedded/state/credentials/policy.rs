//! Rotation of credentials that have a lifetime.

use super::super::InstanceState;
use super::super::data::Secret;
use super::super::input::{InputBody, Patched};
use super::super::merge::merge;
use super::super::refusal::Refusal;
use super::super::rules::{self, Bounds};
use super::Ttl;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::next_rotation;

/// Limits of one secret type.
pub(crate) struct Limits {
    /// Allowed lifetime, in seconds.
    pub(crate) ttl: std::ops::RangeInclusive<u64>,
    /// True if the lifetime may be absent or 0, which means unlimited.
    pub(crate) endless: bool,
    /// Allowed rotation intervals.
    pub(crate) rotation: Bounds,
}

/// Rejects a rotation after the end of the credential.
fn check_interval(fields: &JsonObject, from: Timestamp, end: Option<Timestamp>) -> Result<(), Refusal> {
    let late = next_rotation(fields, from).zip(end).is_some_and(|(next, end)| next > end);
    if late { Err(Refusal::interval()) } else { Ok(()) }
}

impl InstanceState {
    /// Reads `ttl` and `rotation` of a create body and adds them to `fields`.
    pub(in super::super) fn credential_policy(
        &self,
        body: &InputBody<'_>,
        now: Timestamp,
        limits: &Limits,
        fields: &mut JsonObject,
    ) -> Result<Option<Ttl>, Refusal> {
        let ttl = Ttl::given(body, "ttl", &limits.ttl, limits.endless)?;
        if ttl.is_none() && !limits.endless {
            return Err(Refusal::invalid("The field 'ttl' is required."));
        }
        if let Some(ttl) = &ttl {
            fields.set("ttl", ttl.shown(self.switches.ttl_reads_as_seconds));
        }
        if let Some(rotation) = body.object("rotation")? {
            rules::rotation_within(&rotation, &limits.rotation)?;
            fields.set("rotation", rotation);
        } else {
            fields.set("rotation", raw(&std::collections::BTreeMap::from([("auto_rotate", false)])));
        }
        check_interval(fields, now, ttl.as_ref().and_then(|ttl| ttl.end(now)))?;
        Ok(ttl)
    }

    /// Applies `ttl` and `rotation` of a metadata patch. A new lifetime applies to the next credential; the current one
    /// keeps its end. Returns `true` if rotation was patched and is now on.
    pub(in super::super) fn patch_credential_policy(
        &self,
        body: &InputBody<'_>,
        secret: &mut Secret,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<bool, Refusal> {
        match Ttl::patched(body, "ttl", &limits.ttl, limits.endless)? {
            Patched::Absent => {}
            Patched::Clear => drop(secret.fields.remove("ttl")),
            Patched::Set(ttl) => secret.fields.set("ttl", ttl.shown(self.switches.ttl_reads_as_seconds)),
        }
        let patched = match body.patched_object("rotation")? {
            Patched::Absent => false,
            Patched::Clear => return Err(Refusal::invalid("The field 'rotation' cannot be cleared.")),
            Patched::Set(patch) => {
                let merged = merge(secret.fields.get("rotation"), &patch)?;
                rules::rotation_within(&merged, &limits.rotation)?;
                secret.fields.set("rotation", merged);
                // A credential that ends before its rotation could not rotate.
                check_interval(&secret.fields, now, secret.expiration_date)?;
                secret.next_rotation_date = self.next_rotation(&secret.fields, now);
                true
            }
        };
        check_interval(&secret.fields, now, Ttl::of(&secret.fields).and_then(|ttl| ttl.end(now)))?;
        Ok(patched && secret.next_rotation_date.is_some())
    }
}
