//! The id map as CSV (RFC 4180).

use super::IdMap;

/// Header line.
const HEADING: &str = "kind,type,group,name,old_id,new_id\r\n";

impl IdMap {
    /// Returns the map as CSV (RFC 4180) with the header `kind,type,group,name,old_id,new_id`. Versions have the kind
    /// `version`; the type is the one in the standby.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = HEADING.to_owned();
        for item in &self.items {
            let group = item.group.as_deref().unwrap_or_default();
            let kind = item.key.kind_word();
            line(&mut out, [kind, &item.item_type, group, &item.name, &item.old_id, &item.new_id]);
            for version in &item.versions {
                line(&mut out, ["version", &item.item_type, group, &item.name, &version.old_id, &version.new_id]);
            }
        }
        out
    }
}

/// Appends a line with fields quoted as necessary. A field that a spreadsheet would interpret as a formula is quoted
/// and prefixed with an apostrophe.
fn line(out: &mut String, fields: [&str; 6]) {
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if formula || field.contains([',', '"', '\r', '\n']) {
            let apostrophe = if formula { "'" } else { "" };
            out.push_str(&format!("\"{apostrophe}{}\"", field.replace('"', "\"\"")));
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use crate::job::restore::idmap::tests::map;

    #[test]
    fn csv_quotes_what_it_must() {
        let csv = map().to_csv();
        assert!(csv.starts_with(
            "kind,type,group,name,old_id,new_id\r\nsecret,kv,1st,a.b,o1,n1\r\nversion,kv,1st,a.b,vo1,vn1\r\n"
        ));
        assert!(csv.contains("secret,kv,,\"'=x,\"\"y\"\"\",o4,n4\r\n"), "{csv}");
    }
}
