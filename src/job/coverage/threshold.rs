//! Minimum share of restorable items, for pipelines.

use std::fmt;
use std::str::FromStr;

use super::CoverageReport;
use crate::model::Restorability;

/// Minimum percentage of items of a class or better: `PERCENT[=CLASS]`. The default class is `reissued`: everything
/// that can be restored to a working state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    percent: f64,
    class: Restorability,
}

/// The text is not a threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid threshold `{0}`: expected PERCENT[=CLASS], such as 95, 99.5=converted or 100=exact")]
pub struct ThresholdError(String);

impl Threshold {
    /// Returns true if the report meets the threshold. A snapshot without items does.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of items are far below 2^52")]
    pub fn is_met(&self, report: &CoverageReport) -> bool {
        report.at_least(self.class) as f64 * 100.0 >= self.percent * report.items as f64
    }

    /// Returns the class of the threshold.
    #[must_use]
    pub fn class(&self) -> Restorability {
        self.class
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let bad = || ThresholdError(text.to_owned());
        let (percent, class) = text.split_once('=').unwrap_or((text, Restorability::Reissued.as_str()));
        let percent = percent.trim().trim_end_matches('%');
        // Digits and a point only: no signs, no exponents, no infinity.
        let plain = percent.chars().all(|c| c.is_ascii_digit() || c == '.');
        let percent: f64 = percent.parse().ok().filter(|percent| plain && *percent <= 100.0).ok_or_else(bad)?;
        let class = Restorability::ALL.into_iter().find(|known| known.as_str() == class.trim()).ok_or_else(bad)?;
        Ok(Self { percent, class })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % {} or better", self.percent, self.class)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn report(exact: u64, reissued: u64, lost: u64) -> CoverageReport {
        let classes = [("exact", exact), ("reissued", reissued), ("definition_only", lost)];
        CoverageReport {
            unknown: Vec::new(),
            items: exact + reissued + lost,
            classes: classes.into_iter().map(|(class, count)| (class.to_owned(), count)).collect(),
            reasons: Vec::new(),
            treatments: BTreeMap::new(),
            left_out: Vec::new(),
            members: Vec::new(),
            not_captured: Vec::new(),
            needs: Vec::new(),
        }
    }

    fn met(text: &str, report: &CoverageReport) -> bool {
        text.parse::<Threshold>().unwrap().is_met(report)
    }

    #[test]
    fn better_classes_count_and_the_bound_itself_is_enough() {
        let report = report(70, 20, 10);
        assert!(met("90", &report) && met("90%=reissued", &report) && met("70=exact", &report));
        assert!(!met("90.1", &report) && !met("71=exact", &report) && !met("71=converted", &report));
        assert!(met("100=impossible", &report), "everything is at least that");
    }

    #[test]
    fn of_nothing_everything_comes_back() {
        assert!(met("100=exact", &report(0, 0, 0)));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "=exact", "101", "-1", "NaN", "inf", "1e1", "50=good", "50=", "fifty"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}
