//! One request, as a handler sees it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use leveret_server::engine::vhost::Vhost;
use serde_json::Value;

use crate::auth::{Access, VHOST_HEADER};
use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::query::Query;
use crate::limits::PAGE_SIZE;
use crate::list::{self, Listing, Row};
use crate::state::Api;

/// A request that is authenticated, whose right was looked up, and whose body is read.
#[derive(Debug)]
pub struct Call {
    /// What the API works on.
    pub api: Api,
    /// Who asks.
    pub access: Access,
    /// GET also for HEAD.
    pub method: Method,
    /// The parameters in the path, decoded.
    pub path: PathParams,
    /// The parameters after the `?`.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The parameters in a path by name, decoded but for `+`, which clients write for itself and for a space.
#[derive(Clone, Debug, Default)]
pub struct PathParams(pub Vec<(String, String)>);

impl PathParams {
    /// A parameter; none where the route has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// What `find` gives for the name as it stands, or else with spaces in place of `+`.
pub fn find_by_name<T>(name: &str, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
    find(name).or_else(|| name.contains('+').then(|| find(&name.replace('+', " "))).flatten())
}

impl Call {
    /// A parameter of the path as it stands; empty where the route has none of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.path.get(name).unwrap_or_default()
    }

    /// The name of an exchange in the path: `amq.default` is the one without a name.
    #[must_use]
    pub fn exchange_param(&self, name: &str) -> &str {
        match self.param(name) {
            "amq.default" => "",
            other => other,
        }
    }

    /// The vhost that the path names.
    ///
    /// # Errors
    /// 404 `vhost_not_found`
    pub fn vhost(&self) -> Result<Arc<Vhost>, ApiError> {
        let broker = self.api.broker();
        let found = find_by_name(self.param("vhost"), |name| broker.vhost(name));
        found.ok_or_else(|| ApiError::not_found("vhost_not_found"))
    }

    /// The vhosts that a list is about: the one in the path, or all that the user sees, of which a header may choose one.
    ///
    /// # Errors
    /// 404 `vhost_not_found`
    pub fn vhosts(&self) -> Result<Vec<Arc<Vhost>>, ApiError> {
        if self.path.get("vhost").is_some() {
            return self.vhost().map(|vhost| vec![vhost]);
        }
        let chosen = self.header(VHOST_HEADER).filter(|name| !name.is_empty());
        let mut vhosts = self.api.broker().vhosts();
        vhosts
            .retain(|vhost| self.access.sees(&vhost.name) && chosen.as_ref().is_none_or(|name| **name == *vhost.name));
        Ok(vhosts)
    }

    /// The fields of the body.
    ///
    /// # Errors
    /// 400 when it is no JSON object.
    pub fn fields(&self) -> Result<Fields, ApiError> {
        Fields::parse(&self.body)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// Whether counters and rates are left out of the answer.
    #[must_use]
    pub fn is_without_stats(&self) -> bool {
        self.api.config.disable_stats || self.query.is_true("disable_stats")
    }

    /// Whether an answer without counters has the totals of queues.
    #[must_use]
    pub fn has_queue_totals(&self) -> bool {
        self.api.config.enable_queue_totals || self.query.is_true("enable_queue_totals")
    }

    /// How many of so many rows are filled for the list that is asked for.
    #[must_use]
    pub fn rows_filled(&self, rows: usize) -> usize {
        let is_page = self.query.get("page").is_some();
        match self.query.get("sort") {
            None | Some("" | "name" | "vhost") if is_page => {
                let size = self.query.number("page_size").and_then(|size| usize::try_from(size).ok());
                size.unwrap_or(PAGE_SIZE).min(rows)
            }
            _ => rows,
        }
    }

    /// Answers with one object, cut to the columns asked for.
    ///
    /// # Errors
    /// None; it fits the end of a handler.
    pub fn one(&self, value: Value) -> Result<Response, ApiError> {
        Ok(answer::json(&list::with_columns(value, &self.query)))
    }

    /// Answers with a list: filtered, sorted, paged and cut as the query says.
    ///
    /// # Errors
    /// 400 when the query makes no sense.
    pub fn list<R: Row>(&self, rows: Vec<R>) -> Result<Response, ApiError> {
        let listing = Listing::of(&self.query, self.api.config.page_size_max)?;
        Ok(answer::json(&listing.answer(rows)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_itself_first_and_then_a_space() {
        let names = ["a+b", "c d"];
        let find = |name: &str| names.iter().position(|own| *own == name);
        assert_eq!(find_by_name("a+b", find), Some(0));
        assert_eq!(find_by_name("c+d", find), Some(1));
        assert_eq!(find_by_name("e+f", find), None);
    }
}
