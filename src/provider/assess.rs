//! A provider's assessment of how an item can be restored.

use serde::Serialize;

use crate::model::{Restorability, Timestamp};

/// Reason for the class of an item, and what can be done about it in advance. Fixed texts without names or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The class.
    pub class: Restorability,
    /// A fixed code for programs; items with the same code have the same reasons.
    pub code: &'static str,
    /// The reason, as a fragment.
    pub why: &'static str,
    /// Advice for today, as a sentence; empty if there is nothing to do.
    pub today: &'static str,
}

/// Source of a member that no answer returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovered {
    /// Another member of an answer shows the same value in another form.
    Shown,
    /// It was read from a certificate.
    Derived,
    /// The operator supplied it.
    Supplied,
    /// Unknown: a restore leaves it to the provider's default.
    Lost,
}

/// A member that a create request takes and no answer returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteOnly {
    /// Its name in the request.
    pub member: &'static str,
    /// Source of its value.
    pub known: Recovered,
}

/// An external need of an item: something outside the provider's API, so that no backup of the instance can contain it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Prerequisite {
    /// A fixed code for programs.
    pub code: &'static str,
    /// The requirement, as a sentence fragment.
    pub what: &'static str,
    /// Its name in the item (a role, a project); `None` if the item has none.
    pub subject: Option<String>,
}

/// Assessment of an item of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Its class and the reason.
    pub judgement: Judgement,
    /// The members that no answer returns, with their sources. Members that do not matter for the item are omitted.
    pub write_only: Vec<WriteOnly>,
    /// True if its value or payload exists in the source, but not in the snapshot.
    pub not_captured: bool,
    /// Its external needs.
    pub needs: Vec<Prerequisite>,
    /// The code of a need of other items that this item fulfils.
    pub fulfils: Option<&'static str>,
}

/// The end of an item: of a certificate, a certificate authority, or a secret with an expiration date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// The item is unusable from this time on.
    pub at: Timestamp,
    /// True if the provider renews it automatically before that.
    pub renews: bool,
}
