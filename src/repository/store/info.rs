//! Information about objects in a store.

use crate::model::Timestamp;

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The path inside the repository, without a leading slash.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// When the store says that it was written last.
    pub modified: Timestamp,
}

/// One version of an object in a bucket that keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The object as this version has it; the size of a delete marker is 0.
    pub object: ObjectInfo,
    /// Its id in the bucket.
    pub id: String,
    /// Whether a read without an id gets this version, or finds nothing because it is a delete marker.
    pub is_current: bool,
    /// True if it is a delete marker, which has no bytes.
    pub is_marker: bool,
}

/// A rule of a bucket that takes objects of the repository away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name in the bucket.
    pub id: String,
    /// Its action.
    pub action: LifecycleAction,
    /// When, for people: `after 30 days`.
    pub due: String,
}

/// Action of a lifecycle rule on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleAction {
    /// Deletes it, or hides it behind a delete marker.
    Deletes,
    /// Moves it to a storage class that is not read at once.
    Archives,
}

/// Objects of a directory with their older versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The objects, sorted by path.
    pub current: Vec<ObjectInfo>,
    /// Older versions with bytes, the oldest of each path first. Empty where the place keeps none or does not say.
    pub older: Vec<ObjectVersion>,
}

/// Something in a folder that is no plain file, and that no listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its path inside the repository.
    pub path: String,
    /// Whether it is an empty directory; else a pipe, a device, a socket, or a link that leads to no file.
    pub is_directory: bool,
}

/// Result of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// Nothing: the object is ours.
    New,
    /// An object of that name, or a second try of ours met the first: only reading it tells which.
    Present,
}
