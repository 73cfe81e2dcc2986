//! Coverage: which parts of a snapshot can be restored, why the rest cannot, and what to do about it today.
//!
//! Pure: maps the items of a catalogue to a report. Needs no payload, so a catalogue key is sufficient.

mod report;
mod threshold;

use std::collections::{BTreeMap, BTreeSet};

pub use self::report::{ClassReason, CoverageReport, ItemMembers, LeftOut, NamedItem, Needed, Unknown};
pub use self::threshold::{Threshold, ThresholdError};
use crate::job::restore::policy::treatment;
use crate::model::{Item, ItemClass, ItemKind, Policies, Restorability, Timestamp, Treatment};
use crate::provider::ItemConverter;
use crate::provider::assess::{Assessment, Prerequisite, Recovered};

/// Collects the items of a snapshot in key order (groups before secrets, so that their names are known).
#[derive(Debug)]
pub struct Coverage<'a> {
    converter: &'a dyn ItemConverter,
    policies: &'a Policies,
    now: Timestamp,
    groups: BTreeMap<String, String>,
    items: u64,
    classes: BTreeMap<ItemClass, u64>,
    unknown: Vec<Unknown>,
    treatments: BTreeMap<Treatment, u64>,
    left_out: Vec<LeftOut>,
    reasons: BTreeMap<(Restorability, &'static str), ClassReason>,
    members: Vec<ItemMembers>,
    not_captured: Vec<NamedItem>,
    needs: BTreeMap<&'static str, Needed>,
    fulfilled: BTreeSet<&'static str>,
}

impl<'a> Coverage<'a> {
    /// Creates a collector. Items expired by `now` count as lost. Converter and policies determine what the configured
    /// restore makes of each item.
    #[must_use]
    pub fn new(converter: &'a dyn ItemConverter, policies: &'a Policies, now: Timestamp) -> Self {
        Self {
            converter,
            policies,
            now,
            groups: BTreeMap::new(),
            items: 0,
            classes: Restorability::ALL.into_iter().map(|class| (class.into(), 0)).collect(),
            unknown: Vec::new(),
            treatments: BTreeMap::new(),
            left_out: Vec::new(),
            reasons: BTreeMap::new(),
            members: Vec::new(),
            not_captured: Vec::new(),
            needs: BTreeMap::new(),
            fulfilled: BTreeSet::new(),
        }
    }

    /// Adds the next item.
    pub fn add(&mut self, item: &Item) {
        if item.key.kind() == ItemKind::Group {
            self.groups.insert(item.key.id().to_owned(), item.name.clone());
        }
        let named = NamedItem {
            key: item.key.clone(),
            item_type: item.item_type.clone(),
            group: item.group.as_ref().map(|id| self.groups.get(id).unwrap_or(id).clone()),
            name: item.name.clone(),
        };
        self.items += 1;
        // Not judged, because a restore ignores items that this version does not know.
        if let Some(why) = item.unknown() {
            if item.class.known().is_none() {
                *self.classes.entry(item.class.clone()).or_default() += 1;
            }
            self.unknown.push(Unknown { item: named, why });
            return;
        }
        let Assessment { judgement, write_only, not_captured, needs, fulfils } =
            self.converter.assess(item, Some(self.now));
        *self.classes.entry(judgement.class.into()).or_default() += 1;
        let reason = self.reasons.entry((judgement.class, judgement.code));
        reason.or_insert_with(|| ClassReason { judgement, items: Vec::new() }).items.push(named.clone());
        let treatment = treatment(item, &self.groups, self.converter, self.policies);
        *self.treatments.entry(treatment).or_default() += 1;
        if treatment == Treatment::Definition && judgement.class < Restorability::DefinitionOnly {
            let others = self.converter.treatments(item).iter().copied();
            let instead = others.filter(|other| *other != Treatment::Definition).collect();
            self.left_out.push(LeftOut { item: named.clone(), instead });
        }
        if !write_only.is_empty() {
            let of = |known: &[Recovered]| {
                let found = write_only.iter().filter(|member| known.contains(&member.known));
                found.map(|member| member.member).collect()
            };
            self.members.push(ItemMembers {
                item: named.clone(),
                lost: of(&[Recovered::Lost]),
                kept: of(&[Recovered::Derived, Recovered::Supplied, Recovered::Shown]),
            });
        }
        if not_captured {
            self.not_captured.push(named);
        }
        needs.into_iter().for_each(|need| self.need(need));
        self.fulfilled.extend(fulfils);
    }

