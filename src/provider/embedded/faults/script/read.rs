//! Parses a fault script from TOML.

use toml::de::{DeTable, DeValue};

use super::error::ScriptError;
use super::table::{Script, ScriptTable, listed};
use super::{Condition, FaultAction, FaultScript, Pause, Rule};
use crate::provider::embedded::faults::when::When;
use crate::provider::embedded::faults::writer::{CHANGES, WriterAction};
use crate::provider::embedded::state::{Class, PageFault, Verb};

/// Maximum number of rules in a script.
const RULES: usize = 1_000;

const CONDITION: &[&str] =
    &["verb", "path", "class", "nth", "from", "to", "every", "probability", "times", "after", "for"];

/// Acts with their keys, in addition to `act` and `when`.
const ACTS: &[(&str, &[&str])] = &[
    ("latency", &["seconds", "up_to"]),
    ("answer", &["status", "retry_after", "retry_after_date"]),
    ("drop", &["done"]),
    ("cut", &[]),
    ("empty", &[]),
    ("garbage", &[]),
    ("hang", &[]),
    ("expire-tokens", &[]),
    ("outage", &["seconds", "status"]),
    ("page", &["fault"]),
    ("shift", &["changes"]),
    ("write", &["changes", "at_once"]),
];

const VERBS: &[(&str, Verb)] =
    &[("GET", Verb::Get), ("POST", Verb::Post), ("PUT", Verb::Put), ("PATCH", Verb::Patch), ("DELETE", Verb::Delete)];

/// Request classes; `None` means every class.
const CLASSES: &[(&str, Option<Class>)] = &[
    ("listing", Some(Class::Listing)),
    ("reading", Some(Class::Reading)),
    ("writing", Some(Class::Writing)),
    ("token", Some(Class::Token)),
    ("any", None),
];

