//! Whether the daemon of this host answers.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Settings;

/// Timeout; the daemon runs on this host.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is looked at.
const LARGEST: u64 = 4096;

/// The daemon.
#[derive(Debug, Serialize)]
pub(super) struct DaemonStatus {
    /// Its configured address.
    pub(super) listen: String,
    /// True if it answers.
    pub(super) answers: bool,
    /// Its answer, or the reason why there is none.
    pub(super) says: String,
}

/// Asks the daemon; `None` if none is configured to listen.
pub(super) async fn ask(settings: &Settings) -> Option<DaemonStatus> {
    let listen = settings.daemon().listen.clone()?;
    let asked = tokio::time::timeout(PATIENCE, ready(&listen)).await;
    let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    let (answers, says) = match asked {
        Ok(says) => (true, says),
        Err(why) => (false, why),
    };
    Some(DaemonStatus { listen, answers, says })
}

async fn ready(listen: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("does not answer: {error}");
    let mut stream = TcpStream::connect(listen).await.map_err(failed)?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer).await.map_err(failed)?;
    read(&String::from_utf8_lossy(&answer))
}

/// The answer of `/readyz`: 200 when it is ready, 503 with what is missing when it is not.
fn read(answer: &str) -> Result<String, String> {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let body: Option<Value> = serde_json::from_str(body).ok();
    match (status, body) {
        (Some("200"), Some(_)) => Ok("answers, ready".to_owned()),
        (Some("503"), Some(body)) if body["configuration_valid"] == false => {
            Ok("answers, not ready: it has no valid configuration".to_owned())
        }
        (Some("503"), Some(_)) => Ok("answers, not ready: it has not reached the repository yet".to_owned()),
        _ => Err("something answers that is no keyhaven daemon".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_that_of_another_program() {
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}").unwrap(), "answers, ready");
        let waiting = r#"{"status":"not_ready","configuration_valid":true,"repository_reached":false}"#;
        let waiting = read(&format!("HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\n{waiting}\n")).unwrap();
        assert!(waiting.contains("not reached the repository"), "{waiting}");
        for other in ["SSH-2.0-OpenSSH", "HTTP/1.1 404 Not Found\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\n<html>", ""] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
