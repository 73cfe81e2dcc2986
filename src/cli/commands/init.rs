//! `keyhaven init`.

mod policy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::recovery_file::{self, RecoveryFile};
use crate::cli::recovery_sheet::{self, Sheet};
use crate::cli::{draft, key_file, pins, services, text};
use crate::config::{SettingOrigin, Settings, keys, reference};
use crate::crypto::digest::sha256;
use crate::crypto::{Identities, Recipient, Recipients, SigningKey};
use crate::format::{Policy, PolicyRef, RepositoryId, SourceName, names};
use crate::provider::InstanceInventory;
use crate::provider::ibm::PROVIDER;
use crate::repository::{Repository, RepositoryError, Store, recover_md};

/// Creates a repository for one instance, on the host that will back up.
///
/// Creates this host's signing key and catalogue key, a commented configuration, version 1 of the trust policy, and a
/// recovery sheet to print. Never overwrites a file. Recommended: three recovery kits, two of which must sign.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven init --recovery public.txt --source-url https://ID.eu-de.secrets-manager.appdomain.cloud \\
    --api-key-file api-key --repository /srv/backup/secrets
  keyhaven init --recovery alice.txt --recovery bob.txt --recovery carol.txt --out /etc/keyhaven \\
    --repository s3://bucket/prefix \\
    --endpoint https://s3.eu-gb.cloud-object-storage.appdomain.cloud --region eu-gb \\
    --access-key-id-file hmac-id --secret-access-key-file hmac-secret --api-key-file api-key --source-url https://…")]
pub(in crate::cli) struct Arguments {
    /// The public file of a recovery kit (`keyhaven keys new`); once for each kit
    #[arg(long, value_name = "FILE", required = true)]
    recovery: Vec<PathBuf>,
    /// The folder for this host's keys, configuration and recovery sheet
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// An age recipient that may open the inventory but no payload; once for each auditor
    #[arg(long, value_name = "RECIPIENT")]
    auditor: Vec<Recipient>,
    /// Number of custodians that must sign a change of the trust policy [default: 1 of one or two, else a majority]
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// A file with the API key of the source
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<String>,
    /// Where API keys are exchanged for tokens
    #[arg(long, value_name = "URL")]
    iam_url: Option<String>,
    /// The CRN of the source; without it, the instance is asked
    #[arg(long, value_name = "CRN")]
    crn: Option<String>,
    /// The S3 endpoint
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The bucket's region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// A file with the access key id of the bucket
    #[arg(long, value_name = "FILE")]
    access_key_id_file: Option<String>,
    /// A file with the secret access key of the bucket
    #[arg(long, value_name = "FILE")]
    secret_access_key_file: Option<String>,
}

impl Arguments {
    fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let file = |path: &Option<String>| path.as_ref().map(|path| format!("file:{path}"));
        [
            ("source.api_key", "--api-key-file", file(&self.api_key_file)),
            ("source.iam_url", "--iam-url", self.iam_url.clone()),
            ("source.crn", "--crn", self.crn.clone()),
            ("repository.endpoint", "--endpoint", self.endpoint.clone()),
            ("repository.region", "--region", self.region.clone()),
            ("repository.access_key_id", "--access-key-id-file", file(&self.access_key_id_file)),
            ("repository.secret_access_key", "--secret-access-key-file", file(&self.secret_access_key_file)),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value?)))
        .collect()
    }
}

