//! Lists: filters, sort orders and pages.

use std::sync::Arc;

use url::form_urlencoded;
use zeroize::Zeroizing;

use super::data::Secret;
use super::query::{PageFault, Query, invalid};
use super::refusal::Refusal;
use super::text::{ObjectText, list};
use super::{Answer, InstanceState};
use crate::model::Timestamp;
use crate::provider::embedded::access::GroupScope;

/// Paging limits of one list.
pub(crate) struct Bounds {
    max_offset: usize,
    max_limit: usize,
    default_limit: usize,
    path: &'static str,
}

pub(crate) const SECRET_LISTS: Bounds =
    Bounds { max_offset: 10_000_000, max_limit: 1000, default_limit: 200, path: "secrets" };
pub(crate) const LOCK_ROW_LISTS: Bounds =
    Bounds { max_offset: 10_000_000, max_limit: 1000, default_limit: 200, path: "secrets_locks" };
pub(crate) const CONFIGURATION_LISTS: Bounds =
    Bounds { max_offset: 1000, max_limit: 1000, default_limit: 200, path: "configurations" };
pub(crate) const LOCK_LISTS: Bounds = Bounds { max_offset: 1000, max_limit: 100, default_limit: 25, path: "locks" };

/// Requested page of a list.
pub(crate) struct ListPage {
    offset: usize,
    limit: usize,
    path: &'static str,
    fault: Option<PageFault>,
}

impl ListPage {
    pub(crate) fn parse(query: &Query, bounds: &Bounds) -> Result<Self, Refusal> {
        let number = |name: &str, default: usize, min: usize, max: usize| match query.get(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|value| (min..=max).contains(value)).ok_or_else(|| invalid(name)),
        };
        Ok(Self {
            offset: number("offset", 0, 0, bounds.max_offset)?,
            limit: number("limit", bounds.default_limit, 1, bounds.max_limit)?,
            path: bounds.path,
            fault: query.fault,
        })
    }

    /// Renders the rows of this page.
    pub(crate) fn cut<T>(&self, rows: &[T], render: impl Fn(&T) -> Zeroizing<String>) -> Vec<Zeroizing<String>> {
        let (start, skip) = match self.fault {
            Some(PageFault::Repeat) => (self.offset.saturating_sub(self.limit), 0),
            Some(PageFault::SkipRow) => (self.offset, 1),
            None => (self.offset, 0),
        };
        rows.iter().skip(start).take(self.limit).skip(skip).map(render).collect()
    }

    /// Wraps the rows in a page. The links name the real service's host, as its own answers may; a client that follows
    /// them instead of using their `offset` fails.
    pub(crate) fn envelope(
        &self,
        host: &str,
        name: &str,
        rows: &str,
        total: usize,
        query: &Query,
    ) -> Zeroizing<String> {
        let link = |offset: usize| {
            let mut pairs = form_urlencoded::Serializer::new(String::new());
            for (name, value) in query.pairs.iter().filter(|(name, _)| name != "offset" && name != "limit") {
                pairs.append_pair(name, value);
            }
            pairs.append_pair("limit", &self.limit.to_string()).append_pair("offset", &offset.to_string());
            let mut link = ObjectText::new();
            link.str("href", &format!("https://{host}/api/v2/{}?{}", self.path, pairs.finish()));
            link.finish()
        };
        let mut body = ObjectText::new();
        body.num("total_count", total as u64).num("limit", self.limit as u64).num("offset", self.offset as u64);
        body.raw("first", &link(0)).raw("last", &link(total.saturating_sub(1) / self.limit * self.limit));
        if self.offset + self.limit < total {
            body.raw("next", &link(self.offset + self.limit));
        }
        if self.offset > 0 {
            body.raw("previous", &link(self.offset.saturating_sub(self.limit)));
        }
        body.raw(name, rows);
        body.finish()
    }
}

