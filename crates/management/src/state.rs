//! What every request works on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leveret_server::engine::broker::Broker;
use leveret_server::node::Node;
use leveret_server::session::login::Authenticator;

use crate::auth::{Attempts, Logins};
use crate::config::ManagementConfig;

/// The node, and what the API itself remembers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    /// The broker around its engine.
    pub node: Node,
    /// Settings.
    pub config: Arc<ManagementConfig>,
    /// Who logged in a moment ago.
    pub logins: Arc<Logins>,
    /// How often somebody tried to.
    pub attempts: Arc<Attempts>,
    drained: Arc<AtomicBool>,
}

impl Api {
    /// An API on a node.
    #[must_use]
    pub fn new(node: Node, config: ManagementConfig) -> Self {
        Self {
            node,
            config: Arc::new(config),
            logins: Arc::default(),
            attempts: Arc::default(),
            drained: Arc::default(),
        }
    }

    /// The engine.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        self.node.broker()
    }

    /// Who says who may log in.
    #[must_use]
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::clone(self.node.authenticator())
    }

    /// Whether the node serves clients: it is neither stopped nor waits until it is taken away.
    pub(crate) fn is_serving(&self) -> bool {
        !self.node.is_suspended()
    }

    /// Whether the node waits until it is taken away.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    /// Lets the node serve nobody, or serve again. `drained` says that it waits until it is taken away.
    pub(crate) fn set_serving(&self, serving: bool, drained: bool) {
        self.drained.store(drained, Ordering::Relaxed);
        if serving { self.node.resume() } else { self.node.suspend() }
    }

    /// What stands before every path: nothing, or a slash and a name.
    #[must_use]
    pub fn prefix(&self) -> String {
        let prefix = self.config.path_prefix.trim_matches('/');
        if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
    }
}
