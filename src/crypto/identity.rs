//! Age identities and the files that hold them.

use std::fmt;
use std::io::{Read as _, Write as _};

use age::secrecy::{ExposeSecret as _, SecretString};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{CryptoError, Recipient};
use crate::model::Digest;

/// Prefix, after the `#`, of a comment line that names a repository.
const HINT: &str = "keyhaven repository:";
/// Prefix, after the `#`, of a comment line that pins a version of the trust policy.
const POLICY_HINT: &str = "keyhaven policy:";
/// Maximum bytes of an identity file, protected or not.
const FILE_LIMIT: usize = 1024 * 1024;
/// The scrypt work factor for new protected files, as base-2 logarithm: 256 MiB and about a second.
const WORK: u8 = 18;
/// The highest scrypt work factor that we accept: 1 GiB.
const WORK_LIMIT: u8 = 20;
const ARMOR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOR_END: &str = "-----END AGE ENCRYPTED FILE-----";

/// The identities of one file. Never printed.
pub struct Identities {
    keys: Vec<IdentityKey>,
    hints: Vec<Digest>,
    policies: Vec<PolicyHint>,
}

/// A comment line `# keyhaven policy: <reference> <Base64>`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyHint {
    /// The repository named by the last repository line before it.
    pub repository: Option<Digest>,
    /// The reference and, if present, the bytes.
    pub pin: String,
}

enum IdentityKey {
    X25519(age::x25519::Identity),
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Identity),
}

