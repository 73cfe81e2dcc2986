//! Engine configurations whose values the API returns.

use std::sync::Arc;

use super::credentials::engine::ENGINE;
use super::data::Configuration;
use super::input::InputBody;
use super::list::{CONFIGURATION_LISTS, ListPage};
use super::pki::{Authority, TEMPLATE, is_authority};
use super::query::Query;
use super::refusal::Refusal;
use super::text::{ObjectText, list};
use super::{Answer, InstanceState, rules};
use crate::model::json::{JsonObject, Members, as_str};
use crate::model::{Payload, Timestamp};

/// Definition of a configuration type.
struct Type {
    name: &'static str,
    /// Required members of a create body.
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Required members of a patch.
    patch_required: &'static [&'static str],
    /// Members shown in metadata answers; all others are secret.
    shown: &'static [&'static str],
    /// Maximum number of configurations of its family in an instance.
    limit: usize,
}

const TYPES: [Type; 5] = [
    Type {
        name: ENGINE,
        required: &["code_engine"],
        optional: &["api_key_ref", "task_timeout"],
        patch_required: &[],
        shown: &[],
        limit: 10,
    },
    Type {
        name: "iam_credentials_configuration",
        required: &["api_key"],
        optional: &["disabled"],
        patch_required: &[],
        shown: &["disabled"],
        limit: 1,
    },
    Type {
        name: "public_cert_configuration_ca_lets_encrypt",
        required: &["lets_encrypt_environment", "lets_encrypt_private_key"],
        optional: &["lets_encrypt_preferred_chain"],
        patch_required: &["lets_encrypt_environment"],
        shown: &["lets_encrypt_environment", "lets_encrypt_preferred_chain"],
        limit: 10,
    },
    Type {
        name: "public_cert_configuration_dns_classic_infrastructure",
        required: &["classic_infrastructure_username", "classic_infrastructure_password"],
        optional: &[],
        patch_required: &[],
        shown: &[],
        limit: 10,
    },
    Type {
        name: "public_cert_configuration_dns_cloud_internet_services",
        required: &["cloud_internet_services_crn"],
        optional: &["cloud_internet_services_apikey"],
        patch_required: &["cloud_internet_services_apikey"],
        shown: &[],
        limit: 10,
    },
];

/// Returns the secret type of the engine that a configuration type belongs to.
pub(crate) fn secret_type(config_type: &str) -> &'static str {
    match config_type {
        other if other.starts_with("private_cert") => "private_cert",
        other if other.starts_with("public_cert") => "public_cert",
        other if other.starts_with("iam_") => "iam_credentials",
        _ => "custom_credentials",
    }
}

fn find_type(config_type: &str) -> Result<&'static Type, Refusal> {
    let known = TYPES.iter().find(|known| known.name == config_type);
    known.ok_or_else(|| Refusal::invalid("The embedded instance does not keep configurations of this 'config_type'."))
}

impl Type {
    fn members(&self) -> Vec<&'static str> {
        [self.required, self.optional].concat()
    }

    /// Checks the values and splits them into metadata and secret members.
    fn split(&self, body: &InputBody<'_>) -> Result<(JsonObject, ObjectText), Refusal> {
        let mut shown = JsonObject::default();
        let mut secret = ObjectText::new();
        for member in self.members() {
            let Some(value) = body.get(member) else { continue };
            match member {
                "disabled" => drop(body.bool(member)?),
                "lets_encrypt_environment" => match as_str(value).as_deref() {
                    Some("production" | "staging") => {}
                    _ => return Err(Refusal::invalid("The field 'lets_encrypt_environment' has an unknown value.")),
                },
                _ => drop(body.string(member)?),
            }
            if self.shown.contains(&member) {
                shown.set(member, value.to_owned());
            } else {
                secret.raw(member, value.get());
            }
        }
        Ok((shown, secret))
    }
}

fn require(body: &InputBody<'_>, members: &[&str]) -> Result<(), Refusal> {
    match members.iter().find(|member| body.get(member).is_none()) {
        Some(member) => Err(Refusal::invalid(format!("The field '{member}' is required."))),
        None => Ok(()),
    }
}

