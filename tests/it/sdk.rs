//! IBM's own SDK against the embedded instance: a client that we did not write, and the provider's model of answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyhaven::provider::embedded::{EmbeddedInstance, Options, Server, Switches, seed};

/// The Python that has the packages of `tests/python/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("KEYHAVEN_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "no Python at {}: `tests/run` makes one, or set KEYHAVEN_TEST_PYTHON to one with the packages of \
         tests/python/requirements.txt",
        python.display()
    );
    python
}

/// How many operations the provider's model has.
fn operations() -> usize {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/model.json");
    let model: serde_json::Value = serde_json::from_slice(&std::fs::read(model).unwrap()).unwrap();
    let operations = model["operations"].as_object().unwrap().len();
    assert!(operations >= 41, "the model has lost operations: {operations}");
    operations
}

#[tokio::test]
async fn ibms_sdk_finds_every_answer_as_its_model_says() {
    // Public certificates are issued at once, so that nothing is waited for.
    let switches = Switches { order_seconds: 0, ..Switches::default() };
    let instance = EmbeddedInstance::new(Options { switches, ..Options::default() });
    seed(&instance, 11, 60).unwrap();
    let server = Server::start(instance, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/drive.py"))
        .env("SECRETS_MANAGER_URL", server.base_url())
        .env("SECRETS_MANAGER_AUTH_URL", server.iam_url())
        .env("SECRETS_MANAGER_APIKEY", "embedded-instance-api-key")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), format!("driven: {} operations", operations()));
    server.stop().await;
}
