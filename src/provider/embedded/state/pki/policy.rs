//! Checks whether a template allows the requested names, by the rules of the provider's engine (HashiCorp Vault's PKI
//! roles, as documented).

use super::super::refusal::Refusal;
use super::names::{Sans, is_host, strings};
use super::template::Template;

/// Rejects a common name or an alternative name that the template does not allow.
pub(crate) fn check(template: &Template, common_name: &str, sans: &Sans) -> Result<(), Refusal> {
    if common_name.is_empty() && template.flag("require_cn") {
        return Err(Refusal::invalid("The template requires a common name."));
    }
    let common_name = (!common_name.is_empty()).then_some(common_name);
    let names = common_name.into_iter().chain(sans.dns.iter().chain(&sans.emails).map(String::as_str));
    for name in names {
        if !allows_name(template, name) {
            return Err(refused("name", name));
        }
    }
    if !sans.ips.is_empty() && !template.flag("allow_ip_sans") {
        return Err(Refusal::invalid("The template allows no IP addresses."));
    }
    let uris = strings(&template.settings, "allowed_uri_sans");
    if let Some(uri) = sans.uris.iter().find(|uri| !uris.iter().any(|allowed| glob(allowed, uri))) {
        return Err(refused("URI", uri));
    }
    let others = strings(&template.settings, "allowed_other_sans");
    for (oid, value) in &sans.others {
        let allowed = others.iter().any(|allowed| {
            allowed == "*"
                || allowed.split_once(';').is_some_and(|(known, rest)| {
                    let pattern = rest.split_once(':').map_or(rest, |(_, pattern)| pattern);
                    known.trim() == oid.to_string() && glob(pattern, value)
                })
        });
        if !allowed {
            return Err(refused("other name", value));
        }
    }
    Ok(())
}

fn refused(what: &str, name: &str) -> Refusal {
    Refusal::invalid(format!("The {what} '{name}' is not allowed by the certificate template."))
}

fn allows_name(template: &Template, name: &str) -> bool {
    let host = name.rsplit_once('@').map_or(name, |(_, host)| host);
    let wildcard = host.contains('*');
    if wildcard && !template.wildcards {
        return false;
    }
    if template.flag("enforce_hostnames") && !is_host(host) {
        return false;
    }
    if template.flag("allow_any_name") {
        return true;
    }
    let host = host.to_lowercase();
    if template.flag("allow_localhost") && ["localhost", "localdomain"].contains(&host.as_str()) {
        return true;
    }
    strings(&template.settings, "allowed_domains").iter().map(|domain| domain.to_lowercase()).any(|domain| {
        (template.flag("allow_bare_domains") && host == domain)
            || (template.flag("allow_subdomains")
                && host.strip_suffix(&domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')))
            || (template.flag("allow_glob_domains") && domain.contains('*') && glob(&domain, &host))
    })
}

/// True if a text matches a pattern in which `*` matches any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::JsonObject;

    fn template(settings: &str) -> Template {
        Template {
            name: "t".into(),
            certificate_authority: "ca".into(),
            settings: JsonObject::parse(settings).unwrap(),
            max_ttl: None,
            ttl: None,
            not_before: 30,
            wildcards: !settings.contains("no_wildcards"),
        }
    }

    fn sans(members: &str) -> Sans {
        Sans::parse(&JsonObject::parse(members).unwrap()).unwrap()
    }

    #[test]
    fn names_are_allowed_by_the_switch_that_is_for_them() {
        for (settings, name, allowed) in [
            (r#"{"allowed_domains":["example.com"]}"#, "example.com", false),
            (r#"{"allowed_domains":["example.com"],"allow_bare_domains":true}"#, "Example.com", true),
            (r#"{"allowed_domains":["example.com"],"allow_bare_domains":true}"#, "a.example.com", false),
            (r#"{"allowed_domains":["example.com"],"allow_subdomains":true}"#, "a.b.example.com", true),
            (r#"{"allowed_domains":["example.com"],"allow_subdomains":true}"#, "*.example.com", true),
            (r#"{"allowed_domains":["example.com"],"allow_subdomains":true}"#, "badexample.com", false),
            (r#"{"allowed_domains":["example.com"],"allow_subdomains":true}"#, "example.com", false),
            (r#"{"allowed_domains":["example.com"],"allow_subdomains":true,"no_wildcards":1}"#, "*.example.com", false),
            (r#"{"allowed_domains":["ftp*.example.com"],"allow_glob_domains":true}"#, "ftp7.example.com", true),
            (r#"{"allowed_domains":["ftp*.example.com"]}"#, "ftp7.example.com", false),
            ("{}", "localhost", true),
            (r#"{"allow_localhost":false}"#, "localhost", false),
            (r#"{"allow_any_name":true}"#, "anything.at.all", true),
            (r#"{"allow_any_name":true}"#, "no host", false),
            (r#"{"allow_any_name":true,"enforce_hostnames":false}"#, "no host", true),
            (r#"{"allowed_domains":["example.com"],"allow_bare_domains":true}"#, "ops@example.com", true),
            (r#"{"require_cn":false}"#, "", true),
            ("{}", "", false),
        ] {
            assert_eq!(check(&template(settings), name, &Sans::default()).is_ok(), allowed, "{settings} {name}");
        }
    }

    #[test]
    fn other_kinds_of_names_have_their_own_rules() {
        for (settings, members, allowed) in [
            ("{}", r#"{"ip_sans":"10.0.0.1"}"#, true),
            (r#"{"allow_ip_sans":false}"#, r#"{"ip_sans":"10.0.0.1"}"#, false),
            ("{}", r#"{"uri_sans":"spiffe://a/b"}"#, false),
            (r#"{"allowed_uri_sans":["spiffe://a/*"]}"#, r#"{"uri_sans":"spiffe://a/b"}"#, true),
            (r#"{"allowed_uri_sans":["spiffe://a/*"]}"#, r#"{"uri_sans":"spiffe://b/b"}"#, false),
            ("{}", r#"{"other_sans":["1.2.3;UTF8:x"]}"#, false),
            (r#"{"allowed_other_sans":["1.2.3;UTF8:*"]}"#, r#"{"other_sans":["1.2.3;UTF8:x"]}"#, true),
            (r#"{"allowed_other_sans":["1.2.4;UTF8:*"]}"#, r#"{"other_sans":["1.2.3;UTF8:x"]}"#, false),
            (r#"{"allowed_other_sans":["*"]}"#, r#"{"other_sans":["1.2.3;UTF8:x"]}"#, true),
            ("{}", r#"{"alt_names":["evil.example.org"]}"#, false),
        ] {
            let got = check(&template(settings), "localhost", &sans(members));
            assert_eq!(got.is_ok(), allowed, "{settings} {members}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, fits) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("abc", "abc", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
