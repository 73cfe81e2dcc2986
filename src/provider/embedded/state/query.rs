//! Query of a request.

use url::form_urlencoded;

use super::refusal::Refusal;

/// Corruption of a list page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFault {
    /// It repeats the rows of the previous page.
    Repeat,
    /// Its first row is missing, but still included in the total.
    SkipRow,
}

/// Decoded query of a request.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(super) pairs: Vec<(String, String)>,
    /// Corruption of the page, for tests of clients.
    pub(crate) fault: Option<PageFault>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self { pairs: form_urlencoded::parse(text.as_bytes()).into_owned().collect(), fault: None }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a comma-separated list.
    pub(crate) fn comma(&self, name: &str) -> Option<Vec<String>> {
        Some(self.get(name)?.split(',').map(str::to_owned).collect())
    }

    pub(super) fn limited(&self, name: &str, max: usize) -> Result<Option<Vec<String>>, Refusal> {
        let list = self.comma(name);
        if list.as_ref().is_some_and(|list| list.len() > max) {
            return Err(invalid(name));
        }
        Ok(list)
    }

    /// Returns the search text in lower case.
    pub(crate) fn search(&self) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get("search") else { return Ok(None) };
        if !(2..=128).contains(&text.chars().count()) {
            return Err(invalid("search"));
        }
        Ok(Some(text.to_lowercase()))
    }

    /// Sorts by the `sort` parameter, if given.
    pub(crate) fn sort<T>(
        &self,
        rows: &mut [T],
        fields: &[&str],
        key: impl Fn(&T, &str) -> (i64, String),
    ) -> Result<(), Refusal> {
        let Some(sort) = self.get("sort") else { return Ok(()) };
        let field = sort.strip_prefix('-').unwrap_or(sort);
        if !fields.contains(&field) {
            return Err(invalid("sort"));
        }
        rows.sort_by_cached_key(|row| key(row, field));
        if sort.starts_with('-') {
            rows.reverse();
        }
        Ok(())
    }
}

/// Decodes a query.
pub(crate) fn query(text: &str) -> Query {
    Query::parse(text)
}

/// Returns the refusal for an invalid parameter.
pub(super) fn invalid(parameter: &str) -> Refusal {
    Refusal::invalid(format!("Request validation error: Invalid parameter '{parameter}' in query"))
}
