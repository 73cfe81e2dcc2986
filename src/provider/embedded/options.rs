//! Options of an embedded instance, with a switch for every behaviour that the provider's documents leave open.

use secrecy::SecretString;

use super::access::ApiKey;
use super::clock::InstanceClock;

/// Identity and behaviour of an embedded instance.
#[derive(Debug, Clone)]
pub struct Options {
    /// Region in its CRN.
    pub region: String,
    /// Account id in its CRN.
    pub account: String,
    /// Instance id (a UUID) in its CRN and in the host of its hrefs.
    pub instance_id: String,
    /// API key of the owner, with all permissions, including tasks.
    pub api_key: SecretString,
    /// Further API keys with their grants. [`super::EmbeddedInstance::set_key`] adds more later.
    pub keys: Vec<ApiKey>,
    /// Jobs already used by other instances, as `REGION/PROJECT/NAME`: the provider maps a job to one engine across all
    /// instances.
    pub mapped_jobs: Vec<String>,
    /// Token lifetime in seconds.
    pub token_seconds: u64,
    /// Seed for ids and generated passwords; `None` makes them unpredictable.
    pub ids: Option<u64>,
    /// Its clock.
    pub clock: InstanceClock,
    /// Behaviours that the provider's documents leave open.
    pub switches: Switches,
    /// True if every state is logged, see [`super::History`]. Costs memory for every change.
    pub history: bool,
}

impl Default for Options {
    /// Returns an instance in `eu-de` with the system clock. The API key is a fixed, worthless one.
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
    /// Returns the instance's CRN.
    #[must_use]
    pub fn crn(&self) -> String {
        let Self { region, account, instance_id, .. } = self;
        format!("crn:v1:bluemix:public:secrets-manager:{region}:a/{account}:{instance_id}::")
    }
}

/// Precision of times in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `2026-11-22T14:03:00.250Z`.
    Millis,
    /// `2026-11-22T14:03:00Z`: two changes within one second show the same time.
    Seconds,
}

/// Scope within which the name of a secret of one type must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameScope {
    /// The whole instance.
    Instance,
    /// The secret group.
    Group,
}

