//! Keyhaven: backup and disaster recovery for secrets-manager instances.
//!
//! A **capture** ([`job::capture`]) reads an instance through its [`provider::Source`] and writes a snapshot into a
//! [`repository::Repository`], a directory or a prefix in a bucket. The host that captures seals what it writes to public
//! keys and cannot open it. Each snapshot, and every later event about it, is a signed entry of the ledger; the trust policy
//! defines which key may sign what.
//!
//! A **restore** ([`job::restore`]) opens a snapshot with a recovery key, plans what would change in a
//! [`provider::Standby`], and does it. **Verification** ([`job::verify`]) says whether what the ledger names is there,
//! whole and readable. Jobs print nothing: each takes a [`job::Context`] and gives a report.
//!
//! A backup of a made-up instance into a folder, and its verification:
//!
//! ```
//! use std::sync::Arc;
//!
//! use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Server, seed};
//! use keyhaven::provider::ibm::{Client, ClientSettings};
//! use keyhaven::{
//!     CaptureOptions, Clock, Context, Custodian, EntryWriter, Identities, Level, Policy, PolicyKey, PolicyRecipient,
//!     Repository, Silent, SigningKey, SigningRole, SourceName, StateDirectory, Store, VerifyKeys, VerifyOptions, capture, verify,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The instance, behind the API of its provider.
//! let instance = EmbeddedInstance::new(Options::default());
//! seed(&instance, 1, 20)?;
//! let source = SourceName { provider: "ibm".into(), instance: instance.crn(), region: Some("eu-de".into()) };
//! let server = Server::start(instance, ([127, 0, 0, 1], 0).into()).await?;
//! let client = Client::new(ClientSettings::new(&server.base_url(), &server.iam_url(), Options::default().api_key))?;
//!
//! // Three parties: custodians sign the policy, whoever recovers opens packs, the collector backs up and can open its own
//! // catalogues only.
//! let (custodian, collector) = (SigningKey::generate()?, Arc::new(SigningKey::generate()?));
//! let (recovery, catalogue) = (Identities::generate().0, Arc::new(Identities::generate().0));
//! let recipient = |of: &Identities| PolicyRecipient {
//!     name: String::new(),
//!     recipient: of.recipients().iter().map(ToString::to_string).collect(),
//! };
//! let clock: Arc<dyn Clock> = Arc::new(InstanceClock::system());
//! let instructions = keyhaven::repository::recover_md(&source);
//! let digest = keyhaven::crypto::digest::sha256(&instructions);
//! let mut policy = Policy::first(source, digest, clock.now(), "example/1");
//! policy.custodians = vec![Custodian { name: "anna".into(), public_key: custodian.public().into() }];
//! policy.keys = vec![PolicyKey {
//!     name: "collector".into(),
//!     public_key: collector.public().into(),
//!     roles: vec![SigningRole::Collector.to_string()],
//!     until: None,
//! }];
//! policy.recovery_recipients = vec![recipient(&recovery)];
//! policy.catalogue_recipients = vec![recipient(&catalogue)];
//!
//! // The repository is what its first policy says, and is known by its digest from then on.
//! let folder = tempfile::tempdir()?;
//! let id = Repository::init(Store::local(&folder.path().join("repository")), instructions, &policy).await?.id;
//! let repository = Repository::open(Store::local(&folder.path().join("repository")), id).await?;
//! let state = StateDirectory::new(&folder.path().join("state"), &id.to_string());
//! let writer = EntryWriter { key: collector, state, clock: Arc::clone(&clock), due: None };
//! let context = Context { clock, observer: Arc::new(Silent), cancel: Default::default() };
//!
//! let report = capture(&context, &client, &repository, &writer, &catalogue, &CaptureOptions::default()).await?;
//! assert_eq!((report.sequence, report.failure()), (1, None));
//! let report = verify(&context, &repository, &VerifyKeys::default(), &VerifyOptions::new(Level::Objects)).await?;
//! assert!(report.ok, "{:?}", report.problems);
//! # server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The features `mail` (notifications by mail), `s3` (repositories in a bucket) and `sandbox` (the embedded instance) are on by
//! default.
//!
//! The map of the crate is `docs/architecture.md`. A folder may use those below it in that map, never those above or
//! beside it.

pub mod cli;
pub mod config;
pub mod crypto;
pub mod daemon;
pub mod files;
pub mod format;
pub mod job;
pub mod model;
pub mod net;
pub mod provider;
pub mod repository;
pub mod schedule;

pub use crypto::{Identities, SigningKey};
pub use format::policy::{Custodian, PolicyKey, PolicyRecipient};
pub use format::{Entry, Policy, RepositoryId, SigningRole, SourceName};
pub use job::capture::{CaptureError, CaptureOptions, CaptureReport, capture};
pub use job::coverage::CoverageReport;
pub use job::drift::{DriftReport, drift};
pub use job::event::{JobEvent, Observer, Silent};
pub use job::restore::{
    ApplyOptions, ApplyReport, Consent, Plan, PlanOptions, RepositorySnapshot, RestoreError, apply, plan,
};
pub use job::verify::{Level, VerifyError, VerifyKeys, VerifyOptions, VerifyReport, verify};
pub use job::{Context, RunFacts, RunResult};
pub use model::{Clock, Digest, FailureKind, ItemKey, Restorability, Timestamp};
pub use provider::{InstanceError, Source, Standby};
pub use repository::ledger::Ledger;
pub use repository::{EntryWriter, Repository, RepositoryError, StateDirectory, Store};
