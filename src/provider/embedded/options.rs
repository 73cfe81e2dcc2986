//! What an embedded instance is, and every behaviour that the provider's documents leave open.

use secrecy::SecretString;

use super::access::ApiKey;
use super::clock::InstanceClock;

/// Who an embedded instance is and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Region in its CRN.
    pub region: String,
    /// Account id in its CRN.
    pub account: String,
    /// Instance id (a UUID) in its CRN and in the host of its hrefs.
    pub instance_id: String,
    /// The API key that may do everything, tasks included.
    pub api_key: SecretString,
    /// More API keys and what each of them may do. [`super::EmbeddedInstance::set_key`] adds to them later.
    pub keys: Vec<ApiKey>,
    /// Jobs that other instances use already, as `REGION/PROJECT/NAME`: the provider maps a job to one engine anywhere.
    pub mapped_jobs: Vec<String>,
    /// Life of a token in seconds.
    pub token_seconds: u64,
    /// Start of the random numbers for ids and generated passwords; nothing means unpredictable ones.
    pub ids: Option<u64>,
    /// Where its time comes from.
    pub clock: InstanceClock,
    /// What the provider's documents leave open.
    pub switches: Switches,
    /// Whether every state is logged, see [`super::History`]. Costs memory for every change.
    pub history: bool,
}

impl Default for Options {
    /// An instance in `eu-de` with the system's clock. The API key is a fixed, worthless one.
    fn default() -> Self {
        Self {
            region: "eu-de".to_owned(),
            account: "791f5fb10986423e97aa8512f18b7e65".to_owned(),
            instance_id: "5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d".to_owned(),
            api_key: SecretString::from("embedded-instance-api-key"),
            keys: Vec::new(),
            mapped_jobs: Vec::new(),
            token_seconds: 3600,
            ids: None,
            clock: InstanceClock::system(),
            switches: Switches::default(),
            history: false,
        }
    }
}

impl Options {
    /// The instance's CRN.
    #[must_use]
    pub fn crn(&self) -> String {
        let Self { region, account, instance_id, .. } = self;
        format!("crn:v1:bluemix:public:secrets-manager:{region}:a/{account}:{instance_id}::")
    }
}

/// How exact the times in answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `2026-11-22T14:03:00.250Z`.
    Millis,
    /// `2026-11-22T14:03:00Z`: two changes in one second show the same time.
    Seconds,
}

/// Where the name of a secret of one type has to be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameScope {
    /// In the whole instance.
    Instance,
    /// In its secret group.
    Group,
}

