//! Which commands leave an event, and what it is called.

use crate::cli::invocation::Invocation;

/// Effect of a command on secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretEffect {
    /// Opens or reads secrets without showing them.
    Reads,
    /// Changes something: the repository, an instance, keys.
    Changes,
    /// Shows a value.
    Reveals,
}

/// A command that leaves an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action {
    /// The command as typed.
    path: &'static str,
    /// The flag that makes it one; without it, always.
    flag: Option<&'static str>,
    /// `OBJECT.VERB`, behind `keyhaven.`.
    pub(super) name: &'static str,
    /// Its effect on secrets.
    pub(super) effect: SecretEffect,
}

impl Action {
    /// Returns true if it is said before it begins: what changes an instance may be killed in the middle, and has
    /// changed it.
    pub(super) fn is_announced(&self) -> bool {
        let object = self.name.split('.').next().unwrap_or_default();
        self.effect == SecretEffect::Changes && ["restore", "activation", "standby"].contains(&object)
    }
}

const fn action(path: &'static str, name: &'static str, effect: SecretEffect) -> Action {
    Action { path, flag: None, name, effect }
}

/// All of them. The verbs are those of IBM's activity tracking events.
const ACTIONS: &[Action] = &[
    action("backup", "snapshot.create", SecretEffect::Changes),
    Action { path: "get", flag: Some("reveal"), name: "secret.read", effect: SecretEffect::Reveals },
    action("verify", "repository.verify", SecretEffect::Reads),
    action("restore plan", "restore.plan", SecretEffect::Reads),
    action("restore apply", "restore.apply", SecretEffect::Changes),
    action("restore activate plan", "activation.plan", SecretEffect::Reads),
    action("restore activate apply", "activation.apply", SecretEffect::Changes),
    action("drift", "standby.compare", SecretEffect::Reads),
    action("sync", "standby.update", SecretEffect::Changes),
    action("init", "repository.create", SecretEffect::Changes),
    action("snapshots accept", "snapshot.accept", SecretEffect::Changes),
    action("ledger accept-loss", "ledger.accept", SecretEffect::Changes),
    action("forget", "snapshot.forget", SecretEffect::Changes),
    action("snapshots hold", "snapshot.hold", SecretEffect::Changes),
    action("snapshots release", "snapshot.release", SecretEffect::Changes),
    action("sweep", "repository.sweep", SecretEffect::Changes),
    action("copy", "repository.copy", SecretEffect::Changes),
    action("drill", "drill.start", SecretEffect::Reads),
    action("keys list", "key.list", SecretEffect::Reads),
    action("keys new", "key.create", SecretEffect::Changes),
    action("keys pin", "key.update", SecretEffect::Changes),
    action("keys host", "key.create", SecretEffect::Changes),
    action("keys add", "key.add", SecretEffect::Changes),
    action("keys retire", "key.disable", SecretEffect::Changes),
    action("keys revoke", "key.revoke", SecretEffect::Changes),
    action("recipients list", "recipient.list", SecretEffect::Reads),
    action("recipients add", "recipient.add", SecretEffect::Changes),
    action("recipients remove", "recipient.remove", SecretEffect::Changes),
    action("trust show", "policy.read", SecretEffect::Reads),
    action("trust propose", "policy.propose", SecretEffect::Changes),
    action("trust sign", "policy.sign", SecretEffect::Changes),
    action("trust publish", "policy.publish", SecretEffect::Changes),
    action("trust put-back", "policy.restore", SecretEffect::Changes),
    action("trust pin", "key.update", SecretEffect::Changes),
    action("trust sheet", "policy.export", SecretEffect::Reads),
    action("keys prove", "key.test", SecretEffect::Reads),
    action("keys exposure", "key.inspect", SecretEffect::Reads),
];

/// Groups of commands whose every command leaves an event, also one that is not in the table yet.
const GROUPS: &[Action] = &[
    action("keys ", "key.manage", SecretEffect::Changes),
    action("prepare-standby ", "standby.prepare", SecretEffect::Changes),
    action("restore activate ", "activation.apply", SecretEffect::Changes),
];

/// The event of a command, if it leaves one.
pub(super) fn find(invocation: &Invocation) -> Option<&'static Action> {
    let named = ACTIONS.iter().find(|action| action.path == invocation.path);
    match named {
        Some(action) => action.flag.is_none_or(|flag| invocation.has(flag)).then_some(action),
        None => GROUPS.iter().find(|group| invocation.path.starts_with(group.path)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::command_line::Arguments;

    /// Every command that there is, by its path.
    fn paths(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            paths(sub, &path, found);
            found.push(path);
        }
    }

    #[test]
    fn whoever_adds_a_command_says_whether_it_is_audited() {
        // These show names at most, or work on nothing of the user's.
        let quiet = [
            "keys",
            "recipients",
            "trust",
            "doctor",
            "snapshots",
            "show",
            "ls",
            "diff",
            "history",
            "get",
            "coverage",
            "restore",
            "restore patches",
            "restore activate",
            "prepare-standby",
            "ledger",
            "demo",
            "sandbox",
            "config",
            "config init",
            "config validate",
            "config show",
            "completions",
            "man",
            "notify",
            "notify test",
            "status",
            "schedule",
            "schedule next",
            "schedule check",
            "run",
        ];
        let mut found = Vec::new();
        paths(&Arguments::command(), "", &mut found);
        for path in found {
            let audited = ACTIONS.iter().any(|action| action.path == path && action.flag.is_none())
                || GROUPS.iter().any(|group| path.starts_with(group.path));
            assert!(audited || quiet.contains(&path.as_str()), "`{path}` has no place in the audit trail");
        }
    }

    #[test]
    fn only_a_reveal_reveals() {
        let get = |words: &[&str]| {
            let words = ["keyhaven", "get", "db"].iter().chain(words);
            let matches = Arguments::command().try_get_matches_from(words).unwrap();
            find(&Invocation::of(&matches)).map(|action| action.effect)
        };
        assert_eq!(get(&["--reveal"]), Some(SecretEffect::Reveals));
        assert_eq!(get(&[]), None);
    }
}
