//! `eval`: the few Erlang expressions that scripts evaluate.

use http::Method;
use serde_json::{Value, json};

use super::CTL;
use super::health::runs;
use crate::call::{Call, done};
use crate::command::{ANY, Command, Group};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "eval",
        (CTL, Group::Operations),
        (0, ANY),
        "<expression>",
        "Evaluates one of the few Erlang expressions that scripts use, such as node().",
        eval,
    ),
    Command::new("eval_file", (CTL, Group::Operations), (1, 1), "<file>", "Fails: there is no Erlang here", no_erlang),
    Command::new("exec", (CTL, Group::Operations), (1, 1), "<expression>", "Fails: there is no Elixir here", no_erlang),
];

/// What an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Node,
    IsRunning,
    Version,
    /// The process of the node.
    Pid,
    /// Whether all nodes of the cluster are there.
    IsClusterComplete,
    /// A setting of an application.
    Get(String, String),
    /// A new value for it.
    Set(String, String, String),
}

fn eval(call: &Call) -> Result<Output, Failure> {
    let text = if call.arguments.is_empty() { call.stdin()? } else { call.arguments.join(" ") };
    if !text.trim_end().ends_with('.') && !text.trim_end().ends_with(')') || !is_balanced(&text) {
        return Err(call.misused(Kind::Usage, "\"syntax error before: \""));
    }
    let expression = parse(&text).ok_or_else(|| unknown(&text))?;
    evaluate(call, expression).map(Output::Text)
}

fn is_balanced(text: &str) -> bool {
    text.matches('(').count() == text.matches(')').count()
}

fn unknown(text: &str) -> Failure {
    Failure::error(
        Kind::Software,
        format!(
            "there is no Erlang to evaluate '{}' with. These expressions are understood: node(). rabbit:is_running(). \
             rabbit_misc:version(). os:getpid(). rabbit_nodes:reached_target_cluster_size(). \
             application:get_env(rabbit, consumer_timeout). application:set_env(rabbit, consumer_timeout, N).",
            text.trim()
        ),
    )
}

fn no_erlang(call: &Call) -> Result<Output, Failure> {
    let text = format!("{} is not offered: there is no Erlang to evaluate anything with", call.command.name);
    Err(Failure::error(Kind::Software, text))
}

fn parse(text: &str) -> Option<Expression> {
    let text = text.trim().trim_end_matches('.').trim();
    let (function, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let arguments: Vec<String> =
        arguments.split(',').map(|argument| argument.trim().trim_matches('\'').to_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Some(match (function.trim(), arguments.as_slice()) {
        ("node" | "erlang:node", [""]) => Expression::Node,
        ("rabbit:is_running", [""]) => Expression::IsRunning,
        ("rabbit_misc:version" | "rabbit:base_product_version" | "rabbit:product_version", [""]) => Expression::Version,
        ("os:getpid", [""]) => Expression::Pid,
        ("rabbit_nodes:reached_target_cluster_size", [""]) => Expression::IsClusterComplete,
        ("application:get_env", [application, key]) => Expression::Get((*application).to_owned(), (*key).to_owned()),
        ("application:set_env", [application, key, value]) => {
            Expression::Set((*application).to_owned(), (*key).to_owned(), (*value).to_owned())
        }
        _ => return None,
    })
}

fn evaluate(call: &Call, expression: Expression) -> Result<String, Failure> {
    let status = call.status()?;
    Ok(match expression {
        Expression::Node => format!("'{}'", info::text(status, "node")),
        Expression::IsRunning => runs(status).to_string(),
        Expression::Version => format!("\"{}\"", info::text(status, "rabbitmq_version")),
        Expression::Pid => format!("\"{}\"", info::number(status, "pid")),
        Expression::IsClusterComplete => "true".to_owned(),
        Expression::Get(application, key) => {
            let environment = call.get(&["leveret", "environment"])?;
            match info::at(info::at(&environment, &application), &key) {
                Value::Null => "undefined".to_owned(),
                Value::String(text) => format!("{{ok,<<\"{text}\">>}}"),
                value => format!("{{ok,{value}}}"),
            }
        }
        Expression::Set(application, key, value) => {
            // What Erlang calls undefined or infinity is no limit.
            let value = match value.as_str() {
                "undefined" | "infinity" => Value::Bool(false),
                text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
            };
            let body = json!({"value": value});
            call.send(Method::PUT, &["leveret", "environment", &application, &key], Some(&body)).and_then(done)?;
            "ok".to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_scripts_are_understood() {
        let set = |value: &str| Some(Expression::Set("rabbit".into(), "consumer_timeout".into(), value.into()));
        assert_eq!(parse("application:set_env(rabbit, consumer_timeout, 10000)."), set("10000"));
        assert_eq!(parse(" application:set_env(rabbit,consumer_timeout,undefined) . "), set("undefined"));
        assert_eq!(parse("node()."), Some(Expression::Node));
        assert_eq!(parse("rabbit_nodes:reached_target_cluster_size()."), Some(Expression::IsClusterComplete));
        assert_eq!(parse("application:get_env(rabbit, 'x')."), Some(Expression::Get("rabbit".into(), "x".into())));
        for other in ["1 + 1.", "io:format(\"x\").", "node(x).", "bogus("] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