/// What the provider's documents leave open, one switch each. A new one also stands in `switch.rs`, by its name.
///
/// | switch | default | what is unknown |
/// |---|---|---|
/// | `precision` | milliseconds | digits of `created_at`, `updated_at` |
/// | `reads_move_updated_at` | no | whether reading a payload counts as a change |
/// | `locks_move_updated_at` | no | whether locking and unlocking does |
/// | `version_metadata_moves_updated_at` | no | whether a PATCH of version metadata does |
/// | `unique_names` | instance | scope of unique (type, name) |
/// | `name_conflict_status` | 400 | 400 or 409 |
/// | `versions_newest_first` | yes | order of the version list |
/// | `rotation_patch_rotates` | no | whether a PATCH of `rotation` rotates at once |
/// | `past_expiration_refused` | yes | whether a past `expiration_date`, or an expired certificate, is refused |
/// | `expiration_carries` | yes | whether `expiration_date` goes over to a new version |
/// | `version_sets_custom_metadata` | yes | whether `custom_metadata` of a new version is the secret's |
/// | `nested_merge` | yes | whether a PATCH merges into `custom_metadata` (RFC 7396) or replaces it |
/// | `show_managed_csr_key` | no | whether metadata answers show `managed_csr.private_key` |
/// | `show_ca_private_key` | no | whether `data.private_key` of an authority is ever there |
/// | `revocation_deactivates` | yes | whether a revoked private certificate is in state 3 |
/// | `order_seconds` | 5 | seconds until an order of a public certificate is done, counted from its DNS validation |
/// | `ordered_has_version` | yes | whether a public certificate that is only ordered has a version (without payload) |
/// | `default_group_patchable` | yes | whether the default group can be renamed and described |
/// | `bulk_locks_atomic` | yes | whether one bad lock spoils the whole request, or only itself |
/// | `unlocked_in_lock_list` | yes | whether the list of all locks has rows of secrets without locks |
/// | `registration_test_status` | 204 | 200 or 204 |
/// | `auto_rotates` | yes | whether secrets with a due rotation rotate (off: dates stand still) |
/// | `ttl_reads_as_seconds` | no | whether a `ttl` reads back as a text of seconds or as it was written |
/// | `iam_service_authorization` | no | whether IAM credentials are made without an engine configuration |
/// | `create_mints_api_key` | yes | whether creating IAM credentials without `reuse_api_key` makes a key already |
/// | `iam_keeps_history` | no | whether IAM credentials list 50 versions or only the two that they may have |
/// | `dynamic_credentials_end` | no | whether the end of a key without `reuse_api_key` destroys its secret |
/// | `task_timeout_reads_as_seconds` | no | whether `task_timeout` reads back as a text of seconds or as it was written |
/// | `task_answer_seconds` | 0 | seconds after which a task answers itself, as a job would; 0: nobody answers |
/// | `tasks_move_updated_at` | no | whether a task counts as a change before it made or deleted credentials |
/// | `custom_deletion_waits` | yes | whether deleted custom credentials stay, deactivated, until their job has answered |
/// | `references_move_updated_at` | no | whether a change of `referenced_by` counts as a change |
/// | `referenced_secrets_deletable` | no | whether a secret that a configuration uses can be deleted |
/// | `hidden_status` | 403 | 403 or 404 for what lies in a secret group that the caller does not see |
/// | `hidden_groups_listed` | no | whether a caller that sees some secret groups lists the others too |
/// | `max_body` | 2 MiB | bytes of a request body |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// How exact times in answers are.
    pub precision: Precision,
    /// Whether reading a payload moves `updated_at` of its secret.
    pub reads_move_updated_at: bool,
    /// Whether locking and unlocking moves `updated_at` of the secret.
    pub locks_move_updated_at: bool,
    /// Whether a PATCH of version metadata moves `updated_at` of the secret.
    pub version_metadata_moves_updated_at: bool,
    /// Where (type, name) has to be unique.
    pub unique_names: NameScope,
    /// Status of a conflict of secret or group names: 400 or 409.
    pub name_conflict_status: u16,
    /// Whether the version list starts with the newest.
    pub versions_newest_first: bool,
    /// Whether a PATCH that turns rotation on rotates at once.
    pub rotation_patch_rotates: bool,
    /// Whether a past expiry is refused; when not, the next sweep destroys the secret.
    pub past_expiration_refused: bool,
    /// Whether a new version keeps the secret's `expiration_date`; when not, it has none.
    pub expiration_carries: bool,
    /// Whether `custom_metadata` in the body of a new version replaces the secret's.
    pub version_sets_custom_metadata: bool,
    /// Whether a PATCH merges into `custom_metadata` member by member; when not, it replaces it.
    pub nested_merge: bool,
    /// Whether metadata answers of an `imported_cert` with a key show it in `managed_csr`.
    pub show_managed_csr_key: bool,
    /// Whether a GET of a certificate authority shows its private key.
    pub show_ca_private_key: bool,
    /// Whether revoking the current version of a private certificate takes the secret to state 3 (deactivated).
    pub revocation_deactivates: bool,
    /// Seconds until an order of a public certificate is done; 0 means with the next request.
    pub order_seconds: u32,
    /// Whether a public certificate that was never issued has a version without payload; when not, it has none.
    pub ordered_has_version: bool,
    /// Whether the default group can be patched.
    pub default_group_patchable: bool,
    /// Whether one bad lock refuses the whole request; when not, the good ones are kept.
    pub bulk_locks_atomic: bool,
    /// Whether the list of all locks has rows of secrets without locks.
    pub unlocked_in_lock_list: bool,
    /// Status of the registration test.
    pub registration_test_status: u16,
    /// Whether secrets with a due rotation rotate by themselves.
    pub auto_rotates: bool,
    /// Whether the `ttl` of credentials reads back as a text of seconds; when not, as it was written.
    pub ttl_reads_as_seconds: bool,
    /// Whether services are authorized so that IAM credentials need no engine configuration.
    pub iam_service_authorization: bool,
    /// Whether IAM credentials without `reuse_api_key` have a key from the start; when not, from the first read.
    pub create_mints_api_key: bool,
    /// Whether IAM credentials keep 50 versions of metadata; when not, only the current and the previous one.
    pub iam_keeps_history: bool,
    /// Whether IAM credentials without `reuse_api_key` are destroyed at the end of their key; when not, only the key is.
    pub dynamic_credentials_end: bool,
    /// Whether the `task_timeout` of an engine reads back as a text of seconds; when not, as it was written.
    pub task_timeout_reads_as_seconds: bool,
    /// Seconds after which a task answers itself as a job would; 0 when only requests answer.
    pub task_answer_seconds: u32,
    /// Whether tasks move `updated_at` of their secret before they made or deleted credentials.
    pub tasks_move_updated_at: bool,
    /// Whether deleted custom credentials stay, deactivated, until their job deleted what it made.
    pub custom_deletion_waits: bool,
    /// Whether a change of `referenced_by` moves `updated_at` of the secret.
    pub references_move_updated_at: bool,
    /// Whether a secret that a configuration uses can be deleted.
    pub referenced_secrets_deletable: bool,
    /// Status for what lies in a secret group that the caller does not see: 403 or 404.
    pub hidden_status: u16,
    /// Whether a caller whose policies name secret groups lists the groups that they do not name.
    pub hidden_groups_listed: bool,
    /// Bytes of a request body at most, before and after it is unpacked.
    pub max_body: usize,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            precision: Precision::Millis,
            reads_move_updated_at: false,
            locks_move_updated_at: false,
            version_metadata_moves_updated_at: false,
            unique_names: NameScope::Instance,
            name_conflict_status: 400,
            versions_newest_first: true,
            rotation_patch_rotates: false,
            past_expiration_refused: true,
            expiration_carries: true,
            version_sets_custom_metadata: true,
            nested_merge: true,
            show_managed_csr_key: false,
            show_ca_private_key: false,
            revocation_deactivates: true,
            order_seconds: 5,
            ordered_has_version: true,
            default_group_patchable: true,
            bulk_locks_atomic: true,
            unlocked_in_lock_list: true,
            registration_test_status: 204,
            auto_rotates: true,
            ttl_reads_as_seconds: false,
            iam_service_authorization: false,
            create_mints_api_key: true,
            iam_keeps_history: false,
            dynamic_credentials_end: false,
            task_timeout_reads_as_seconds: false,
            task_answer_seconds: 0,
            tasks_move_updated_at: false,
            custom_deletion_waits: true,
            references_move_updated_at: false,
            referenced_secrets_deletable: false,
            hidden_status: 403,
            hidden_groups_listed: false,
            max_body: 2 * 1024 * 1024,
        }
    }
}
