//! `keyhaven recipients`.

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::commands::keys;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::table::Table;
use crate::cli::trust::change::{PolicyChange, RecipientList};
use crate::cli::trust::session::{Session, Signing};
use crate::cli::{report, services};
use crate::crypto::Recipient;
use crate::format::Policy;
use crate::format::policy::PolicyRecipient;

/// A command about recipients.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List whom backups are sealed to
    List,
    /// Seal to one more recipient from the next backup on; needs custodians
    Add(Box<AddArguments>),
    /// Seal to a recipient no longer; needs custodians
    Remove(RemoveArguments),
}

/// Adds a recovery recipient. The next backup reads and seals everything again; older snapshots do not change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven recipients add age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa \\
    --name 'kit of Carol' --key custodian-key.pem.age --reason 'a third kit'
  keyhaven recipients add age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa \\
    --list catalogue --name auditor --reason 'audit of 2027' --out policy.json")]
pub(in crate::cli) struct AddArguments {
    /// The age recipient
    recipient: Recipient,
    /// What it opens: everything, or the inventory without a payload
    #[arg(long, value_name = "LIST", default_value = "recovery")]
    list: RecipientList,
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = keys::name)]
    name: String,
    #[command(flatten)]
    signing: Signing,
}

/// Removes a recovery recipient. It can open older snapshots until they are forgotten and swept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven recipients remove 'kit of Bob' --key custodian-key.pem.age --reason 'Bob has left'")]
pub(in crate::cli) struct RemoveArguments {
    /// The recipient: its name, or the age recipient
    recipient: String,
    /// The list that it is on, where it is on both
    #[arg(long, value_name = "LIST")]
    list: Option<RecipientList>,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Serialize)]
struct RecipientRow<'a> {
    recipient: &'a str,
    name: &'a str,
    /// `recovery` opens everything, `catalogue` the inventory.
    list: &'static str,
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::List => list(app).await,
        Command::Add(arguments) => add(app, *arguments).await,
        Command::Remove(arguments) => remove(app, arguments).await,
    }
}

async fn list(app: &App) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let policy = ledger.policy().ok_or_else(|| Failure::usage("no version of the trust policy is in force"))?;
    let lists = [RecipientList::Recovery, RecipientList::Catalogue];
    let lines: Vec<RecipientRow<'_>> = lists
        .into_iter()
        .flat_map(|list| {
            let line = move |one| of_list(list, one);
            list.of(policy).iter().map(line)
        })
        .collect();
    app.printer.result(&lines, |printer| {
        for (list, opens) in [(RecipientList::Recovery, "everything"), (RecipientList::Catalogue, "the inventory")] {
            let mut table = Table::new(&["!recipient", "!name"]);
            for line in lines.iter().filter(|line| line.list == list.as_str()) {
                table.row([line.recipient.to_owned(), line.name.to_owned()]);
            }
            if list == RecipientList::Catalogue {
                printer.line("")?;
            }
            printer.line(format!("{}, opens {opens}:", list.as_str()))?;
            printer.table(&table, "nobody")?;
        }
        Ok(())
    })?;
    Ok(CommandOutcome::done())
}

fn of_list(list: RecipientList, one: &PolicyRecipient) -> RecipientRow<'_> {
    RecipientRow { recipient: &one.recipient, name: &one.name, list: list.as_str() }
}

async fn add(app: &App, arguments: AddArguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let AddArguments { recipient, list, name, signing } = arguments;
    let details = details(&recipient.to_string(), &name, list);
    let change = PolicyChange::AddRecipient { list, name, recipient };
    let next = session.next(&[change], Some(signing.reason), false)?;
    session.carry_out("added", details, &next, None, &signing.with).await
}

async fn remove(app: &App, arguments: RemoveArguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let (list, one) = find(session.policy()?, &arguments.recipient, arguments.list)?;
    let details = details(&one.recipient, &one.name, list);
    let change = PolicyChange::RemoveRecipient { list, recipient: one.recipient };
    let next = session.next(&[change], Some(arguments.signing.reason), false)?;
    session.carry_out("removed", details, &next, None, &arguments.signing.with).await
}

fn details(recipient: &str, name: &str, list: RecipientList) -> serde_json::Map<String, serde_json::Value> {
    let pairs = [("recipient", recipient), ("name", name), ("list", list.as_str())];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The recipient that is meant.
fn find(
    policy: &Policy,
    text: &str,
    wanted: Option<RecipientList>,
) -> Result<(RecipientList, PolicyRecipient), Failure> {
    let lists = [RecipientList::Recovery, RecipientList::Catalogue];
    let lists = lists.into_iter().filter(|list| wanted.is_none_or(|wanted| wanted == *list));
    let found: Vec<(RecipientList, PolicyRecipient)> = lists
        .flat_map(|list| list.of(policy).iter().map(move |one| (list, one.clone())))
        .filter(|(_, one)| one.recipient == text || one.name == text)
        .collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!("no recipient is called `{text}`"))
            .hinted("`keyhaven recipients list` shows names and recipients")),
        _ => Err(Failure::usage(format!("several recipients are called `{text}`"))
            .hinted("give the age recipient, or --list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::kit;

    #[test]
    fn a_recipient_is_found_by_name_and_text_and_never_guessed() {
        let mut policy = kit::first_policy();
        policy.catalogue_recipients = policy.recovery_recipients.clone();
        assert!(find(&policy, "kit 1", None).is_err(), "on both lists");
        let (list, one) = find(&policy, "age1a", Some(RecipientList::Catalogue)).unwrap();
        assert_eq!((list, one.name.as_str()), (RecipientList::Catalogue, "kit 1"));
        assert!(find(&policy, "age1", None).is_err() && find(&policy, "kit", None).is_err());
    }
}
