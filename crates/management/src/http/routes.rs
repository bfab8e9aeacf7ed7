//! The table of routes. The router and the OpenAPI document are both made of it, so that neither knows a path that the other does not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::response::Response;
use http::Method;

use crate::error::ApiError;
use crate::http::call::Call;

/// The end of a request.
pub type Answer = Result<Response, ApiError>;

type Handler = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Who may use an operation. Everybody but with [`Right::Open`] needs a tag that lets into the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Anybody, without credentials.
    Open,
    /// Any user of the API: what is shown is limited to what the user sees.
    User,
    /// Who has permissions in the vhost of the path, and administrators.
    Vhost,
    /// Who has permissions in the vhost of the path, and whoever may monitor.
    VhostVisible,
    /// Tag `monitoring` or `administrator`.
    Monitoring,
    /// Tag `policymaker` with permissions in the vhost of the path, or `administrator`.
    Policies,
    /// Tag `policymaker` or `administrator`.
    Policymaker,
    /// Tag `administrator`.
    Administrator,
}

/// One path and what can be done with it.
pub struct Resource {
    /// The path, such as `/api/queues/{vhost}/{queue}`.
    pub path: &'static str,
    /// What can be done.
    pub operations: Vec<Operation>,
}

/// One method of a path.
#[derive(Clone)]
pub struct Operation {
    /// GET answers HEAD, too.
    pub method: Method,
    /// Who may.
    pub right: Right,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Anything but JSON is answered, so that the header `accept` is not looked at.
    pub is_any_type: bool,
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("method", &self.method).field("right", &self.right).finish_non_exhaustive()
    }
}

impl Resource {
    /// A path without methods yet.
    #[must_use]
    pub fn at(path: &'static str) -> Self {
        Self { path, operations: Vec::new() }
    }

    /// Adds GET and HEAD.
    #[must_use]
    pub fn get<F: Future<Output = Answer> + Send + 'static>(
        self,
        right: Right,
        summary: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        self.with(Method::GET, right, summary, handler)
    }

    /// Adds PUT.
    #[must_use]
    pub fn put<F: Future<Output = Answer> + Send + 'static>(
        self,
        right: Right,
        summary: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        self.with(Method::PUT, right, summary, handler)
    }

    /// Adds POST.
    #[must_use]
    pub fn post<F: Future<Output = Answer> + Send + 'static>(
        self,
        right: Right,
        summary: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        self.with(Method::POST, right, summary, handler)
    }

    /// Adds DELETE.
    #[must_use]
    pub fn delete<F: Future<Output = Answer> + Send + 'static>(
        self,
        right: Right,
        summary: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        self.with(Method::DELETE, right, summary, handler)
    }

    /// The last operation answers anything but JSON.
    #[must_use]
    pub fn any_type(mut self) -> Self {
        if let Some(last) = self.operations.last_mut() {
            last.is_any_type = true;
        }
        self
    }

    fn with<F: Future<Output = Answer> + Send + 'static>(
        mut self,
        method: Method,
        right: Right,
        summary: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |call| Box::pin(handler(call)));
        self.operations.push(Operation { method, right, summary, is_any_type: false, handler });
        self
    }

    /// The operation of a method.
    #[must_use]
    pub(crate) fn operation(&self, method: &Method) -> Option<&Operation> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.operations.iter().find(|operation| operation.method == *method)
    }

    /// The methods, as the header `allow` lists them.
    #[must_use]
    pub(crate) fn allowed(&self) -> String {
        let mut methods = Vec::new();
        for operation in &self.operations {
            if operation.method == Method::GET {
                methods.push("HEAD");
            }
            methods.push(operation.method.as_str());
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource").field("path", &self.path).field("operations", &self.operations).finish()
    }
}
