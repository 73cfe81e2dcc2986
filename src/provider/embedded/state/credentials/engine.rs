//! Configuration of a custom credentials engine: the job that creates the credentials, with its parameters and results.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::InstanceState;
use super::super::data::{Configuration, Secret};
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::Ttl;
use crate::model::json::{JsonObject, as_str, raw};

/// Its `config_type`.
pub(crate) const ENGINE: &str = "custom_credentials_configuration";
/// Allowed job timeout, in seconds.
const TIMEOUT: std::ops::RangeInclusive<u64> = 300..=86_400;
/// Default job timeout.
const DEFAULT_TIMEOUT: &str = "10m";

/// Job schema: name, format and variable of each parameter. The real service reads it from the variables of the job.
/// The embedded instance has no jobs, so every job logs in with another secret and creates an API key.
const PARAMETERS: [(&str, &str, &str); 4] = [
    ("login_secret", "type:secret_id, required:false", "SMIN_LOGIN_SECRET"),
    ("username", "type:string, required:false", "SMIN_USERNAME"),
    ("valid_days", "type:integer, required:false", "SMIN_VALID_DAYS"),
    ("read_only", "type:boolean, required:false", "SMIN_READ_ONLY"),
];
const CREDENTIALS: [(&str, &str); 2] =
    [("api_key", "type:string, required:true"), ("user_id", "type:string, required:true")];

impl InstanceState {
    /// Returns the members of a new configuration.
    pub(in super::super) fn custom_engine(&mut self, body: &InputBody<'_>) -> Result<JsonObject, Refusal> {
        let mut fields = JsonObject::default();
        if let Some(id) = body.string("api_key_ref")? {
            let secret = self.items.secrets.get(id.as_str());
            if secret.is_none_or(|secret| secret.secret_type != "iam_credentials") {
                return Err(Refusal::invalid("The field 'api_key_ref' must be the id of an IAM credentials secret."));
            }
            fields.set("api_key_ref", raw(&id));
        }
        let code_engine = body.object("code_engine")?;
        let code_engine = code_engine.ok_or_else(|| Refusal::invalid("The field 'code_engine' is required."))?;
        let job = job(&code_engine)?;
        let mut mapped = self.items.configurations.values().filter(|found| found.config_type == ENGINE);
        let here = mapped
            .any(|found| found.fields.get("code_engine").and_then(|found| self::job(found).ok()) == Some(job.clone()));
        if here || self.mapped_jobs.contains(&job) {
            return Err(Refusal::invalid("A configuration for the same Code Engine job already exists."));
        }
        fields.set("code_engine_key_ref", raw(&self.ids.uuid()));
        fields.set("code_engine", code_engine);
        fields.set("schema", schema());
        let timeout = Ttl::given(body, "task_timeout", &TIMEOUT, false)?.or_else(|| Ttl::parse(DEFAULT_TIMEOUT));
        if let Some(timeout) = timeout {
            fields.set("task_timeout", timeout.shown(self.switches.task_timeout_reads_as_seconds));
        }
        Ok(fields)
    }

    /// Applies a patch of a configuration, which can change only the job timeout.
    pub(in super::super) fn patch_custom_engine(
        &self,
        body: &InputBody<'_>,
        fields: &mut JsonObject,
    ) -> Result<(), Refusal> {
        body.only(&["task_timeout"])?;
        let default = || Ttl::parse(DEFAULT_TIMEOUT).filter(|_| body.clears("task_timeout"));
        if let Some(timeout) = Ttl::given(body, "task_timeout", &TIMEOUT, false)?.or_else(default) {
            fields.set("task_timeout", timeout.shown(self.switches.task_timeout_reads_as_seconds));
        }
        Ok(())
    }

    /// Returns the engine of a secret; `None` if it was deleted.
    pub(in super::super) fn engine_of(&self, secret: &Secret) -> Option<Arc<Configuration>> {
        let name = secret.fields.str("configuration")?;
        self.items.configurations.get(format!("{ENGINE}/{name}").as_str()).cloned()
    }

