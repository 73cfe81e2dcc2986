//! Decides which payloads may be read.

use crate::model::json::JsonObject;
use crate::provider::InstanceError;
use crate::provider::ibm::classify::AnswerShape;

/// A secret whose payload may be read: proof that its row was checked.
///
/// Every call that returns a payload takes one. It is created only from a row, because only the row shows whether the
/// read itself would destroy the value: reading an `iam_credentials` secret that does not reuse its API key deletes the
/// live key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeToRead {
    id: String,
    secret_type: String,
}

impl SafeToRead {
    /// Checks a secret's list row or metadata. `allowed` has types outside the provider's published list that the
    /// operator permits.
    ///
    /// # Errors
    /// [`InstanceError::Unsafe`] if the row does not prove that the read is harmless; [`InstanceError::Malformed`] if
    /// it lacks its id or type.
    pub fn new(row: &JsonObject, allowed: &[String]) -> Result<Self, InstanceError> {
        let member = |name: &str| {
            row.str(name).filter(|text| !text.is_empty()).ok_or_else(|| InstanceError::Malformed {
                what: "read a payload".to_owned(),
                problem: format!("the row of the secret has no `{name}`"),
            })
        };
        let (id, secret_type) = (member("id")?, member("secret_type")?);
        let refuse = |why: &str| {
            Err(InstanceError::Unsafe { what: format!("read the payload of secret {id}"), why: why.to_owned() })
        };
        if secret_type == "iam_credentials" {
            // Exactly one `true`: a row with both values proves nothing.
            let said: Vec<_> = row.iter().filter(|(name, _)| *name == "reuse_api_key").map(|(_, v)| v.get()).collect();
            if said != ["true"] {
                return refuse("its row does not say reuse_api_key=true, and the read would delete its live API key");
            }
        } else if !AnswerShape::Secret(&secret_type).is_known() && !allowed.contains(&secret_type) {
            return refuse(&format!(
                "its type `{secret_type}` is unknown and a read may change it; add the type to read_unknown_types if \
                 its payload may be read"
            ));
        }
        Ok(Self { id, secret_type })
    }

    /// Returns the secret's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the secret's type.
    #[must_use]
    pub fn secret_type(&self) -> &str {
        &self.secret_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(row: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        SafeToRead::new(&JsonObject::parse(row).unwrap(), &allowed).is_ok()
    }

    #[test]
    fn only_reused_api_keys_are_read() {
        assert!(safe(r#"{"id":"1","secret_type":"iam_credentials","reuse_api_key":true}"#, &[]));
        for row in [
            r#"{"id":"1","secret_type":"iam_credentials","reuse_api_key":false}"#,
            r#"{"id":"1","secret_type":"iam_credentials","reuse_api_key":"true"}"#,
            r#"{"id":"1","secret_type":"iam_credentials"}"#,
            r#"{"id":"1","secret_type":"iam_credentials","reuse_api_key":true,"reuse_api_key":false}"#,
            r#"{"id":"1","secret_type":"iam_credentials","reuse_api_key":false,"reuse_api_key":true}"#,
        ] {
            assert!(!safe(row, &["iam_credentials"]), "{row}");
        }
    }

    #[test]
    fn unknown_types_need_the_operators_word() {
        let row = r#"{"id":"1","secret_type":"quantum_token"}"#;
        assert!(!safe(row, &[]));
        assert!(!safe(row, &["other"]));
        assert!(safe(row, &["quantum_token"]));
        assert!(!safe(r#"{"id":"1"}"#, &[]));
        assert!(!safe(r#"{"id":"","secret_type":"kv"}"#, &[]));
    }
}
