//! Paginated lists, with checks of their consistency.

use serde_json::value::RawValue;

use crate::model::json::Members;
use crate::model::limits;
use crate::provider::InstanceError;
use crate::provider::ibm::Client;
use crate::provider::ibm::api::Filter;
use crate::provider::ibm::wire::{Answer, Purpose, WireRequest};

/// A list that is fetched page by page.
#[derive(Debug)]
pub(in crate::provider::ibm) struct Pages<'a> {
    client: &'a Client,
    /// The operation, for errors: completes "cannot …".
    what: &'a str,
    path: &'a [&'a str],
    /// The member that holds the rows.
    member: &'static str,
    limit: u64,
    sort: Option<&'static str>,
    /// The member that identifies a row, if the list must be sorted by it.
    rising_by: Option<&'static str>,
    query: Vec<(&'static str, String)>,
    purpose: Purpose,
    offset: u64,
    fetched: u64,
    total: Option<u64>,
    /// Number of rows returned, without repeated ones.
    taken: u64,
    last: Option<String>,
    steady: bool,
    done: bool,
}

/// One page: the answer, and the number of its first rows to skip.
#[derive(Debug)]
pub(in crate::provider::ibm) struct RowPage {
    answer: Answer,
    member: &'static str,
    skip: usize,
}

impl RowPage {
    /// Returns the answer with the rows.
    pub(in crate::provider::ibm) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The new rows.
    pub(in crate::provider::ibm) fn rows(&self) -> Result<Vec<&RawValue>, InstanceError> {
        Ok(self.answer.rows(self.member)?.split_off(self.skip))
    }
}

impl<'a> Pages<'a> {
    pub(in crate::provider::ibm) fn new(
        client: &'a Client,
        what: &'a str,
        path: &'a [&'a str],
        member: &'static str,
        limit: u64,
    ) -> Self {
        Self {
            client,
            what,
            path,
            member,
            limit,
            sort: None,
            rising_by: None,
            query: Vec::new(),
            purpose: Purpose::Listing,
            offset: 0,
            fetched: 0,
            total: None,
            taken: 0,
            last: None,
            steady: true,
            done: false,
        }
    }

    /// Requests the list sorted by a field.
    pub(in crate::provider::ibm) fn sorted(mut self, by: &'static str) -> Self {
        self.sort = Some(by);
        self
    }

    /// Requests the list sorted by the member that identifies a row, and checks the order.
    pub(in crate::provider::ibm) fn rising(mut self, by: &'static str) -> Self {
        self.rising_by = Some(by);
        self.sorted(by)
    }

    /// Returns true if the total stayed the same and every row was received exactly once.
    pub(in crate::provider::ibm) fn steady(&self) -> bool {
        self.steady && self.total == Some(self.taken)
    }

    /// Returns true if the total has stayed the same so far.
    pub(in crate::provider::ibm) fn steady_so_far(&self) -> bool {
        self.steady
    }

    /// Counts the pages as reads of an item.
    pub(in crate::provider::ibm) fn counted_as_reading(mut self) -> Self {
        self.purpose = Purpose::Reading;
        self
    }

    /// Requests only rows that match the filter.
    pub(in crate::provider::ibm) fn filtered(mut self, filter: &Filter) -> Self {
        let lists =
            [("groups", &filter.groups), ("secret_types", &filter.secret_types), ("match_all_labels", &filter.labels)];
        for (name, list) in lists {
            if !list.is_empty() {
                self.query.push((name, list.join(",")));
            }
        }
        if let Some(search) = &filter.search {
            self.query.push(("search", search.clone()));
        }
        self
    }

    /// Fetches the next page; `None` if the list is complete.
    ///
    /// Pages are requested by offset, so a secret that is created or deleted meanwhile shifts the following rows. That
    /// changes the total, which makes the list unsteady; any other inconsistency is an error.
    pub(in crate::provider::ibm) async fn next(&mut self) -> Result<Option<RowPage>, InstanceError> {
        if self.done {
            return Ok(None);
        }
        if self.fetched >= limits::PAGES as u64 {
            return Err(self.incomplete(format!("it has more than {} pages", limits::PAGES)));
        }
        let what = format!("{}, page at offset {}", self.what, self.offset);
        let mut request = WireRequest::get(self.purpose, what, self.path)
            .query("offset", self.offset.to_string())
            .query("limit", self.limit.to_string());
        if let Some(sort) = self.sort {
            request = request.query("sort", sort.to_owned());
        }
        for (name, value) in &self.query {
            request = request.query(name, value.clone());
        }
        let answer = self.client.wire().json(request).await?;
        self.fetched += 1;
        let skip = self.check(&answer)?;
        Ok(Some(RowPage { answer, member: self.member, skip }))
    }

    /// Checks a page against the previous ones. Returns the number of its first rows that were seen already.
    fn check(&mut self, answer: &Answer) -> Result<usize, InstanceError> {
        let total = answer.count("total_count")?;
        let rows = answer.rows(self.member)?;
        if answer.count("offset").is_ok_and(|offset| offset != self.offset) {
            return Err(self.incomplete("a page is not the one that was asked for".to_owned()));
        }
        let moved = self.total.is_some_and(|before| before != total);
        if moved {
            self.steady = false;
        }
        self.total = Some(total);
        // The instance may return shorter pages than requested, and then reports that limit.
        let limit = answer.count("limit").map_or(self.limit, |limit| limit.clamp(1, self.limit));
        let (count, wanted) = (rows.len() as u64, limit.min(total.saturating_sub(self.offset)));
        if count != wanted {
            return Err(self.incomplete(format!("a page holds {count} rows where its total of {total} wants {wanted}")));
        }
        let skip = self.seen_already(answer, &rows)?;
        self.taken += count - skip as u64;
        self.offset += count;
        self.done = self.offset >= total;
        // A row created before the offset pushes the last rows of the previous page into this one.
        if skip > 0 && self.steady {
            return Err(self.incomplete("a page repeats rows, although the total did not move".to_owned()));
        }
        if skip > 0 && skip == rows.len() && !self.done {
            return Err(self.incomplete("a page adds nothing, although more was to come".to_owned()));
        }
        Ok(skip)
    }

    /// Returns the number of first rows that do not follow the last row of the previous page.
    fn seen_already(&mut self, answer: &Answer, rows: &[&RawValue]) -> Result<usize, InstanceError> {
        let Some(by) = self.rising_by else { return Ok(0) };
        let mut skip = 0;
        let mut in_page: Option<String> = None;
        for row in rows {
            let id = member(row, by).ok_or_else(|| answer.malformed(&format!("a row has no `{by}`")))?;
            if in_page.as_ref().is_some_and(|before| *before >= id) {
                return Err(self.incomplete(format!("a page repeats a row or is not sorted by `{by}`")));
            }
            if self.last.as_ref().is_some_and(|last| *last >= id) {
                skip += 1;
            }
            in_page = Some(id);
        }
        self.last = self.last.take().max(in_page);
        Ok(skip)
    }

    fn incomplete(&self, problem: String) -> InstanceError {
        InstanceError::Incomplete { what: self.what.to_owned(), problem }
    }
}

/// Returns a member of a row if it is a non-empty string.
pub(in crate::provider::ibm) fn member(row: &RawValue, name: &str) -> Option<String> {
    let members = Members::parse(row.get()).ok()?;
    let value = members.0.iter().rev().find(|(member, _)| member == name)?.1;
    serde_json::from_str::<String>(value.get()).ok().filter(|text| !text.is_empty())
}
