//! A provider's assessment of how an item can be restored, in words for people.

use serde::Serialize;

use crate::model::{Restorability, Timestamp};

/// Why an item has its class, and what can be done about it before the disaster. Fixed texts: no name, no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The class.
    pub class: Restorability,
    /// A fixed word for programs; items with the same word have the same reasons.
    pub code: &'static str,
    /// Why, as a fragment.
    pub why: &'static str,
    /// Advice for today, as a sentence; empty if there is nothing to do.
    pub today: &'static str,
}

/// Source of a member that no answer returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovered {
    /// Another member of an answer says the same in other words.
    Shown,
    /// It was read out of a certificate.
    Derived,
    /// The operator supplied it.
    Supplied,
    /// It is not known: a restore leaves it to the provider's default.
    Lost,
}

/// A member that a create takes and no answer returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteOnly {
    /// Its name in the request.
    pub member: &'static str,
    /// Source of its value.
    pub known: Recovered,
}

/// Something outside the provider's API that an item needs, so that no backup of the instance can hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Prerequisite {
    /// A fixed word for programs.
    pub code: &'static str,
    /// The requirement, as a sentence fragment.
    pub what: &'static str,
    /// Which one, by the name that the item gives it (a role, a project); `None` when the item names none.
    pub subject: Option<String>,
}

/// Assessment of an item of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Its class, and why.
    pub judgement: Judgement,
    /// The members that no answer returns, by how they are known. Members that cannot matter for the item are left out.
    pub write_only: Vec<WriteOnly>,
    /// Whether its value or its payload is there in the source, but not in the snapshot.
    pub not_captured: bool,
    /// Its external needs.
    pub needs: Vec<Prerequisite>,
    /// The need of other items that this one fulfils, by its code.
    pub fulfils: Option<&'static str>,
}

/// The end of an item: of a certificate, of an authority, of a secret that was given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// From this moment on it is of no use.
    pub at: Timestamp,
    /// True if the provider renews it by itself before that.
    pub renews: bool,
}
