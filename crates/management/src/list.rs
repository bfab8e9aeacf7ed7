//! Lists: filtered, sorted, cut to a page, and to the columns asked for, as RabbitMQ does it.
//!
//! Rows are filled as late as can be: when the order is known without their counters, only the rows of the page are.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;

use fancy_regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::query::Query;
use crate::limits::{COLUMN_STEPS_MAX, FILTER_BACKTRACKS_MAX, PAGE_SIZE};

/// One row of a list before it is filled.
pub trait Row {
    /// The vhost that it sorts by; empty where there is none.
    fn vhost(&self) -> &str {
        ""
    }

    /// The name that it sorts by, and that `name=` filters by.
    fn name(&self) -> Cow<'_, str>;

    /// The value of a column that costs little, such as a length: sorting by it does not fill all rows.
    fn cheap(&self, _column: &str) -> Option<Value> {
        None
    }

    /// The whole row.
    fn fill(&self) -> Value;
}

/// A row that is there already.
impl Row for Value {
    fn vhost(&self) -> &str {
        self.get("vhost").and_then(Self::as_str).unwrap_or_default()
    }

    fn name(&self) -> Cow<'_, str> {
        self.get("name").and_then(Self::as_str).unwrap_or_default().into()
    }

    fn cheap(&self, column: &str) -> Option<Value> {
        Some(dotted(self, column))
    }

    fn fill(&self) -> Value {
        self.clone()
    }
}

/// What of a list is wanted.
#[derive(Debug)]
pub struct Listing<'a> {
    page: Option<Page>,
    sort: Option<&'a str>,
    reverse: bool,
    columns: Option<Columns<'a>>,
}

#[derive(Debug)]
struct Page {
    number: usize,
    size: usize,
    name: Option<Filter>,
}

#[derive(Debug)]
enum Filter {
    /// In lower case.
    Contains(String),
    Matches(Regex),
}

/// Columns by their names. Of some the whole is wanted, of others what these columns are: `message_stats.publish` is one within
/// another.
#[derive(Debug, Default)]
struct Columns<'a>(BTreeMap<&'a str, Option<Columns<'a>>>);

impl<'a> Listing<'a> {
    /// What the query asks for. `pagination` says nothing: whoever asks for a page gets one (KEDA sends `page=1&pagination=false` and counts on it).
    ///
    /// # Errors
    /// 400 when a number is none or out of bounds, or the filter no regular expression.
    pub fn of(query: &'a Query, page_size_max: usize) -> Result<Self, ApiError> {
        Ok(Self {
            page: Page::of(query, page_size_max)?,
            sort: query.get("sort").filter(|sort| !sort.is_empty()),
            reverse: query.is_true("sort_reverse"),
            columns: Columns::of(query),
        })
    }

    /// The answer: an array, or the object of a page.
    ///
    /// # Errors
    /// 400 when the page is past the end.
    pub fn answer<R: Row>(&self, mut rows: Vec<R>) -> Result<Value, ApiError> {
        let total = rows.len();
        if let Some(name) = self.page.as_ref().and_then(|page| page.name.as_ref()) {
            rows = name.kept(rows)?;
        }
        let filtered = rows.len();
        let Some(page) = &self.page else {
            let items = self.sorted(rows).into_iter().map(|row| self.cut(row.into_value()));
            return Ok(items.collect());
        };
        let first = page.first_of(filtered)?;
        let rows = self.sorted(rows).into_iter().skip(first).take(page.size);
        let items: Vec<Value> = rows.map(|row| self.cut(row.into_value())).collect();
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "items": items,
            "page": page.number,
            "page_count": filtered.div_ceil(page.size),
            "page_size": page.size,
            "total_count": total,
        }))
    }

    fn sorted<R: Row>(&self, mut rows: Vec<R>) -> Vec<Sorted<R>> {
        rows.sort_by(|a, b| by_place(a, b));
        let mut rows = match self.sort {
            None | Some("vhost") => rows.into_iter().map(Sorted::Row).collect(),
            Some("name") => {
                rows.sort_by(|a, b| a.name().cmp(&b.name()));
                rows.into_iter().map(Sorted::Row).collect()
            }
            Some(column) => sorted_by(column, rows),
        };
        if self.reverse {
            rows.reverse();
        }
        rows
    }

    fn cut(&self, row: Value) -> Value {
        match &self.columns {
            None => row,
            Some(columns) => columns.cut(row),
        }
    }
}

/// A row, and what was computed of it for the order.
enum Sorted<R> {
    Row(R),
    Filled(Value),
}

impl<R: Row> Sorted<R> {
    fn into_value(self) -> Value {
        match self {
            Self::Row(row) => row.fill(),
            Self::Filled(value) => value,
        }
    }
}

fn by_place<R: Row>(a: &R, b: &R) -> Ordering {
    a.vhost().cmp(b.vhost()).then_with(|| a.name().cmp(&b.name()))
}

/// In the order of a column, and where that is equal as before.
fn sorted_by<R: Row>(column: &str, rows: Vec<R>) -> Vec<Sorted<R>> {
    let keyed = rows.into_iter().map(|row| match row.cheap(column) {
        Some(key) => (key, Sorted::Row(row)),
        None => {
            let filled = row.fill();
            (dotted(&filled, column), Sorted::Filled(filled))
        }
    });
    let mut keyed: Vec<(Value, Sorted<R>)> = keyed.collect();
    keyed.sort_by(|(a, _), (b, _)| compare(a, b));
    keyed.into_iter().map(|(_, row)| row).collect()
}

