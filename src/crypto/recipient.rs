//! Recipients of sealed objects.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::CryptoError;

/// Maximum number of characters of an invalid recipient that the error repeats: an age recipient has 62.
const SHOWN: usize = 80;

/// One recipient: an age X25519 recipient (`age1…`), or an SSH public key when built with the feature `ssh`.
///
/// Compared and ordered by its text, which has one spelling: lower case, no comment.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    inner: RecipientKind,
}

#[derive(Clone)]
enum RecipientKind {
    X25519(age::x25519::Recipient),
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Recipient),
}

impl Recipient {
    pub(super) fn x25519(inner: age::x25519::Recipient) -> Self {
        Self { text: inner.to_string(), inner: RecipientKind::X25519(inner) }
    }

    #[cfg(feature = "ssh")]
    pub(super) fn ssh(inner: age::ssh::Recipient) -> Self {
        // The comment after the key is not part of it.
        let shown = inner.to_string();
        let text = shown.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        Self { text, inner: RecipientKind::Ssh(inner) }
    }

    /// Returns the recipient as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn as_age(&self) -> &dyn age::Recipient {
        match &self.inner {
            RecipientKind::X25519(inner) => inner,
            #[cfg(feature = "ssh")]
            RecipientKind::Ssh(inner) => inner,
        }
    }
}

impl FromStr for Recipient {
    type Err = CryptoError;

    fn from_str(text: &str) -> Result<Self, CryptoError> {
        let text = text.trim();
        let refuse = |why| CryptoError::Recipient { text: text.chars().take(SHOWN).collect(), why };
        let upper = text.to_ascii_uppercase();
        // Never repeat a private key that was given by mistake, whatever surrounds it.
        if upper.contains("AGE-SECRET-KEY-") {
            return Err(CryptoError::Recipient { text: "AGE-SECRET-KEY-…".to_owned(), why: "it is a private key" });
        }
        if upper.contains("PRIVATE KEY") {
            return Err(CryptoError::Recipient { text: "…PRIVATE KEY…".to_owned(), why: "it is a private key" });
        }
        if text.starts_with("ssh-") {
            #[cfg(feature = "ssh")]
            return text.parse().map(Self::ssh).map_err(|_| refuse("not an SSH key that age can seal to"));
            #[cfg(not(feature = "ssh"))]
            return Err(refuse("SSH recipients need a build with the feature `ssh`"));
        }
        if text.starts_with("age1pq1") {
            return Err(refuse("post-quantum recipients are not supported yet"));
        }
        text.parse().map(Self::x25519).map_err(|_| refuse("misspelt, or not an X25519 recipient"))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// Recipients of one object: at least one, sorted, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Sorts the recipients and removes duplicates.
    ///
    /// # Errors
    /// [`CryptoError::NoRecipient`] if the list is empty.
    pub fn new(mut recipients: Vec<Recipient>) -> Result<Self, CryptoError> {
        recipients.sort();
        recipients.dedup();
        if recipients.is_empty() { Err(CryptoError::NoRecipient) } else { Ok(Self(recipients)) }
    }

    /// Iterates over the recipients in order.
    pub fn iter(&self) -> impl Iterator<Item = &Recipient> {
        self.0.iter()
    }

    /// Returns the number of recipients; never zero.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the texts of the recipients in order, as pack lists name them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|recipient| recipient.text.clone()).collect()
    }

    pub(super) fn as_age(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(Recipient::as_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    const B: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

    #[test]
    fn a_set_is_sorted_unique_and_never_empty() {
        let [a, b]: [Recipient; 2] = [A.parse().unwrap(), B.parse().unwrap()];
        let set = Recipients::new(vec![a.clone(), b.clone(), a]).unwrap();
        assert_eq!(set.names(), [B, A]);
        assert_eq!(Recipients::new(Vec::new()), Err(CryptoError::NoRecipient));
    }

    #[test]
    fn what_cannot_be_sealed_to_is_refused_with_its_reason() {
        assert!(A.replace("8p", "8q").parse::<Recipient>().unwrap_err().to_string().contains("misspelt"));
        assert!("age1pq1abc".parse::<Recipient>().unwrap_err().to_string().contains("post-quantum"));
        #[cfg(not(feature = "ssh"))]
        assert!("ssh-ed25519 AAAA".parse::<Recipient>().unwrap_err().to_string().contains("feature `ssh`"));
        let private = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        let error = private.parse::<Recipient>().unwrap_err().to_string();
        assert!(error.contains("private key") && !error.contains("1GQ9778"), "{error}");
        for pasted in [format!("age1x,{private}"), "-----BEGIN PRIVATE KEY-----\n1GQ9778".to_owned()] {
            let error = pasted.parse::<Recipient>().unwrap_err().to_string();
            assert!(error.contains("private key") && !error.contains("1GQ9778"), "{error}");
        }
        let long = "x".repeat(10_000).parse::<Recipient>().unwrap_err().to_string();
        assert!(long.len() < 200, "{} bytes", long.len());
    }
}