/// Behaviours that the provider's documents leave open, one switch each. Add each new one by name to `switch.rs` too.
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
/// | `expiration_carries` | yes | whether a new version keeps `expiration_date` |
/// | `version_sets_custom_metadata` | yes | whether `custom_metadata` of a new version is the secret's |
/// | `nested_merge` | yes | whether a PATCH merges into `custom_metadata` (RFC 7396) or replaces it |
/// | `show_managed_csr_key` | no | whether metadata answers show `managed_csr.private_key` |
/// | `show_ca_private_key` | no | whether `data.private_key` of an authority is ever returned |
/// | `revocation_deactivates` | yes | whether revoking a private certificate takes it to state 3 |
/// | `order_seconds` | 5 | seconds until an order of a public certificate is done, counted from its DNS validation |
/// | `ordered_has_version` | yes | whether a public certificate that is only ordered has a version (without payload) |
/// | `default_group_patchable` | yes | whether the default group can be renamed and described |
/// | `bulk_locks_atomic` | yes | whether one invalid lock rejects the whole request, or only itself |
/// | `unlocked_in_lock_list` | yes | whether the list of all locks has rows of secrets without locks |
/// | `registration_test_status` | 204 | 200 or 204 |
/// | `auto_rotates` | yes | whether secrets with a due rotation rotate (off: dates do not change) |
/// | `ttl_reads_as_seconds` | no | whether a `ttl` is returned as a string of seconds or as given |
/// | `iam_service_authorization` | no | whether IAM credentials can be created without an engine configuration |
/// | `create_mints_api_key` | yes | whether creating IAM credentials without `reuse_api_key` already creates a key |
/// | `iam_keeps_history` | no | whether IAM credentials list 50 versions or only the current and the previous one |
/// | `dynamic_credentials_end` | no | whether the end of a key without `reuse_api_key` destroys its secret |
/// | `task_timeout_reads_as_seconds` | no | whether `task_timeout` is returned as a string of seconds or as given |
/// | `task_answer_seconds` | 0 | seconds after which a task answers itself, as a job would; 0: never |
/// | `tasks_move_updated_at` | no | whether a task counts as a change before it created or deleted credentials |
/// | `custom_deletion_waits` | yes | whether deleted custom credentials stay, deactivated, until their job has answered |
/// | `references_move_updated_at` | no | whether a change of `referenced_by` counts as a change |
/// | `referenced_secrets_deletable` | no | whether a secret that a configuration uses can be deleted |
/// | `hidden_status` | 403 | 403 or 404 for items in a secret group that the caller cannot see |
/// | `hidden_groups_listed` | no | whether a caller that sees only some secret groups lists the others too |
/// | `max_body` | 2 MiB | maximum size of a request body in bytes |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// Precision of times in answers.
    pub precision: Precision,
    /// True if reading a payload moves `updated_at` of its secret.
    pub reads_move_updated_at: bool,
    /// True if locking and unlocking moves `updated_at` of the secret.
    pub locks_move_updated_at: bool,
    /// True if a PATCH of version metadata moves `updated_at` of the secret.
    pub version_metadata_moves_updated_at: bool,
    /// Scope within which (type, name) must be unique.
    pub unique_names: NameScope,
    /// Status of a conflict of secret or group names: 400 or 409.
    pub name_conflict_status: u16,
    /// True if the version list starts with the newest.
    pub versions_newest_first: bool,
    /// True if a PATCH that turns rotation on rotates at once.
    pub rotation_patch_rotates: bool,
    /// True if a past expiry is refused; otherwise the next sweep destroys the secret.
    pub past_expiration_refused: bool,
    /// True if a new version keeps the secret's `expiration_date`; otherwise it has none.
    pub expiration_carries: bool,
    /// True if `custom_metadata` in the body of a new version replaces the secret's.
    pub version_sets_custom_metadata: bool,
    /// True if a PATCH merges into `custom_metadata` member by member; otherwise it replaces it.
    pub nested_merge: bool,
    /// True if metadata answers of an `imported_cert` with a key show it in `managed_csr`.
    pub show_managed_csr_key: bool,
    /// True if a GET of a certificate authority shows its private key.
    pub show_ca_private_key: bool,
    /// True if revoking the current version of a private certificate takes the secret to state 3 (deactivated).
    pub revocation_deactivates: bool,
    /// Seconds until an order of a public certificate is done; 0 means at the next request.
    pub order_seconds: u32,
    /// True if a public certificate that was never issued has a version without payload; otherwise it has none.
    pub ordered_has_version: bool,
    /// True if the default group can be patched.
    pub default_group_patchable: bool,
    /// True if one invalid lock rejects the whole request; otherwise the valid ones are kept.
    pub bulk_locks_atomic: bool,
    /// True if the list of all locks has rows of secrets without locks.
    pub unlocked_in_lock_list: bool,
    /// Status of the registration test.
    pub registration_test_status: u16,
    /// True if secrets with a due rotation rotate automatically.
    pub auto_rotates: bool,
    /// True if the `ttl` of credentials is returned as a string of seconds; otherwise as given.
    pub ttl_reads_as_seconds: bool,
    /// True if services are authorized, so that IAM credentials need no engine configuration.
    pub iam_service_authorization: bool,
    /// True if IAM credentials without `reuse_api_key` have a key from creation; otherwise from the first read.
    pub create_mints_api_key: bool,
    /// True if IAM credentials keep 50 versions of metadata; otherwise only the current and the previous one.
    pub iam_keeps_history: bool,
    /// True if IAM credentials without `reuse_api_key` are destroyed when their key ends; otherwise only the key is.
    pub dynamic_credentials_end: bool,
    /// True if the `task_timeout` of an engine is returned as a string of seconds; otherwise as given.
    pub task_timeout_reads_as_seconds: bool,
    /// Seconds after which a task answers itself as a job would; 0 if only requests answer.
    pub task_answer_seconds: u32,
    /// True if tasks move `updated_at` of their secret before they created or deleted credentials.
    pub tasks_move_updated_at: bool,
    /// True if deleted custom credentials stay, deactivated, until their job deleted what it created.
    pub custom_deletion_waits: bool,
    /// True if a change of `referenced_by` moves `updated_at` of the secret.
    pub references_move_updated_at: bool,
    /// True if a secret that a configuration uses can be deleted.
    pub referenced_secrets_deletable: bool,
    /// Status for items in a secret group that the caller cannot see: 403 or 404.
    pub hidden_status: u16,
    /// True if a caller whose policies name secret groups also lists other groups.
    pub hidden_groups_listed: bool,
    /// Maximum size of a request body in bytes, both compressed and decompressed.
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
