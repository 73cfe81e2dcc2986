//! Switches by name, for `keyhaven sandbox --switch NAME=VALUE` and for the tests that count them.

use super::options::{NameScope, Precision, Switches};

/// A switch cannot be set as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// No switch has this name.
    #[error("there is no switch `{name}`{}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// Name as given.
        name: String,
        /// The most similar name, if any.
        nearest: Option<&'static str>,
    },
    /// The switch does not take this value.
    #[error("the switch `{name}` takes {expected}, not `{found}`")]
    Value {
        /// The switch.
        name: &'static str,
        /// Accepted values.
        expected: String,
        /// Value as given.
        found: String,
    },
}

/// Type of a switch's value, read from and written as text.
trait Setting: Copy + Sized {
    /// Accepted values, for messages.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;

    fn write(self) -> String;
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Setting for u16 {
    const EXPECTED: &'static str = "a status code";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Setting for usize {
    const EXPECTED: &'static str = "a number from 1 to 1073741824";

    fn read(text: &str) -> Option<Self> {
        // A compressed body is allocated at its full limit.
        text.parse().ok().filter(|number| (1..=1 << 30).contains(number))
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number from 0";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Setting for Precision {
    const EXPECTED: &'static str = "millis or seconds";

    fn read(text: &str) -> Option<Self> {
        match text {
            "millis" => Some(Self::Millis),
            "seconds" => Some(Self::Seconds),
            _ => None,
        }
    }

    fn write(self) -> String {
        match self {
            Self::Millis => "millis",
            Self::Seconds => "seconds",
        }
        .to_owned()
    }
}

impl Setting for NameScope {
    const EXPECTED: &'static str = "instance or group";

    fn read(text: &str) -> Option<Self> {
        match text {
            "instance" => Some(Self::Instance),
            "group" => Some(Self::Group),
            _ => None,
        }
    }

    fn write(self) -> String {
        match self {
            Self::Instance => "instance",
            Self::Group => "group",
        }
        .to_owned()
    }
}

/// Parses a value; if `among` is not empty, only those values are accepted.
fn read<T: Setting + PartialEq>(name: &'static str, text: &str, among: &[T]) -> Result<T, SwitchError> {
    T::read(text).filter(|value| among.is_empty() || among.contains(value)).ok_or_else(|| {
        let listed: Vec<String> = among.iter().map(|value| value.write()).collect();
        let expected = if listed.is_empty() { T::EXPECTED.to_owned() } else { listed.join(" or ") };
        SwitchError::Value { name, expected, found: text.to_owned() }
    })
}

/// Lists every field of [`Switches`], with its allowed values if its type allows more. Omitting a field is a compile
/// error.
macro_rules! switches {
    ($($name:ident $(among [$($value:expr),+])?),+ $(,)?) => {
        impl Switches {
            /// Names of all switches: the field names.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Sets one switch.
            ///
            /// # Errors
            /// If no switch has this name, or it does not accept this value.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), SwitchError> {
                match name {
                    $(stringify!($name) => self.$name = read(stringify!($name), value, &[$($($value),+)?])?,)+
                    _ => return Err(SwitchError::Unknown { name: name.to_owned(), nearest: nearest(name) }),
                }
                Ok(())
            }

            /// Returns every switch with its value, in the form that [`Switches::set`] accepts.
            #[must_use]
            pub fn values(&self) -> Vec<(&'static str, String)> {
                let Self { $($name),+ } = *self;
                vec![$((stringify!($name), $name.write())),+]
            }
        }
    };
}

switches! {
    precision,
    reads_move_updated_at,
    locks_move_updated_at,
    version_metadata_moves_updated_at,
    unique_names,
    name_conflict_status among [400, 409],
    versions_newest_first,
    rotation_patch_rotates,
    past_expiration_refused,
    expiration_carries,
    version_sets_custom_metadata,
    nested_merge,
    show_managed_csr_key,
    show_ca_private_key,
    revocation_deactivates,
    order_seconds,
    ordered_has_version,
    default_group_patchable,
    bulk_locks_atomic,
    unlocked_in_lock_list,
    registration_test_status among [200, 204],
    auto_rotates,
    ttl_reads_as_seconds,
    iam_service_authorization,
    create_mints_api_key,
    iam_keeps_history,
    dynamic_credentials_end,
    task_timeout_reads_as_seconds,
    task_answer_seconds,
    tasks_move_updated_at,
    custom_deletion_waits,
    references_move_updated_at,
    referenced_secrets_deletable,
    hidden_status among [403, 404],
    hidden_groups_listed,
    max_body,
}

fn nearest(name: &str) -> Option<&'static str> {
    crate::model::nearest::nearest(name, Switches::NAMES.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_reads_what_it_writes() {
        let defaults = Switches::default();
        let mut again = defaults;
        for (name, value) in defaults.values() {
            again.set(name, &value).unwrap();
        }
        assert_eq!(again, defaults);
        assert_eq!(defaults.values().len(), Switches::NAMES.len());
    }

    #[test]
    fn a_switch_that_is_turned_shows_it() {
        let mut switches = Switches::default();
        switches.set("precision", "seconds").unwrap();
        switches.set("name_conflict_status", "409").unwrap();
        switches.set("unique_names", "group").unwrap();
        assert_eq!(switches.precision, Precision::Seconds);
        assert_eq!(switches.unique_names, NameScope::Group);
        assert!(switches.values().contains(&("name_conflict_status", "409".to_owned())));
    }

    #[test]
    fn what_is_unknown_or_does_not_fit_says_what_would() {
        let mut switches = Switches::default();
        let said = |error: SwitchError| error.to_string();
        let wrong = switches.set("precison", "seconds").unwrap_err();
        assert_eq!(said(wrong), "there is no switch `precison`; did you mean `precision`?");
        let wrong = switches.set("name_conflict_status", "404").unwrap_err();
        assert_eq!(said(wrong), "the switch `name_conflict_status` takes 400 or 409, not `404`");
        let wrong = switches.set("nested_merge", "yes").unwrap_err();
        assert_eq!(said(wrong), "the switch `nested_merge` takes true or false, not `yes`");
        for bytes in ["0", "1073741825", "18446744073709551615"] {
            assert!(switches.set("max_body", bytes).is_err(), "{bytes} bytes of memory for one request");
        }
        assert_eq!(switches, Switches::default());
    }
}