impl InstanceState {
    /// Returns the host in links.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn list_secrets(&self, query: &Query, scope: &GroupScope) -> Result<Answer, Refusal> {
        let page = ListPage::parse(query, &SECRET_LISTS)?;
        let groups = query.limited("groups", 201)?;
        let types = query.limited("secret_types", 9)?;
        let labels = query.limited("match_all_labels", 30)?;
        let search = query.search()?;
        let mut found: Vec<&Arc<Secret>> = self
            .items
            .secrets
            .values()
            .filter(|secret| scope.has(&secret.group))
            .filter(|secret| groups.as_ref().is_none_or(|groups| groups.contains(&secret.group)))
            .filter(|secret| types.as_ref().is_none_or(|types| types.contains(&secret.secret_type)))
            .filter(|secret| {
                labels.as_ref().is_none_or(|labels| labels.iter().all(|label| secret.labels.contains(label)))
            })
            .filter(|secret| search.as_ref().is_none_or(|text| matches(secret, text)))
            .collect();
        // The map is already ordered by id.
        if query.get("sort") != Some("id") {
            query.sort(&mut found, &SORTS, |secret, field| sort_key(secret, field))?;
        }
        let rows = page.cut(&found, |secret| self.renderer.secret_metadata(secret));
        Ok(Answer::ok(page.envelope(self.host(), "secrets", &list(rows), found.len(), query)))
    }

    pub(crate) fn list_secrets_locks(&self, query: &Query, scope: &GroupScope) -> Result<Answer, Refusal> {
        let page = ListPage::parse(query, &LOCK_ROW_LISTS)?;
        let groups = query.limited("groups", 201)?;
        let search = query.search()?;
        let found: Vec<&Arc<Secret>> = self
            .items
            .secrets
            .values()
            .filter(|secret| scope.has(&secret.group))
            .filter(|secret| groups.as_ref().is_none_or(|groups| groups.contains(&secret.group)))
            .filter(|secret| search.as_ref().is_none_or(|text| has_lock(secret, text)))
            .filter(|secret| self.switches.unlocked_in_lock_list || secret.locks_total() > 0)
            .collect();
        let rows = page.cut(&found, |secret| self.renderer.locks_row(secret));
        Ok(Answer::ok(page.envelope(self.host(), "secrets_locks", &list(rows), found.len(), query)))
    }
}

const SORTS: [&str; 7] = ["id", "created_at", "updated_at", "retrieved_at", "expiration_date", "secret_type", "name"];

fn sort_key(secret: &Secret, field: &str) -> (i64, String) {
    let id = secret.id.clone();
    let never = |time: Option<Timestamp>| time.map_or(0, Timestamp::millis);
    match field {
        "created_at" => (secret.created_at.millis(), id),
        "updated_at" => (secret.updated_at.millis(), id),
        "retrieved_at" => (never(secret.retrieved_at), id),
        "expiration_date" => (never(secret.expiration_date), id),
        // NUL sorts before any further character of a name.
        "secret_type" => (0, format!("{}\0{id}", secret.secret_type)),
        "name" => (0, format!("{}\0{id}", secret.name)),
        _ => (0, id),
    }
}

fn matches(secret: &Secret, text: &str) -> bool {
    let has = |value: &str| value.to_lowercase().contains(text);
    has(&secret.id)
        || has(&secret.name)
        || secret.description.as_deref().is_some_and(has)
        || secret.labels.iter().any(|label| has(label))
        || has(&secret.secret_type)
}

