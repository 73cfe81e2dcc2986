//! What tests share: one file for each thing. A test file uses the kit and the files of its own directory.

pub(crate) mod attacked_site;
pub(crate) mod bucket;
pub(crate) mod bucket_faults;
pub(crate) mod capture;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod command_line;
pub(crate) mod daemon;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod folder_bucket;
pub(crate) mod instance;
pub(crate) mod ledger;
pub(crate) mod mock_instance;
pub(crate) mod pki;
pub(crate) mod policy;
pub(crate) mod program;
pub(crate) mod receivers;
pub(crate) mod repository;
pub(crate) mod restore;
pub(crate) mod simulated_store;
pub(crate) mod site;
pub(crate) mod small_world;
pub(crate) mod store;
pub(crate) mod sweep;
