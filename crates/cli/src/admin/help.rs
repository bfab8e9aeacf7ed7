//! What `rabbitmqadmin` understands.

use clap::{Arg, ArgAction, Command};

use super::objects::{LISTS, OBJECTS};

const OPTIONS: [(&str, &str, &str); 20] = [
    ("host", "H", "the host of the HTTP API; localhost"),
    ("port", "P", "its port; 15672, or 15671 with TLS"),
    ("username", "u", "the user; guest"),
    ("password", "p", "the user's password; guest"),
    ("vhost", "V", "the virtual host; all for lists, / for what is declared"),
    ("base-uri", "U", "host, port, user and password in one: http://user:password@host:15672"),
    ("path-prefix", "", "what comes before /api"),
    ("config", "c", "a file with sections for nodes; ~/.rabbitmqadmin.conf"),
    ("node", "N", "the section of that file"),
    ("format", "f", "raw_json, pretty_json, tsv, long, table, kvp or bash"),
    ("sort", "S", "sort a list by this column"),
    ("depth", "d", "how deep objects in lists are shown"),
    ("request-timeout", "t", "how many seconds an answer may take"),
    ("ssl-ca-cert-file", "", "who must have signed the broker's certificate"),
    ("ssl-cert-file", "", "our own certificate"),
    ("ssl-key-file", "", "its key"),
    ("tls-ca-cert-file", "", "the same as --ssl-ca-cert-file"),
    ("tls-cert-file", "", "the same as --ssl-cert-file"),
    ("tls-key-file", "", "the same as --ssl-key-file"),
    ("table-style", "", "accepted"),
];
const FLAGS: [(&str, &str, &str); 6] = [
    ("quiet", "q", "say nothing but what was asked for"),
    ("ssl", "s", "use TLS"),
    ("use-tls", "", "use TLS"),
    ("insecure", "k", "trust any certificate"),
    ("sort-reverse", "R", "sort the other way round"),
    ("non-interactive", "", "tables for scripts: no lines, no header"),
];

/// The help.
pub(super) fn text() -> String {
    let mut text = "Usage\n=====\n  rabbitmqadmin [options] subcommand\n\nOptions\n=======\n".to_owned();
    for (name, short, about) in OPTIONS.into_iter().chain(FLAGS) {
        let short = if short.is_empty() { String::new() } else { format!("-{short}, ") };
        text.push_str(&format!("  {:<28}{about}\n", format!("{short}--{name}")));
    }
    text.push_str("\nLists\n=====\n");
    for list in LISTS {
        text.push_str(&format!("  list {} [<column>...]\n", list.name));
    }
    text.push_str("  show overview [<column>...]\n\nObjects\n=======\n");
    for object in OBJECTS {
        let needs: Vec<String> =
            object.needs.iter().map(|name| format!("{}=...", name.replace('|', "=... OR "))).collect();
        let takes: Vec<String> = object.takes.iter().map(|(name, _)| format!("{name}=...")).collect();
        let takes = if takes.is_empty() { String::new() } else { format!(" [{}]", takes.join(" ")) };
        text.push_str(&format!("  declare {} {}{takes}\n", object.name, needs.join(" ")));
    }
    for object in OBJECTS {
        let needs: Vec<String> = object.delete_needs.iter().map(|name| format!("{name}=...")).collect();
        text.push_str(&format!("  delete {} {}\n", object.name, needs.join(" ")));
    }
    text.push_str(
        "  purge queue name=...\n  close connection name=...\n\nMessages\n========\n  \
         publish routing_key=... [payload=... properties=... exchange=... payload_encoding=...]\n  \
         get queue=... [count=... ackmode=... payload_file=... encoding=...]\n\nDefinitions\n===========\n  \
         export <file>\n  import <file>\n\nThe same in the other grammar\n=============================\n  \
         queues declare --name q --type quorum, declare queue --name q, queues list, publish message --routing-key k,\n  \
         get messages --queue q, definitions export --file f, health_check local_alarms, users list, ...\n",
    );
    text
}

/// The tool for completions and man pages.
pub(crate) fn clap_command() -> Command {
    let options = OPTIONS.into_iter().map(|(name, short, about)| argument(name, short, about).action(ArgAction::Set));
    let flags = FLAGS.into_iter().map(|(name, short, about)| argument(name, short, about).action(ArgAction::SetTrue));
    let values = || Arg::new("arguments").num_args(0..);
    let nested = |name: &'static str, about: &'static str, names: Vec<&'static str>| {
        Command::new(name).about(about).subcommands(names.into_iter().map(|name| Command::new(name).arg(values())))
    };
    let objects = || OBJECTS.iter().map(|object| object.name).collect::<Vec<_>>();
    Command::new("rabbitmqadmin")
        .about("Uses the HTTP API of a broker, with the grammar of either tool of that name")
        .disable_help_subcommand(true)
        .arg(Arg::new("version").long("version").help("show the version").action(ArgAction::SetTrue))
        .args(options.chain(flags).map(|argument| argument.global(true)))
        .subcommand(nested("list", "Lists things", LISTS.iter().map(|list| list.name).collect()))
        .subcommand(nested("declare", "Makes or changes something", objects()))
        .subcommand(nested("delete", "Removes something", objects()))
        .subcommand(nested("show", "Shows what the broker says of itself", vec!["overview"]))
        .subcommand(nested("purge", "Removes messages", vec!["queue"]))
        .subcommand(nested("close", "Closes a connection", vec!["connection"]))
        .subcommand(Command::new("publish").about("Publishes a message").arg(values()))
        .subcommand(Command::new("get").about("Gets messages").arg(values()))
        .subcommand(Command::new("export").about("Exports definitions").arg(values()))
        .subcommand(Command::new("import").about("Imports definitions").arg(values()))
}

fn argument(name: &'static str, short: &'static str, about: &'static str) -> Arg {
    let argument = Arg::new(name).long(name).help(about);
    match short.chars().next() {
        Some(short) => argument.short(short),
        None => argument,
    }
}