impl InstanceState {
    pub(crate) fn create_configuration(&mut self, now: Timestamp, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let config_type = body.required_string("config_type")?;
        let name = body.required_string("name")?;
        rules::configuration_name(&name)?;
        if self.items.configurations.contains_key(format!("{config_type}/{name}").as_str()) {
            return Err(Refusal::invalid("A configuration with the same name already exists."));
        }
        if is_authority(&config_type) {
            let made = self.create_authority(now, &config_type, name, &body)?;
            return Ok(Answer::created(self.renderer.configuration(&made)));
        }
        if config_type == TEMPLATE {
            let made = self.create_template(now, name, &body)?;
            return Ok(Answer::created(self.renderer.configuration(&made)));
        }
        let kind = find_type(&config_type)?;
        body.only(&[&["config_type", "name"][..], &kind.members()].concat())?;
        require(&body, kind.required)?;
        let (fields, value) = match kind.name {
            ENGINE => (self.custom_engine(&body)?, ObjectText::new()),
            _ => kind.split(&body)?,
        };
        // The limit for DNS providers counts both types together.
        let family =
            kind.name.split("_classic").next().and_then(|name| name.split("_cloud").next()).unwrap_or_default();
        self.check_limit(family, kind.limit)?;
        let configuration = Configuration {
            name,
            config_type: kind.name.to_owned(),
            created_at: now,
            updated_at: now,
            fields,
            value: Some(Arc::new(Payload::new(value.finish()))),
            inner: None,
        };
        let answer = Answer::created(self.renderer.configuration(&configuration));
        self.put_configuration(configuration);
        Ok(answer)
    }

    /// Fails if the instance already has the maximum number of configurations whose type begins with `family`.
    pub(crate) fn check_limit(&self, family: &str, limit: usize) -> Result<(), Refusal> {
        let count = self.items.configurations.values().filter(|found| found.config_type.starts_with(family)).count();
        if count >= limit {
            return Err(Refusal::invalid("The instance has reached the maximum of configurations of this type."));
        }
        Ok(())
    }

    pub(crate) fn list_configurations(&self, query: &Query) -> Result<Answer, Refusal> {
        let page = ListPage::parse(query, &CONFIGURATION_LISTS)?;
        let types = query.comma("secret_types");
        let search = query.search()?;
        let mut found: Vec<_> = self
            .items
            .configurations
            .values()
            .filter(|item| types.as_ref().is_none_or(|types| types.iter().any(|t| t == secret_type(&item.config_type))))
            .filter(|item| search.as_ref().is_none_or(|text| item.name.to_lowercase().contains(text)))
            .collect();
        query.sort(&mut found, &["config_type", "secret_type", "name"], |item, field| match field {
            // NUL sorts before any further character of a name.
            "config_type" => (0, format!("{}\0{}", item.config_type, item.name)),
            "secret_type" => (0, format!("{}\0{}\0{}", secret_type(&item.config_type), item.config_type, item.name)),
            _ => (0, format!("{}\0{}", item.name, item.config_type)),
        })?;
        let rows = page.cut(&found, |item| self.renderer.configuration_metadata(item));
        Ok(Answer::ok(page.envelope(self.host(), "configurations", &list(rows), found.len(), query)))
    }

    /// Returns a configuration by name, and by type if the header gives one.
    pub(crate) fn configuration(&self, name: &str, config_type: Option<&str>) -> Result<&Arc<Configuration>, Refusal> {
        let mut named = self.items.configurations.values().filter(|found| {
            found.name == name && config_type.is_none_or(|config_type| found.config_type == config_type)
        });
        let first = named.next().ok_or_else(|| Refusal::missing("The configuration"))?;
        if named.next().is_some() { Err(Refusal::ambiguous()) } else { Ok(first) }
    }

    pub(crate) fn get_configuration(&self, name: &str, config_type: Option<&str>) -> Result<Answer, Refusal> {
        Ok(Answer::ok(self.renderer.configuration(self.configuration(name, config_type)?)))
    }

