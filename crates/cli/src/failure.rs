//! Why a command did not succeed.

use std::process::ExitCode;

/// What a script is told by the exit code: the numbers of `sysexits.h` that RabbitMQ's tools use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something else; `rabbitmqadmin` has no other.
    Failed = 1,
    /// The command line is wrong, where `rabbitmqadmin` has its newer grammar.
    Grammar = 2,
    /// The command line is wrong.
    Usage = 64,
    /// What was given is wrong: a file, a password, a vhost that is not there.
    Data = 65,
    /// There is no such user.
    NoUser = 67,
    /// The node does not run, or says no; a check failed.
    Unavailable = 69,
    /// Something is there already, or nowhere to be found.
    Software = 70,
    /// It took too long.
    Timeout = 75,
    /// A setting of this machine is wrong.
    Config = 78,
}

/// Why a command did not succeed: what goes to stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Failure {
    /// With a text that stands for itself.
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// With the line `Error:` above the text, as RabbitMQ's tools have it for what a node said.
    pub(crate) fn error(kind: Kind, text: impl AsRef<str>) -> Self {
        Self { kind, text: format!("Error:\n{}", text.as_ref()) }
    }

    /// Something that the broker, or its neighbourhood, does not offer now.
    pub(crate) fn unavailable(text: impl AsRef<str>) -> Self {
        Self::error(Kind::Unavailable, text)
    }

    /// There is no such vhost.
    pub(crate) fn no_vhost(vhost: &str) -> Self {
        Self::new(Kind::Data, format!("Virtual host '{vhost}' does not exist"))
    }

    /// There is no such user.
    pub(crate) fn no_user(user: &str) -> Self {
        Self::error(Kind::NoUser, format!("User \"{user}\" does not exist"))
    }

    /// For the process to end with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::unavailable(error.to_string())
    }
}
