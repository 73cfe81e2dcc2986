//! `keyhaven restore patches`.

use std::path::PathBuf;

use crate::cli::app::{App, read_list};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{key_file, text};
use crate::job::restore::IdMap;
use crate::job::restore::idmap::external_secrets::{Name, Patches, patches};
use crate::model::FailureKind;

/// Prints `kubectl patch` commands, one per object, that make ExternalSecret objects refer to the standby.
///
/// Contacts no cluster and no instance. Every patch tests what it replaces, so it leaves an object alone that has
/// changed since, and can run twice. References by name (GROUP/TYPE/NAME) do not change unless group, type or name
/// differs in the standby.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 3 means that a reference by id is not in the id map, or that an object is made by another one and has to be
patched there.

Examples:
  kubectl get externalsecrets --all-namespaces -o json > externalsecrets.json
  keyhaven restore patches --id-map plan.id-map.json externalsecrets.json
  keyhaven restore patches --id-map plan.id-map.json externalsecrets.json --out patches
  kubectl get clusterexternalsecrets -o json > all.json && keyhaven restore patches --id-map plan.id-map.json all.json")]
pub(in crate::cli) struct Arguments {
    /// The id map that `restore apply` wrote
    #[arg(long, value_name = "FILE")]
    id_map: PathBuf,
    /// Only references through this secret store; may be given more than once
    #[arg(long, value_name = "NAME")]
    store: Vec<String>,
    /// Write each patch (RFC 6902) to a file of its own in this folder instead of printing commands
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// What `kubectl get externalsecrets --all-namespaces -o json` printed
    objects: PathBuf,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<CommandOutcome, Failure> {
    let map: IdMap = serde_json::from_slice(&read_list(&arguments.id_map, "id map")?).map_err(|error| {
        Failure::usage(format!("{} is no id map", arguments.id_map.display()))
            .because(error)
            .hinted("`restore apply` writes it beside the plan: PLAN.id-map.json")
    })?;
    if !map.complete {
        app.printer
            .warning("the id map is of a restore that was stopped; apply the plan again and use the map of its end");
    }
    let made = patches(&read_list(&arguments.objects, "list of objects")?, &map, &arguments.store)?;
    if let Some(folder) = &arguments.out {
        key_file::create_folder(folder)?;
        for one in &made.patches {
            let text = serde_json::to_string_pretty(&one.patch)
                .map_err(|error| Failure::new(FailureKind::Failed, "cannot write a patch as JSON").because(error))?;
            key_file::replace(&folder.join(one.file_name()), text.as_bytes())?;
        }
    }
    app.printer.result(&made, |printer| {
        for one in made.patches.iter().filter(|_| arguments.out.is_none()) {
            printer.line(one.command())?;
        }
        Ok(())
    })?;
    remarks(app, &made, arguments.out.is_some());
    Ok(CommandOutcome::reported(made.kind()))
}

/// Prints remarks to standard error, so that the commands can be piped into a shell.
fn remarks(app: &App, made: &Patches, files: bool) {
    let named = |name: &Name| match &name.namespace {
        Some(namespace) => format!("{} {namespace}/{}", name.kind, name.name),
        None => format!("{} {}", name.kind, name.name),
    };
    for one in &made.unmapped {
        app.printer.warning(&format!("{} {}: {} is not in the id map", named(&one.object), one.path, one.key));
    }
    for one in &made.owned {
        app.printer.warning(&format!(
            "{} is made by {}, which would undo a patch; patch that one",
            named(&one.object),
            one.owner
        ));
    }
    for note in &made.notes {
        app.printer.note(note);
    }
    app.printer.note(&format!(
        "{} in {}: {} to patch{}, {} right already, {} not in the id map",
        text::count(made.references, "reference"),
        text::count(made.objects, "object"),
        text::count(made.patches.len() as u64, "object"),
        if files { " (written)" } else { "" },
        text::thousands(made.right),
        text::thousands(made.unmapped.len() as u64)
    ));
}
