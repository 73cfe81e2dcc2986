//! The query of a request.

use url::form_urlencoded;

use super::refusal::Refusal;

/// How a page of a list is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFault {
    /// It holds the rows of the page before it.
    Repeat,
    /// Its first row is missing, though the total says nothing of it.
    SkipRow,
}

/// The query of a request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(super) pairs: Vec<(String, String)>,
    /// How the page is to be spoiled, for tests of clients.
    pub(crate) fault: Option<PageFault>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self { pairs: form_urlencoded::parse(text.as_bytes()).into_owned().collect(), fault: None }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A comma-joined list.
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

    /// The search text in lower case.
    pub(crate) fn search(&self) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get("search") else { return Ok(None) };
        if !(2..=128).contains(&text.chars().count()) {
            return Err(invalid("search"));
        }
        Ok(Some(text.to_lowercase()))
    }

    /// Sorts by the `sort` parameter, if there is one.
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

/// The refusal of a parameter that cannot be read.
pub(super) fn invalid(parameter: &str) -> Refusal {
    Refusal::invalid(format!("Request validation error: Invalid parameter '{parameter}' in query"))
}
