//! Settings of the node, and of what it is made with.

use http::Method;
use serde_json::{Value, json};

use super::{BOTH, CTL, DIAGNOSTICS};
use crate::call::{Call, done};
use crate::command::{Command, Group, Switch};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Configuration;
const ENCRYPTION: &[Switch] = &[
    Switch::text("cipher"),
    Switch::text("hash"),
    Switch::count("iterations"),
    Switch::flag("list-ciphers"),
    Switch::flag("list-hashes"),
    Switch::flag("decode"),
];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "environment",
        (BOTH, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the settings that are in effect",
        environment,
    ),
    Command::new(
        "set_log_level",
        (CTL, GROUP),
        (1, 1),
        "<log_level>",
        "Sets what is logged from now on: debug, info, warning, error, critical or none",
        set_log_level,
    ),
    Command::new(
        "encode",
        (CTL, GROUP),
        (0, 2),
        "<value> <passphrase>",
        "Fails: values of the configuration are not encrypted here",
        no_encryption,
    )
    .with(ENCRYPTION),
    Command::new(
        "decode",
        (CTL, GROUP),
        (0, 2),
        "<value> <passphrase>",
        "Fails: values of the configuration are not encrypted here",
        no_encryption,
    )
    .with(ENCRYPTION),
    Command::new(
        "encrypt_conf_value",
        (CTL, GROUP),
        (0, 2),
        "<value> <passphrase>",
        "Fails as encode does",
        no_encryption,
    )
    .with(ENCRYPTION),
    Command::new(
        "decrypt_conf_value",
        (CTL, GROUP),
        (0, 2),
        "<value> <passphrase>",
        "Fails as decode does",
        no_encryption,
    )
    .with(ENCRYPTION),
    Command::new(
        "list_ciphers",
        (BOTH, Group::Monitoring),
        (0, 0),
        "",
        "Lists ciphers for encode: there are none",
        list_nothing,
    ),
    Command::new(
        "list_hashes",
        (BOTH, Group::Monitoring),
        (0, 0),
        "",
        "Lists hashes for encode: there are none",
        list_nothing,
    ),
    Command::new(
        "cipher_suites",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--format <openssl | map>] [--all]",
        "Lists the cipher suites that TLS listeners take",
        cipher_suites,
    )
    .with(&[Switch::text("format"), Switch::flag("all")]),
    Command::new(
        "tls_versions",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "",
        "Lists the versions of TLS that listeners take",
        tls_versions,
    ),
    Command::new(
        "os_env",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the node's variables of the environment that concern it",
        os_env,
    ),
];

const LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "none"];

fn environment(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Application environment of node {} ...", call.node()));
    let environment = call.get(&["leveret", "environment"])?;
    Ok(Output::report(lines(&environment).join("\n"), Term::from_json(&environment)))
}

/// A line a setting.
fn lines(environment: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in environment.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(members) => lines.extend(members.iter().map(|(member, value)| format!("{name}.{member} = {value}"))),
            None => lines.push(format!("{name} = {value}")),
        }
    }
    lines
}

fn set_log_level(call: &Call) -> Result<Output, Failure> {
    let level = call.argument(0);
    if !LEVELS.contains(&level) {
        return Err(Failure::unavailable(format!("level {level} is not supported. Try one of {}", LEVELS.join(", "))));
    }
    call.banner(format!("Setting log level to \"{level}\" ..."));
    call.send(Method::PUT, &["leveret", "log_level"], Some(&json!({"level": level}))).and_then(done)?;
    Ok(Output::Done)
}

fn no_encryption(call: &Call) -> Result<Output, Failure> {
    let text = format!(
        "{} is not offered: values of the configuration are not encrypted. Keep secrets in the environment and write $(NAME)",
        call.command.name
    );
    Err(Failure::error(Kind::Software, text))
}

fn list_nothing(call: &Call) -> Result<Output, Failure> {
    let what = if call.command.name == "list_ciphers" { "ciphers" } else { "hash algorithms" };
    call.banner(format!("Listing supported {what} ..."));
    Ok(Output::report("[]", Term::List(Vec::new())))
}

/// What the TLS library of the node takes, by the names of OpenSSL.
const SUITES: [&str; 9] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
const VERSIONS: [&str; 2] = ["tlsv1.3", "tlsv1.2"];

fn cipher_suites(call: &Call) -> Result<Output, Failure> {
    call.banner("Listing available cipher suites in OpenSSL format");
    let value = json!({"cipher_suites": SUITES, "format": "openssl"});
    Ok(Output::report(SUITES.join("\n"), Term::from_json(&value)))
}

fn tls_versions(call: &Call) -> Result<Output, Failure> {
    call.banner("Listing all TLS versions supported by the runtime...");
    Ok(Output::report(VERSIONS.join("\n"), Term::from_json(&json!({"versions": VERSIONS}))))
}

fn os_env(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing RabbitMQ-specific environment variables defined on node {}...", call.node()));
    let variables = call.get(&["leveret", "os_env"])?;
    let members = variables.as_object().into_iter().flatten();
    let lines: Vec<String> =
        members.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    let value = json!({"node": call.node(), "result": "ok", "variables": variables});
    Ok(Output::report(lines.join("\n"), Term::from_json(&value)))
}
