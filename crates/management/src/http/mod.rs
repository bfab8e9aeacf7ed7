//! Requests and answers, and the table of routes between them.

pub mod answer;
pub mod body;
pub mod call;
mod cors;
pub(crate) mod dispatch;
pub(crate) mod multipart;
pub mod query;
pub mod routes;
pub(crate) mod serve;