    fn need(&mut self, Prerequisite { code, what, subject }: Prerequisite) {
        let needed = self.needs.entry(code).or_insert_with(|| Needed { code, what, items: 0, subjects: Vec::new() });
        needed.items += 1;
        if let Some(subject) = subject
            && let Err(at) = needed.subjects.binary_search(&subject)
        {
            needed.subjects.insert(at, subject);
        }
    }

    /// Returns the report.
    #[must_use]
    pub fn finish(self) -> CoverageReport {
        let fulfilled = self.fulfilled;
        CoverageReport {
            items: self.items,
            classes: self.classes.into_iter().map(|(class, count)| (class.as_str().to_owned(), count)).collect(),
            unknown: self.unknown,
            reasons: self.reasons.into_values().collect(),
            treatments: self.treatments.into_iter().map(|(one, count)| (one.as_str().to_owned(), count)).collect(),
            left_out: self.left_out,
            members: self.members,
            not_captured: self.not_captured,
            needs: self.needs.into_values().filter(|need| !fulfilled.contains(need.code)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::fake::{self, FakeConverter};

    fn item(key: &str, item_type: &str, name: &str) -> Item {
        let group = key.starts_with("secret/").then(|| "g1".to_owned());
        Item { group, ..fake::item(key, item_type, name, &[("row", "{}")], &[]) }
    }

    fn report(items: &[Item]) -> CoverageReport {
        let policies = Policies::default();
        let mut coverage = Coverage::new(&FakeConverter, &policies, Timestamp::from_millis(0));
        items.iter().for_each(|item| coverage.add(item));
        coverage.finish()
    }

    #[test]
    fn items_are_counted_by_class_and_named_by_reason() {
        let report = report(&[
            item("group/g1", "group", "payments"),
            item("secret/a", "text", "a"),
            item("secret/b", "token", "unread"),
            item("secret/c", "token", "c"),
        ]);
        assert_eq!(report.items, 4);
        assert_eq!((report.classes["exact"], report.classes["reissued"], report.classes["impossible"]), (2, 2, 0));
        let reasons: Vec<_> = report.reasons.iter().map(|reason| (reason.judgement.code, reason.items.len())).collect();
        assert_eq!(reasons, [("importable", 2), ("minted", 2)], "best first");
        assert_eq!(report.reasons[1].items[0].to_string(), "payments/unread");
        assert_eq!(report.not_captured.len(), 1);
        let members = &report.members[0];
        assert_eq!((members.lost.as_slice(), members.kept.as_slice()), (["format"].as_slice(), ["ttl"].as_slice()));
    }

    #[test]
    fn what_this_version_does_not_know_is_named_and_not_judged() {
        let mut later = item("secret/d", "text", "d");
        later.class = serde_json::from_str("\"half_way\"").unwrap();
        let report = report(&[
            item("group/g1", "group", "payments"),
            item("secret/a", "text", "a"),
            later,
            item("store/x", "s", "x"),
        ]);
        assert_eq!((report.items, report.classes["exact"], report.classes["half_way"]), (4, 2, 1));
        assert_eq!(report.at_least(Restorability::Impossible), 2);
        let why: Vec<_> = report.unknown.iter().map(|one| (one.item.key.as_str(), one.why.as_str())).collect();
        let of = |what: &str| format!("this version does not know the {what}");
        assert_eq!(why, [("secret/d", &*of("class `half_way`")), ("store/x", &*of("kind `store`"))]);
    }

    #[test]
    fn a_need_is_told_once_with_all_its_subjects_unless_something_fulfils_it() {
        let tokens = [item("secret/b", "token", "b"), item("secret/a", "token", "a"), item("secret/c", "token", "b")];
        let found = report(&tokens);
        assert_eq!(found.needs.len(), 1);
        assert_eq!(
            (found.needs[0].items, found.needs[0].subjects.as_slice()),
            (3, ["a".into(), "b".into()].as_slice())
        );
        let mut with_engine = vec![item("configuration/engine/e", "engine", "e")];
        with_engine.extend(tokens);
        assert!(report(&with_engine).needs.is_empty());
    }
}
