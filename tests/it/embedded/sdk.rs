//! IBM's own SDK against the embedded instance: a client that we did not write, and the provider's model of answers.

use std::net::SocketAddr;

use keyhaven::provider::embedded::{EmbeddedInstance, Options, Server, Switches, seed};

use crate::kit::environment::{python, root};

/// How many operations the provider's model has.
fn operations() -> usize {
    let model = root().join("tests/python/model.json");
    let model: serde_json::Value = serde_json::from_slice(&std::fs::read(model).unwrap()).unwrap();
    let operations = model["operations"].as_object().unwrap().len();
    assert!(operations >= 41, "the model has lost operations: {operations}");
    operations
}

#[tokio::test]
#[ignore = "needs the Python environment: tests/run"]
async fn ibms_sdk_finds_every_answer_as_its_model_says() {
    // Public certificates are issued at once, so that nothing is waited for.
    let switches = Switches { order_seconds: 0, ..Switches::default() };
    let instance = EmbeddedInstance::new(Options { switches, ..Options::default() });
    seed(&instance, 11, 60).unwrap();
    let server = Server::start(instance, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let mut command = python("drive.py");
    command
        .env("SECRETS_MANAGER_URL", server.base_url())
        .env("SECRETS_MANAGER_AUTH_URL", server.iam_url())
        .env("SECRETS_MANAGER_APIKEY", "embedded-instance-api-key")
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), format!("driven: {} operations", operations()));
    server.stop().await;
}
