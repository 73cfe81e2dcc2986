//! `[standby]`.

use super::section;
use crate::config::value::{FilePath, HttpUrl, Rate, SecretRef};

section! {
    /// The instance that a restore writes into. Only hosts that restore need it.
    pub struct StandbySection in "standby" {
        /// The service URL of the standby.
        url: Option<HttpUrl>, r#""https://STANDBY-ID.eu-gb.secrets-manager.appdomain.cloud""#;
        /// Where an API key is exchanged for a token.
        iam_url: HttpUrl = "https://iam.cloud.ibm.com", r#""https://iam.cloud.ibm.com""#;
        /// The CRN of the standby.
        crn: Option<String>, r#""crn:v1:bluemix:public:secrets-manager:eu-gb:a/ACCOUNT:STANDBY-ID::""#;
        /// The API key. The identity needs the role Manager on the standby and none on the source.
        api_key: Option<SecretRef>, r#""file:/etc/keyhaven/standby-api-key""#;
        /// Trust only these CA certificates (PEM) instead of the system's.
        ca_file: Option<FilePath>, r#""/etc/keyhaven/ca.pem""#;
        /// The pace of all our requests to the standby together.
        requests_per_second: Rate = "20", "20";
    }
}
