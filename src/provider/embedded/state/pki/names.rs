//! Names in certificates: subject and alternative names, from the members of requests.

use std::net::IpAddr;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, Ia5String, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::super::refusal::Refusal;
use crate::model::json::{JsonObject, as_array, as_str};

/// Subject members with their attributes, in the order of Go's `crypto/x509/pkix`, which the provider's engine uses.
pub(crate) const SUBJECT: [(&str, &str); 8] = [
    ("country", "2.5.4.6"),
    ("organization", "2.5.4.10"),
    ("ou", "2.5.4.11"),
    ("locality", "2.5.4.7"),
    ("province", "2.5.4.8"),
    ("street_address", "2.5.4.9"),
    ("postal_code", "2.5.4.17"),
    ("user_ids", "0.9.2342.19200300.100.1.1"),
];
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");

fn invalid(what: &str) -> Refusal {
    Refusal::invalid(format!("The field '{what}' is not valid in a certificate."))
}

/// Returns a member that is a list of strings or a comma-separated string; empty if absent.
pub(crate) fn strings(object: &JsonObject, name: &str) -> Vec<String> {
    let split = |text: String| -> Vec<String> {
        text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    match object.get(name) {
        None => Vec::new(),
        Some(value) => match as_array(value) {
            Some(list) => list.iter().filter_map(|element| as_str(element)).collect(),
            None => as_str(value).map(split).unwrap_or_default(),
        },
    }
}

/// Builds the subject from these members and a common name.
pub(crate) fn subject(members: &JsonObject, common_name: Option<&str>) -> Result<Name, Refusal> {
    let mut sequence = RdnSequence::default();
    for (member, oid) in SUBJECT {
        for value in strings(members, member) {
            push(&mut sequence, ObjectIdentifier::new_unwrap(oid), &value).ok_or_else(|| invalid(member))?;
        }
    }
    if let Some(name) = common_name.filter(|name| !name.is_empty()) {
        push(&mut sequence, COMMON_NAME, name).ok_or_else(|| invalid("common_name"))?;
    }
    if let Some(serial) = members.str("serial_number").filter(|serial| !serial.is_empty()) {
        push(&mut sequence, SERIAL_NUMBER, &serial).ok_or_else(|| invalid("serial_number"))?;
    }
    let der = sequence.to_der().map_err(|_| invalid("common_name"))?;
    Name::from_der(&der).map_err(|_| invalid("common_name"))
}

fn push(sequence: &mut RdnSequence, oid: ObjectIdentifier, value: &str) -> Option<()> {
    let value = if [COUNTRY, SERIAL_NUMBER].contains(&oid) {
        Any::encode_from(&PrintableStringRef::new(value).ok()?).ok()?
    } else {
        Any::encode_from(&Utf8StringRef::new(value).ok()?).ok()?
    };
    let mut name = RelativeDistinguishedName::default();
    name.insert(AttributeTypeAndValue { oid, value }).ok()?;
    sequence.push(name);
    Some(())
}

/// Subject alternative names of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sans {
    pub(crate) dns: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) uris: Vec<String>,
    /// Object id and UTF-8 value.
    pub(crate) others: Vec<(ObjectIdentifier, String)>,
}

impl Sans {
    /// Parses `alt_names`, `ip_sans`, `uri_sans` and `other_sans`.
    pub(crate) fn parse(members: &JsonObject) -> Result<Self, Refusal> {
        let mut sans = Self::default();
        for name in strings(members, "alt_names") {
            sans.add_name(name);
        }
        for ip in strings(members, "ip_sans") {
            sans.ips.push(ip.parse().map_err(|_| invalid("ip_sans"))?);
        }
        sans.uris = strings(members, "uri_sans");
        for other in strings(members, "other_sans") {
            sans.others.push(other_name(&other).ok_or_else(|| invalid("other_sans"))?);
        }
        Ok(sans)
    }

    /// Adds a host name or, with an `@`, a mail address, unless it is already present.
    pub(crate) fn add_name(&mut self, name: String) {
        let list = if name.contains('@') { &mut self.emails } else { &mut self.dns };
        if !list.contains(&name) {
            list.push(name);
        }
    }

    /// Adds the common name, as the first name, if it can be a host name or a mail address.
    pub(crate) fn add_common_name(&mut self, name: &str) {
        if name.contains('@') {
            self.add_name(name.to_owned());
        } else if is_host(name) && !self.dns.iter().any(|known| known == name) {
            self.dns.insert(0, name.to_owned());
        }
    }

