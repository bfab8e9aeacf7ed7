//! By which names the tools are called.

/// The names by which the binary is called as a tool. `rabbitmq-server` is one of them, and is for the caller to look after: it
/// serves.
pub const PERSONALITIES: [&str; 9] = [
    "leveretctl",
    "rabbitmqctl",
    "rabbitmq-diagnostics",
    "rabbitmq-queues",
    "rabbitmq-streams",
    "rabbitmq-plugins",
    "rabbitmq-upgrade",
    "rabbitmqadmin",
    "rabbitmq-server",
];

/// The version of the RabbitMQ whose place is taken, for when there is no node to ask.
pub(crate) const RABBITMQ_VERSION: &str = "4.2.1";

/// Which tool was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `leveretctl`: what all the others know.
    Leveretctl,
    /// `rabbitmqctl`
    Ctl,
    /// `rabbitmq-diagnostics`
    Diagnostics,
    /// `rabbitmq-queues`
    Queues,
    /// `rabbitmq-streams`
    Streams,
    /// `rabbitmq-plugins`
    Plugins,
    /// `rabbitmq-upgrade`
    Upgrade,
}

impl Tool {
    /// The tool of this name; `rabbitmqadmin` has a grammar of its own and is none of these.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "leveretctl" => Self::Leveretctl,
            "rabbitmqctl" => Self::Ctl,
            "rabbitmq-diagnostics" => Self::Diagnostics,
            "rabbitmq-queues" => Self::Queues,
            "rabbitmq-streams" => Self::Streams,
            "rabbitmq-plugins" => Self::Plugins,
            "rabbitmq-upgrade" => Self::Upgrade,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leveretctl => "leveretctl",
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Queues => "rabbitmq-queues",
            Self::Streams => "rabbitmq-streams",
            Self::Plugins => "rabbitmq-plugins",
            Self::Upgrade => "rabbitmq-upgrade",
        }
    }
}
