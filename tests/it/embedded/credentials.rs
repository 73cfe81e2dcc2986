//! IAM, service and custom credentials of the embedded instance over HTTP, as a client and a job see them.

use std::io::Write;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use keyhaven::model::Timestamp;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{
    ApiKey, EmbeddedInstance, InstanceClock, LiveCredential, Options, Server, ServiceRole, Switches,
};
use reqwest::{Client, Method};

const OWNER: &str = "embedded-instance-api-key";
const DAY: i64 = 86_400_000;

struct Peer {
    instance: EmbeddedInstance,
    server: Server,
    client: Client,
    token: String,
}

struct Got {
    status: u16,
    text: String,
}

impl Got {
    fn object(&self) -> JsonObject {
        JsonObject::parse(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn str(&self, name: &str) -> String {
        self.object().str(name).unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    fn has(&self, name: &str) -> bool {
        self.object().get(name).is_some()
    }
}

impl Peer {
    /// With the engines for IAM and custom credentials set up, and a clock that is turned by hand.
    async fn start(switches: Switches, keys: Vec<ApiKey>) -> Self {
        let clock = InstanceClock::manual(Timestamp::from_millis(1_795_356_000_000));
        let token_seconds = 365 * 86_400;
        let options = Options { switches, keys, clock, token_seconds, ids: Some(7), ..Options::default() };
        let peer = Self::over(EmbeddedInstance::new(options)).await;
        peer.post("configurations", r#"{"config_type":"iam_credentials_configuration","name":"iam","api_key":"k"}"#)
            .await;
        let engine = r#"{"config_type":"custom_credentials_configuration","name":"ldap",
            "code_engine":{"job_name":"job","project_id":"project","region":"eu-de"}}"#;
        peer.post("configurations", engine).await;
        peer
    }

    async fn over(instance: EmbeddedInstance) -> Self {
        let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let client = Client::new();
        let token = token(&client, &server, OWNER).await;
        Self { instance, server, client, token }
    }

    async fn send(&self, token: &str, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Got {
        let url = format!("{}/api/v2/{path}", self.server.base_url());
        let mut request = self.client.request(method, url).bearer_auth(token).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Got { status: answer.status().as_u16(), text: answer.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(&self.token, Method::GET, path, &[], Vec::new()).await
    }

    async fn post(&self, path: &str, body: &str) -> Got {
        let got = self.send(&self.token, Method::POST, path, &[], body.into()).await;
        assert_eq!(got.status, 201, "{}", got.text);
        got
    }

    async fn iam(&self, name: &str, reuse: bool) -> String {
        let members = r#""ttl":"7d","access_groups":["AccessGroupId-1"]"#;
        let body = format!(r#"{{"secret_type":"iam_credentials","name":"{name}","reuse_api_key":{reuse},{members}}}"#);
        self.post("secrets", &body).await.str("id")
    }

    async fn custom(&self, name: &str) -> String {
        let body = format!(r#"{{"secret_type":"custom_credentials","name":"{name}","configuration":"ldap"}}"#);
        self.post("secrets", &body).await.str("id")
    }

    async fn service(&self, name: &str) -> String {
        let source = r#"{"instance":{"crn":"crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::"},"parameters":{"HMAC":true}}"#;
        let body = format!(r#"{{"secret_type":"service_credentials","name":"{name}","source_service":{source}}}"#);
        self.post("secrets", &body).await.str("id")
    }

    fn live(&self) -> Vec<LiveCredential> {
        self.instance.snapshot().items.live_credentials()
    }
}

async fn token(client: &Client, server: &Server, key: &str) -> String {
    let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key)];
    let answer = client.post(format!("{}/identity/token", server.iam_url())).form(&form).send().await.unwrap();
    JsonObject::parse(&answer.text().await.unwrap()).unwrap().str("access_token").unwrap()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What a careful reader does: everything but the payload of what makes a key with every read.
#[tokio::test]
async fn reading_metadata_of_everything_and_shared_payloads_changes_no_credential() {
    let switches = Switches { task_answer_seconds: 1, ..Switches::default() };
    let peer = Peer::start(switches, Vec::new()).await;
    let ids = [peer.iam("shared", true).await, peer.service("cos").await, peer.custom("ldap-user").await];
    let dynamic = peer.iam("dynamic", false).await;
    peer.instance.clock().advance(2000);
    peer.get("secrets").await;
    let before = peer.live();
    assert_eq!(before.len(), 4);
    for path in ["secrets", "secrets_locks", "configurations", "configurations/iam", "configurations/ldap"] {
        assert_eq!(peer.get(path).await.status, 200, "{path}");
    }
    for id in ids.iter().chain([&dynamic]) {
        for part in ["metadata", "versions", "versions/current/metadata", "locks", "tasks"] {
            assert_eq!(peer.get(&format!("secrets/{id}/{part}")).await.status, 200, "{part}");
        }
    }
    for id in &ids {
        assert_eq!(peer.get(&format!("secrets/{id}")).await.status, 200);
        assert_eq!(peer.get(&format!("secrets/{id}/versions/current")).await.status, 200);
    }
    assert_eq!(peer.live(), before);
    assert!(peer.instance.forbidden_acts().is_empty());
    peer.get(&format!("secrets/{dynamic}")).await;
    let changed: Vec<_> = peer.live().into_iter().filter(|live| !before.contains(live)).collect();
    assert!(changed.len() == 1 && changed[0].secret_id == dynamic);
    assert_eq!(peer.instance.forbidden_acts().len(), 1);
}

#[tokio::test]
async fn only_the_updater_answers_a_task_and_a_manager_only_sees_it() {
    let keys = vec![ApiKey::new("manager", ServiceRole::Manager), ApiKey::new("job", ServiceRole::SecretTaskUpdater)];
    let peer = Peer::start(Switches::default(), keys).await;
    let id = peer.custom("ldap-user").await;
    let task = peer.get(&format!("secrets/{id}/metadata")).await.str("processing_task_id");
    let path = format!("secrets/{id}/tasks/{task}");
    let body =
        r#"{"status":"credentials_created","credentials":{"id":"c1","payload":{"user":"u","password":"hunter2"}}}"#;
    let (manager, job) =
        (token(&peer.client, &peer.server, "manager").await, token(&peer.client, &peer.server, "job").await);
    assert_eq!(peer.send(&manager, Method::PUT, &path, &[], body.into()).await.status, 403);
    assert_eq!(peer.send(&manager, Method::GET, &path, &[], Vec::new()).await.str("status"), "processing");
    assert_eq!(peer.send(&job, Method::GET, &format!("secrets/{id}"), &[], Vec::new()).await.status, 403);
    let answered = peer.send(&job, Method::PUT, &path, &[], body.into()).await;
    assert_eq!((answered.status, answered.str("status")), (200, "credentials_created".to_owned()));
    assert!(!answered.text.contains("hunter2"), "{}", answered.text);
    let read = peer.get(&format!("secrets/{id}")).await;
    assert_eq!(read.object().object("credentials_content").unwrap().str("password").as_deref(), Some("hunter2"));
    assert_eq!(peer.send(&job, Method::PUT, &path, &[], body.into()).await.status, 400);
}

#[tokio::test]
async fn a_name_that_several_configuration_types_share_needs_the_header_for_each_of_them() {
    let peer = Peer::start(Switches::default(), Vec::new()).await;
    let members = [
        (
            "custom_credentials_configuration",
            r#""code_engine":{"job_name":"other","project_id":"project","region":"eu-de"}"#,
        ),
        (
            "public_cert_configuration_ca_lets_encrypt",
            r#""lets_encrypt_environment":"staging","lets_encrypt_private_key":"k""#,
        ),
        ("public_cert_configuration_dns_cloud_internet_services", r#""cloud_internet_services_crn":"crn:v1:x""#),
        (
            "public_cert_configuration_dns_classic_infrastructure",
            r#""classic_infrastructure_username":"u","classic_infrastructure_password":"p""#,
        ),
        ("private_cert_configuration_root_ca", r#""common_name":"root.test","max_ttl":"8760h","key_type":"ec""#),
        (
            "private_cert_configuration_intermediate_ca",
            r#""common_name":"ca.test","max_ttl":"8760h","key_type":"ec","signing_method":"external""#,
        ),
        ("private_cert_configuration_template", r#""certificate_authority":"iam","allow_any_name":true"#),
    ];
    // The eighth type has this name already.
    for (config_type, more) in members {
        let body = format!(r#"{{"config_type":"{config_type}","name":"iam",{more}}}"#);
        peer.post("configurations", &body).await;
    }
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        assert_eq!(
            peer.send(&peer.token, method.clone(), "configurations/iam", &[], b"{}".to_vec()).await.status,
            300,
            "{method}"
        );
    }
    let types = members.iter().map(|(config_type, _)| *config_type).chain(["iam_credentials_configuration"]);
    for config_type in types {
        let header = [("X-Sm-Accept-Configuration-Type", config_type)];
        let got = peer.send(&peer.token, Method::GET, "configurations/iam", &header, Vec::new()).await;
        assert_eq!((got.status, got.str("config_type")), (200, config_type.to_owned()));
    }
    let second = r#"{"config_type":"iam_credentials_configuration","name":"second","api_key":"k"}"#;
    let refused = peer.send(&peer.token, Method::POST, "configurations", &[], second.into()).await;
    assert!(refused.status == 400 && refused.text.contains("reached the maximum"), "{}", refused.text);
}

#[tokio::test]
async fn a_packed_body_is_taken_and_a_damaged_one_refused() {
    let peer = Peer::start(Switches { max_body: 4096, ..Switches::default() }, Vec::new()).await;
    let body = r#"{"secret_type":"kv","name":"packed","data":{"n":1.50}}"#;
    let gzip = [("Content-Encoding", "gzip")];
    let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
        peer.send(&peer.token, Method::POST, "secrets", headers, body).await
    };
    let made = send(&gzip, packed(body)).await;
    assert_eq!((made.status, made.object().get("data").unwrap().get()), (201, r#"{"n":1.50}"#));
    let mut cut = packed(body);
    cut.truncate(cut.len() / 2);
    assert_eq!(send(&gzip, cut).await.status, 400);
    assert_eq!(send(&[("Content-Encoding", "br")], packed(body)).await.status, 415);
    assert_eq!(send(&gzip, packed(&" ".repeat(1 << 20))).await.status, 413);
    // The token endpoint is another matter: nothing was left half read.
    assert_eq!(peer.get("secrets").await.object().u64("total_count"), Some(1));
}

#[tokio::test]
async fn credentials_tasks_and_references_survive_the_data_file() {
    let peer = Peer::start(Switches::default(), Vec::new()).await;
    let key = peer.iam("engine-key", true).await;
    let engine = format!(
        r#"{{"config_type":"custom_credentials_configuration","name":"second","api_key_ref":"{key}",
            "code_engine":{{"job_name":"second","project_id":"project","region":"eu-de"}},"task_timeout":"2h"}}"#
    );
    peer.post("configurations", &engine).await;
    let (custom, dynamic) = (peer.custom("ldap-user").await, peer.iam("dynamic", false).await);
    let task = peer.get(&format!("secrets/{custom}/metadata")).await.str("processing_task_id");
    let answer = r#"{"status":"credentials_created","credentials":{"id":"c1","payload":{"n":1e400}}}"#;
    peer.send(&peer.token, Method::PUT, &format!("secrets/{custom}/tasks/{task}"), &[], answer.into()).await;
    peer.post(&format!("secrets/{custom}/versions"), r#"{"version_custom_metadata":{"n":1.0}}"#).await;
    peer.service("cos").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.jsonl");
    peer.instance.save(&path).unwrap();
    let clock = InstanceClock::manual(Timestamp::from_millis(1_795_356_000_000));
    let again = Peer::over(EmbeddedInstance::load(Options { clock, ..Options::default() }, &path).unwrap()).await;
    assert_eq!(again.live(), peer.live());
    let paths = [
        format!("secrets/{custom}"),
        format!("secrets/{custom}/tasks"),
        format!("secrets/{key}/metadata"),
        format!("secrets/{dynamic}/metadata"),
        "configurations/second".to_owned(),
    ];
    // The first read of each is remembered as one, in both.
    for path in &paths {
        assert_eq!(again.get(path).await.text, peer.get(path).await.text, "{path}");
    }
    assert_eq!(again.get(&paths[2]).await.object().get("referenced_by").unwrap().get(), r#"["second"]"#);
    // The order that was open is open still, and what it asked for is kept.
    let task = again.get(&format!("secrets/{custom}/metadata")).await.str("processing_task_id");
    again.send(&again.token, Method::PUT, &format!("secrets/{custom}/tasks/{task}"), &[], answer.into()).await;
    let version = again.get(&format!("secrets/{custom}/versions/current/metadata")).await;
    assert_eq!(version.object().get("version_custom_metadata").unwrap().get(), r#"{"n":1.0}"#);
}

#[tokio::test]
async fn what_has_a_lifetime_is_destroyed_at_its_end_and_a_lock_postpones_that() {
    let peer = Peer::start(Switches::default(), Vec::new()).await;
    let (free, held) = (peer.iam("free", true).await, peer.iam("held", true).await);
    peer.post(&format!("secrets/{held}/locks_bulk"), r#"{"locks":[{"name":"blue"}]}"#).await;
    peer.instance.clock().advance(7 * DAY);
    let state = async |id: &str| peer.get(&format!("secrets/{id}/metadata")).await.object().u64("state").unwrap();
    assert_eq!((state(&free).await, state(&held).await), (5, 1));
    assert!(!peer.get(&format!("secrets/{free}")).await.has("api_key"));
    assert!(peer.get(&format!("secrets/{held}")).await.has("api_key"));
    peer.send(&peer.token, Method::DELETE, &format!("secrets/{held}/locks_bulk"), &[], Vec::new()).await;
    assert_eq!(state(&held).await, 5);
    assert!(peer.live().is_empty());
}
