//! One field of a cron line: numbers, names, ranges, steps, lists.

use std::fmt;

use super::ScheduleError;
use crate::model::nearest::nearest;

/// A field of a cron line.
#[derive(Debug)]
pub(super) struct CronField {
    /// Its name in messages.
    pub(super) name: &'static str,
    least: u8,
    most: u8,
    /// Names of the values from `least` on, three letters each; none where only numbers are taken.
    names: &'static [&'static str],
}

pub(super) const SECOND: CronField = CronField { name: "second", least: 0, most: 59, names: &[] };
pub(super) const MINUTE: CronField = CronField { name: "minute", least: 0, most: 59, names: &[] };
pub(super) const HOUR: CronField = CronField { name: "hour", least: 0, most: 23, names: &[] };
pub(super) const DAY: CronField = CronField { name: "day of month", least: 1, most: 31, names: &[] };
pub(super) const MONTH: CronField = CronField {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// From Sunday, 0, as crontab(5) counts. 7 is Sunday, too.
pub(super) const WEEKDAY: CronField =
    CronField { name: "day of week", least: 0, most: 6, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

/// The other Sunday.
const SUNDAY_TOO: u8 = 7;

/// The values that a field names: bit n for the value n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values(u64);

impl Values {
    /// One value.
    pub(super) const fn one(value: u8) -> Self {
        Self(1 << value)
    }

    pub(super) fn contains(self, value: u8) -> bool {
        value < 64 && self.0 & 1 << value != 0
    }

    /// The values in order.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |value| self.contains(*value))
    }
}

impl CronField {
    /// Returns true if these are all values of the field, so that it restricts nothing.
    pub(super) fn is_all(&self, values: Values) -> bool {
        (self.least..=self.most).all(|value| values.contains(value))
    }

    /// Reads the field's text.
    pub(super) fn read(&self, text: &str) -> Result<Values, ScheduleError> {
        let mut values = 0;
        for item in text.split(',') {
            if item.is_empty() {
                return Err(self.wrong(text, "a list has an empty place; write it like `1,15,30`"));
            }
            values |= self.item(item)?.0;
        }
        Ok(Values(values))
    }

    fn item(&self, item: &str) -> Result<Values, ScheduleError> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => (range, Some(self.step(item, step)?)),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            None => {
                let value = self.value(item, range)?;
                if let Some(step) = step {
                    let problem = format!(
                        "a step needs a range or `*` before it; write `{value}-{}/{step}`, or `{value}` for one value",
                        self.most
                    );
                    return Err(self.wrong(item, problem));
                }
                (value, value)
            }
            Some((first, last)) => self.range(item, first, last)?,
        };
        let step = step.unwrap_or(1);
        if item.contains('/') && step > last.saturating_sub(first) {
            let problem = format!("a step of {step} leaves only the first value; write `{}` for it", self.text(first));
            return Err(self.wrong(item, problem));
        }
        let values = (first..=last).step_by(step.into()).map(|value| 1_u64 << self.folded(value));
        Ok(Values(values.fold(0, |all, value| all | value)))
    }

    fn step(&self, item: &str, step: &str) -> Result<u8, ScheduleError> {
        let fits = |step: &u8| *step > 0;
        let number = step.parse().ok().filter(fits).filter(|_| digits(step));
        number.ok_or_else(|| {
            let most = self.most - self.least;
            self.wrong(item, format!("a step is a whole number from 1 to {most} after one `/`, like `*/5`"))
        })
    }

    fn range(&self, item: &str, first: &str, last: &str) -> Result<(u8, u8), ScheduleError> {
        if first.is_empty() || last.is_empty() || last.contains('-') || first == "*" || last == "*" {
            let problem = format!("a range is two values with one `-` between them, like `{}`", self.example());
            return Err(self.wrong(item, problem));
        }
        let (mut from, mut to) = (self.value(item, first)?, self.value(item, last)?);
        // Sunday ends a week as well as it begins one.
        if self.is_weekday() && to == 0 && from > 0 {
            to = SUNDAY_TOO;
        }
        if from == SUNDAY_TOO && to < from {
            from = 0;
        }
        if from <= to {
            return Ok((from, to));
        }
        let named = !digits(first);
        let part = |from: u8, to: u8| match from == to {
            true => self.word(from, named),
            false => format!("{}-{}", self.word(from, named), self.word(to, named)),
        };
        let problem = format!(
            "a range cannot run over the end of its field; write `{},{}`",
            part(from, self.most),
            part(self.least, to)
        );
        Err(self.wrong(item, problem))
    }

    /// One value: a number, or a name where the field has names.
    fn value(&self, item: &str, text: &str) -> Result<u8, ScheduleError> {
        if digits(text) {
            return self.number(item, text);
        }
        let wanted = text.to_uppercase();
        if let Some((value, _)) = (self.least..).zip(self.names).find(|(_, name)| **name == wanted) {
            return Ok(value);
        }
        Err(self.wrong(item, self.no_value(text, &wanted)))
    }

    fn number(&self, item: &str, text: &str) -> Result<u8, ScheduleError> {
        let most = self.largest();
        let number = text.parse::<u8>().ok().filter(|number| (self.least..=most).contains(number));
        number.ok_or_else(|| {
            let advice = match (self.name, text) {
                ("hour", "24") => "; midnight is 0",
                ("minute" | "second", "60") => "; a full one is 0",
                ("day of week", _) => "; 0 and 7 are Sunday, 1 is Monday",
                _ => "",
            };
            self.wrong(item, format!("{text} is not from {} to {most}{advice}", self.least))
        })
    }

    /// Why a text is no value of this field.
    fn no_value(&self, text: &str, wanted: &str) -> String {
        match text {
            "" => return format!("there is no value; write a number from {} to {}, or `*`", self.least, self.most),
            "?" => return "`?` is of another dialect; write `*`".to_owned(),
            "*" => return "`*` stands for all values and goes with nothing but a step, like `*/5`".to_owned(),
            _ => {}
        }
        if text.starts_with('-') || text.starts_with('+') || text.contains('.') {
            return format!("`{text}` is no whole number from {} to {}", self.least, self.most);
        }
        // No name has such a sign in it.
        if let Some(sign) = text.chars().find(|c| "#~?".contains(*c)) {
            return foreign(sign);
        }
        let of_another = [&MONTH, &WEEKDAY]
            .into_iter()
            .find(|field| field.name != self.name && field.names.iter().any(|name| wanted.starts_with(name)));
        if let Some(field) = of_another {
            return format!("`{text}` is a {}, and this is the {} field", field.name, self.name);
        }
        if let Some(name) = self.names.iter().find(|name| wanted.starts_with(**name)) {
            return format!("names have three letters; write `{name}`");
        }
        if let Some(sign) = wanted.chars().find(|c| "LWH".contains(*c)).filter(|_| wanted.len() <= 3) {
            return foreign(sign);
        }
        match (nearest(wanted, self.names.iter().copied()), self.names.is_empty()) {
            (Some(name), _) => format!("there is no such name; did you mean `{name}`?"),
            (None, true) => format!("`{text}` is no whole number from {} to {}", self.least, self.most),
            (None, false) => {
                let names = self.names.join(", ");
                format!("`{text}` is neither a number from {} to {} nor one of {names}", self.least, self.largest())
            }
        }
    }

    /// The largest number that is taken.
    fn largest(&self) -> u8 {
        if self.is_weekday() { SUNDAY_TOO } else { self.most }
    }

    fn is_weekday(&self) -> bool {
        self.name == WEEKDAY.name
    }

    fn folded(&self, value: u8) -> u8 {
        if value > self.most { self.least } else { value }
    }

    fn text(&self, value: u8) -> String {
        self.word(value, false)
    }

    fn word(&self, value: u8, named: bool) -> String {
        let name = self.names.get(usize::from(self.folded(value).saturating_sub(self.least)));
        name.filter(|_| named).map_or_else(|| value.to_string(), ToString::to_string)
    }

    fn example(&self) -> &'static str {
        match self.name {
            "month" => "3-5",
            "day of week" => "MON-FRI",
            _ => "8-18",
        }
    }

    fn wrong(&self, found: &str, problem: impl fmt::Display) -> ScheduleError {
        ScheduleError::Field { field: self.name, found: found.to_owned(), problem: problem.to_string() }
    }
}