impl Page {
    fn of(query: &Query, page_size_max: usize) -> Result<Option<Self>, ApiError> {
        let number = integer(query, "page")?;
        let size = integer(query, "page_size")?;
        let Some(number) = number else { return Ok(None) };
        let invalid = || {
            let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            let reason = format!("Invalid pagination parameters: page number {number}, page size {size}");
            ApiError::Invalid { error: "invalid_pagination_parameters", reason }
        };
        let size_wanted = size.unwrap_or(PAGE_SIZE as i64);
        let number_wanted = usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(invalid)?;
        let size_wanted = usize::try_from(size_wanted).ok().filter(|size| (1..=page_size_max).contains(size));
        let size_wanted = size_wanted.ok_or_else(invalid)?;
        Ok(Some(Self { number: number_wanted, size: size_wanted, name: Filter::of(query)? }))
    }

    /// How many rows come before this page, of so many.
    fn first_of(&self, filtered: usize) -> Result<usize, ApiError> {
        let first = (self.number - 1).saturating_mul(self.size);
        if first <= filtered {
            return Ok(first);
        }
        let reason = format!("Page out of range, page: {} page size: {}, len: {filtered}", self.number, self.size);
        Err(ApiError::Invalid { error: "page_out_of_range", reason })
    }
}

impl Filter {
    fn of(query: &Query) -> Result<Option<Self>, ApiError> {
        let Some(name) = query.get("name").filter(|name| !name.is_empty()) else { return Ok(None) };
        if !query.is_true("use_regex") {
            return Ok(Some(Self::Contains(name.to_lowercase())));
        }
        let regex = RegexBuilder::new(name).case_insensitive(true).backtrack_limit(FILTER_BACKTRACKS_MAX).build();
        regex.map(|regex| Some(Self::Matches(regex))).map_err(|_| invalid_parameters())
    }

    /// The rows that have such names.
    fn kept<R: Row>(&self, rows: Vec<R>) -> Result<Vec<R>, ApiError> {
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            if self.takes(&row.name())? {
                kept.push(row);
            }
        }
        Ok(kept)
    }

    fn takes(&self, name: &str) -> Result<bool, ApiError> {
        match self {
            Self::Contains(part) => Ok(name.to_lowercase().contains(part)),
            // With one name it may take long; with all of them it would never end.
            Self::Matches(regex) => regex.is_match(name).map_err(|_| invalid_parameters()),
        }
    }
}

fn integer(query: &Query, name: &str) -> Result<Option<i64>, ApiError> {
    query.get(name).map(|value| value.parse().map_err(|_| invalid_parameters())).transpose()
}

fn invalid_parameters() -> ApiError {
    ApiError::bad_request("Pagination parameters are invalid")
}

impl<'a> Columns<'a> {
    /// Those that a query asks for, if it does.
    fn of(query: &'a Query) -> Option<Self> {
        let mut columns = Self::default();
        for path in query.get("columns")?.split(',') {
            let steps = path.split('.').filter(|step| !step.is_empty()).take(COLUMN_STEPS_MAX);
            columns.add(&mut steps.peekable());
        }
        Some(columns)
    }

    fn add(&mut self, path: &mut Peekable<impl Iterator<Item = &'a str>>) {
        let Some(step) = path.next() else { return };
        if path.peek().is_none() {
            self.0.insert(step, None);
        } else if let Some(part) = self.0.entry(step).or_insert_with(|| Some(Self::default())) {
            part.add(path);
        }
    }

    /// These columns of an object, or of each object in an array; anything else stays.
    fn cut(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) => fields.into_iter().filter_map(|field| self.cut_field(field)).collect(),
            Value::Array(items) => items.into_iter().map(|item| self.cut(item)).collect(),
            other => other,
        }
    }

    fn cut_field(&self, (name, value): (String, Value)) -> Option<(String, Value)> {
        match self.0.get(name.as_str())? {
            None => Some((name, value)),
            Some(part) => Some((name, part.cut(value))),
        }
    }
}

/// `row` with the columns asked for, if any are.
#[must_use]
pub fn with_columns(row: Value, query: &Query) -> Value {
    match Columns::of(query) {
        None => row,
        Some(columns) => columns.cut(row),
    }
}

/// The value at a path of names; what is not there counts as 0, so that it comes first.
fn dotted(row: &Value, path: &str) -> Value {
    let mut at = row;
    for step in path.split('.') {
        match at.get(step) {
            Some(next) => at = next,
            None => return Value::from(0),
        }
    }
    at.clone()
}

/// Erlang's order of terms: numbers, atoms (false, null, true), objects, lists, texts.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            a.total_cmp(&b)
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let unequal = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => compare_objects(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_objects(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let unequal =
        a.iter().zip(b).map(|(a, b)| a.0.cmp(b.0).then_with(|| compare(a.1, b.1))).find(|order| order.is_ne());
    a.len().cmp(&b.len()).then(unequal.unwrap_or(Ordering::Equal))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::Bool(false) => 1,
        Value::Null => 2,
        Value::Bool(true) => 3,
        Value::Object(_) => 4,
        Value::Array(_) => 5,
        Value::String(_) => 6,
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
