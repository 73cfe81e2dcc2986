//! Asking for a passphrase without showing it.

use std::io::{IsTerminal, Read, Write};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::escape::safe_lines;
use super::failure::Failure;
use crate::model::FailureKind;

/// The terminal as it was before a prompt changed it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The longest passphrase that is taken.
const LONGEST: usize = 1024;

/// Prompts on the terminal without echo. Blocks.
///
/// # Errors
/// When there is no terminal to ask on, or the user gives up (Ctrl-C, Ctrl-D on an empty line).
pub(super) fn passphrase(question: &str) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage("a passphrase is needed and there is no terminal to ask on")
            .hinted("give it in a file: --passphrase-file FILE"));
    }
    let failed = |error| Failure::new(FailureKind::Failed, "cannot ask on the terminal").because(error);
    let before = tcgetattr(&stdin).map_err(failed)?;
    let mut silent = before.clone();
    // Byte by byte and without signals: Ctrl-C comes as a byte, and the terminal is always put back.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(failed)?;
    drop(write!(std::io::stderr(), "{question}: "));
    let line = read_line(&mut stdin.lock());
    restore_terminal();
    drop(writeln!(std::io::stderr()));
    Ok(SecretString::from(line?.as_str()))
}

/// Prompts on the terminal for a yes; anything else is a no. Blocks.
///
/// # Errors
/// When there is no terminal to ask on.
pub(super) fn yes(question: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage("an answer is needed and there is no terminal to ask on")
            .hinted("say --yes if you have read what is to be signed"));
    }
    drop(write!(std::io::stderr(), "{} ", safe_lines(question)));
    let mut answer = String::new();
    stdin
        .read_line(&mut answer)
        .map_err(|error| Failure::new(FailureKind::Failed, "cannot read the terminal").because(error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Puts the terminal back, if a prompt has changed it.
pub(super) fn restore_terminal() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs no mending.
        tcsetattr(std::io::stdin(), OptionalActions::Now, &before).unwrap_or_default();
    }
}

fn read_line(input: &mut impl Read) -> Result<Zeroizing<String>, Failure> {
    // Full size at once: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0_u8]);
    loop {
        match input.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::new(FailureKind::Failed, "cannot read the terminal").because(error)),
        }
        let [typed] = *byte;
        match typed {
            b'\n' | b'\r' => break,
            3 => return Err(Failure::interrupted()),
            4 if line.is_empty() => return Err(Failure::interrupted()),
            // Backspace takes a whole character away, not one byte of it.
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            21 => line.clear(),
            0..32 => {}
            _ if line.len() < LONGEST => line.push(typed),
            _ => return Err(Failure::usage(format!("a passphrase has at most {LONGEST} bytes"))),
        }
    }
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::usage("the passphrase is no UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Result<String, FailureKind> {
        read_line(&mut &bytes[..]).map(|line| line.to_string()).map_err(|failure| failure.kind())
    }

    #[test]
    fn editing_works_on_characters() {
        assert_eq!(typed("zür\x7f\x7fa\n".as_bytes()), Ok("za".to_owned()));
        assert_eq!(typed(b"wrong\x15right\r"), Ok("right".to_owned()));
        assert_eq!(typed(b"\x7f\x7fa\n"), Ok("a".to_owned()));
    }

    #[test]
    fn control_c_gives_up() {
        assert_eq!(typed(b"abc\x03"), Err(FailureKind::Interrupted));
        assert_eq!(typed(b"\x04"), Err(FailureKind::Interrupted));
    }
}