fn foreign(sign: char) -> String {
    format!("`{sign}` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`")
}

/// Returns true if a text is one of digits alone.
fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &CronField, text: &str) -> Vec<u8> {
        field.read(text).unwrap_or_else(|error| panic!("{text}: {error}")).iter().collect()
    }

    #[test]
    fn numbers_ranges_steps_and_lists_name_their_values() {
        assert_eq!(read(&MINUTE, "0,15,30-32,05"), [0, 5, 15, 30, 31, 32]);
        assert_eq!(read(&MINUTE, "*/20"), [0, 20, 40]);
        assert_eq!(read(&HOUR, "8-18/4"), [8, 12, 16]);
        assert_eq!(read(&DAY, "*/10"), [1, 11, 21, 31]);
        assert_eq!(read(&MONTH, "jan,Jun-AUG"), [1, 6, 7, 8]);
        assert!(HOUR.is_all(HOUR.read("*").unwrap()) && HOUR.is_all(HOUR.read("0-11,12-23").unwrap()));
        assert!(!HOUR.is_all(HOUR.read("1-23").unwrap()));
    }

    #[test]
    fn weekdays_are_those_of_a_crontab() {
        assert_eq!(read(&WEEKDAY, "1-5"), [1, 2, 3, 4, 5], "Monday to Friday, not Quartz's Sunday to Thursday");
        assert_eq!(read(&WEEKDAY, "0"), [0]);
        assert_eq!(read(&WEEKDAY, "7"), [0]);
        assert_eq!(read(&WEEKDAY, "5-7"), [0, 5, 6]);
        assert_eq!(read(&WEEKDAY, "FRI-SUN"), [0, 5, 6]);
        assert_eq!(read(&WEEKDAY, "sun-tue"), [0, 1, 2]);
        assert_eq!(read(&WEEKDAY, "7-2"), [0, 1, 2]);
        assert_eq!(read(&WEEKDAY, "0-7"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(read(&WEEKDAY, "1-7/2"), [0, 1, 3, 5]);
        assert_eq!(read(&WEEKDAY, "*/2"), [0, 2, 4, 6]);
    }
}