    /// Rejects parameters that are not scalar, do not match the type in the schema, or name a secret that does not
    /// exist.
    pub(in super::super) fn check_parameters(&self, parameters: &RawValue) -> Result<(), Refusal> {
        let wrong =
            |name: &str| Refusal::invalid(format!("The parameter '{name}' does not fit the schema of the engine."));
        let parameters = JsonObject::parse(parameters.get()).map_err(|_| wrong("parameters"))?;
        for (name, value) in parameters.iter() {
            let format = PARAMETERS.iter().find(|(known, ..)| *known == name).map_or("", |(_, format, _)| format);
            let text = as_str(value);
            let number = value.get().parse::<i64>().is_ok();
            let boolean = matches!(value.get(), "true" | "false");
            let fits = match format.split([':', ',']).nth(1) {
                Some("secret_id") => text.is_some_and(|id| self.items.secrets.contains_key(id.as_str())),
                Some("string") => text.is_some(),
                Some("integer") => number,
                Some("boolean") => boolean,
                _ => text.is_some() || number || boolean,
            };
            if !fits {
                return Err(wrong(name));
            }
        }
        Ok(())
    }
}

/// Returns the job timeout of an engine, in seconds.
pub(in super::super) fn task_timeout(engine: Option<&Configuration>) -> u64 {
    let written = engine.and_then(|engine| engine.fields.str("task_timeout"));
    written.and_then(|text| Ttl::parse(&text)).map_or(*TIMEOUT.start() * 2, |timeout| timeout.seconds())
}

/// Returns the names of the parts that an engine's credentials have.
pub(in super::super) fn credential_names(engine: Option<&Configuration>) -> Vec<String> {
    let schema = engine.and_then(|engine| engine.fields.object("schema"));
    let parts = schema.and_then(|schema| schema.array("credentials")).unwrap_or_default();
    parts.iter().filter_map(|part| JsonObject::parse(part.get()).ok()?.str("name")).collect()
}

/// Returns the job as `REGION/PROJECT/NAME`.
fn job(code_engine: &RawValue) -> Result<String, Refusal> {
    let body = InputBody::parse(code_engine.get())?;
    body.only(&["job_name", "project_id", "region"])?;
    let member = |name: &str| {
        let text = body.string(name)?.filter(|text| (2..=256).contains(&text.chars().count()));
        text.ok_or_else(|| Refusal::invalid(format!("The field 'code_engine.{name}' must have 2 to 256 characters.")))
    };
    Ok(format!("{}/{}/{}", member("region")?, member("project_id")?, member("job_name")?))
}

fn schema() -> Box<RawValue> {
    let parameters: Vec<_> = PARAMETERS
        .iter()
        .map(|(name, format, variable)| {
            BTreeMap::from([("name", *name), ("format", format), ("env_variable_name", variable)])
        })
        .collect();
    let credentials: Vec<_> =
        CREDENTIALS.iter().map(|(name, format)| BTreeMap::from([("name", *name), ("format", format)])).collect();
    let mut schema = JsonObject::default();
    schema.set("parameters", raw(&parameters));
    schema.set("credentials", raw(&credentials));
    schema.to_raw()
}

#[cfg(test)]
mod tests {
    use super::super::super::harness::Machine;
    use super::*;
    use crate::provider::embedded::options::Switches;

    fn engine(name: &str, job: &str, more: &str) -> String {
        format!(
            r#"{{"config_type":"{ENGINE}","name":"{name}","code_engine":{{"job_name":"{job}","project_id":"p1","region":"eu-de"}}{more}}}"#
        )
    }

    fn iam(machine: &mut Machine, name: &str) -> String {
        let members = r#""ttl":"1d","reuse_api_key":true,"access_groups":["AccessGroupId-1"]"#;
        machine.create("iam_credentials", name, members)
    }

    #[test]
    fn a_job_has_one_engine_anywhere() {
        let mut machine = Machine::new();
        machine.state.mapped_jobs = vec!["eu-de/p1/taken".to_owned()];
        assert_eq!(machine.post("configurations", &engine("one", "job", "")).0, 201);
        assert_eq!(machine.post("configurations", &engine("two", "job", "")).0, 400);
        assert_eq!(machine.post("configurations", &engine("two", "taken", "")).0, 400);
        assert_eq!(machine.post("configurations", &engine("two", "other", "")).0, 201);
        machine.delete("configurations/one");
        assert_eq!(machine.post("configurations", &engine("three", "job", "")).0, 201);
    }

