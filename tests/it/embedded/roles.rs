//! Several API keys of one instance: roles, policies on secret groups, and context-based restrictions, over HTTP.

use std::net::SocketAddr;

use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{ApiKey, EmbeddedInstance, Grant, Options, Server, ServiceRole, Verb};
use reqwest::{Client, Method};

use crate::kit::program::{Machine, SandboxProcess};

struct Peer {
    instance: EmbeddedInstance,
    server: Server,
    client: Client,
}

impl Peer {
    async fn start(keys: Vec<ApiKey>) -> Self {
        let instance = EmbeddedInstance::new(Options { keys, ..Options::default() });
        let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        Self { instance, server, client: Client::new() }
    }

    async fn token(&self, key: &str) -> String {
        let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key)];
        let url = format!("{}/identity/token", self.server.iam_url());
        let text = self.client.post(url).form(&form).send().await.unwrap().text().await.unwrap();
        JsonObject::parse(&text).unwrap().str("access_token").unwrap_or_else(|| panic!("{text}"))
    }

    async fn send(&self, token: &str, method: Method, path: &str) -> (u16, String) {
        let url = format!("{}/api/v2/{path}", self.server.base_url());
        let answer = self.client.request(method, url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, token: &str, path: &str) -> u16 {
        self.send(token, Method::GET, path).await.0
    }

    fn create(&self, path: &str, body: &str) -> String {
        let reply = self.instance.call(Verb::Post, &format!("/api/v2/{path}"), body);
        assert_eq!(reply.status, 201, "{}", reply.body.as_str());
        JsonObject::parse(&reply.body).unwrap().str("id").unwrap_or_default()
    }
}

#[tokio::test]
async fn a_sandbox_takes_keys_with_roles_and_adds_the_roles_of_one_up() {
    let machine = Machine::new();
    let custom = "configuration.read+configurations.list=backup";
    let arguments = ["--seed", "1", "--secrets", "5", "--key", "SecretsReader=backup", "--key", custom];
    let arguments = [&arguments[..], &["--key", "Reader=looks"]].concat();
    let sandbox = SandboxProcess::start(&machine, &arguments);
    let client = Client::new();
    let status = async |key: &str, path: &str| {
        let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key)];
        let answer = client.post(format!("{}/identity/token", sandbox.iam_url)).form(&form).send().await.unwrap();
        let body = JsonObject::parse(&answer.text().await.unwrap()).unwrap();
        let token = body.str("access_token").unwrap();
        let url = format!("{}/api/v2/{path}", sandbox.url);
        client.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status("backup", "configurations").await, status("backup", "configurations/none").await), (200, 404));
    assert_eq!((status("looks", "configurations").await, status("looks", "configurations/none").await), (200, 403));
    assert_eq!(sandbox.stop(), 0);
    machine.run(&["sandbox", "--key", "Boss=x"]).fails(2, &["`Boss` is no role", "SecretsReader"]);
    machine.run(&["sandbox", "--key", "Reader"]).fails(2, &["--key ROLE=KEY"]);
}

#[tokio::test]
async fn a_backup_key_reads_payloads_and_needs_a_custom_role_for_configurations() {
    let custom: ServiceRole = "configuration.read+configurations.list".parse().unwrap();
    let full = ApiKey::granted("full", vec![Grant::whole(ServiceRole::SecretsReader), Grant::whole(custom)]);
    let peer = Peer::start(vec![ApiKey::new("bare", ServiceRole::SecretsReader), full]).await;
    let id = peer.create("secrets", r#"{"secret_type":"arbitrary","name":"token","payload":"v"}"#);
    let engine = r#"{"config_type":"iam_credentials_configuration","name":"iam","api_key":"hunter2"}"#;
    peer.create("configurations", engine);
    let (bare, full) = (peer.token("bare").await, peer.token("full").await);
    for token in [&bare, &full] {
        assert_eq!(peer.get(token, &format!("secrets/{id}")).await, 200);
        assert_eq!(peer.send(token, Method::DELETE, &format!("secrets/{id}")).await.0, 403);
    }
    assert_eq!((peer.get(&bare, "configurations").await, peer.get(&bare, "configurations/iam").await), (403, 403));
    assert_eq!(peer.get(&full, "configurations").await, 200);
    assert!(peer.send(&full, Method::GET, "configurations/iam").await.1.contains("hunter2"));
    let refused = peer.send(&bare, Method::GET, "configurations/iam").await.1;
    assert!(refused.contains("secrets-manager.Error00403") && !refused.contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn a_policy_that_shrinks_takes_sight_from_a_token_that_is_out_already() {
    let peer = Peer::start(vec![ApiKey::new("backup", ServiceRole::SecretsReader)]).await;
    let group = peer.create("secret_groups", r#"{"name":"payments"}"#);
    let body = |name: &str, group: &str| {
        format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"v","secret_group_id":"{group}"}}"#)
    };
    let (open, paid) =
        (peer.create("secrets", &body("open", "default")), peer.create("secrets", &body("paid", &group)));
    let token = peer.token("backup").await;
    let total = async || {
        let (status, text) = peer.send(&token, Method::GET, "secrets").await;
        assert_eq!(status, 200, "{text}");
        JsonObject::parse(&text).unwrap().u64("total_count").unwrap()
    };
    assert_eq!(total().await, 2);
    peer.instance.set_key(ApiKey::granted("backup", vec![Grant::on(ServiceRole::SecretsReader, &[&group])]));
    assert_eq!(total().await, 1);
    assert_eq!(peer.get(&token, &format!("secrets/{open}")).await, 403);
    assert_eq!(peer.get(&token, &format!("secrets/{paid}")).await, 200);
    assert_eq!(peer.get(&token, "secrets/00000000-0000-4000-8000-000000000000").await, 404);
    let mut switches = peer.instance.switches();
    switches.hidden_status = 404;
    peer.instance.set_switches(switches);
    assert_eq!(peer.get(&token, &format!("secrets/{open}")).await, 404);
}

#[tokio::test]
async fn a_context_based_restriction_gives_a_token_and_refuses_every_call() {
    let key = ApiKey { outside_context: true, ..ApiKey::new("outside", ServiceRole::Manager) };
    let peer = Peer::start(vec![key]).await;
    let token = peer.token("outside").await;
    let (status, text) = peer.send(&token, Method::GET, "secrets").await;
    assert_eq!(status, 401);
    assert!(text.contains("context-based restriction"), "{text}");
    peer.instance.set_key(ApiKey::new("outside", ServiceRole::Manager));
    assert_eq!(peer.get(&token, "secrets").await, 200);
}
