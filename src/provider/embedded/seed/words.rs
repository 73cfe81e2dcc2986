//! Words for made-up secrets.

/// Secret groups: name and description.
pub(crate) const GROUPS: [(&str, &str); 8] = [
    ("payments", "Card processing and settlement."),
    ("identity", "Sign-in, tokens, directories."),
    ("data-platform", "Warehouses, streams and their loaders."),
    ("edge", "Load balancers and content delivery."),
    ("observability", "Metrics, logs and traces."),
    ("build", "Pipelines and artefact stores."),
    ("mobile", ""),
    ("partners", "Keys of other companies."),
];

/// Systems that need secrets.
pub(crate) const SYSTEMS: [&str; 12] = [
    "orders",
    "ledger",
    "checkout",
    "search",
    "mail",
    "catalog",
    "reports",
    "gateway",
    "vault-proxy",
    "billing",
    "sessions",
    "exports",
];

/// Purposes of secrets.
pub(crate) const USES: [&str; 8] = ["db", "api", "queue", "cache", "signing", "webhook", "smtp", "backup"];

/// Labels.
pub(crate) const LABELS: [&str; 10] =
    ["prod", "staging", "tier-1", "tier-2", "pci", "gdpr", "rotate-quarterly", "owner:platform", "legacy", "eu"];

/// Owners, for metadata.
pub(crate) const OWNERS: [&str; 5] = ["a.lindqvist", "b.okafor", "c.moreau", "d.tanaka", "e.silva"];
