//! Planted values, and every place where they must not turn up.

use std::path::Path;

use keyhaven::model::json;
use keyhaven::provider::embedded::{EmbeddedInstance, Switches, Verb};
use serde_json::Value;

use crate::kit::program::Run;
use crate::kit::site::Site;

/// In every payload field of every type; a payload that leaks shows one of them.
const CANARIES: [&str; 8] = [
    "canary-arbitrary-6b1f0e",
    "canary-kv-1d9c44",
    "canary-nested-77aa20",
    "canary-password-52ee9b",
    "canary-iam-engine-0c3d7e",
    "canary-dns-key-f00d19",
    "canary-classic-4be881",
    "canary-previous-91c0de",
];

fn call(instance: &EmbeddedInstance, verb: Verb, target: &str, body: &Value) -> Value {
    let reply = instance.call(verb, target, &body.to_string());
    assert!(reply.status < 300, "{target}: {}", *reply.body);
    serde_json::from_str(&reply.body).unwrap_or(Value::Null)
}

/// Fills an instance with canaries; returns a piece of the private key of its certificate.
fn plant(instance: &EmbeddedInstance) -> String {
    // Certificates and keys that are real come from the seed.
    keyhaven::provider::embedded::seed(instance, 3, 30).unwrap();
    instance.set_switches(Switches { show_managed_csr_key: true, ..instance.switches() });
    let secrets = "/api/v2/secrets";
    let made = call(
        instance,
        Verb::Post,
        secrets,
        &serde_json::json!({"secret_type":"arbitrary","name":"canary-text","payload":CANARIES[7]}),
    );
    let versions = format!("{secrets}/{}/versions", made["id"].as_str().unwrap());
    call(instance, Verb::Post, &versions, &serde_json::json!({"payload":CANARIES[0]}));
    let data = serde_json::json!({"plain":CANARIES[1],"deep":{"list":[{"in":CANARIES[2]}]}});
    call(instance, Verb::Post, secrets, &serde_json::json!({"secret_type":"kv","name":"canary-kv","data":data}));
    let user = serde_json::json!({"secret_type":"username_password","name":"canary-user","username":"someone",
        "password":CANARIES[3]});
    call(instance, Verb::Post, secrets, &user);
    let configurations = "/api/v2/configurations";
    for (name, body) in [
        (
            "canary-cis",
            serde_json::json!({"config_type":"public_cert_configuration_dns_cloud_internet_services",
            "cloud_internet_services_crn":"crn:v1:bluemix:public:internet-svcs:global:a/1:2::",
            "cloud_internet_services_apikey":CANARIES[5]}),
        ),
        (
            "canary-classic",
            serde_json::json!({"config_type":"public_cert_configuration_dns_classic_infrastructure",
            "classic_infrastructure_username":"someone", "classic_infrastructure_password":CANARIES[6]}),
        ),
    ] {
        let mut body = body;
        body["name"] = name.into();
        call(instance, Verb::Post, configurations, &body);
    }
    // There can be one IAM engine only, and the seed has made it.
    let engine = call(instance, Verb::Get, configurations, &Value::Null);
    let engines = engine["configurations"].as_array().unwrap();
    let engine = engines.iter().find(|one| one["config_type"] == "iam_credentials_configuration").unwrap();
    let engine = format!("{configurations}/{}", engine["name"].as_str().unwrap());
    call(instance, Verb::Patch, &engine, &serde_json::json!({"api_key":CANARIES[4]}));

    let snapshot = instance.snapshot();
    let certificate = snapshot.items.secrets.values().find(|secret| {
        let payload = secret.current().and_then(|version| version.payload.clone());
        secret.secret_type == "imported_cert" && payload.is_some_and(|payload| payload.expose().contains("private_key"))
    });
    let certificate = certificate.unwrap();
    let row = snapshot.secret_row(&certificate.id).unwrap();
    let key = json::JsonObject::parse(&row).unwrap().object("managed_csr").unwrap().str("private_key").unwrap();
    // A line from the middle: the first is the same in every key.
    let line = key.lines().nth(2).unwrap().to_owned();
    assert!(line.len() > 20, "{}", line.len());
    line
}

/// The places searched, and the names of those that hold a canary.
struct Search {
    canaries: Vec<String>,
    found: Vec<String>,
    searched: usize,
}

