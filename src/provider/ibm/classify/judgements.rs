//! The reasons for every class, as texts for people.
//!
//! They follow the provider's documentation (types that can be imported, data that leaves the service, members of a
//! create request) and its announcements (the end of Hyper Protect Crypto Services).

use crate::model::Restorability::{Converted, DefinitionOnly, Exact, Reissued};
use crate::provider::assess::Judgement;

macro_rules! judgements {
    ($($name:ident: $class:expr, $code:literal, $why:literal, $today:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $why, ".")]
            pub(super) const $name: Judgement =
                Judgement { class: $class, code: $code, why: $why, today: $today };
        )+

        /// Every judgement, for tests.
        #[cfg(test)]
        pub(super) const ALL: &[Judgement] = &[$($name),+];
    };
}

judgements! {
    // Secrets.
    IMPORTABLE: Exact, "importable",
        "its type takes the payload back byte for byte",
        "";
    DESTROYED: DefinitionOnly, "destroyed",
        "its value has expired and the service has destroyed it",
        "Delete it, or give it a new version if it is still needed; `keyhaven history` shows whether an earlier \
         snapshot holds its old value.";
    EXPIRED: DefinitionOnly, "expired",
        "its value has expired, and an instance destroys what has expired",
        "Give it a new version, or a later `expiration_date`, if it is still needed.";
    NOT_READ: DefinitionOnly, "payload_not_read",
        "its payload could not be read, so the snapshot holds its definition only",
        "See why the last backup could not read it (`keyhaven backup` says so) and run another one.";
    CERTIFICATE_AWAITED: Reissued, "signature_awaited",
        "it waits for its certificate: the key was made in the service, so another instance makes a new key and a new \
         signing request",
        "Have the signing request signed and import the certificate; from then on it comes back exactly.";
    CONVERTIBLE: Converted, "convertible",
        "no instance takes a certificate of this type, but as an imported certificate it works at once",
        "Nothing; decide whether the standby shall hold the old certificate (`convert`) or order a new one \
         (`reissue`): `[policies]` in the configuration.";
    ORDERED: Reissued, "ordered",
        "it has no certificate yet: the order is repeated in the standby",
        "Wait for the order to end, or see `issuance_info` for what it lacks.";
    CERTIFICATE_GONE: Reissued, "certificate_gone",
        "its certificate has expired or was destroyed: only a new one can be issued",
        "Delete it, or rotate it if it is still needed.";
    REVOKED: Reissued, "revoked",
        "its certificate is revoked: only a new one is of use, and a standby issues it only when a policy or rule says so",
        "Delete it, or rotate it if it is still needed; or let the standby issue a new one (`reissue`).";
    CERTIFICATE_NOT_READ: Reissued, "certificate_not_read",
        "its certificate could not be read: the standby issues a new one from the same definition",
        "See why the last backup could not read it (`keyhaven backup` says so) and run another one.";
    SIGNING_REQUEST: Reissued, "signing_request_supplied",
        "it was made from a signing request, whose key the service never had; the request was supplied, so the standby \
         can sign it again",
        "";
    NO_KEY: DefinitionOnly, "key_elsewhere",
        "it was made from a signing request: the service never had its key, and it never returns the request",
        "Keep the signing request and supply it (`[[overrides]]`, member `csr`), so that a standby can sign it again.";
    MINTED: Reissued, "minted",
        "credentials of this type are made by the service: the standby makes new ones",
        "See that whoever uses them fetches them by name; where a consumer cannot change in time, keep the old value \
         as well (`as_arbitrary` in `[policies]`), as long as it is valid.";
    MINTED_ON_READ: Reissued, "minted_on_read",
        "every read makes new credentials and deletes the old, so their value is never backed up; the standby makes \
         its own",
        "Nothing: its consumers fetch it at each use.";
    UNKNOWN_SECRET: DefinitionOnly, "unknown_type",
        "its type is unknown to this release; reading its payload might change it, and nothing can make it again",
        "Look for a newer release of Keyhaven; `source.read_types` lets its payload be read, if that is harmless.";
    UNKNOWN_KIND: DefinitionOnly, "unknown_kind",
        "its kind is unknown to this release",
        "Look for a newer release of Keyhaven.";

    // Configurations.
    SETTABLE: Exact, "settable",
        "a client can set all of it, its keys included",
        "";
    VALUE_NOT_READ: DefinitionOnly, "value_not_read",
        "its value was refused to the collector or could not be read, so the snapshot lacks its keys and parameters",
        "Give the collector a custom role with `configuration.read`, or the role Manager, and run a backup.";
    VALUE_INCOMPLETE: DefinitionOnly, "value_incomplete",
        "its value was read, but showed no key, and without one it cannot be made again",
        "Set its key anew, see that a read returns it, and run a backup.";
    TEMPLATE: Exact, "template",
        "a client can set all that an answer shows of it",
        "Supply the members that no answer returns (`[[overrides]]`), if they are not left at their default.";
    ENGINE_WITH_JOB: Exact, "engine_with_job",
        "a client can set all of it; the job that it runs is somebody else's",
        "Make a copy of its job in the standby's region, and name it in `[[overrides]]` (`code_engine`).";
    ROOT: Reissued, "root_key_stays",
        "the key of a root never leaves the service: the standby's root is another one, and whoever trusts the old \
         one has to trust the new one as well",
        "While the primary lives, let its root sign the standby's intermediate (`keyhaven prepare-standby`), or have \
         intermediates signed by a root outside (`external`), so that no trust store has to change; else hand out the \
         standby's root now.";
    ROOT_IN_HSM: Reissued, "root_key_in_hsm",
        "its key lies in an HSM, which another instance can use; its certificate is made anew",
        "Move to a root outside the provider: new keys in Hyper Protect Crypto Services are refused since 30 October \
         2026, and support ends on 30 March 2027.";
    INTERMEDIATE: Reissued, "intermediate_key_stays",
        "its key never leaves the service: the standby makes a new key and has it signed",
        "While the primary lives, let its root sign the standby's intermediate (`keyhaven prepare-standby`); then \
         certificates of both are trusted.";
    INTERMEDIATE_EXTERNAL: Reissued, "intermediate_signed_outside",
        "its key never leaves the service; whoever signed it outside signs the standby's as well",
        "Have the standby's intermediate signed before it is needed (`keyhaven prepare-standby`).";
    UNKNOWN_CONFIGURATION: DefinitionOnly, "unknown_configuration",
        "its type is unknown to this release: its value was not read, and nothing can make it again",
        "Look for a newer release of Keyhaven, and write its settings down elsewhere.";

    // The rest.
    GROUP: Exact, "group",
        "name and description can be set; its id is a new one",
        "";
    REGISTRATION: Reissued, "registration",
        "it is made anew: the name and description of the source are never returned",
        "Decide what the standby shall be called there (`restore plan --registration-name`).";
}
