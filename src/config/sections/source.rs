//! `[source]`.

use super::section;
use crate::config::value::{FilePath, HttpUrl, Rate, SecretRef};

section! {
    /// The instance that is backed up.
    pub struct SourceSection in "source" {
        /// The service URL of the instance. Plain http is for loopback only.
        url: Option<HttpUrl>, r#""https://INSTANCE-ID.eu-de.secrets-manager.appdomain.cloud""#;
        /// Where an API key is exchanged for a token.
        iam_url: HttpUrl = "https://iam.cloud.ibm.com", r#""https://iam.cloud.ibm.com""#;
        /// The CRN of the instance. `init` writes it into the trust policy. Default: `init` asks the instance.
        crn: Option<String>, r#""crn:v1:bluemix:public:secrets-manager:eu-de:a/ACCOUNT:INSTANCE-ID::""#;
        /// The API key: in a file that the world cannot read, in an environment variable, or in a systemd credential.
        /// The identity needs the role SecretsReader on the instance and, for the values of configurations,
        /// configurations.list and configuration.read in a custom role.
        api_key: Option<SecretRef>, r#""file:/etc/keyhaven/source-api-key""#;
        /// Trust only these CA certificates (PEM) instead of the system's.
        ca_file: Option<FilePath>, r#""/etc/keyhaven/ca.pem""#;
        /// The pace of all our requests together. The provider advises 20 for all clients of an instance, and the
        /// applications are among them.
        requests_per_second: Rate = "5", "5";
        /// Secret types unknown to Keyhaven whose payloads are read all the same. Only for types where a read changes
        /// nothing in the source.
        read_types: Vec<String> = "[]", "[]";
    }
}