/// The files that `init` makes.
#[derive(Debug, Serialize)]
struct Files {
    signing_key: PathBuf,
    catalogue_key: PathBuf,
    recovery_sheet: PathBuf,
    /// The configuration; `None` when one was there already, which is never changed.
    config: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct InitReport {
    repository_id: RepositoryId,
    /// Version 1 of the trust policy.
    policy: PolicyRef,
    place: String,
    source: SourceName,
    files: Files,
    signing_key_fingerprint: crate::model::Digest,
    custodians: usize,
    threshold: u64,
    recovery_recipients: Vec<String>,
    /// The line for the recovery identity files.
    identity_comment: String,
    /// The line that pins version 1, with its bytes.
    pin: String,
    /// Lines to add to an existing configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    add_to_config: Option<String>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let flags = arguments.flags();
    let flags: Vec<_> = flags.iter().map(|(key, flag, value)| (*key, *flag, value.as_str())).collect();
    let settings = app.settings_with(&flags)?;
    let kit = read_kits(&arguments.recovery)?;
    let recovery = Recipients::new(kit.recipients.clone())?;
    if kit.custodians.is_empty() {
        return Err(Failure::usage("none of the recovery files holds a custodian's public key")
            .hinted("`keyhaven keys new` makes a kit with one; without it, keys could never be changed"));
    }
    policy::check_custodians(&kit, arguments.threshold)?;
    if recovery.len() < 2 {
        app.printer.warning(
            "one recovery recipient: if its key is lost, every backup is lost; make a second kit and give both files",
        );
    }
    let files = files(app, &arguments.out);
    let new: Vec<&Path> = [&files.signing_key, &files.catalogue_key, &files.recovery_sheet]
        .into_iter()
        .chain(&files.config)
        .map(PathBuf::as_path)
        .collect();
    // The place first: an `init` that ended half-way has left keys too, and then the id is what helps.
    let store = services::store(&settings.repository()?)?;
    Repository::check_free(&store).await.map_err(|error| not_made(error, &files))?;
    key_file::all_free(&new)?;
    let source = source_name(&settings).await?;
    let made = app.change(make(app, &settings, &arguments, store, source, &kit, files)).await?;
    tell(app, &made)?;
    Ok(CommandOutcome::done())
}

fn read_kits(paths: &[PathBuf]) -> Result<RecoveryFile, Failure> {
    let mut all = RecoveryFile::default();
    for path in paths {
        let name = path.display().to_string();
        let found = recovery_file::read(&crate::cli::app::read_public(path, "recovery file")?, &name)?;
        all.recipients.extend(found.recipients);
        all.custodians.extend(found.custodians);
        all.recovery_hosts.extend(found.recovery_hosts);
    }
    Ok(RecoveryFile {
        recipients: each_once(all.recipients),
        custodians: each_once(all.custodians),
        recovery_hosts: each_once(all.recovery_hosts),
    })
}

/// Each once, in the order given: it is the order of the names.
fn each_once<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

fn files(app: &App, out: &Path) -> Files {
    let config = match app.config_path() {
        Some(_) => None,
        None => Some(out.join("keyhaven.toml")),
    };
    Files {
        signing_key: out.join("signing-key.pem"),
        catalogue_key: out.join("catalogue-key.txt"),
        recovery_sheet: out.join("recovery-sheet.txt"),
        config,
    }
}

/// The instance's own name: as configured, else as its listing shows it.
async fn source_name(settings: &Settings) -> Result<SourceName, Failure> {
    let instance = settings.source()?;
    let crn = match instance.crn {
        Some(crn) => crn,
        None => {
            let client = services::source(settings)?;
            let listing = client.list(&mut |_| {}).await?;
            listing.instance.ok_or_else(|| {
                Failure::usage("the instance shows no CRN, because there is nothing in it yet")
                    .hinted("say it: --crn 'crn:v1:bluemix:public:secrets-manager:REGION:a/ACCOUNT:INSTANCE-ID::'")
            })?
        }
    };
    let region = crn.split(':').nth(5).filter(|region| crn.starts_with("crn:") && !region.is_empty());
    match region {
        Some(region) => {
            let region = Some(region.to_owned());
            Ok(SourceName { provider: PROVIDER.to_owned(), instance: crn, region })
        }
        None => Err(Failure::usage(format!("`{crn}` is no CRN of an instance"))
            .hinted("it looks like crn:v1:bluemix:public:secrets-manager:REGION:a/ACCOUNT:INSTANCE-ID::")),
    }
}

async fn make(
    app: &App,
    settings: &Settings,
    arguments: &Arguments,
    store: Store,
    source: SourceName,
    kit: &RecoveryFile,
    files: Files,
) -> Result<InitReport, Failure> {
    let key = SigningKey::generate()?;
    let (catalogue, catalogue_text) = Identities::generate();
    let place = store.place();
    let instructions = recover_md(&source);
    let mut policy = Policy::first(source.clone(), sha256(&instructions), app.context().clock.now(), &draft::tool());
    self::policy::fill(&mut policy, &key.public(), kit, &catalogue.recipients(), &arguments.auditor);
    policy.threshold = arguments.threshold.unwrap_or_else(|| self::policy::default_threshold(kit.custodians.len()));
    // The keys are on the disk before the policy names them: a repository whose key is lost is of no use.
    key_file::create_folder(&arguments.out)?;
    key_file::create(&files.signing_key, key.to_pem()?.as_bytes())?;
    key_file::create(&files.catalogue_key, catalogue_text.as_bytes())?;
    let new = Repository::init(store, instructions, &policy).await.map_err(|error| not_made(error, &files))?;
    let id = new.id;
    let unfinished =
        |failure: Failure| failure.hinted(format!("the repository is made; {}", keep_and_go_on(&id, &files)));
    let values = config_values(settings, &id, &files);
    // The configuration before the sheet: with it everything else can be had again.
    let add_to_config = match &files.config {
        Some(path) => {
            key_file::create(path, reference::commented(&values).as_bytes()).map_err(unfinished)?;
            None
        }
        None => Some(snippet(settings, &values)),
    };
    let (version, policy, envelope) = Policy::decode(&new.policy)?;
    let made = text::time(app.context().clock.now());
    let sheet = Sheet { settings, id, version, policy: &policy, envelope: &envelope, made };
    let sheet = recovery_sheet::text(&sheet).map_err(unfinished)?;
    key_file::create(&files.recovery_sheet, sheet.as_bytes()).map_err(unfinished)?;
    Ok(InitReport {
        repository_id: id,
        policy: version,
        place,
        source,
        signing_key_fingerprint: key.public().fingerprint(),
        custodians: policy.custodians.len(),
        threshold: policy.threshold,
        recovery_recipients: policy.recovery_recipients.iter().map(|one| one.recipient.clone()).collect(),
        identity_comment: format!("# keyhaven repository: {id}"),
        pin: pins::line(&version, &new.policy),
        files,
        add_to_config,
    })
}

/// Returns the hint after an `init` that did not create the repository, or cannot know.
fn not_made(error: RepositoryError, files: &Files) -> Failure {
    let keys = [&files.signing_key, &files.catalogue_key];
    let shown = format!("{} and {}", files.signing_key.display(), files.catalogue_key.display());
    let hint = match &error {
        RepositoryError::Exists { ids, .. } => match ids.as_slice() {
            [id] => format!(
                "one repository is one source instance: choose another place; but if it is what an interrupted `init` \
                 made for this instance, {}",
                keep_and_go_on(id, files)
            ),
            _ => "choose another place, or find out what put it there".to_owned(),
        },
        // It may be there, or come to be there: then these keys are the only ones that it knows.
        RepositoryError::Unconfirmed { path, .. } | RepositoryError::Damaged { path, .. } => {
            let id = names::parse_policy(path).map(|version| format!(" {}", version.digest)).unwrap_or_default();
            format!(
                "keep {shown}: if the repository{id} is there, they are its keys; `init` run again says whether it is"
            )
        }
        _ if keys.iter().any(|path| path.exists()) => {
            format!("this host's new keys stay in {shown}; remove them before you run `init` again")
        }
        _ => return error.into(),
    };
    Failure::from(error).hinted(hint)
}

/// Returns how to continue after an `init` that was interrupted once the trust policy was written.
fn keep_and_go_on(id: &RepositoryId, files: &Files) -> String {
    format!(
        "keep its keys, {} and {}, and set repository.id = \"{id}\", keys.signing_key and keys.catalogue_key in \
         the configuration (`keyhaven config init` prints one), then run `keyhaven doctor`",
        files.signing_key.display(),
        files.catalogue_key.display()
    )
}

/// What the new configuration sets: what this run was told, and what it made. As TOML, by key.
fn config_values(settings: &Settings, id: &RepositoryId, files: &Files) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::new();
    for set in settings.effective().into_iter().filter(|set| *set.origin != SettingOrigin::Default) {
        values.insert(set.key.path, set.value.to_string());
    }
    let file = |path| reference::quote(&format!("file:{}", absolute(path)));
    values.insert("repository.id", reference::quote(&id.to_string()));
    values.insert("keys.signing_key", file(&files.signing_key));
    values.insert("keys.catalogue_key", file(&files.catalogue_key));
    values
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// What a configuration that was there already lacks: everything that it does not set itself, or sets to something
/// else, such as the id or the keys of another repository.
fn snippet(settings: &Settings, values: &BTreeMap<&'static str, String>) -> String {
    let there: Vec<&str> = settings
        .effective()
        .iter()
        .filter(|set| matches!(set.origin, SettingOrigin::File { .. }))
        .filter(|set| values.get(set.key.path).is_some_and(|wanted| set.value.to_string() == *wanted))
        .map(|set| set.key.path)
        .collect();
    let mut text = String::new();
    let mut last = "";
    // In the order of the table, where the keys without a section come first, as TOML wants them.
    let lacking = keys::all().filter(|key| !there.contains(&key.path));
    for (path, value) in lacking.filter_map(|key| Some((key.path, values.get(key.path)?))) {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        if section != last {
            text.push_str(&format!("[{section}]\n"));
            last = section;
        }
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

fn tell(app: &App, made: &InitReport) -> Result<(), Failure> {
    app.printer.result(made, |printer| {
        printer.line("Repository made.")?;
        let mut facts = vec![
            ("repository", made.place.clone()),
            ("id", made.repository_id.to_string()),
            ("source", made.source.instance.clone()),
            ("trust policy", policy::threshold_words(made.threshold, made.custodians)),
            ("signing key", made.files.signing_key.display().to_string()),
            ("catalogue key", made.files.catalogue_key.display().to_string()),
            ("recovery sheet", made.files.recovery_sheet.display().to_string()),
        ];
        facts.extend(made.files.config.as_ref().map(|path| ("configuration", path.display().to_string())));
        printer.facts(&facts)?;
        printer.line("")?;
        printer.line("Next:")?;
        printer.line("  1. Where the recovery identities are, write the repository id into each of them:")?;
        printer.line(format!("       keyhaven keys pin IDENTITY-FILE --repository-id {}", made.repository_id))?;
        printer.line(format!("     It adds the comment line `{}`.", made.identity_comment))?;
        printer.line("  2. Print the recovery sheet and keep it with the recovery keys.")?;
        match &made.add_to_config {
            Some(snippet) => {
                printer.line(
                    "  3. Set in the sections of the configuration, which was there already and was not changed:",
                )?;
                for line in snippet.lines() {
                    printer.line(format!("       {line}"))?;
                }
            }
            None => printer.line("  3. Read the configuration through.")?,
        }
        printer.line("  4. keyhaven doctor, then keyhaven backup")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layer;

    #[test]
    fn a_configuration_that_is_there_is_told_what_it_lacks() {
        let text = "[source]\nurl = \"https://a.example\"\n[keys]\nsigning_key = \"file:/old\"\n";
        let file = Layer::file(text, "keyhaven.toml", Path::new("/etc")).unwrap();
        let flags = Layer::flags([("source.crn", "--crn", "crn:v1:x")], Path::new("/")).unwrap();
        let settings = Settings::build([file, flags]).unwrap();
        let values = BTreeMap::from([
            ("keys.signing_key", "\"file:/k\"".to_owned()),
            ("source.crn", "\"crn:v1:x\"".to_owned()),
            ("source.url", "\"https://a.example\"".to_owned()),
            ("state_dir", "\"/s\"".to_owned()),
        ]);
        let lacking = snippet(&settings, &values);
        let expected = "state_dir = \"/s\"\n[source]\ncrn = \"crn:v1:x\"\n[keys]\nsigning_key = \"file:/k\"\n";
        assert_eq!(lacking, expected);
    }

    fn in_out() -> Files {
        Files {
            signing_key: "out/signing-key.pem".into(),
            catalogue_key: "out/catalogue-key.txt".into(),
            recovery_sheet: "out/recovery-sheet.txt".into(),
            config: None,
        }
    }

    #[test]
    fn keys_that_a_repository_may_know_are_never_said_to_be_removed() {
        let id = RepositoryId(sha256(b"version 1"));
        let source = crate::repository::StoreError::NotFound { path: "x".to_owned(), place: "there".to_owned() };
        let unknown =
            RepositoryError::Unconfirmed { path: names::policy(&PolicyRef { version: 1, digest: id.0 }), source };
        let there = RepositoryError::Exists { place: "there".to_owned(), ids: vec![id] };
        for error in [unknown, there] {
            let failure = not_made(error, &in_out());
            let hint = failure.hint().unwrap();
            assert!(hint.contains(&id.to_string()) && hint.contains("out/signing-key.pem"), "{hint}");
            assert!(hint.contains("keep") && !hint.contains("remove"), "{hint}");
        }
    }
}
