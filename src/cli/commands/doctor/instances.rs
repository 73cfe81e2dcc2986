//! The source and the standby: answering, what the identity may do, and that each is the one that is meant.

use super::limit::Limit;
use super::purpose::HostPurpose;
use super::regions::{Regions, of_crn};
use super::repository::{RepositoryFacts, skew};
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::{services, text};
use crate::config::Settings;
use crate::model::{FailureKind, ItemKind};
use crate::provider::ibm::Client;
use crate::provider::ibm::access::Allowed;
use crate::provider::{CompleteListing, InstanceInventory as _, Listed, Sink};

const REACH: &str = "check the URL, the API key, and the network between; `keyhaven config show` prints what is set";

/// The rows of the source.
pub(super) async fn source(
    app: &App,
    settings: &Settings,
    host: &HostPurpose,
    found: &RepositoryFacts,
    regions: &mut Regions,
    limit: Limit,
) -> Rows {
    let mut rows = Rows::new("Source");
    let Some(client) = rows.take("address", services::source(settings), Client::host, REACH) else { return rows };
    let asking = async { client.check_access().await.map_err(Failure::from) };
    let asked = limit.within(FailureKind::Instance, asking).await;
    if let Some(access) = rows.take("login", asked, |_| "the identity service takes the API key".to_owned(), REACH) {
        let actions = access.actions();
        let refused: Vec<_> = actions.iter().filter_map(|(action, allowed)| no(action, allowed)).collect();
        if refused.is_empty() {
            rows.good("rights", format!("all {} that a backup needs", actions.len()));
        }
        for (action, words) in refused {
            rights(&mut rows, action, &words, host, settings);
        }
    }
    let Some(listing) = listing(&mut rows, &client, limit).await else { return rows };
    skew(&mut rows, "clock and provider", app.context().clock.now().millis_since(listing.ended));
    if let Some(is) = &listing.instance {
        regions.source = of_crn(is).or(regions.source.take());
    }
    let recorded = found.ledger.as_ref().and_then(|ledger| ledger.source()).map(|source| source.instance.clone());
    match (&recorded, &listing.instance, settings.source().ok().and_then(|source| source.crn)) {
        (Some(recorded), Some(is), _) if recorded != is => rows.bad(
            "identity",
            FailureKind::Moved,
            format!("the repository is of {recorded}, the instance is {is}"),
            "one repository is one instance: set source.url to that instance, or repository.url to another repository",
        ),
        (_, Some(is), Some(configured)) if configured != *is => rows.bad(
            "identity",
            FailureKind::Moved,
            format!("source.crn is {configured}, the instance is {is}"),
            "correct source.crn or source.url",
        ),
        (Some(_), Some(_), _) => rows.good("identity", "the instance that the repository is of"),
        _ => {}
    }
    rows
}

/// The rows of the standby. Nothing is written: it is asked about things that do not exist.
pub(super) async fn standby(settings: &Settings, found: &RepositoryFacts, regions: &mut Regions, limit: Limit) -> Rows {
    let mut rows = Rows::new("Standby");
    let Some(client) = rows.take("address", services::standby(settings), Client::host, REACH) else { return rows };
    let Some(listing) = listing(&mut rows, &client, limit).await else { return rows };
    if let Some(is) = &listing.instance {
        regions.standby = of_crn(is).or(regions.standby.take());
    }
    let recorded = found.ledger.as_ref().and_then(|ledger| ledger.source()).map(|source| source.instance.clone());
    let source = recorded.or_else(|| settings.source().ok().and_then(|source| source.crn));
    let same_host =
        settings.source().ok().is_some_and(|source| instance_of(&source.url) == instance_of(&client.host()));
    match (&source, &listing.instance) {
        _ if same_host => same(&mut rows, &client.host()),
        (Some(source), Some(is)) if source == is => same(&mut rows, is),
        (Some(_), Some(is)) => rows.good("not the source", is.clone()),
        (_, None) => rows.good("not the source", "it is empty and shows no name yet: a restore asks for --confirm"),
        (None, Some(is)) => rows.good("not the source", format!("it is {is}; what the source is cannot be told here")),
    }
    let asking = async { client.check_write_access().await.map_err(Failure::from) };
    match limit.within(FailureKind::Instance, asking).await {
        Ok(actions) => {
            let refused: Vec<_> = actions.iter().filter_map(|(action, allowed)| no(action, allowed)).collect();
            if refused.is_empty() {
                let found = "writing is allowed, as far as asking about what does not exist tells; nothing was written";
                rows.good("rights", found);
            }
            for (action, words) in refused {
                rows.bad(
                    "rights",
                    FailureKind::Instance,
                    format!("{action} is refused: {words}"),
                    "give the identity the role Manager on the standby, and none on the source",
                );
            }
        }
        Err(failure) => rows.failed("rights", &failure, REACH),
    }
    rows
}

fn same(rows: &mut Rows, name: &str) {
    rows.bad(
        "not the source",
        FailureKind::Moved,
        format!("the standby is the source: {name}"),
        "set standby.url to another instance, in another region",
    );
}

/// Discards what is listed. Missing rights to list are reported under the rights.
struct ListingProbe;

impl Sink for ListingProbe {
    fn take(&mut self, _item: Listed) {}

    fn hidden(&mut self, _kind: ItemKind, _why: &str) -> bool {
        true
    }
}

async fn listing(rows: &mut Rows, client: &Client, limit: Limit) -> Option<CompleteListing> {
    let listing = async { client.list(&mut ListingProbe).await.map_err(Failure::from) };
    let shown = |listing: &CompleteListing| {
        let items = text::count(listing.items, "item");
        format!("{items} of {}", listing.instance.as_deref().unwrap_or("an instance that shows no name"))
    };
    rows.take("listing", limit.within(FailureKind::Instance, listing).await, shown, REACH)
}

fn no(action: &'static str, allowed: &Allowed) -> Option<(&'static str, String)> {
    match allowed {
        Allowed::Yes => None,
        Allowed::No(words) => Some((action, words.clone())),
    }
}

/// A right that is missing, and the role that has it.
fn rights(rows: &mut Rows, action: &'static str, words: &str, host: &HostPurpose, settings: &Settings) {
    let found = format!("{action} is refused: {words}");
    let (mend, values) = match action {
        "configurations.list" | "configuration.read" => (
            "give the identity a custom role with configurations.list and configuration.read beside SecretsReader \
             (or Manager), or accept it with backup.allow_partial = true",
            true,
        ),
        _ => ("give the identity the role SecretsReader on the instance", false),
    };
    if values && (settings.backup().allow_partial || !host.collects) {
        rows.warning("rights", format!("{found}; accepted: snapshots lack it"), mend);
    } else {
        rows.bad("rights", FailureKind::Instance, found, mend);
    }
}

/// The instance id at the head of a host name: `ID.eu-de…` and `ID.private.eu-de…` are one. A plain address, whose
/// first part says nothing, is taken whole.
fn instance_of(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    match host.split_once('.') {
        Some((id, rest)) if rest.contains("secrets-manager") => id.to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_one_by_whichever_of_its_addresses() {
        let public = instance_of("https://AB-12.eu-de.secrets-manager.appdomain.cloud/");
        assert_eq!(public, instance_of("ab-12.private.eu-de.secrets-manager.appdomain.cloud"));
        assert_ne!(public, instance_of("https://cd-34.eu-de.secrets-manager.appdomain.cloud"));
        assert_eq!(instance_of("http://127.0.0.1:9"), "127.0.0.1:9");
        assert_ne!(instance_of("http://127.0.0.1:9"), instance_of("http://127.0.0.1:10"));
    }
}