impl FaultScript {
    /// Parses the text of a script; `name` is the file name in messages.
    ///
    /// # Errors
    /// If it is not valid TOML, or a key is unknown, missing, of the wrong type or out of range.
    pub fn parse(text: &str, name: &str) -> Result<Self, ScriptError> {
        let script = Script { name, text };
        let document = DeTable::parse(text).map_err(|error| ScriptError::Syntax {
            place: script.place(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let top = ScriptTable::new(script, document.get_ref(), "a script", 0, &["seed", "rule"])?;
        let seed = top.whole("seed", 0, u64::MAX)?.unwrap_or(0);
        let expected = "rules, each under a line `[[rule]]`";
        let rules = match document.get_ref().get("rule").map(toml::Spanned::get_ref) {
            Some(DeValue::Array(rules)) if rules.len() <= RULES => rules,
            Some(_) => return Err(top.wrong("rule", format!("at most {RULES} {expected}"))),
            None => return top.required("rule", None, expected),
        };
        let read = rules.iter().map(|found| match found.get_ref() {
            DeValue::Table(members) => rule(script, members, found.span().start),
            _ => Err(top.wrong("rule", expected)),
        });
        Ok(Self { seed, rules: read.collect::<Result<_, _>>()? })
    }
}

fn rule<'a>(script: Script<'a>, members: &'a DeTable<'a>, at: usize) -> Result<Rule, ScriptError> {
    let names: Vec<&str> = ACTS.iter().map(|(name, _)| *name).collect();
    // Read `act` first: it decides which keys are allowed.
    let any: Vec<&str> = members.keys().map(|key| key.get_ref().as_ref()).collect();
    let open = ScriptTable::new(script, members, "a rule", at, &any)?;
    let expected = format!("one of {}", listed(&names));
    let act = open.required("act", open.text("act")?, expected.as_str())?;
    let Some((name, keys)) = ACTS.iter().find(|(name, _)| *name == act) else {
        return Err(open.wrong("act", expected));
    };
    let known: Vec<&str> = ["act", "when"].iter().chain(*keys).copied().collect();
    let table = ScriptTable::new(script, members, format!("a rule with act `{name}`"), at, &known)?;
    let when = match table.table("when", CONDITION)? {
        Some(when) => condition(&when)?,
        None => Condition::default(),
    };
    let act = fault_action(name, &table)?;
    // Only pages of lists can be corrupted or shifted; other requests are neither matched nor counted.
    let when = match act {
        FaultAction::Page(_) | FaultAction::Shift { .. } => {
            Condition { which: when.which.class(Class::Listing).verb(Verb::Get), ..when }
        }
        _ => when,
    };
    Ok(Rule { when, act })
}

fn condition(table: &ScriptTable<'_>) -> Result<Condition, ScriptError> {
    table.exclusive("nth", "from")?;
    table.exclusive("nth", "to")?;
    table.exclusive("nth", "every")?;
    let mut which = match table.choice("class", CLASSES)? {
        Some(Some(class)) => When::any().class(class),
        Some(None) => When::all(),
        None => When::any(),
    };
    if let Some(verb) = table.choice("verb", VERBS)? {
        which = which.verb(verb);
    }
    if let Some(path) = table.text("path")? {
        which = which.path(path);
    }
    let number = |name| table.whole(name, 1, u64::MAX);
    which = match (number("nth")?, number("from")?, number("to")?) {
        (Some(nth), ..) => which.nth(nth),
        (None, Some(from), Some(to)) if from > to => {
            return Err(table.wrong("to", format!("at least {from}, which `from` is")));
        }
        (None, from, to) => which.nths(from.unwrap_or(1)..=to.unwrap_or(u64::MAX)),
    };
    Ok(Condition {
        which,
        every: number("every")?,
        probability: table.share("probability")?,
        times: number("times")?,
        after: table.seconds("after")?.unwrap_or_default(),
        lasting: table.seconds("for")?,
    })
}

fn fault_action(name: &str, table: &ScriptTable<'_>) -> Result<FaultAction, ScriptError> {
    let seconds = |key| table.seconds(key);
    Ok(match name {
        "latency" => {
            let least = table.required("seconds", seconds("seconds")?, "seconds from 0 to 86400")?;
            let most = seconds("up_to")?.unwrap_or(least);
            if most < least {
                return Err(table.wrong("up_to", "at least what `seconds` is"));
            }
            FaultAction::Latency { least, most }
        }
        "answer" => {
            table.exclusive("retry_after", "retry_after_date")?;
            let status = table.required("status", status(table)?, "an HTTP status from 300 to 599")?;
            let pause = match (table.whole("retry_after", 0, 86_400)?, table.whole("retry_after_date", 0, 86_400)?) {
                (Some(seconds), _) => Pause::Seconds(seconds),
                (None, Some(seconds)) => Pause::Date(seconds),
                (None, None) => Pause::None,
            };
            FaultAction::Answer { status, pause }
        }
        "drop" => {
            FaultAction::Drop { done: table.choice("done", &[("before", false), ("after", true)])?.unwrap_or(false) }
        }
        "cut" => FaultAction::Cut,
        "empty" => FaultAction::Empty,
        "garbage" => FaultAction::Garbage,
        "hang" => FaultAction::Hang,
        "expire-tokens" => FaultAction::ExpireTokens,
        "outage" => FaultAction::Outage {
            lasting: table.required("seconds", seconds("seconds")?, "seconds from 0 to 86400")?,
            status: status(table)?,
        },
        "page" => {
            let faults = [("repeat", PageFault::Repeat), ("skip-row", PageFault::SkipRow)];
            let fault = table.choice("fault", &faults)?;
            FaultAction::Page(table.required("fault", fault, "`repeat` or `skip-row`")?)
        }
        "shift" => {
            let both = [("create", WriterAction::Create), ("delete", WriterAction::DeleteFirst)];
            let changes = table.choices("changes", &both)?;
            FaultAction::Shift { changes: changes.unwrap_or_else(|| both.map(|(_, change)| change).to_vec()) }
        }
        // `ACTS` has no other act.
        _ => FaultAction::Write {
            changes: table
                .choices("changes", CHANGES)?
                .unwrap_or_else(|| CHANGES.iter().map(|(_, change)| *change).collect()),
            at_once: table.whole("at_once", 1, 100)?.unwrap_or(1),
        },
    })
}

fn status(table: &ScriptTable<'_>) -> Result<Option<u16>, ScriptError> {
    let status = table.whole("status", 300, 599)?;
    Ok(status.and_then(|status| u16::try_from(status).ok()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn act(text: &str) -> FaultAction {
        let script = FaultScript::parse(&format!("[[rule]]\n{text}\n"), "f.toml").unwrap();
        script.rules.into_iter().next().unwrap().act
    }

    fn fails(text: &str) -> String {
        FaultScript::parse(text, "f.toml").unwrap_err().to_string()
    }

    #[test]
    fn every_act_is_read() {
        let millis = Duration::from_millis;
        let cases = [
            (
                "act = \"latency\"\nseconds = 0.02\nup_to = 1",
                FaultAction::Latency { least: millis(20), most: millis(1_000) },
            ),
            (
                "act = \"answer\"\nstatus = 429\nretry_after_date = 2",
                FaultAction::Answer { status: 429, pause: Pause::Date(2) },
            ),
            ("act = \"answer\"\nstatus = 503", FaultAction::Answer { status: 503, pause: Pause::None }),
            ("act = \"drop\"\ndone = \"after\"", FaultAction::Drop { done: true }),
            ("act = \"cut\"", FaultAction::Cut),
            ("act = \"empty\"", FaultAction::Empty),
            ("act = \"garbage\"", FaultAction::Garbage),
            ("act = \"hang\"", FaultAction::Hang),
            ("act = \"expire-tokens\"", FaultAction::ExpireTokens),
            (
                "act = \"outage\"\nseconds = 30\nstatus = 503",
                FaultAction::Outage { lasting: millis(30_000), status: Some(503) },
            ),
            ("act = \"page\"\nfault = \"skip-row\"", FaultAction::Page(PageFault::SkipRow)),
            (
                "act = \"shift\"\nchanges = [\"delete\"]",
                FaultAction::Shift { changes: vec![WriterAction::DeleteFirst] },
            ),
            (
                "act = \"write\"\nchanges = [\"rotate\", \"lock\"]\nat_once = 3",
                FaultAction::Write { changes: vec![WriterAction::Rotate, WriterAction::Lock], at_once: 3 },
            ),
        ];
        let read: Vec<FaultAction> = cases.iter().map(|(text, _)| act(text)).collect();
        assert_eq!(read, cases.map(|(_, fault_action)| fault_action));
    }

    #[test]
    fn every_act_is_in_the_test_above_and_in_the_documentation() {
        let documented = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sandbox.md"));
        for (name, keys) in ACTS {
            assert!(include_str!("read.rs").contains(&format!("act = \\\"{name}\\\"")), "{name} is not read");
            for word in std::iter::once(name).chain(*keys) {
                assert!(documented.contains(&format!("`{word}`")), "docs/sandbox.md does not name `{word}` of {name}");
            }
        }
        for word in CONDITION.iter().copied().chain(CHANGES.iter().map(|(word, _)| *word)) {
            assert!(documented.contains(&format!("`{word}`")), "docs/sandbox.md does not name `{word}`");
        }
    }

    #[test]
    fn slips_name_their_line_and_what_would_be_right() {
        let message = fails("seed = 1\n[[rule]]\nact = \"answer\"\nstatsu = 429\n");
        assert_eq!(message, "f.toml, line 4: unknown key `statsu` in a rule with act `answer`; did you mean `status`?");
        let message = fails("[[rule]]\nact = \"cut\"\nseconds = 1\n");
        assert_eq!(message, "f.toml, line 3: unknown key `seconds` in a rule with act `cut`; it takes `act`, `when`");
        let message = fails("[[rule]]\nact = \"cut\"\nwhen = { clas = \"reading\" }\n");
        assert!(
            message.starts_with("f.toml, line 3: unknown key `clas` in `when`; did you mean `class`?"),
            "{message}"
        );
        let message = fails("[[rule]]\nact = \"explode\"\n");
        assert!(message.starts_with("f.toml, line 2: `act` must be one of `latency`, `answer`"), "{message}");
        assert!(message.ends_with("not \"explode\""), "{message}");
        assert!(fails("[[rules]]\nact = \"cut\"\n").contains("did you mean `rule`?"));
        assert!(fails("[[rule]]\nstatus = 429\n").contains("line 1: a rule lacks `act`"), "{}", fails("[[rule]]\n"));
        assert!(fails("[[rule]]\nact = \"answer\"\n").contains("lacks `status`"));
        assert!(fails("[[rule]\n").starts_with("f.toml, line 1: not valid TOML"));
        assert!(fails("").contains("lacks `rule`"));
    }

    #[test]
    fn bounds_and_contradictions_are_refused() {
        let when = |text: &str| fails(&format!("[[rule]]\nact = \"cut\"\nwhen = {{ {text} }}\n"));
        assert!(when("nth = 0").contains("a whole number from 1"));
        assert!(when("nth = 2, every = 3").contains("`nth` and `every` exclude each other"));
        assert!(when("from = 5, to = 4").contains("at least 5"));
        assert!(when("probability = 1.5").contains("up to 1"));
        assert!(when("after = -1").contains("seconds from 0"));
        assert!(when("verb = \"FETCH\"").contains("`GET`, `POST`"));
        assert!(when("path = \"\"").contains("not empty"));
        let rule = |text: &str| fails(&format!("[[rule]]\n{text}\n"));
        assert!(rule("act = \"answer\"\nstatus = 200").contains("from 300 to 599"));
        assert!(rule("act = \"answer\"\nstatus = 429\nretry_after = 1\nretry_after_date = 1").contains("exclude"));
        assert!(rule("act = \"latency\"\nseconds = 2\nup_to = 1").contains("at least what `seconds` is"));
        assert!(rule("act = \"write\"\nchanges = []").contains("a list of"));
        assert!(rule("act = \"write\"\nchanges = [\"burn\"]").contains("`create`"));
    }
}
