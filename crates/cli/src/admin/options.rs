//! Options of `rabbitmqadmin`, of both its grammars. They come anywhere.

use std::env;

use super::Generation;
use crate::failure::{Failure, Kind};

/// What is said of the connection and of the output; nothing where it was not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) generation: Generation,
    pub(super) config: Option<String>,
    pub(super) node: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) vhost: Option<String>,
    /// The vhost for declarations, from a file.
    pub(super) declare_vhost: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) base_uri: Option<String>,
    pub(super) is_tls: bool,
    pub(super) is_blind: bool,
    pub(super) ca_file: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) format: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) sort_reverse: bool,
    pub(super) depth: Option<String>,
    pub(super) is_quiet: bool,
    pub(super) is_plain: bool,
    pub(super) wants_help: bool,
    pub(super) wants_version: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            generation: Generation::First,
            config: None,
            node: None,
            host: None,
            port: None,
            prefix: None,
            vhost: None,
            declare_vhost: None,
            user: None,
            password: None,
            base_uri: None,
            is_tls: false,
            is_blind: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
            timeout: None,
            format: None,
            sort: None,
            sort_reverse: false,
            depth: None,
            is_quiet: false,
            is_plain: false,
            wants_help: false,
            wants_version: false,
        }
    }
}

/// Sub-commands whose own short options mean something else than the general ones.
const WITH_SHORTS: [[&str; 2]; 2] = [["publish", "message"], ["get", "messages"]];

/// The general options, and what is left.
pub(super) fn parse(words: &[String]) -> Result<(Options, Vec<String>), Failure> {
    let mut options = of_environment();
    let mut left: Vec<String> = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let has_own_shorts = WITH_SHORTS.iter().any(|pair| left.starts_with(&pair.map(str::to_owned)));
        let (name, inline) = split(word);
        if !word.starts_with('-') || word == "-" || (has_own_shorts && !word.starts_with("--")) {
            left.push(word.clone());
            continue;
        }
        if options.set_flag(name) {
            continue;
        }
        let is_own = belongs_to_command(name, &left);
        match options.slot(name) {
            Some(slot) if !is_own => {
                let value = inline.map(str::to_owned).or_else(|| rest.next().cloned());
                *slot = Some(value.ok_or_else(|| {
                    Failure::new(
                        Kind::Grammar,
                        format!("error: a value is required for '{name}' but none was supplied"),
                    )
                })?);
            }
            _ => left.push(word.clone()),
        }
    }
    Ok((options, left))
}

/// Commands of the second tool that have an option of their own by the name of a general one: words of theirs.
const WITH_OWN: [(&str, &[&str]); 4] = [
    (
        "--username",
        &[
            "declare permission",
            "delete permission",
            "permissions declare",
            "permissions delete",
            "users permissions",
            "users limits",
            "users connections",
            "user_limit",
            "user_connections",
            "of_user",
        ],
    ),
    ("--password", &["users declare", "declare user", "users update", "passwords"]),
    ("--node", &["memory_breakdown"]),
    ("-u", &["user_connections", "of_user"]),
];

/// Whether an option is one of the command that came before it, though there is a general one of that name. Commands of the
/// first tool have none.
fn belongs_to_command(name: &str, left: &[String]) -> bool {
    let Some((_, commands)) = WITH_OWN.iter().find(|(own, _)| *own == name) else { return false };
    let command = left.join(" ").replace('-', "_");
    left.len() >= 2 && commands.iter().any(|words| command.contains(words)) && !has_pair(left)
}

/// Whether a word is a pair as the first tool has them: `name=value` that is no option and no option's value.
fn has_pair(words: &[String]) -> bool {
    let is_option = |word: &str| word.starts_with('-');
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    before
        .zip(words)
        .any(|(before, word)| word.contains('=') && !is_option(word) && (!is_option(before) || before.contains('=')))
}

/// `--name=value`, and `-Nvalue` of short options.
fn split(word: &str) -> (&str, Option<&str>) {
    if let Some((name, value)) = word.split_once('=')
        && word.starts_with("--")
    {
        return (name, Some(value));
    }
    match (word.get(..2), word.get(2..)) {
        (Some(name), Some(value)) if !word.starts_with("--") && !value.is_empty() => {
            (name, Some(value.trim_start_matches('=')))
        }
        _ => (word, None),
    }
}

