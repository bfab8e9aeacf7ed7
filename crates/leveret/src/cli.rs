//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use leveret_bench::BenchCommand;
use leveret_config::{Flag, Sources};
use leveret_server::Durability;

use crate::generate::Generated;

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
    Serve(Box<ServeOptions>),
    /// Explains a configuration, or what can be configured.
    #[command(subcommand)]
    Config(ConfigCommand),
    Bench(Box<BenchCommand>),
    /// Manages a running broker: `leveret ctl status` is `leveretctl status`.
    #[command(disable_help_flag = true)]
    Ctl {
        /// The command and its options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Makes links to this program by the names of RabbitMQ's tools, such as rabbitmqctl and rabbitmq-server.
    InstallLinks {
        /// Where.
        directory: PathBuf,
    },
    /// Writes what packages bring along.
    #[command(hide = true)]
    Generate {
        /// What.
        what: Generated,
        /// Where.
        directory: PathBuf,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows each setting that is in force with who said it, and what is wrong or doubtful. Fails if anything is wrong.
    Check(Box<CheckOptions>),
    /// Lists the keys that are known: what their values are, their defaults, and what comes of them.
    Keys {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CheckOptions {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

/// Flags go before the environment, and that before files; `leveret config check` shows what comes of it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServeOptions {
    /// A file of settings, in place of those in /etc/rabbitmq and /etc/leveret: rabbitmq.conf, leveret.toml, or Erlang terms
    /// by the ending .config. May be given more than once. [env: LEVERET_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Refuse to start with settings that have no effect.
    #[arg(long)]
    strict: bool,

    /// Directory for what is kept; it is made if it is not there. [default: leveret-data] [env: LEVERET_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keep nothing on disk. [env: LEVERET_EPHEMERAL]
    #[arg(long)]
    ephemeral: bool,

    /// What a publisher confirm means: fsync, interval=MS or os. [default: fsync] [env: LEVERET_DURABILITY]
    ///
    /// fsync: the message is on disk. interval=MS: it is written, and the disk is told every so many milliseconds; a power cut
    /// may cost that much, the end of the process nothing. os: it is written, and the system decides when it goes to disk.
    #[arg(long, value_name = "MODE", verbatim_doc_comment)]
    durability: Option<Durability>,

    /// Start even if the data directory is damaged, without what cannot be read; the log says what that was.
    #[arg(long)]
    recover: bool,

    /// Memory for messages that wait in queues, such as 64MiB; more wait on disk only. Default: a sixteenth of the memory that
    /// the machine or the container has, at most 64 MiB. [env: LEVERET_MEMORY_BUDGET]
    #[arg(long, value_name = "BYTES")]
    memory_budget: Option<ByteSize>,

    /// Block publishers while the disk has less than this free, such as 1GB. [default: 50MB] [env: LEVERET_DISK_FREE_LIMIT]
    #[arg(long, value_name = "BYTES")]
    disk_free_limit: Option<ByteSize>,

    /// Largest body of a message, such as 512MiB. [default: 128MiB] [env: LEVERET_MAX_MESSAGE_SIZE]
    #[arg(long, value_name = "BYTES")]
    max_message_size: Option<ByteSize>,

    /// Address to listen on; `::` is all of this machine, IPv4 included. [default: ::] [env: LEVERET_BIND]
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,

    /// Port to listen on for AMQP; 0 takes a free one, and then there is no HTTP unless a port is given for it.
    /// [default: 5672] [env: LEVERET_PORT]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Port of the HTTP API; 0 turns it off, `auto` takes a free one. [default: 15672] [env: LEVERET_MANAGEMENT_PORT]
    #[arg(long, value_name = "PORT", value_parser = http_port)]
    management_port: Option<String>,

    /// Port of the metrics; 0 turns them off, `auto` takes a free one. [default: 15692] [env: LEVERET_PROMETHEUS_PORT]
    #[arg(long, value_name = "PORT", value_parser = http_port)]
    prometheus_port: Option<String>,

    /// Let user guest in from other machines too, as RabbitMQ's container image does. [env: LEVERET_REMOTE_GUEST]
    #[arg(long)]
    remote_guest: bool,

    /// What to log: error, warn, info, debug or trace, or directives such as `leveret_server=debug`. [default: info]
    /// [env: LEVERET_LOG]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

fn http_port(text: &str) -> Result<String, String> {
    match text {
        "auto" => Ok(text.to_owned()),
        number => number.parse::<u16>().map(|_| text.to_owned()).map_err(|_| "expected a port, 0 or auto".to_owned()),
    }
}

impl Cli {
    /// The command; serving is what is done without one.
    pub(crate) fn chosen(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

impl ServeOptions {
    /// Where settings are looked for, with what these flags say.
    pub(crate) fn sources(&self) -> Sources {
        Sources { files: self.config.clone(), flags: self.flags(), strict: self.strict, ..Sources::of_process() }
    }

    fn flags(&self) -> Vec<Flag> {
        let bytes = |size: &ByteSize| size.as_u64().to_string();
        let switch = |is: bool| is.then(|| "true".to_owned());
        let said = [
            ("--data-dir", "leveret.data_dir", self.data_dir.as_ref().map(|path| path.display().to_string())),
            ("--ephemeral", "leveret.ephemeral", switch(self.ephemeral)),
            ("--durability", "leveret.durability", self.durability.as_ref().map(ToString::to_string)),
            ("--recover", "leveret.recover", switch(self.recover)),
            ("--memory-budget", "leveret.memory_budget", self.memory_budget.as_ref().map(bytes)),
            ("--disk-free-limit", "disk_free_limit.absolute", self.disk_free_limit.as_ref().map(bytes)),
            ("--max-message-size", "max_message_size", self.max_message_size.as_ref().map(bytes)),
            ("--port", "listeners.tcp.default", self.port.as_ref().map(ToString::to_string)),
            ("--bind", "leveret.bind", self.bind.as_ref().map(ToString::to_string)),
            ("--management-port", "management.tcp.port", self.management_port.clone()),
            ("--prometheus-port", "prometheus.tcp.port", self.prometheus_port.clone()),
            ("--remote-guest", "loopback_users", self.remote_guest.then(|| "none".to_owned())),
            ("--log", "leveret.log", self.log.clone()),
        ];
        said.into_iter().filter_map(|(flag, key, value)| Some(Flag { flag, key, value: value? })).collect()
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
            assert_eq!(options.port, Some(0));
        }
    }

    #[test]
    fn each_flag_stands_for_a_key() {
        let words = "leveret --data-dir d --ephemeral --durability os --recover --memory-budget 1MiB --disk-free-limit 1GB \
                     --max-message-size 1MB --bind 127.0.0.1 --port 5 --management-port auto --prometheus-port 0 \
                     --remote-guest --log debug --config x --strict";
        let Command::Serve(options) = Cli::parse_from(words.split_whitespace()).chosen() else {
            panic!("not serving");
        };
        let sources = options.sources();
        assert!(sources.strict);
        assert_eq!(sources.flags.len(), 13);
        let known: Vec<&str> = leveret_config::keys::all().iter().map(|key| key.pattern).collect();
        for flag in &sources.flags {
            let is_known = known.contains(&flag.key) || flag.key == "listeners.tcp.default";
            assert!(is_known, "{flag:?}");
        }
    }

    #[test]
    fn the_load_generator_has_its_own_options() {
        for words in [&["leveret", "bench", "--port", "1", "--size", "5"][..], &["leveret", "bench", "relay"][..]] {
            assert!(matches!(Cli::parse_from(words).chosen(), Command::Bench(_)), "{words:?}");
        }
    }

    #[test]
    fn the_tools_take_what_follows() {
        let Command::Ctl { arguments } = Cli::parse_from(["leveret", "ctl", "-q", "list_queues", "--help"]).chosen()
        else {
            panic!("not a tool");
        };
        assert_eq!(arguments, ["-q", "list_queues", "--help"]);
    }
}
