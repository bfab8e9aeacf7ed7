//! The administrative resources: one file each.

mod attempts;
mod auth;
mod certificates;
mod cluster;
mod definitions;
mod features;
mod global_parameters;
mod health;
mod limits;
mod links;
mod maintenance;
mod nodes;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod status;
mod tools;
mod topic_permissions;
mod users;
mod vhosts;
mod watching;
mod whoami;

use axum::response::Response;
use leveret_server::engine::admin::{AdminError, Done};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::Resource;

/// The routes of all of them.
pub(crate) fn resources() -> Vec<Resource> {
    let all = [
        overview::resources(),
        cluster::resources(),
        whoami::resources(),
        auth::resources(),
        attempts::resources(),
        nodes::resources(),
        vhosts::resources(),
        users::resources(),
        permissions::resources(),
        topic_permissions::resources(),
        policies::resources(),
        parameters::resources(),
        global_parameters::resources(),
        limits::resources(),
        definitions::resources(),
        features::resources(),
        health::resources(),
        maintenance::resources(),
        links::resources(),
        status::resources(),
        tools::resources(),
        watching::resources(),
    ];
    all.into_iter().flatten().collect()
}

/// What RabbitMQ answers to a change that is refused.
impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoVhost(_) => Self::not_found("vhost_not_found"),
            AdminError::NoUser(_) => Self::not_found("user_not_found"),
            AdminError::Nothing { .. } => Self::NoObject,
            AdminError::Protected(_) => Self::PreconditionFailed(error.to_string()),
            AdminError::Password(explanation) => Self::PasswordRefused(explanation),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl Call {
    /// Answers a PUT when what it did is durable: 201 for something new, 204 for something changed.
    ///
    /// # Errors
    /// When it was refused, or the disk does not answer.
    pub(crate) async fn put_done(&self, done: Result<Done, AdminError>) -> Result<Response, ApiError> {
        let done = done?;
        self.api.durable(done.lsn).await?;
        Ok(answer::put(done.created))
    }

    /// Answers with 204 when what was done is durable.
    ///
    /// # Errors
    /// When it was refused, or the disk does not answer.
    pub(crate) async fn done(&self, done: Result<Done, AdminError>) -> Result<Response, ApiError> {
        self.api.durable(done?.lsn).await?;
        Ok(answer::no_content())
    }
}