fn has_lock(secret: &Secret, text: &str) -> bool {
    secret.versions.iter().flat_map(|version| &version.locks).any(|lock| lock.name.to_lowercase().contains(text))
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;

    fn names(machine: &mut Machine, query: &str) -> Vec<String> {
        let got = machine.get(&format!("secrets?{query}"));
        assert_eq!(got.0, 200, "{}", got.1);
        got.rows("secrets").iter().map(|row| row.str("name").unwrap()).collect()
    }

    fn filled() -> (Machine, String) {
        let mut machine = Machine::new();
        let group = machine.post("secret_groups", r#"{"name":"other"}"#).str("id");
        machine.create("arbitrary", "bb", r#""payload":"v","labels":["prod","eu"]"#);
        machine.later(10);
        machine.create("kv", "aa", &format!(r#""data":{{"a":1}},"labels":["prod"],"secret_group_id":"{group}""#));
        machine.later(10);
        machine.create("arbitrary", "cc", r#""payload":"v","description":"The Ledger""#);
        (machine, group)
    }

    #[test]
    fn filters_join() {
        let (mut machine, group) = filled();
        assert_eq!(names(&mut machine, "sort=name&secret_types=arbitrary"), ["bb", "cc"]);
        assert_eq!(names(&mut machine, &format!("groups={group}")), ["aa"]);
        assert_eq!(names(&mut machine, &format!("sort=name&groups=default%2C{group}")), ["aa", "bb", "cc"]);
        assert_eq!(names(&mut machine, "sort=name&match_all_labels=prod"), ["aa", "bb"]);
        assert_eq!(names(&mut machine, "match_all_labels=prod,eu"), ["bb"]);
        assert_eq!(names(&mut machine, "search=LEDGER"), ["cc"]);
        assert_eq!(names(&mut machine, &format!("search=arbitrary&groups={group}")), Vec::<String>::new());
    }

    #[test]
    fn orders_rise_and_fall() {
        let (mut machine, _) = filled();
        assert_eq!(names(&mut machine, "sort=name"), ["aa", "bb", "cc"]);
        assert_eq!(names(&mut machine, "sort=-name"), ["cc", "bb", "aa"]);
        assert_eq!(names(&mut machine, "sort=created_at"), ["bb", "aa", "cc"]);
        assert_eq!(names(&mut machine, "sort=-updated_at"), ["cc", "aa", "bb"]);
        machine.arbitrary("bb-more");
        machine.arbitrary("bb.more");
        assert_eq!(names(&mut machine, "sort=name"), ["aa", "bb", "bb-more", "bb.more", "cc"]);
        let ids = |got: super::super::harness::Got| -> Vec<_> {
            got.rows("secrets").iter().map(|row| row.str("id").unwrap()).collect()
        };
        let rising = ids(machine.get("secrets?sort=id"));
        let mut falling = ids(machine.get("secrets?sort=-id"));
        falling.reverse();
        assert!(rising.is_sorted());
        assert_eq!(rising, falling);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let (mut machine, _) = filled();
        for query in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "offset=-1",
            "offset=10000001",
            "sort=payload",
            "search=x",
            "secret_types=a,b,c,d,e,f,g,h,i,j",
        ] {
            assert_eq!(machine.get(&format!("secrets?{query}")).0, 400, "{query}");
        }
        assert_eq!(machine.get("secrets_locks?limit=1001").0, 400);
        assert_eq!(machine.get("configurations?offset=1001").0, 400);
        let beyond = machine.get("secrets?offset=50");
        assert_eq!((beyond.rows("secrets").len(), beyond.raw("total_count")), (0, "3".into()));
    }

    #[test]
    fn links_lead_to_the_pages_and_keep_the_filters() {
        let (mut machine, _) = filled();
        let page = machine.get("secrets?sort=name&limit=1&offset=1");
        let href = |name: &str| page.object().object(name).unwrap().str("href").unwrap();
        assert!(href("first").ends_with("/api/v2/secrets?sort=name&limit=1&offset=0"), "{}", href("first"));
        assert!(href("previous").ends_with("offset=0") && href("next").ends_with("offset=2"));
        assert!(href("last").ends_with("offset=2"));
        assert!(href("first").starts_with("https://5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d.eu-de.secrets-manager."));
        let empty = Machine::new().get("secrets");
        assert!(empty.has("first") && empty.has("last") && !empty.has("next") && !empty.has("previous"));
    }

    #[test]
    fn the_lock_list_has_every_secret_and_its_two_newest_versions() {
        let (mut machine, group) = filled();
        let id = machine.arbitrary("rotated");
        let versions: Vec<_> = (2..5).map(|index| machine.rotate_to(&id, &format!("v{index}"))).collect();
        machine.locked(&id, "previous", "held");
        let rows = machine.get("secrets_locks").rows("secrets_locks");
        assert_eq!(rows.len(), 4);
        let row = rows.iter().find(|row| row.str("secret_id").as_ref() == Some(&id)).unwrap();
        let listed: Vec<_> = row
            .array("versions")
            .unwrap()
            .iter()
            .map(|row| crate::model::json::JsonObject::parse(row.get()).unwrap())
            .collect();
        assert_eq!(listed.len(), 2);
        assert_eq!(
            (listed[0].str("version_id"), listed[1].str("version_id")),
            (Some(versions[2].clone()), Some(versions[1].clone()))
        );
        assert_eq!(listed[1].get("locks").unwrap().get(), r#"["held"]"#);
        assert_eq!(machine.get("secrets_locks?search=held").raw("total_count"), "1");
        assert_eq!(machine.get(&format!("secrets_locks?groups={group}")).raw("total_count"), "1");
    }
}