    pub(crate) fn patch_configuration(
        &mut self,
        now: Timestamp,
        name: &str,
        config_type: Option<&str>,
        text: &str,
    ) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let mut configuration = (**self.configuration(name, config_type)?).clone();
        if let Some(authority) = Authority::of(&configuration) {
            let patched = self.patch_authority(now, authority, &body)?;
            return Ok(Answer::ok(self.renderer.configuration(&patched)));
        }
        if configuration.config_type == TEMPLATE {
            let patched = self.patch_template(now, &configuration, &body)?;
            return Ok(Answer::ok(self.renderer.configuration(&patched)));
        }
        let kind = find_type(&configuration.config_type)?;
        if kind.name == ENGINE {
            self.patch_custom_engine(&body, &mut configuration.fields)?;
            configuration.updated_at = now;
            let answer = Answer::ok(self.renderer.configuration(&configuration));
            self.put_configuration(configuration);
            return Ok(answer);
        }
        body.only(&kind.members())?;
        require(&body, kind.patch_required)?;
        if let Some(member) = kind.required.iter().find(|member| body.clears(member)) {
            return Err(Refusal::invalid(format!("The field '{member}' cannot be cleared.")));
        }
        let (shown, changed) = kind.split(&body)?;
        for (name, value) in shown.iter() {
            configuration.fields.set(name, value.to_owned());
        }
        let cleared: Vec<_> = kind.optional.iter().filter(|member| body.clears(member)).collect();
        cleared.iter().for_each(|member| drop(configuration.fields.remove(member)));
        let changed = changed.finish();
        let before = configuration.value.take();
        let mut value = ObjectText::new();
        let members = |text: &'_ str| {
            Members::parse(text)
                .map(|members| members.0)
                .map_err(|_| ())
                .ok()
                .map(|list| list.into_iter().map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>())
        };
        let mut merged = before.as_ref().and_then(|before| members(before.expose())).unwrap_or_default();
        merged.retain(|(name, _)| !cleared.iter().any(|member| *member == name));
        for (name, new) in members(&changed).unwrap_or_default() {
            match merged.iter_mut().find(|(found, _)| *found == name) {
                Some(found) => found.1 = new,
                None => merged.push((name, new)),
            }
        }
        for (name, text) in &merged {
            value.raw(name, text.get());
        }
        configuration.value = Some(Arc::new(Payload::new(value.finish())));
        configuration.updated_at = now;
        let answer = Answer::ok(self.renderer.configuration(&configuration));
        self.put_configuration(configuration);
        Ok(answer)
    }

    pub(crate) fn delete_configuration(
        &mut self,
        now: Timestamp,
        name: &str,
        config_type: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let configuration = self.configuration(name, config_type)?.clone();
        self.drop_configuration(now, &configuration.config_type, &configuration.name);
        if let Some(authority) = configuration.fields.str("certificate_authority") {
            self.retell_authority(&authority, now);
        }
        Ok(Answer::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;

    const CIS: &str = "public_cert_configuration_dns_cloud_internet_services";
    const CLASSIC: &str = "public_cert_configuration_dns_classic_infrastructure";

    fn cis(name: &str) -> String {
        format!(
            r#"{{"config_type":"{CIS}","name":"{name}","cloud_internet_services_crn":"crn:x","cloud_internet_services_apikey":"hunter2"}}"#
        )
    }

    fn classic(name: &str) -> String {
        format!(
            r#"{{"config_type":"{CLASSIC}","name":"{name}","classic_infrastructure_username":"u","classic_infrastructure_password":"hunter2"}}"#
        )
    }

    #[test]
    fn values_are_shown_by_name_and_in_no_list() {
        let mut machine = Machine::new();
        assert_eq!(machine.post("configurations", &cis("dns")).0, 201);
        let list = machine.get("configurations");
        assert!(!list.1.contains("hunter2") && !list.1.contains("crn:x"), "{}", list.1);
        assert_eq!(list.rows("configurations")[0].str("secret_type").as_deref(), Some("public_cert"));
        assert_eq!(machine.get("configurations/dns").str("cloud_internet_services_apikey"), "hunter2");
    }

    #[test]
    fn a_name_of_two_types_needs_the_header() {
        let mut machine = Machine::new();
        machine.post("configurations", &cis("dns"));
        machine.post("configurations", &classic("dns"));
        assert_eq!(machine.post("configurations", &classic("dns")).0, 400);
        assert_eq!(machine.get("configurations/dns").0, 300);
        assert_eq!(machine.delete("configurations/dns").0, 300);
        assert_eq!(machine.get_typed("configurations/dns", CLASSIC).str("classic_infrastructure_username"), "u");
        assert_eq!(machine.get_typed("configurations/dns", "iam_credentials_configuration").0, 404);
        assert_eq!(machine.delete_typed("configurations/dns", CLASSIC).0, 204);
        assert_eq!(machine.get("configurations/dns").str("config_type"), CIS);
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let mut machine = Machine::new();
        machine.post("configurations", &cis("dns"));
        let before = machine.get("configurations/dns").str("updated_at");
        machine.later(4);
        assert_eq!(machine.patch_typed("configurations/dns", CIS, r#"{"cloud_internet_services_crn":"crn:y"}"#).0, 400);
        let got = machine.patch_typed("configurations/dns", CIS, r#"{"cloud_internet_services_apikey":"new"}"#);
        assert_eq!(
            (got.str("cloud_internet_services_apikey"), got.str("cloud_internet_services_crn")),
            ("new".into(), "crn:x".into())
        );
        assert_ne!(got.str("updated_at"), before);
    }

    #[test]
    fn each_public_configuration_is_patched_by_its_own_rules() {
        const ACME: &str = "public_cert_configuration_ca_lets_encrypt";
        let mut machine = Machine::new();
        let body = format!(
            r#"{{"config_type":"{ACME}","name":"acme","lets_encrypt_environment":"staging","lets_encrypt_private_key":"k","lets_encrypt_preferred_chain":"X1"}}"#
        );
        assert_eq!(machine.post("configurations", &body).0, 201);
        let patch = |machine: &mut Machine, text: &str| machine.patch_typed("configurations/acme", ACME, text);
        assert_eq!(patch(&mut machine, r#"{"lets_encrypt_private_key":"new"}"#).0, 400, "the environment is required");
        let got = patch(&mut machine, r#"{"lets_encrypt_environment":"production","lets_encrypt_private_key":"new"}"#);
        assert_eq!(
            (got.str("lets_encrypt_environment"), got.str("lets_encrypt_private_key")),
            ("production".into(), "new".into())
        );
        assert_eq!(got.str("lets_encrypt_preferred_chain"), "X1");
        let got =
            patch(&mut machine, r#"{"lets_encrypt_environment":"production","lets_encrypt_preferred_chain":null}"#);
        assert!(!got.has("lets_encrypt_preferred_chain") && got.has("lets_encrypt_private_key"));
        machine.post("configurations", &classic("dns"));
        let got = machine.patch("configurations/dns", r#"{"classic_infrastructure_password":"new"}"#);
        assert_eq!(
            (got.str("classic_infrastructure_username"), got.str("classic_infrastructure_password")),
            ("u".into(), "new".into())
        );
        assert_eq!(machine.patch("configurations/dns", r#"{"classic_infrastructure_username":null}"#).0, 400);
        machine.post("configurations", &cis("cis"));
        // An empty key means service authorization.
        assert_eq!(
            machine
                .patch("configurations/cis", r#"{"cloud_internet_services_apikey":""}"#)
                .str("cloud_internet_services_apikey"),
            ""
        );
    }

    #[test]
    fn limits_and_values_are_checked() {
        let mut machine = Machine::new();
        let iam =
            |name: &str| format!(r#"{{"config_type":"iam_credentials_configuration","name":"{name}","api_key":"k"}}"#);
        assert_eq!(machine.post("configurations", &iam("one")).0, 201);
        let refused = machine.post("configurations", &iam("two"));
        assert!(refused.0 == 400 && refused.1.contains("reached the maximum"), "{}", refused.1);
        for index in 0..5 {
            assert_eq!(machine.post("configurations", &cis(&format!("cis-{index}"))).0, 201);
            assert_eq!(machine.post("configurations", &classic(&format!("classic-{index}"))).0, 201);
        }
        assert_eq!(machine.post("configurations", &cis("cis-9")).0, 400);
        let acme = |environment: &str| {
            format!(
                r#"{{"config_type":"public_cert_configuration_ca_lets_encrypt","name":"{environment}","lets_encrypt_environment":"{environment}","lets_encrypt_private_key":"k"}}"#
            )
        };
        assert_eq!(machine.post("configurations", &acme("staging")).0, 201);
        assert_eq!(machine.post("configurations", &acme("moon")).0, 400);
        let page = machine.get("configurations?sort=-name&limit=2&secret_types=public_cert");
        assert_eq!(page.raw("total_count"), "11");
        assert_eq!(page.rows("configurations")[0].str("name").as_deref(), Some("staging"));
    }
}
