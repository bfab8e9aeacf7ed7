//! The broker's own users.

use std::fmt;
use std::sync::Arc;

use leveret_engine::broker::Broker;
use leveret_engine::user::User;
use leveret_session::login::{Authenticator, LoginRequest, Refusal, log_in_own};

use super::chain::{Asked, Known};

pub(super) struct OwnUsers(pub(super) Arc<Broker>);

impl fmt::Debug for OwnUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnUsers")
    }
}

impl Authenticator for OwnUsers {
    fn login(&self, request: &LoginRequest<'_>) -> Result<Arc<User>, Refusal> {
        log_in_own(&self.0, request)
    }
}

impl Asked for OwnUsers {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.login(request).map(Known::Own)
    }

    /// Somebody else has looked at the password.
    fn authorize(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.authenticate(&LoginRequest { password: None, ..*request })
    }
}
