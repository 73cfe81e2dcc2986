//! The public half of a recovery kit: what `keys new` writes and `init` reads.
//!
//! Plain text: comment lines (`#`), age recipients one a line, the custodian's public key as PEM, and the public key of
//! the recovery host as PEM behind a comment line that begins with `# Recovery host:`. A file with recipients only, as
//! `age-keygen -y` prints it, is one, too.

use super::failure::Failure;
use crate::crypto::{PublicKey, Recipient};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const RECOVERY_HOST: &str = "# Recovery host:";
const END: &str = "-----END PUBLIC KEY-----";

/// Contents of such a file.
#[derive(Debug, Default)]
pub(super) struct RecoveryFile {
    /// Recipients that can open packs.
    pub(super) recipients: Vec<Recipient>,
    /// Keys that sign versions of the trust policy.
    pub(super) custodians: Vec<PublicKey>,
    /// Keys of the host that restores.
    pub(super) recovery_hosts: Vec<PublicKey>,
}

/// The text of the file.
pub(super) fn write(recipient: &Recipient, custodian: &PublicKey, recovery_host: &PublicKey) -> String {
    format!(
        "# Keyhaven recovery kit, public part: nothing in it is secret.\n\
         # On the host that backs up:  keyhaven init --recovery THIS-FILE\n\
         #\n\
         # Recovery recipient: its identity opens the packs\n\
         {recipient}\n\
         # Custodian: signs the trust policy (fingerprint {fingerprint})\n\
         {pem}\
         {RECOVERY_HOST} verifier, restorer, reaper (fingerprint {host_fingerprint})\n\
         {host}",
        fingerprint = custodian.fingerprint(),
        pem = custodian.to_pem(),
        host_fingerprint = recovery_host.fingerprint(),
        host = recovery_host.to_pem()
    )
}

/// Reads the text of such a file; `name` is what messages call it.
///
/// # Errors
/// When a line is neither, or there is no recipient. A secret key in it is refused and not shown.
pub(super) fn read(text: &str, name: &str) -> Result<RecoveryFile, Failure> {
    let mut found = RecoveryFile::default();
    let mut lines = text.lines().enumerate();
    let mut of_recovery_host = false;
    while let Some((at, line)) = lines.next() {
        let line = line.trim();
        let place = || format!("{name}, line {}", at + 1);
        if line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            of_recovery_host = line.starts_with(RECOVERY_HOST);
            continue;
        }
        if line == BEGIN {
            let mut pem = format!("{line}\n");
            for (_, line) in lines.by_ref() {
                pem.push_str(line.trim());
                pem.push('\n');
                if line.trim() == END {
                    break;
                }
            }
            let key = PublicKey::from_pem(&pem).map_err(Failure::from);
            let key = key.map_err(|failure| failure.hinted(format!("it is in {}", place())))?;
            let list = if of_recovery_host { &mut found.recovery_hosts } else { &mut found.custodians };
            list.push(key);
            of_recovery_host = false;
        } else if line.to_uppercase().starts_with("AGE-SECRET-KEY-") || line.contains("PRIVATE KEY") {
            return Err(Failure::usage(format!("{}: a secret key; `init` takes the public file of the kit", place()))
                .hinted("the secret half of a recovery kit never belongs on the host that backs up"));
        } else {
            let recipient = line.parse::<Recipient>().map_err(Failure::from);
            found.recipients.push(recipient.map_err(|failure| failure.hinted(format!("it is in {}", place())))?);
        }
    }
    if found.recipients.is_empty() {
        return Err(Failure::usage(format!("{name} names no age recipient (a line that starts with age1)")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Identities, SigningKey};

    fn kit() -> (Recipient, PublicKey, PublicKey) {
        let recipient = Identities::generate().0.recipients().remove(0);
        (recipient, SigningKey::from_seed(&[7; 32]).public(), SigningKey::from_seed(&[8; 32]).public())
    }

    #[test]
    fn what_is_written_is_read() {
        let (recipient, custodian, host) = kit();
        let found = read(&write(&recipient, &custodian, &host), "public.txt").unwrap();
        assert_eq!(found.recipients, [recipient]);
        assert_eq!((found.custodians, found.recovery_hosts), (vec![custodian], vec![host]));
    }

    #[test]
    fn a_secret_in_the_public_file_is_refused_and_not_shown() {
        let (_, text) = Identities::generate();
        let failure = read(&text, "public.txt").unwrap_err();
        let said = failure.chain().join("\n");
        assert!(said.contains("public.txt, line 2: a secret key") && !said.contains("AGE-SECRET"), "{said}");
    }

    #[test]
    fn rubbish_names_its_line() {
        let (recipient, ..) = kit();
        let failure = read(&format!("{recipient}\nbob\n"), "public.txt").unwrap_err();
        assert_eq!(failure.hint(), Some("it is in public.txt, line 2"));
        assert!(read("# nothing\n", "x").is_err());
        assert!(read(&format!("{recipient}\n{BEGIN}\nAAAA\n"), "x").is_err(), "a PEM that is cut off");
    }
}
