//! `[keys]`.

use super::section;
use crate::config::value::{Accepted, FilePath, SecretRef};

section! {
    /// Keys by reference: no key is in this file.
    pub struct KeysSection in "keys" {
        /// The key that signs this host's entries (Ed25519, PKCS#8 PEM). `init` makes it.
        signing_key: Option<SecretRef>, r#""file:/etc/keyhaven/signing-key.pem""#;
        /// The age identity that opens catalogues, never packs. `init` makes it.
        catalogue_key: Option<SecretRef>, r#""file:/etc/keyhaven/catalogue-key.txt""#;
        /// The file of the age identity that opens packs. Only on a host that restores, never on one that backs up.
        recovery_identity_file: Option<FilePath>, r#""/media/recovery/identity.txt""#;
        /// Lets a backup run although this host holds a recovery identity; every entry then says so.
        recovery_key_on_collector: Option<Accepted>, r#""accepted""#;
    }
}
