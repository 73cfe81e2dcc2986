//! The embedded instance over HTTP, as a client sees it.

use std::net::SocketAddr;

use keyhaven::instance::embedded::{Instance, Options, Server};
use keyhaven::model::json::Object;
use reqwest::{Client, Method};

/// A server, a client and a token for it.
struct Peer {
    instance: Instance,
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
    fn object(&self) -> Object {
        Object::parse(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
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
        let instance = Instance::new(options);
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
    let body = Object::parse(&text).unwrap();
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
    assert_eq!(Object::parse(locks[0].get()).unwrap().get("attributes").unwrap().get(), odd);
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
        listed.extend(rows.iter().map(|row| Object::parse(row.get()).unwrap().str("id").unwrap()));
    }
    assert_eq!(listed, made);
    assert_eq!(peer.get("secrets?limit=1001").await.status, 400);
    let locks = peer.get("secrets_locks?limit=1000").await.object();
    assert_eq!(locks.array("secrets_locks").unwrap().len(), 7);
}
