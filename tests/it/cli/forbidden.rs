//! Payloads whose read would change the source are read by no command.

use keyhaven::model::Payload;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{Planted, Verb, seed};
use zeroize::Zeroizing;

use crate::kit::site::Site;

/// Secrets whose payload no command may read, by type and the members of their rows.
const FORBIDDEN: [(&str, &str); 3] =
    [("iam_credentials", r#"{"reuse_api_key":false}"#), ("iam_credentials", "{}"), ("quantum_token", "{}")];

#[test]
fn no_command_reads_a_payload_whose_read_would_change_the_source() {
    let site = Site::new(|source| {
        seed(source, 11, 12).unwrap();
        for (n, (secret_type, fields)) in FORBIDDEN.iter().enumerate() {
            source.plant(&Planted {
                secret_type: (*secret_type).to_owned(),
                name: format!("planted-{n}"),
                group: "default".to_owned(),
                fields: JsonObject::parse(fields).unwrap(),
                payload: Payload::new(Zeroizing::new(r#"{"api_key":"never to be read"}"#.to_owned())),
            });
        }
    });
    let planted = |name: &str| {
        let found = site.source.call(Verb::Get, &format!("/api/v2/secrets?search={name}"), "");
        let rows = JsonObject::parse(&found.body).unwrap().array("secrets").unwrap();
        JsonObject::parse(rows[0].get()).unwrap().str("id").unwrap()
    };
    let doctor = site.run(&["doctor", "--json"]);
    assert!(doctor.out.contains("secrets"), "it has looked at the instance: {}", doctor.out);
    site.run(&["diff", "latest", "--live", "--json"]).json(0);
    // Changed, so that they are read again; one is gone, so that it is asked for by id.
    for (n, _) in FORBIDDEN.iter().enumerate() {
        let patch = format!(r#"{{"description":"changed {n}"}}"#);
        let target = format!("/api/v2/secrets/{}/metadata", planted(&format!("planted-{n}")));
        assert_eq!(site.source.call(Verb::Patch, &target, &patch).status, 200);
    }
    let target = format!("/api/v2/secrets/{}", planted("planted-1"));
    assert_eq!(site.source.call(Verb::Delete, &target, "").status, 204);
    let report = site.run(&["backup", "--json"]).json(0);
    assert_eq!(report["requests"]["asking"], 1, "{report:#}");
    site.run(&["backup", "--full", "--json"]).json(0);
    assert_eq!(site.source.forbidden_acts(), []);
}
