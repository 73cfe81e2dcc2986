//! Information about objects in a store.

use crate::model::Timestamp;

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The path inside the repository, without a leading slash.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// Time of the last write, by the store.
    pub modified: Timestamp,
}

/// One version of an object in a versioned bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The object in this version; the size of a delete marker is 0.
    pub object: ObjectInfo,
    /// Its id in the bucket.
    pub id: String,
    /// True if a read without an id returns this version, or finds nothing because it is a delete marker.
    pub is_current: bool,
    /// True if it is a delete marker, which has no bytes.
    pub is_marker: bool,
}

/// A lifecycle rule of a bucket that deletes or archives objects of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name in the bucket.
    pub id: String,
    /// Its action.
    pub action: LifecycleAction,
    /// When it applies, for people: `after 30 days`.
    pub due: String,
}

/// Action of a lifecycle rule on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleAction {
    /// Deletes it, or hides it behind a delete marker.
    Deletes,
    /// Moves it to a storage class that does not allow immediate reads.
    Archives,
}

/// Objects of a directory and their older versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The objects, sorted by path.
    pub current: Vec<ObjectInfo>,
    /// Older versions with content, oldest first for each path. Empty if the storage keeps none or does not list them.
    pub older: Vec<ObjectVersion>,
}

/// Something in a directory that is not a regular file and that no listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its path inside the repository.
    pub path: String,
    /// True for an empty directory; otherwise a pipe, a device, a socket, or a link that does not lead to a file.
    pub is_directory: bool,
}

/// Result of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object was created by us.
    New,
    /// An object of that name exists, or our retry met our first attempt: only reading it shows which.
    Present,
}
