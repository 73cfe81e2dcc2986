//! A standalone server, as started by `keyhaven sandbox`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::error::EmbeddedError;
use super::faults::FaultScript;
use super::http::Server;
use super::instance::EmbeddedInstance;
use super::options::Options;
use super::seed::{every_type, seed};

/// Time in which changes are collected before a save.
const GATHER: Duration = Duration::from_millis(500);

/// Options of a sandbox.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Options of the instance. An existing data file overrides region, account, instance id and API key.
    pub options: Options,
    /// Seed for the made-up secrets of a new instance; ignored if the data file exists.
    pub seed: Option<u64>,
    /// Number of made-up secrets.
    pub secrets: usize,
    /// True to create every secret type and every configuration type instead, in every possible state.
    pub every_type: bool,
    /// Faults, from the first request on.
    pub faults: Option<FaultScript>,
    /// Data file that keeps the state across restarts. It contains every payload in clear.
    pub data: Option<PathBuf>,
}

/// Settings that a client needs to reach a sandbox.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// Base URL of the API.
    pub base_url: String,
    /// Base URL of the identity service.
    pub iam_url: String,
    /// Accepted API key.
    pub api_key: SecretString,
    /// Its CRN.
    pub crn: String,
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    instance: EmbeddedInstance,
    server: Server,
    data: Option<PathBuf>,
}

impl Sandbox {
    /// Loads or creates the instance and serves it on `address` (port 0 picks a free one).
    ///
    /// # Errors
    /// If the data file cannot be read or written, or the address cannot be bound.
    pub async fn start(options: SandboxOptions, address: SocketAddr) -> Result<Self, EmbeddedError> {
        let listen = |source| EmbeddedError::Listen { address: address.to_string(), source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let instance = match options.data.clone().filter(|path| path.exists()) {
            Some(path) => EmbeddedInstance::load(options.options, &path)?,
            None => {
                let instance = EmbeddedInstance::new(options.options);
                match options.seed {
                    Some(number) if options.every_type => every_type(&instance, number)?,
                    Some(number) => seed(&instance, number, options.secrets)?,
                    None => {}
                }
                instance
            }
        };
        if let Some(script) = &options.faults {
            instance.play(script);
        }
        let server = Server::over(instance.clone(), listener).map_err(listen)?;
        let sandbox = Self { instance, server, data: options.data };
        // Save now, to detect an unwritable file before the first change.
        sandbox.save().await?;
        Ok(sandbox)
    }

    /// Returns the settings for a client.
    #[must_use]
    pub fn settings(&self) -> SandboxSettings {
        SandboxSettings {
            base_url: self.server.base_url(),
            iam_url: self.server.iam_url(),
            api_key: self.instance.options().api_key.clone(),
            crn: self.instance.crn(),
        }
    }

    /// Returns the instance.
    #[must_use]
    pub fn instance(&self) -> &EmbeddedInstance {
        &self.instance
    }

    /// Serves until `stop`, saving shortly after each change and once more at the end.
    ///
    /// # Errors
    /// If the data file cannot be written; the server is then stopped.
    pub async fn run(self, stop: CancellationToken) -> Result<(), EmbeddedError> {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.instance.changed() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(GATHER) => {}
            }
            self.save().await?;
        }
        let (instance, data) = (self.instance.clone(), self.data.clone());
        self.server.stop().await;
        save(instance, data).await
    }

    async fn save(&self) -> Result<(), EmbeddedError> {
        save(self.instance.clone(), self.data.clone()).await
    }
}

async fn save(instance: EmbeddedInstance, data: Option<PathBuf>) -> Result<(), EmbeddedError> {
    let Some(path) = data else { return Ok(()) };
    let at = path.clone();
    let saved = tokio::task::spawn_blocking(move || instance.save(&path)).await;
    saved.map_err(|error| EmbeddedError::File { what: "write", path: at, source: error.into() })?
}
