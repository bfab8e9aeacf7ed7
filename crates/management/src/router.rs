//! All routes of the API, in one table.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;

use crate::http::dispatch::{dispatch, nowhere};
use crate::http::routes::Resource;
use crate::state::Api;
use crate::{admin, messaging, page};

/// Every path, with what can be done with it.
#[must_use]
pub fn table() -> Vec<Resource> {
    let mut table = page::resources();
    table.extend(admin::resources());
    table.extend(messaging::resources());
    table
}

/// The router over the table, below the prefix that is set.
pub(crate) fn router(api: &Api) -> Router {
    let prefix = api.prefix();
    let mut router = Router::new();
    for resource in table() {
        let path = match resource.path {
            "/" if !prefix.is_empty() => prefix.clone(),
            path => format!("{prefix}{path}"),
        };
        let (api, resource) = (api.clone(), Arc::new(resource));
        router =
            router.route(&path, any(move |request: Request| dispatch(api.clone(), Arc::clone(&resource), request)));
    }
    let api = api.clone();
    router.fallback(move || nowhere(api.clone()))
}