    #[test]
    fn only_the_timeout_changes_and_reads_back_as_switched() {
        for (seconds, default, shown) in [(false, "10m", "2h"), (true, "600", "7200")] {
            let mut machine = Machine::with(Switches { task_timeout_reads_as_seconds: seconds, ..Switches::default() });
            let made = machine.post("configurations", &engine("one", "job", ""));
            assert_eq!(made.str("task_timeout"), default);
            assert!(made.has("schema") && made.has("code_engine_key_ref"));
            assert_eq!(machine.patch("configurations/one", r#"{"task_timeout":"2h"}"#).str("task_timeout"), shown);
            for wrong in [r#"{"task_timeout":"4m"}"#, r#"{"task_timeout":"25h"}"#, r#"{"api_key_ref":"x"}"#] {
                assert_eq!(machine.patch("configurations/one", wrong).0, 400, "{wrong}");
            }
            // All members are metadata.
            let row = &machine.get("configurations").rows("configurations")[0];
            assert_eq!(row.str("task_timeout").as_deref(), Some(shown));
            assert!(row.object("schema").is_some() && row.object("code_engine").is_some());
            assert_eq!(machine.patch("configurations/one", r#"{"task_timeout":null}"#).str("task_timeout"), default);
        }
    }

    #[test]
    fn a_secret_says_which_configurations_use_it_and_stays_while_they_do() {
        for (deletable, moves) in [(false, true), (true, false)] {
            let mut machine = Machine::with(Switches {
                iam_service_authorization: true,
                referenced_secrets_deletable: deletable,
                references_move_updated_at: moves,
                ..Switches::default()
            });
            let id = iam(&mut machine, "engine-key");
            let before = machine.get(&format!("secrets/{id}/metadata"));
            assert!(!before.has("referenced_by"));
            machine.later(1000);
            let key = format!(r#","api_key_ref":"{id}""#);
            machine.post("configurations", &engine("one", "job", &key));
            machine.post("configurations", &engine("two", "other", &key));
            let after = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!(after.raw("referenced_by"), r#"["one","two"]"#);
            assert_eq!(after.str("updated_at") != before.str("updated_at"), moves);
            machine.post(&format!("secrets/{id}/versions"), "{}");
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("referenced_by"), r#"["one","two"]"#);
            machine.delete("configurations/one");
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("referenced_by"), r#"["two"]"#);
            assert_eq!(machine.delete(&format!("secrets/{id}")).0, if deletable { 204 } else { 400 });
            machine.delete("configurations/two");
            assert_eq!(machine.delete(&format!("secrets/{id}")).0, if deletable { 404 } else { 204 });
        }
        let mut machine = Machine::with(Switches { iam_service_authorization: true, ..Switches::default() });
        let id = iam(&mut machine, "shared-key");
        machine.post("configurations", &engine("same", "job", &format!(r#","api_key_ref":"{id}""#)));
        let root = "private_cert_configuration_root_ca";
        let provider = format!(
            r#"{{"type":"hyper_protect_crypto_services","instance_crn":"crn:x","private_keystore_id":"z","pin_iam_credentials_secret_id":"{id}"}}"#
        );
        let body = format!(
            r#"{{"config_type":"{root}","name":"same","common_name":"x","max_ttl":"1h","key_type":"ec","crypto_key":{{"provider":{provider}}}}}"#
        );
        assert_eq!(machine.post("configurations", &body).0, 201);
        assert_eq!(machine.delete_typed("configurations/same", root).0, 204);
        // The other configuration with that name still uses it.
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("referenced_by"), r#"["same"]"#);
        let mut machine = Machine::new();
        let plain = machine.arbitrary("plain");
        let wrong = engine("one", "job", &format!(r#","api_key_ref":"{plain}""#));
        assert_eq!(machine.post("configurations", &wrong).0, 400);
    }
}