    /// Reads the names of a certificate or request.
    pub(crate) fn of(names: &[GeneralName]) -> Self {
        let mut sans = Self::default();
        for name in names {
            match name {
                GeneralName::DnsName(name) => sans.dns.push(name.to_string()),
                GeneralName::Rfc822Name(name) => sans.emails.push(name.to_string()),
                GeneralName::UniformResourceIdentifier(name) => sans.uris.push(name.to_string()),
                GeneralName::IpAddress(bytes) => {
                    let bytes = bytes.as_bytes();
                    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                    sans.ips.extend(v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok());
                }
                GeneralName::OtherName(other) => {
                    if let Ok(text) = other.value.decode_as::<Utf8StringRef<'_>>() {
                        sans.others.push((other.type_id, text.as_str().to_owned()));
                    }
                }
                _ => {}
            }
        }
        sans
    }

    /// Returns the names in certificate form.
    pub(crate) fn general_names(&self) -> Result<Vec<GeneralName>, Refusal> {
        let text = |what: &'static str| move |name: &String| Ia5String::new(name).map_err(|_| invalid(what));
        let mut names = Vec::new();
        for name in &self.dns {
            names.push(GeneralName::DnsName(text("alt_names")(name)?));
        }
        for name in &self.emails {
            names.push(GeneralName::Rfc822Name(text("alt_names")(name)?));
        }
        names.extend(self.ips.iter().map(|ip| GeneralName::from(*ip)));
        for name in &self.uris {
            names.push(GeneralName::UniformResourceIdentifier(text("uri_sans")(name)?));
        }
        for (type_id, value) in &self.others {
            let value = Utf8StringRef::new(value).and_then(|value| Any::encode_from(&value));
            let value = value.map_err(|_| invalid("other_sans"))?;
            names.push(GeneralName::OtherName(OtherName { type_id: *type_id, value }));
        }
        Ok(names)
    }
}

/// Parses `<oid>;UTF8:<value>`.
fn other_name(text: &str) -> Option<(ObjectIdentifier, String)> {
    let (oid, rest) = text.split_once(';')?;
    let (kind, value) = rest.split_once(':')?;
    let known = ["UTF8", "UTF-8"].iter().any(|known| kind.eq_ignore_ascii_case(known));
    known.then(|| Some((ObjectIdentifier::new(oid.trim()).ok()?, value.to_owned())))?
}

/// True if a text has the form of a host name; its first label may contain a `*`.
pub(crate) fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let star = first.contains('*');
    name.len() <= 253
        && label(&first.replacen('*', "x", 1))
        && rest.is_none_or(|rest| rest.split('.').all(label))
        && !(star && rest.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_every_member_in_its_order() {
        let members = JsonObject::parse(
            r#"{"organization":["Acme, Inc"],"country":["DE"],"ou":["A","B"],"locality":["Berlin"],"province":["BE"],"street_address":["Weg 1/2"],"postal_code":["10115"],"serial_number":"42"}"#,
        );
        let name = subject(&members.unwrap(), Some("a.example.com")).unwrap();
        assert_eq!(
            name.to_string(),
            r"SERIALNUMBER=42,CN=a.example.com,POSTALCODE=10115,STREET=Weg 1/2,ST=BE,L=Berlin,OU=B,OU=A,O=Acme\, Inc,C=DE"
        );
    }

    #[test]
    fn alternative_names_survive_the_way_through_a_certificate() {
        let members = JsonObject::parse(
            r#"{"alt_names":["a.example.com","ops@example.com"],"ip_sans":"10.0.0.1, ::1","uri_sans":"spiffe://x/y","other_sans":["1.3.6.1.4.1.311.20.2.3;UTF8:ops@x"]}"#,
        );
        let mut sans = Sans::parse(&members.unwrap()).unwrap();
        sans.add_common_name("a.example.com");
        sans.add_common_name("Not a host");
        assert_eq!(sans.dns, ["a.example.com"]);
        assert_eq!(Sans::of(&sans.general_names().unwrap()), sans);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for members in
            [r#"{"ip_sans":"10.0.0"}"#, r#"{"other_sans":["x;UTF8:y"]}"#, r#"{"other_sans":["1.2.3;BMP:y"]}"#]
        {
            assert_eq!(Sans::parse(&JsonObject::parse(members).unwrap()).unwrap_err().status, 400, "{members}");
        }
        assert!(subject(&JsonObject::parse(r#"{"country":["Ä"]}"#).unwrap(), None).is_err());
        for (name, host) in [
            ("a.b", true),
            ("*.a.b", true),
            ("w*.a", true),
            ("*", false),
            ("a b", false),
            ("-a", false),
            ("a..b", false),
        ] {
            assert_eq!(is_host(name), host, "{name}");
        }
    }
}
