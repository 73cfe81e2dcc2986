//! `[retention]`: which snapshots are kept.

use std::time::Duration;

use super::error::ConfigError;
use super::settings::{Settings, unfit};
use super::value::SettingValue;
use crate::model::tag::{TAGS, check_tag};
use crate::schedule::Zone;

/// Which snapshots are kept. A count of 0 is no rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// The last so many good ones.
    pub last: u32,
    /// One for each of so many hours.
    pub hourly: u32,
    /// One for each of so many days.
    pub daily: u32,
    /// One for each of so many weeks.
    pub weekly: u32,
    /// One for each of so many months.
    pub monthly: u32,
    /// One for each of so many years.
    pub yearly: u32,
    /// All that are no older than this, measured from the newest good one.
    pub within: Option<Duration>,
    /// All with one of these tags.
    pub tags: Vec<String>,
    /// Suspect ones stay at least so long.
    pub suspect: Duration,
    /// Where days and weeks begin.
    pub zone: Zone,
}

impl Settings {
    /// Which snapshots are kept.
    ///
    /// # Errors
    /// When there is no such zone, or a tag is none.
    pub fn retention(&self) -> Result<Retention, ConfigError> {
        const ZONE: &str = "retention.zone";
        let count = |path: &str| match self.value(path) {
            Some(SettingValue::Whole(count)) => u32::try_from(*count).unwrap_or_default(),
            _ => 0,
        };
        let period = |path: &str| match self.value(path) {
            Some(SettingValue::Period(period)) => Some(*period),
            _ => None,
        };
        let zone = self.text(ZONE).unwrap_or_else(|| "UTC".to_owned());
        let zone = Zone::new(&zone).map_err(|error| unfit(ZONE, self.origin(ZONE), &error.to_string()))?;
        Ok(Retention {
            last: count("retention.keep_last"),
            hourly: count("retention.keep_hourly"),
            daily: count("retention.keep_daily"),
            weekly: count("retention.keep_weekly"),
            monthly: count("retention.keep_monthly"),
            yearly: count("retention.keep_yearly"),
            within: period("retention.keep_within"),
            tags: self.tags("retention.keep_tags")?,
            suspect: period("retention.keep_suspect").unwrap_or(Duration::from_secs(30 * 86_400)),
            zone,
        })
    }

    /// The tags that a backup puts on its snapshot.
    ///
    /// # Errors
    /// When one of them is none, or there are too many.
    pub fn backup_tags(&self) -> Result<Vec<String>, ConfigError> {
        let tags = self.tags("backup.tags")?;
        match tags.len() > TAGS {
            true => {
                let problem = format!("a snapshot has at most {TAGS} tags, and these are {}", tags.len());
                Err(unfit("backup.tags", self.origin("backup.tags"), &problem))
            }
            false => Ok(tags),
        }
    }

    fn tags(&self, path: &str) -> Result<Vec<String>, ConfigError> {
        let mut tags = self.texts(path);
        if let Some(at) = tags.iter().position(|tag| check_tag(tag).is_err()) {
            let problem = format!("entry {}: {}", at + 1, crate::model::tag::TagError);
            return Err(unfit(path, self.origin(path), &problem));
        }
        tags.sort();
        tags.dedup();
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Layer;

    fn settings(text: &str) -> Result<Settings, String> {
        let layer = Layer::file(text, "keyhaven.toml", Path::new("/")).map_err(|error| error.to_string())?;
        Settings::build([layer]).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_rule_nothing_is_asked_for() {
        let retention = settings("").unwrap().retention().unwrap();
        let counts = [retention.last, retention.hourly, retention.daily, retention.weekly, retention.monthly];
        assert_eq!((counts, retention.yearly, retention.within), ([0; 5], 0, None));
        assert_eq!((retention.suspect, retention.zone.name()), (Duration::from_secs(30 * 86_400), "UTC"));
    }

    #[test]
    fn each_key_reaches_its_rule() {
        let text = "[retention]\nkeep_last = 1\nkeep_hourly = 2\nkeep_daily = 3\nkeep_weekly = 4\nkeep_monthly = 5\n\
                    keep_yearly = 6\nkeep_within = \"7d\"\nkeep_tags = [\"b\", \"a\", \"b\"]\nkeep_suspect = \"8d\"\n\
                    zone = \"Europe/Berlin\"\n";
        let day = 86_400;
        let expected = Retention {
            last: 1,
            hourly: 2,
            daily: 3,
            weekly: 4,
            monthly: 5,
            yearly: 6,
            within: Some(Duration::from_secs(7 * day)),
            tags: vec!["a".to_owned(), "b".to_owned()],
            suspect: Duration::from_secs(8 * day),
            zone: Zone::new("Europe/Berlin").unwrap(),
        };
        assert_eq!(settings(text).unwrap().retention(), Ok(expected));
    }

    #[test]
    fn what_cannot_be_is_refused_when_the_configuration_is_read() {
        let refused = |text: &str| settings(text).unwrap_err();
        assert!(refused("[retention]\nzone = \"Europe/Berlim\"\n").contains("Europe/Berlin"));
        assert!(refused("[retention]\nkeep_tags = [\"a\", \"two words\"]\n").contains("entry 2"));
        assert!(refused("[retention]\nkeep_last = -1\n").contains("whole number"));
        assert!(refused("[retention]\nkeep_last = \"5\"\n").contains("whole number"));
        assert!(refused("[retention]\nkeep_daily = 7.5\n").contains("whole number"));
        let many = (0..17).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(",");
        assert!(refused(&format!("[backup]\ntags = [{many}]\n")).contains("at most 16"));
    }
}
