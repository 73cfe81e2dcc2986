//! The embedded instance over HTTP, as a client sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use keyhaven::model::Timestamp;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{
    Act, Class, EmbeddedInstance, Hook, InstanceClock, Options, PageFault, Precision, Sandbox, SandboxOptions,
    SeenRequest, Server, Switches, Verb, When,
};
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

/// A server, a client and a token for it.
struct Peer {
    instance: EmbeddedInstance,
    server: Server,
    client: Client,
    token: String,
}

/// An answer: status, headers and text.
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Got {
    fn object(&self) -> JsonObject {
        JsonObject::parse(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn str(&self, name: &str) -> String {
        self.object().str(name).unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Peer {
    async fn start(options: Options) -> Self {
        let instance = EmbeddedInstance::new(options);
        let server = Server::start(instance.clone(), any_port()).await.unwrap();
        let client = Client::new();
        let token = token(&client, &server, "embedded-instance-api-key").await.unwrap();
        Self { instance, server, client, token }
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Got {
        self.try_send(method, path, body).await.unwrap()
    }

    async fn try_send(&self, method: Method, path: &str, body: &str) -> reqwest::Result<Got> {
        let url = format!("{}/api/v2/{path}", self.server.base_url());
        let request = self.client.request(method, url).bearer_auth(&self.token).body(body.to_owned());
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Got { status, headers, text: answer.text().await? })
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, "").await
    }

    async fn post(&self, path: &str, body: &str) -> Got {
        self.send(Method::POST, path, body).await
    }

    async fn create_kv(&self, name: &str, data: &str) -> String {
        let got = self.post("secrets", &format!(r#"{{"secret_type":"kv","name":"{name}","data":{data}}}"#)).await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.str("id")
    }
}

async fn token(client: &Client, server: &Server, key: &str) -> Result<String, (u16, String)> {
    let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key)];
    let answer = client.post(format!("{}/identity/token", server.iam_url())).form(&form).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    let body = JsonObject::parse(&text).unwrap();
    body.str("access_token").ok_or_else(|| (status, body.str("errorCode").unwrap_or_default()))
}

#[tokio::test]
async fn a_wrong_key_gets_no_token_and_no_token_gets_nothing() {
    let peer = Peer::start(Options::default()).await;
    let refused = token(&peer.client, &peer.server, "another-key").await.unwrap_err();
    assert_eq!(refused, (400, "BXNIM0415E".to_owned()));
    let url = format!("{}/api/v2/secrets", peer.server.base_url());
    assert_eq!(peer.client.get(&url).send().await.unwrap().status(), 401);
    let forged = format!("{}x", peer.token);
    assert_eq!(peer.client.get(&url).bearer_auth(forged).send().await.unwrap().status(), 401);
    assert_eq!(peer.client.get(&url).bearer_auth(&peer.token).send().await.unwrap().status(), 200);
    peer.instance.expire_tokens();
    assert_eq!(peer.client.get(&url).bearer_auth(&peer.token).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn json_comes_back_digit_for_digit() {
    let peer = Peer::start(Options::default()).await;
    let odd = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;
    let body = format!(
        r#"{{"secret_type":"kv","name":"odd","data":{odd},"custom_metadata":{odd},"version_custom_metadata":{odd}}}"#
    );
    let created = peer.post("secrets", &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.str("id");
    for path in [format!("secrets/{id}"), format!("secrets/{id}/versions/current")] {
        let got = peer.get(&path).await;
        assert_eq!(got.object().get("data").unwrap().get(), odd, "{path}");
    }
    let metadata = peer.get(&format!("secrets/{id}/metadata")).await;
    assert_eq!(metadata.object().get("custom_metadata").unwrap().get(), odd);
    let version = peer.get(&format!("secrets/{id}/versions/current/metadata")).await;
    assert_eq!(version.object().get("version_custom_metadata").unwrap().get(), odd);
    let lock = format!(r#"{{"locks":[{{"name":"held","attributes":{odd}}}]}}"#);
    assert_eq!(peer.post(&format!("secrets/{id}/locks_bulk"), &lock).await.status, 201);
    let locks = peer.get(&format!("secrets/{id}/locks")).await.object().array("locks").unwrap();
    assert_eq!(JsonObject::parse(locks[0].get()).unwrap().get("attributes").unwrap().get(), odd);
}

#[tokio::test]
async fn pages_name_the_whole_list_once() {
    let peer = Peer::start(Options::default()).await;
    let mut made = Vec::new();
    for index in 0..7 {
        made.push(peer.create_kv(&format!("secret-{index}"), r#"{"a":1}"#).await);
    }
    made.sort();
    let mut listed = Vec::new();
    for offset in [0, 3, 6] {
        let page = peer.get(&format!("secrets?sort=id&limit=3&offset={offset}")).await.object();
        assert_eq!(page.u64("total_count"), Some(7));
        assert_eq!(page.get("next").is_some(), offset < 6);
        assert_eq!(page.get("previous").is_some(), offset > 0);
        let rows = page.array("secrets").unwrap();
        listed.extend(rows.iter().map(|row| JsonObject::parse(row.get()).unwrap().str("id").unwrap()));
    }
    assert_eq!(listed, made);
    assert_eq!(peer.get("secrets?limit=1001").await.status, 400);
    let locks = peer.get("secrets_locks?limit=1000").await.object();
    assert_eq!(locks.array("secrets_locks").unwrap().len(), 7);
}

#[tokio::test]
async fn the_date_is_the_instances_own() {
    let ten_years = 10 * 365 * 86_400_000;
    let peer = Peer::start(Options { clock: InstanceClock::ahead(ten_years), ..Options::default() }).await;
    let date = |got: &Got| {
        let text = got.headers["date"].to_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc2822(&text).unwrap().timestamp_millis()
    };
    let ahead = date(&peer.get("secrets").await) - chrono::Utc::now().timestamp_millis();
    assert!((ten_years - 60_000..ten_years + 60_000).contains(&ahead), "{ahead}");
    peer.instance.clock().set(Timestamp::from_millis(1_795_356_000_999));
    let token = token(&peer.client, &peer.server, "embedded-instance-api-key").await.unwrap();
    let peer = Peer { token, ..peer };
    let id = peer.create_kv("ab", r#"{"a":1}"#).await;
    let got = peer.get(&format!("secrets/{id}/metadata")).await;
    // Whole seconds in the header, milliseconds in the row.
    assert_eq!(got.headers["date"], "Sun, 22 Nov 2026 14:00:00 GMT");
    assert_eq!(got.str("updated_at"), "2026-11-22T14:00:00.999Z");
    let switches = Switches { precision: Precision::Seconds, ..peer.instance.switches() };
    peer.instance.set_switches(switches);
    assert_eq!(peer.get(&format!("secrets/{id}/metadata")).await.str("updated_at"), "2026-11-22T14:00:00Z");
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let clock = InstanceClock::manual(Timestamp::from_millis(1_795_356_000_000));
    let peer = Peer::start(Options { clock: clock.clone(), token_seconds: 60, ..Options::default() }).await;
    clock.advance(59_000);
    assert_eq!(peer.get("secrets").await.status, 200);
    clock.advance(1_000);
    let refused = peer.get("secrets").await;
    assert_eq!(refused.status, 401);
    assert!(refused.object().array("errors").unwrap()[0].get().contains("token"), "{}", refused.text);
    assert_eq!(refused.object().u64("status_code"), Some(401));
}

#[tokio::test]
async fn what_the_api_does_not_know_is_refused_in_its_own_form() {
    let peer = Peer::start(Options::default()).await;
    assert_eq!(peer.get("nothing").await.status, 404);
    assert_eq!(peer.get("secrets/11111111-2222-4333-8444-555555555555").await.status, 404);
    assert_eq!(peer.send(Method::PUT, "secrets", "{}").await.status, 405);
    assert_eq!(peer.send(Method::PATCH, "secrets", "{}").await.status, 405);
    assert_eq!(peer.post("secrets", "not json").await.status, 400);
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(3 * 1024 * 1024));
    // The server may close the connection before it has read so much.
    if let Ok(got) = peer.try_send(Method::POST, "secrets", &large).await {
        assert_eq!(got.status, 413);
    }
}

#[tokio::test]
async fn faults_happen_to_the_request_that_they_are_for_and_only_before_or_after_the_change() {
    let peer = Peer::start(Options::default()).await;
    let body = |name: &str| format!(r#"{{"secret_type":"kv","name":"{name}","data":{{"a":1}}}}"#);
    let total = || peer.instance.snapshot().items.secrets.len();
    let writes = || When::any().class(Class::Writing);

    peer.instance.fault(writes().nth(1), Act::Status { status: 429, retry_after: Some("7".into()) });
    let refused = peer.post("secrets", &body("one")).await;
    assert_eq!((refused.status, refused.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(total(), 0);
    peer.create_kv("one", r#"{"a":1}"#).await;

    peer.instance.clear_faults();
    peer.instance.fault(writes().nth(1), Act::DropBefore);
    assert!(peer.try_send(Method::POST, "secrets", &body("two")).await.is_err());
    assert_eq!(total(), 1);

    peer.instance.clear_faults();
    peer.instance.fault(writes().nth(1), Act::DropAfter);
    assert!(peer.try_send(Method::POST, "secrets", &body("two")).await.is_err());
    assert_eq!(total(), 2);

    peer.instance.clear_faults();
    peer.instance.fault(When::any().path("/metadata"), Act::ExpireTokens);
    let id = peer.instance.snapshot().items.secrets.keys().next().unwrap().to_string();
    assert_eq!(peer.get(&format!("secrets/{id}/metadata")).await.status, 401);
}

#[tokio::test]
async fn spoiled_answers_are_spoiled_as_ordered() {
    let peer = Peer::start(Options::default()).await;
    for index in 0..6 {
        peer.create_kv(&format!("secret-{index}"), r#"{"a":1}"#).await;
    }
    let page = "secrets?sort=id&limit=2&offset=2";
    let ids = |got: &Got| -> Vec<String> {
        let rows = got.object().array("secrets").unwrap();
        rows.iter().map(|row| JsonObject::parse(row.get()).unwrap().str("id").unwrap()).collect()
    };
    let first = ids(&peer.get("secrets?sort=id&limit=2&offset=0").await);
    let second = ids(&peer.get(page).await);
    let acts = vec![
        Act::CutBody,
        Act::EmptyBody,
        Act::InvalidJson,
        Act::Body(r#"{"secrets":[]}"#.into()),
        Act::Page(PageFault::Repeat),
        Act::Page(PageFault::SkipRow),
    ];
    peer.instance.fault_script(When::any().class(Class::Listing), acts);
    assert!(peer.try_send(Method::GET, page, "").await.is_err(), "a cut-off body");
    let empty = peer.get(page).await;
    assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    assert!(JsonObject::parse(&peer.get(page).await.text).is_err());
    assert_eq!(peer.get(page).await.text, r#"{"secrets":[]}"#);
    let repeated = peer.get(page).await;
    assert_eq!((ids(&repeated), repeated.object().u64("offset")), (first, Some(2)));
    let skipped = peer.get(page).await;
    assert_eq!((ids(&skipped), skipped.object().u64("total_count")), (second[1..].to_vec(), Some(6)));
    assert_eq!(ids(&peer.get(page).await), second);
}

#[tokio::test]
async fn hooks_change_things_between_and_after_requests() {
    let peer = Peer::start(Options::default()).await;
    let hook = |name: &'static str| -> Hook {
        Arc::new(move |instance: &EmbeddedInstance, seen: &SeenRequest| {
            let body = format!(r#"{{"name":"{name}-{}"}}"#, seen.path.len());
            assert_eq!(instance.call(Verb::Post, "/api/v2/secret_groups", &body).status, 201);
        })
    };
    peer.instance.fault(When::any().verb(Verb::Get).path("secret_groups").nths(2..), Act::Before(hook("before")));
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(peer.get("secret_groups").await.object().u64("total_count").unwrap());
    }
    peer.instance.clear_faults();
    seen.push(peer.get("secret_groups").await.object().u64("total_count").unwrap());
    assert_eq!(seen, [1, 2, 2]);
    peer.instance.fault(When::any().path("secret_groups").nth(1), Act::After(hook("after")));
    assert_eq!(peer.get("secret_groups").await.object().u64("total_count"), Some(2));
    assert_eq!(peer.get("secret_groups").await.object().u64("total_count"), Some(3));
}

#[tokio::test]
async fn a_stopped_server_answers_nothing_not_even_what_it_was_asked_before() {
    let peer = Peer::start(Options::default()).await;
    peer.instance.fault(When::any().path("secrets"), Act::Hang);
    let url = format!("{}/api/v2/secrets", peer.server.base_url());
    let client = peer.client.clone();
    let (token, asked) = (peer.token.clone(), url.clone());
    let pending = tokio::spawn(async move { client.get(asked).bearer_auth(token).send().await.map(drop) });
    while peer.instance.counters().listing == 0 {
        tokio::task::yield_now().await;
    }
    peer.server.stop().await;
    assert!(pending.await.unwrap().is_err());
    assert!(peer.client.get(&url).bearer_auth(&peer.token).send().await.is_err());
    // The instance is still there, and another server can take over.
    let server = Server::start(peer.instance.clone(), any_port()).await.unwrap();
    peer.instance.clear_faults();
    let url = format!("{}/api/v2/secrets", server.base_url());
    assert_eq!(peer.client.get(&url).bearer_auth(&peer.token).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn requests_are_counted_by_what_they_cost() {
    let peer = Peer::start(Options::default()).await;
    let id = peer.create_kv("ab", r#"{"a":1}"#).await;
    peer.instance.reset_counters();
    for path in ["secrets", "secrets_locks", "secret_groups", "configurations", "notifications/registration"] {
        peer.get(path).await;
    }
    for path in ["", "/metadata", "/versions", "/versions/current", "/versions/current/metadata", "/locks"] {
        assert_eq!(peer.get(&format!("secrets/{id}{path}")).await.status, 200, "{path}");
    }
    peer.post(&format!("secrets/{id}/locks_bulk"), r#"{"locks":[{"name":"held"}]}"#).await;
    peer.send(Method::DELETE, &format!("secrets/{id}/locks_bulk"), "").await;
    token(&peer.client, &peer.server, "wrong").await.unwrap_err();
    let counters = peer.instance.counters();
    assert_eq!((counters.listing, counters.reading, counters.writing, counters.tokens), (5, 6, 2, 1));
    assert_eq!((counters.requests(), counters.instants.len()), (13, 13));
}

#[tokio::test]
async fn several_instances_live_side_by_side() {
    let one = Peer::start(Options::default()).await;
    let other = Options {
        instance_id: "22222222-2222-4333-8444-555555555555".into(),
        region: "us-south".into(),
        ..Options::default()
    };
    let two = Peer::start(other).await;
    one.create_kv("ab", r#"{"a":1}"#).await;
    assert_eq!(two.get("secrets").await.object().u64("total_count"), Some(0));
    let foreign = one.client.get(format!("{}/api/v2/secrets", one.server.base_url())).bearer_auth(&two.token);
    assert_eq!(foreign.send().await.unwrap().status(), 401);
    assert_ne!(one.instance.crn(), two.instance.crn());
}

#[tokio::test]
async fn a_sandbox_keeps_its_state_and_its_identity_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().join("sandbox.jsonl"));
    let options = SandboxOptions { seed: Some(3), secrets: 20, data: data.clone(), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options.clone(), any_port()).await.unwrap();
    let before = sandbox.settings();
    let instance = sandbox.instance().clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(sandbox.run(stop.clone()));
    let reply = instance.call(Verb::Post, "/api/v2/secret_groups", r#"{"name":"made-later"}"#);
    assert_eq!(reply.status, 201);
    stop.cancel();
    running.await.unwrap().unwrap();
    // Another seed and another identity: the file decides.
    let elsewhere = Options { region: "jp-tok".into(), api_key: "other".into(), ..Options::default() };
    let again = SandboxOptions { seed: Some(4), options: elsewhere, ..options };
    let sandbox = Sandbox::start(again, any_port()).await.unwrap();
    let after = sandbox.settings();
    assert_eq!((before.crn, before.api_key.expose_secret()), (after.crn, after.api_key.expose_secret()));
    let groups = sandbox.instance().call(Verb::Get, "/api/v2/secret_groups", "").body;
    assert!(groups.contains("made-later"), "{}", *groups);
    assert_eq!(sandbox.instance().snapshot().items.secrets.len(), 20);
}

#[tokio::test]
async fn a_sandbox_says_at_once_that_its_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().join("missing").join("sandbox.jsonl"));
    let failed = Sandbox::start(SandboxOptions { data, ..SandboxOptions::default() }, any_port()).await.unwrap_err();
    assert!(failed.to_string().contains("sandbox.jsonl"), "{failed}");
}