impl Identities {
    /// Reads an identity file: one identity per line, with blank lines and comments (`#`) between.
    ///
    /// With the feature `ssh`, also reads an OpenSSH private key without a passphrase.
    ///
    /// # Errors
    /// When it holds no identity, or a line is not an identity. The error has the number of the line, never its text.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        #[cfg(feature = "ssh")]
        if text.trim_start().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Self::parse_ssh(text);
        }
        let mut found = Self { keys: Vec::new(), hints: Vec::new(), policies: Vec::new() };
        let mut repository = None;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                let comment = comment.trim();
                if let Some(id) = comment.strip_prefix(HINT).and_then(|id| id.trim().parse::<Digest>().ok()) {
                    repository = Some(id);
                    found.hints.push(id);
                } else if let Some(pin) = comment.strip_prefix(POLICY_HINT) {
                    found.policies.push(PolicyHint { repository, pin: pin.trim().to_owned() });
                }
            } else if !line.is_empty() {
                let key = line.parse().map_err(|_| CryptoError::Identity { line: index + 1 })?;
                found.keys.push(IdentityKey::X25519(key));
            }
        }
        found.hints.sort_unstable();
        found.hints.dedup();
        if found.keys.is_empty() { Err(CryptoError::NoIdentity) } else { Ok(found) }
    }

    #[cfg(feature = "ssh")]
    fn parse_ssh(text: &str) -> Result<Self, CryptoError> {
        match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
            Ok(key @ age::ssh::Identity::Unencrypted(_)) => {
                Ok(Self { keys: vec![IdentityKey::Ssh(key)], hints: Vec::new(), policies: Vec::new() })
            }
            Ok(age::ssh::Identity::Encrypted(_)) => Err(CryptoError::Encrypted),
            _ => Err(CryptoError::Identity { line: 1 }),
        }
    }

    /// Generates a new identity and the text of its file: the recipient as a comment, then the identity.
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<String>) {
        let key = age::x25519::Identity::generate();
        let secret = key.to_string();
        let lines = ["# recipient: ", &key.to_public().to_string(), "\n", secret.expose_secret(), "\n"];
        // The exact capacity: a text that grows leaves copies of itself in memory.
        let mut text = Zeroizing::new(String::with_capacity(lines.iter().map(|part| part.len()).sum()));
        for part in lines {
            text.push_str(part);
        }
        (Self { keys: vec![IdentityKey::X25519(key)], hints: Vec::new(), policies: Vec::new() }, text)
    }

    /// Returns true if `file` is protected by a passphrase, or sealed at all: then [`Identities::decrypt_file`] reads
    /// it.
    #[must_use]
    pub fn is_encrypted(file: &[u8]) -> bool {
        let file = file.trim_ascii_start();
        file.starts_with(b"age-encryption.org/") || file.starts_with(ARMOR_BEGIN.as_bytes())
    }

    /// Reads an identity file protected by `age -p` or [`Identities::encrypt_file`], armored or not.
    ///
    /// # Errors
    /// [`CryptoError::Passphrase`] if it does not fit, [`CryptoError::WorkFactor`] if the file requires more memory
    /// than we allow, and all errors of [`Identities::parse`].
    pub fn decrypt_file(file: &[u8], passphrase: &SecretString) -> Result<Self, CryptoError> {
        Self::parse(&Self::decrypt_text(file, passphrase)?)
    }

    /// Returns the text of a protected identity file.
    ///
    /// # Errors
    /// As [`Identities::decrypt_file`].
    pub fn decrypt_text(file: &[u8], passphrase: &SecretString) -> Result<Zeroizing<String>, CryptoError> {
        let damaged = |problem: &str| CryptoError::Damaged { problem: problem.to_owned() };
        if file.len() > FILE_LIMIT {
            return Err(CryptoError::TooLarge { limit: FILE_LIMIT });
        }
        let bare = without_armor(file).ok_or_else(|| damaged("the armor of the identity file is broken"))?;
        let decryptor = age::Decryptor::new_buffered(bare.as_slice())
            .map_err(|_| damaged("the identity file has no readable age header"))?;
        let mut identity = age::scrypt::Identity::new(passphrase.clone());
        identity.set_max_work_factor(WORK_LIMIT);
        let only = std::iter::once(&identity as &dyn age::Identity);
        let reader = decryptor.decrypt(only).map_err(|error| match error {
            age::DecryptError::ExcessiveWork { required, .. } => {
                CryptoError::WorkFactor { asked: required, limit: WORK_LIMIT }
            }
            _ => CryptoError::Passphrase,
        })?;
        // Twice the size of the file is always enough, so that the text is never moved while it grows.
        let mut text = Zeroizing::new(String::with_capacity(bare.len() * 2));
        reader
            .take(u64::try_from(FILE_LIMIT).unwrap_or(u64::MAX))
            .read_to_string(&mut text)
            .map_err(|_| damaged("the protected identity file does not open to its end"))?;
        Ok(text)
    }

    /// Protects the text of an identity file with a passphrase, as `age -p` does. Takes about a second and 256 MiB.
    ///
    /// # Errors
    /// Only when age fails inside.
    pub fn encrypt_file(text: &str, passphrase: &SecretString) -> Result<Vec<u8>, CryptoError> {
        let failed = |problem: String| CryptoError::Failed { what: "protect an identity file", problem };
        let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
        recipient.set_work_factor(WORK);
        let only = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(only).map_err(|error| failed(error.to_string()))?;
        let mut writer = encryptor.wrap_output(Vec::new()).map_err(|error| failed(error.to_string()))?;
        writer.write_all(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
        writer.finish().map_err(|error| failed(error.to_string()))
    }

    /// Returns these identities together with those of another file.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.hints.extend(other.hints);
        self.hints.sort_unstable();
        self.hints.dedup();
        self.policies.extend(other.policies);
        self
    }

    /// Returns the recipients that belong to these identities, sorted.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        let mut all: Vec<Recipient> = self.keys.iter().filter_map(IdentityKey::recipient).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Returns the repository that a comment line `# keyhaven repository: <id>` pins, if there is exactly one.
    #[must_use]
    pub fn repository_hint(&self) -> Option<Digest> {
        match self.hints.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Returns all repositories that comment lines pin: one recovery key may serve several.
    #[must_use]
    pub fn repository_hints(&self) -> &[Digest] {
        &self.hints
    }

    /// Returns the versions of the trust policy that comment lines pin, in order, as written.
    #[must_use]
    pub fn policy_hints(&self) -> &[PolicyHint] {
        &self.policies
    }

    pub(super) fn as_age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| match key {
            IdentityKey::X25519(inner) => inner as &dyn age::Identity,
            #[cfg(feature = "ssh")]
            IdentityKey::Ssh(inner) => inner as &dyn age::Identity,
        })
    }
}

