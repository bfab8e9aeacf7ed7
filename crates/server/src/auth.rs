//! Who may log in, and what they may do: the broker's own users, or whoever else is asked.
//!
//! A chain of back ends is asked one after the other; the first that lets the user in wins. What the user may do then is asked of
//! the back ends that go with it. Those are asked over the network: the answers are kept for a while, so that a message costs a
//! look into a table. A connection's own task waits for them, without a lock; the others go on.

mod answers;
mod chain;
mod config;
mod http;
mod jwt;
#[cfg(feature = "ldap")]
mod ldap;
mod oauth2;
mod own;
mod scope;
mod waiting;
mod web;

use std::sync::Arc;

use leveret_engine::broker::Broker;
pub use leveret_session::login::{Authenticator, LoginRequest, Refusal, TlsFacts};
pub use leveret_session::sasl::Mechanism;

pub use config::{AuthConfig, AuthConfigError, Backend, BackendKind, ClientTls, HttpConfig, OAuth2Config};
#[cfg(feature = "ldap")]
pub use config::{LdapBind, LdapConfig, LdapQuery};

/// Who is asked, by a configuration.
pub(crate) fn authenticator(
    config: &AuthConfig,
    broker: &Arc<Broker>,
) -> Result<Arc<dyn Authenticator>, AuthConfigError> {
    if config.asks_others() {
        return Ok(Arc::new(chain::Chain::new(config, broker)?));
    }
    Ok(Arc::new(own::OwnUsers(Arc::clone(broker))))
}
