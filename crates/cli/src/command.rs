//! What a command is.

use crate::call::Call;
use crate::failure::Failure;
use crate::output::Output;
use crate::personality::Tool;

/// What a command does.
pub(crate) type Run = fn(&Call) -> Result<Output, Failure>;

/// A command of the tools.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The tools that know it; `leveretctl` knows all.
    pub(crate) tools: &'static [Tool],
    pub(crate) group: Group,
    /// Arguments that it needs.
    pub(crate) least: usize,
    /// Arguments that it takes.
    pub(crate) most: usize,
    pub(crate) switches: &'static [Switch],
    /// Arguments and options, as the usage line has them.
    pub(crate) usage: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    pub(crate) run: Run,
}

/// An option of a command.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
}

/// What an option is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing; `--no-` before its name turns it off.
    Nothing,
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A whole number that is not negative.
    Count,
    /// So many seconds, or `infinity`.
    Seconds,
}

impl Takes {
    /// Whether a value is one of its kind.
    pub(crate) fn accepts(self, value: &str) -> bool {
        match self {
            Self::Nothing | Self::Text => true,
            Self::Number => value.parse::<i64>().is_ok(),
            Self::Count => value.parse::<u64>().is_ok(),
            Self::Seconds => value == "infinity" || value.parse::<f64>().is_ok(),
        }
    }
}

impl Switch {
    /// An option that is given or not.
    pub(crate) const fn flag(name: &'static str) -> Self {
        Self { name, short: None, takes: Takes::Nothing }
    }

    /// An option with a text.
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, short: None, takes: Takes::Text }
    }

    /// An option with a whole number.
    pub(crate) const fn number(name: &'static str) -> Self {
        Self { name, short: None, takes: Takes::Number }
    }

    /// An option with a whole number that is not negative.
    pub(crate) const fn count(name: &'static str) -> Self {
        Self { name, short: None, takes: Takes::Count }
    }

    /// An option with a time.
    pub(crate) const fn seconds(name: &'static str) -> Self {
        Self { name, short: None, takes: Takes::Seconds }
    }

    /// The same with a short form.
    pub(crate) const fn short(self, short: char) -> Self {
        Self { name: self.name, short: Some(short), takes: self.takes }
    }
}

/// Under which heading the help has a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Help,
    Nodes,
    Cluster,
    Replication,
    Users,
    AccessControl,
    Monitoring,
    Parameters,
    Policies,
    VirtualHosts,
    FeatureFlags,
    Configuration,
    Operations,
    Queues,
    Definitions,
    Plugins,
    Upgrade,
}

impl Group {
    /// In the order in which the help has them.
    pub(crate) const ALL: [Self; 17] = [
        Self::Help,
        Self::Nodes,
        Self::Cluster,
        Self::Replication,
        Self::Users,
        Self::AccessControl,
        Self::Monitoring,
        Self::Parameters,
        Self::Policies,
        Self::VirtualHosts,
        Self::FeatureFlags,
        Self::Configuration,
        Self::Operations,
        Self::Queues,
        Self::Definitions,
        Self::Plugins,
        Self::Upgrade,
    ];

    /// The heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Help => "Help",
            Self::Nodes => "Nodes",
            Self::Cluster => "Cluster",
            Self::Replication => "Replication",
            Self::Users => "Users",
            Self::AccessControl => "Access Control",
            Self::Monitoring => "Monitoring, observability and health checks",
            Self::Parameters => "Parameters",
            Self::Policies => "Policies",
            Self::VirtualHosts => "Virtual hosts",
            Self::FeatureFlags => "Feature flags",
            Self::Configuration => "Configuration and Environment",
            Self::Operations => "Operations",
            Self::Queues => "Queues",
            Self::Definitions => "Definitions",
            Self::Plugins => "Plugin Management",
            Self::Upgrade => "Upgrade",
        }
    }
}

impl Command {
    /// Whether this tool knows it.
    pub(crate) fn is_of(&self, tool: Tool) -> bool {
        tool == Tool::Leveretctl || self.tools.contains(&tool)
    }
}

/// What a command is made with.
impl Command {
    /// Without options of its own.
    pub(crate) const fn new(
        name: &'static str,
        (tools, group): (&'static [Tool], Group),
        (least, most): (usize, usize),
        usage: &'static str,
        about: &'static str,
        run: Run,
    ) -> Self {
        Self { name, tools, group, least, most, switches: &[], usage, about, run }
    }

    /// The same with options of its own.
    pub(crate) const fn with(mut self, switches: &'static [Switch]) -> Self {
        self.switches = switches;
        self
    }
}

/// As many arguments as one likes.
pub(crate) const ANY: usize = usize::MAX;