impl IdentityKey {
    fn recipient(&self) -> Option<Recipient> {
        match self {
            Self::X25519(key) => Some(Recipient::x25519(key.to_public())),
            #[cfg(feature = "ssh")]
            Self::Ssh(key) => age::ssh::Recipient::try_from(key.clone()).ok().map(Recipient::ssh),
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identities").field(&self.recipients()).finish()
    }
}

/// Returns the binary form of an age file; `None` if it starts as armored but is not valid armor.
fn without_armor(file: &[u8]) -> Option<Vec<u8>> {
    let Some(armored) = file.trim_ascii().strip_prefix(ARMOR_BEGIN.as_bytes()) else {
        return Some(file.to_vec());
    };
    let body = armored.strip_suffix(ARMOR_END.as_bytes())?;
    let digits: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn comments_pin_repositories_and_are_else_ignored() {
        let id = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!("# made by keyhaven\r\n# keyhaven repository: {id}\r\n\r\n{SECRET}\r\n");
        let identities = Identities::parse(&text).unwrap();
        assert_eq!(identities.recipients().first().unwrap().as_str(), RECIPIENT);
        assert_eq!(identities.repository_hint().unwrap().to_string(), id);
        let pinned = Identities::parse(&format!("{text}#keyhaven policy:  000002-ab AAAA \n")).unwrap();
        let hint = PolicyHint { repository: id.parse().ok(), pin: "000002-ab AAAA".to_owned() };
        assert_eq!(pinned.policy_hints(), [hint]);
        let two = format!("{text}# keyhaven repository: {}\n", id.replace('e', "f"));
        let identities = Identities::parse(&two).unwrap();
        assert_eq!((identities.repository_hint(), identities.repository_hints().len()), (None, 2));
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let text = format!("# one\n{SECRET}X\n");
        let error = Identities::parse(&text).unwrap_err();
        assert_eq!(error, CryptoError::Identity { line: 2 });
        assert_eq!(Identities::parse("# nothing\n").unwrap_err(), CryptoError::NoIdentity);
    }

    #[test]
    fn a_new_file_reads_back_and_debug_shows_the_recipient_only() {
        let (identities, text) = Identities::generate();
        assert_eq!(Identities::parse(&text).unwrap().recipients(), identities.recipients());
        assert!(!format!("{identities:?}").contains("SECRET"));
    }

    #[test]
    fn a_protected_file_opens_with_its_passphrase_only() {
        let (_, text) = Identities::generate();
        let passphrase = SecretString::from("correct horse");
        let file = Identities::encrypt_file(&text, &passphrase).unwrap();
        assert!(Identities::is_encrypted(&file) && !Identities::is_encrypted(text.as_bytes()));
        assert_eq!(Identities::decrypt_text(&file, &passphrase).unwrap().as_str(), text.as_str());
        let wrong = Identities::decrypt_file(&file, &SecretString::from("wrong")).unwrap_err();
        assert_eq!(wrong, CryptoError::Passphrase);
        let armored = format!("{ARMOR_BEGIN}\n{}\n{ARMOR_END}\n", BASE64.encode(&file));
        assert!(Identities::is_encrypted(armored.as_bytes()));
        assert!(Identities::decrypt_file(armored.as_bytes(), &passphrase).is_ok());
    }

    #[test]
    fn a_file_that_asks_for_too_much_memory_is_refused() {
        // The header alone decides; 2^30 would take a terabyte.
        let header = "age-encryption.org/v1\n-> scrypt bHVja3lzYWx0MTIzNDU2Nw 30\n\
                      gUjEymFKMVXQEKdMMHL24oYexjE3TIC0O0zGSqJ2aUY\n\
                      --- IBtWT0bt9YkT04CAqPtrPxYqHiLYpMVXSoNPpYfGl1g\n0123456789abcdef";
        let error = Identities::decrypt_file(header.as_bytes(), &SecretString::from("x")).unwrap_err();
        assert_eq!(error.kind(), crate::model::FailureKind::Key, "{error}");
    }
}