impl Options {
    fn set_flag(&mut self, name: &str) -> bool {
        let flag = match name {
            "-q" | "--quiet" => &mut self.is_quiet,
            "-s" | "--ssl" | "--use-tls" => &mut self.is_tls,
            "-k" | "--ssl-insecure" | "--insecure" | "--ssl-disable-hostname-verification" => &mut self.is_blind,
            "-R" | "--sort-reverse" => &mut self.sort_reverse,
            "--non-interactive" => &mut self.is_plain,
            "-h" | "--help" => &mut self.wants_help,
            "--version" => &mut self.wants_version,
            "-v" | "--verbose" => return true,
            _ => return false,
        };
        *flag = true;
        true
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "-c" | "--config" => &mut self.config,
            "-N" | "--node" => &mut self.node,
            "-H" | "--host" | "--hostname" => &mut self.host,
            "-P" | "--port" => &mut self.port,
            "--path-prefix" => &mut self.prefix,
            "-V" | "--vhost" => &mut self.vhost,
            "-u" | "--username" | "--user" => &mut self.user,
            "-p" | "--password" => &mut self.password,
            "-U" | "--base-uri" => &mut self.base_uri,
            "--ssl-ca-cert-file" | "--tls-ca-cert-file" => &mut self.ca_file,
            "--ssl-cert-file" | "--tls-cert-file" => &mut self.cert_file,
            "--ssl-key-file" | "--tls-key-file" => &mut self.key_file,
            "-t" | "--request-timeout" | "--timeout" => &mut self.timeout,
            "-f" | "--format" | "--table-style" => &mut self.format,
            "-S" | "--sort" => &mut self.sort,
            "-d" | "--depth" => &mut self.depth,
            _ => return None,
        })
    }
}

/// What the environment says, as the second tool has it.
fn of_environment() -> Options {
    let variable = |name: &str| env::var(format!("RABBITMQADMIN_{name}")).ok().filter(|value| !value.is_empty());
    let is_set = |name: &str| variable(name).is_some_and(|value| value != "false" && value != "0");
    Options {
        config: variable("CONFIG_FILE_PATH"),
        node: variable("NODE_ALIAS"),
        host: variable("TARGET_HOST"),
        port: variable("TARGET_PORT"),
        base_uri: variable("BASE_URI"),
        prefix: variable("API_PATH_PREFIX"),
        vhost: variable("TARGET_VHOST"),
        user: variable("USERNAME"),
        password: variable("PASSWORD"),
        is_tls: is_set("USE_TLS"),
        timeout: variable("TIMEOUT"),
        is_quiet: is_set("QUIET_MODE"),
        is_plain: is_set("NON_INTERACTIVE_MODE"),
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Options, Vec<String>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words).unwrap()
    }

    #[test]
    fn options_come_anywhere() {
        for line in [
            "--vhost=v declare queue name=x",
            "declare queue name=x --vhost=v",
            "declare -V v queue name=x",
            "-Vv declare queue name=x",
        ] {
            let (options, left) = parsed(line);
            assert_eq!(options.vhost.as_deref(), Some("v"), "{line}");
            assert_eq!(left, ["declare", "queue", "name=x"], "{line}");
        }
    }

    #[test]
    fn whoever_logs_in_may_be_named_last() {
        for line in [
            "declare queue name=q --username=admin --password=secret",
            "declare queue --username admin --password secret name=q",
            "list queues --username admin --password secret",
            "list permissions --username admin --password secret",
            "declare user name=u password=p tags= --username admin --password secret",
            "declare permission vhost=/ user=u configure= write= read= --username admin --password secret",
        ] {
            let (options, left) = parsed(line);
            assert_eq!(
                (options.user.as_deref(), options.password.as_deref()),
                (Some("admin"), Some("secret")),
                "{line}"
            );
            assert!(!left.iter().any(|word| word.starts_with('-')), "{line}: {left:?}");
        }
        let (options, left) = parsed("users declare --name u --tags a=b --password x");
        assert_eq!((options.password, left.len()), (None, 8));
    }

    #[test]
    fn a_command_may_have_an_option_of_the_same_name() {
        let (options, left) = parsed("-u admin -p secret declare user --name u --password x");
        assert_eq!((options.user.as_deref(), options.password.as_deref()), (Some("admin"), Some("secret")));
        assert_eq!(left, ["declare", "user", "--name", "u", "--password", "x"]);
        let (options, left) = parsed("-q get messages -q q1 -c 2");
        assert!(options.is_quiet);
        assert_eq!(left, ["get", "messages", "-q", "q1", "-c", "2"]);
    }
}