impl Search {
    fn bytes(&mut self, place: &str, bytes: &[u8]) {
        self.searched += 1;
        for canary in &self.canaries {
            if bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                self.found.push(format!("{place} holds {canary}"));
            }
        }
    }

    fn run(&mut self, place: &str, run: &Run) {
        self.bytes(&format!("{place}, standard output"), run.out.as_bytes());
        self.bytes(&format!("{place}, standard error"), run.err.as_bytes());
    }

    fn folder(&mut self, folder: &Path) {
        for name in crate::kit::files::files(folder) {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            self.bytes(&folder.join(name).display().to_string(), &bytes);
        }
    }
}

#[test]
fn no_planted_value_is_in_any_output_log_file_catalogue_or_clear_object() {
    let mut key_line = String::new();
    let site = Site::new(|source| key_line = plant(source));
    let canaries = CANARIES.iter().map(|canary| (*canary).to_owned()).chain([key_line]).collect();
    let mut search = Search { canaries, found: Vec::new(), searched: 0 };
    let (_standby, server) = site.standby();
    let temporary = site.machine.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    let environment = [
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
        ("TMPDIR", temporary.to_str().unwrap()),
        ("KEYHAVEN_STANDBY_URL", url.as_str()),
        ("KEYHAVEN_STANDBY_IAM_URL", iam_url.as_str()),
        ("KEYHAVEN_STANDBY_API_KEY", "file:api-key"),
        ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000"),
    ];
    let identity = ["--identity", "kit/recovery-identity.txt"];
    let confirm = ["--confirm", "0b8f2f0e-7a61-4c8e-9c55-3d1a2b4c5e6f"];
    for (arguments, code) in [
        (&["backup", "--full"][..], 0),
        (&["doctor"], 0),
        (&["snapshots"], 0),
        (&["show"], 0),
        (&["ls"], 0),
        (&["diff", "2", "3"], 0),
        (&["diff", "latest", "--live"], 0),
        (&["history", "canary-text"], 0),
        (&[&["get", "canary-text"], &identity[..]].concat(), 0),
        (&[&["verify", "--level", "payload"], &identity[..]].concat(), 0),
        (&[&["restore", "plan", "--deep", "--out", "plan.json"], &identity[..], &confirm].concat(), 15),
        (&[&["restore", "apply", "plan.json", "--deep"], &identity[..], &confirm].concat(), 0),
        (&[&["restore", "plan", "--deep"], &identity[..]].concat(), 0),
    ] {
        for form in [&["-vv", "--log-level", "trace"][..], &["--json"]] {
            // The second form of an apply finds everything done; a plan that exists is not written over.
            if form == ["--json"] && arguments.contains(&"--out") {
                continue;
            }
            let all = [arguments, form].concat();
            let run = site.machine.run_with(&environment, &all);
            assert!(run.code == code, "{all:?}: {run:#?}");
            search.run(&all.join(" "), &run);
        }
    }
    // The one command that shows a value shows it, which also proves that the canaries are there to be found.
    let shown = site.machine.run(&[&["get", "canary-text", "--reveal"], &identity[..]].concat());
    assert!(shown.code == 0 && shown.out.contains(CANARIES[0]), "{shown:#?}");
    search.folder(&site.machine.path(""));

    // Catalogues, opened with the collector's own key; packs, with the recovery key, to know that all of it is there.
    let open = |key: &str, path: &Path| {
        let script = format!("age -d -i '{}' '{}' | zstd -dc", site.machine.path(key).display(), path.display());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    for part in site.stored("catalogues") {
        let plain = open("catalogue-key.txt", &part);
        assert!(plain.len() > 1000, "an empty catalogue proves nothing");
        search.bytes(&part.display().to_string(), &plain);
    }
    assert!(search.found.is_empty(), "{}", search.found.join("\n"));
    assert!(search.searched > 60, "{}", search.searched);

    let mut packs = Search { canaries: search.canaries.clone(), found: Vec::new(), searched: 0 };
    let plain: Vec<u8> = site.stored("packs").iter().flat_map(|pack| open("kit/recovery-identity.txt", pack)).collect();
    for canary in search.canaries {
        packs.canaries = vec![canary.clone()];
        packs.bytes("packs", &plain);
        assert!(!packs.found.is_empty(), "{canary} is in no pack: the search was for nothing");
        packs.found.clear();
    }
}
