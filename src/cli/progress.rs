//! Progress bars, drawn from the events of a job.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Globals;
use super::printer::Printer;
use crate::job::event::{JobEvent, Observer, Stage};

/// Draws bars on standard error where that is a terminal, prints warnings, and logs the rest.
#[derive(Debug)]
pub(super) struct Terminal {
    printer: Printer,
    bars: Option<MultiProgress>,
    stages: Mutex<HashMap<Stage, ProgressBar>>,
}

impl Terminal {
    /// Bars are drawn on a terminal only, and not beside a log, JSON or silence.
    pub(super) fn new(printer: Printer, globals: &Globals) -> Self {
        let drawn = std::io::stderr().is_terminal() && !globals.quiet && !globals.json && globals.verbose == 0;
        let bars = drawn.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { printer, bars, stages: Mutex::default() }
    }

    fn begin(&self, stage: Stage, total: Option<u64>) {
        let Some(bars) = &self.bars else { return };
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style("{prefix:>18} {bar:30} {pos}/{len} {eta}")),
            None => ProgressBar::new_spinner().with_style(style("{prefix:>18} {spinner} {pos}")),
        };
        let bar = bars.add(bar.with_prefix(words(stage)));
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        if let Some(old) = self.stages().insert(stage, bar) {
            old.finish_and_clear();
        }
    }

    fn stages(&self) -> std::sync::MutexGuard<'_, HashMap<Stage, ProgressBar>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints without tearing the bars.
    fn beside(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Observer for Terminal {
    fn observe(&self, event: JobEvent) {
        match event {
            JobEvent::Begin { stage, total } => self.begin(stage, total),
            JobEvent::Advance { stage, by } => {
                if let Some(bar) = self.stages().get(&stage) {
                    bar.inc(by);
                }
            }
            JobEvent::End { stage } => {
                if let Some(bar) = self.stages().remove(&stage) {
                    bar.finish_and_clear();
                }
            }
            JobEvent::Note(text) => self.beside(|| tracing::info!("{text}")),
            JobEvent::Warning(text) => self.beside(|| self.printer.warning(&text)),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::List => "listing",
        Stage::Read => "reading",
        Stage::Upload => "uploading",
        Stage::CheckEntries => "checking entries",
        Stage::CheckObjects => "checking objects",
        Stage::CheckCatalogue => "opening catalogue",
        Stage::CheckPayloads => "opening packs",
        Stage::Compare => "comparing",
        Stage::Apply => "applying",
    }
}
