//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use leveret_bench::BenchCommand;
use leveret_server::Durability;

/// An AMQP 0-9-1 broker that takes RabbitMQ's place.
///
/// Without a command it serves: `leveret` is `leveret serve`.
#[derive(Clone, Debug, Parser)]
#[command(name = "leveret", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeOptions,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the broker until it gets SIGTERM or SIGINT.
    Serve(ServeOptions),
    Bench(Box<BenchCommand>),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ServeOptions {
    /// Directory for what is kept; it is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "leveret-data", env = "LEVERET_DATA_DIR")]
    pub(crate) data_dir: PathBuf,

    /// Keep nothing on disk.
    #[arg(long, env = "LEVERET_EPHEMERAL")]
    pub(crate) ephemeral: bool,

    /// What a publisher confirm means: fsync, interval=MS or os.
    ///
    /// fsync: the message is on disk. interval=MS: it is written, and the disk is told every so many milliseconds; a power cut
    /// may cost that much, the end of the process nothing. os: it is written, and the system decides when it goes to disk.
    #[arg(long, value_name = "MODE", default_value_t, env = "LEVERET_DURABILITY", verbatim_doc_comment)]
    pub(crate) durability: Durability,

    /// Start even if the data directory is damaged, without what cannot be read; the log says what that was.
    #[arg(long)]
    pub(crate) recover: bool,

    /// Memory for messages that wait in queues, such as 64MiB; more wait on disk only. Default: a sixteenth of the memory that
    /// the machine or the container has, at most 64 MiB.
    #[arg(long, value_name = "BYTES", env = "LEVERET_MEMORY_BUDGET")]
    pub(crate) memory_budget: Option<ByteSize>,

    /// Block publishers while the disk has less than this free, such as 1GB.
    #[arg(long, value_name = "BYTES", default_value = "50MB", env = "LEVERET_DISK_FREE_LIMIT")]
    pub(crate) disk_free_limit: ByteSize,

    /// Largest body of a message, such as 512MiB.
    #[arg(long, value_name = "BYTES", default_value = "128MiB", env = "LEVERET_MAX_MESSAGE_SIZE")]
    pub(crate) max_message_size: ByteSize,

    /// Address to listen on; `::` is all of this machine, IPv4 included.
    #[arg(long, value_name = "ADDR", default_value = "::", env = "LEVERET_BIND")]
    pub(crate) bind: IpAddr,

    /// Port to listen on for AMQP; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 5672, env = "LEVERET_PORT")]
    pub(crate) port: u16,

    /// Let user guest in from other machines too, as RabbitMQ's container image does.
    #[arg(long, env = "LEVERET_REMOTE_GUEST")]
    pub(crate) remote_guest: bool,

    /// What to log: error, warn, info, debug or trace, or directives such as `leveret_server=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "LEVERET_LOG")]
    pub(crate) log: String,
}

impl Cli {
    /// The command; serving is what is done without one.
    pub(crate) fn chosen(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_work_with_and_without_the_command() {
        for words in [&["leveret", "serve", "--port", "0"][..], &["leveret", "--port", "0"][..]] {
            let Command::Serve(options) = Cli::parse_from(words).chosen() else {
                panic!("not serving");
            };
            assert_eq!(options.port, 0);
        }
    }

    #[test]
    fn the_load_generator_has_its_own_options() {
        for words in [&["leveret", "bench", "--port", "1", "--size", "5"][..], &["leveret", "bench", "relay"][..]] {
            assert!(matches!(Cli::parse_from(words).chosen(), Command::Bench(_)), "{words:?}");
        }
    }
}
