//! What the command-line tools do to a running broker: `/api/leveret/...`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use leveret_server::engine::admin::{AdminError, DefaultUser, Done};
use leveret_server::engine::broker::Broker;
use leveret_server::program::Program;
use leveret_server::{DiskLimit, Watermark};
use serde_json::{Map, Value, json};

use crate::admin::status;
use crate::auth::Peer;
use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

/// Lines of the log that are given when it is not said.
const LOG_LINES: usize = 50;

/// Most bytes of the log that are read.
const LOG_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/leveret/authenticate").post(
            Right::Administrator,
            "Whether a name and password are right: {\"username\", \"password\"}",
            authenticate,
        ),
        Resource::at("/api/leveret/stop").post(Right::Administrator, "Ends the broker, as a signal does", stop),
        Resource::at("/api/leveret/drain").post(
            Right::Administrator,
            "Sends clients away and takes no new ones, so that the node can be taken away",
            drain,
        ),
        Resource::at("/api/leveret/revive").post(Right::Administrator, "Takes clients again", revive),
        Resource::at("/api/leveret/stop_app").post(
            Right::Administrator,
            "Sends clients away and takes no new ones",
            stop_app,
        ),
        Resource::at("/api/leveret/start_app").post(Right::Administrator, "Takes clients again", revive),
        Resource::at("/api/leveret/reset").post(
            Right::Administrator,
            "Deletes everything that was set up, and all messages: a new node is left",
            reset,
        ),
        Resource::at("/api/leveret/alarms").get(Right::Monitoring, "The alarms that are raised", alarms),
        Resource::at("/api/leveret/memory_watermark")
            .get(Right::Monitoring, "How much memory may be used before publishers are blocked", memory_watermark)
            .put(
                Right::Administrator,
                "Sets it: {\"relative\": 0.6}, a share of what there is, or {\"absolute\": bytes}",
                set_memory_watermark,
            ),
        Resource::at("/api/leveret/disk_free_limit")
            .get(Right::Monitoring, "How much of the disk has to be free for publishers to go on", disk_free_limit)
            .put(
                Right::Administrator,
                "Sets it: {\"absolute\": bytes}, or {\"relative\": 1.0}, a multiple of the memory",
                set_disk_free_limit,
            ),
        Resource::at("/api/leveret/log_level").put(
            Right::Administrator,
            "Sets what is logged: {\"level\": \"debug\"}",
            set_log_level,
        ),
        Resource::at("/api/leveret/rotate_logs").post(Right::Administrator, "Opens log files anew", rotate_logs),
        Resource::at("/api/leveret/log").get(Right::Administrator, "The last lines of the log's file: lines=50", log),
        Resource::at("/api/leveret/environment").get(
            Right::Administrator,
            "The settings in force by application, key and value",
            environment,
        ),
        Resource::at("/api/leveret/environment/rabbit/consumer_timeout").put(
            Right::Administrator,
            "Sets how long a consumer may keep a message, in milliseconds: {\"value\": n}, or false for any time",
            set_consumer_timeout,
        ),
        Resource::at("/api/leveret/os_env").get(
            Right::Administrator,
            "The environment variables that the broker looks at, without secrets",
            os_env,
        ),
    ]
}

async fn authenticate(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["username", "password"])?;
    let (user, password) = (fields.text("username").unwrap_or_default(), fields.text("password").unwrap_or_default());
    let ip = match call.access.peer {
        Peer::Address(ip) => ip,
        Peer::Socket => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    call.api.logins.log_in(&call.api, user, password.as_bytes(), ip).await?;
    Ok(answer::no_content())
}

async fn stop(call: Call) -> Answer {
    call.api.node.request_stop();
    Ok(answer::no_content())
}

async fn drain(call: Call) -> Answer {
    call.api.set_serving(false, true);
    Ok(answer::no_content())
}

async fn revive(call: Call) -> Answer {
    call.api.set_serving(true, false);
    Ok(answer::no_content())
}

async fn stop_app(call: Call) -> Answer {
    call.api.set_serving(false, false);
    Ok(answer::no_content())
}

async fn reset(call: Call) -> Answer {
    let (api, actor) = (call.api.clone(), call.access.name().to_owned());
    let done = tokio::task::spawn_blocking(move || begin_anew(api.broker(), &api.config.default_user, &actor)).await;
    call.done(done.map_err(|error| ApiError::Internal(error.to_string()))?).await
}

/// Deletes what was set up, and begins as a new node does.
fn begin_anew(broker: &Broker, first: &DefaultUser, actor: &str) -> Result<Done, AdminError> {
    for vhost in broker.vhosts() {
        broker.set_deletion_protection(&vhost.name, false, actor)?;
        broker.delete_vhost(&vhost.name, actor)?;
    }
    for user in broker.users() {
        broker.delete_user(&user.name, actor)?;
    }
    for parameter in broker.global_parameters() {
        // Some are not for anybody to clear.
        let _ = broker.clear_global_parameter(&parameter.name, actor);
    }
    broker.seed(first)
}

async fn alarms(call: Call) -> Answer {
    call.one(Value::Array(crate::admin::health::raised(&call)))
}

async fn memory_watermark(call: Call) -> Answer {
    call.one(status::watermark(call.api.node.watermark()))
}

async fn set_memory_watermark(call: Call) -> Answer {
    match amount(&call.fields()?, 1.0)? {
        Amount::Relative(share) => call.api.node.set_watermark(Watermark::Relative(share)),
        Amount::Absolute(bytes) => call.api.node.set_watermark(Watermark::Absolute(bytes)),
    }
    Ok(answer::no_content())
}

async fn disk_free_limit(call: Call) -> Answer {
    call.one(status::disk_limit(call.api.node.disk_limit()))
}

async fn set_disk_free_limit(call: Call) -> Answer {
    match amount(&call.fields()?, f64::MAX)? {
        Amount::Relative(share) => call.api.node.set_disk_limit(DiskLimit::Relative(share)),
        Amount::Absolute(bytes) => call.api.node.set_disk_limit(DiskLimit::Absolute(bytes)),
    }
    Ok(answer::no_content())
}

#[derive(Debug, PartialEq)]
enum Amount {
    Relative(f64),
    Absolute(u64),
}

fn amount(fields: &Fields, share_max: f64) -> Result<Amount, ApiError> {
    let relative = fields.get("relative").and_then(Value::as_f64).filter(|share| (0.0..=share_max).contains(share));
    let absolute = fields.get("absolute").and_then(Value::as_u64);
    let amount = relative.map(Amount::Relative).or(absolute.map(Amount::Absolute));
    amount.ok_or_else(|| ApiError::bad_request("give one of relative (a share) and absolute (bytes)"))
}

async fn set_log_level(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["level"])?;
    let program = program(&call)?;
    program.set_log_level(fields.text("level").unwrap_or_default()).map_err(ApiError::bad_request)?;
    Ok(answer::no_content())
}

async fn rotate_logs(call: Call) -> Answer {
    program(&call)?.reopen_logs();
    Ok(answer::no_content())
}

async fn log(call: Call) -> Answer {
    let lines_max = call.query.number("lines").and_then(|lines| usize::try_from(lines).ok()).unwrap_or(LOG_LINES);
    let path = log_file(&call)?;
    let text = tokio::task::spawn_blocking(move || end_of(&path)).await;
    let text = text.map_err(|error| ApiError::Internal(error.to_string()))?;
    let text = text.map_err(|error| ApiError::bad_request(format!("the log cannot be read: {error}")))?;
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(lines_max);
    call.one(json!({ "lines": lines.get(first..).unwrap_or_default() }))
}

/// The file that the log goes to.
pub(super) fn log_file(call: &Call) -> Result<String, ApiError> {
    let host = call.api.node.host();
    let path = host.log_files.iter().find(|path| path.starts_with('/')).cloned();
    path.ok_or_else(|| ApiError::bad_request("the log does not go to a file"))
}

/// The last part of a file, from the beginning of a line on.
fn end_of(path: &str) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let first = length.saturating_sub(LOG_BYTES_MAX);
    file.seek(SeekFrom::Start(first))?;
    let mut end = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end).into_owned();
    Ok(if first == 0 { text } else { text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default() })
}

async fn environment(call: Call) -> Answer {
    let mut rabbit = Map::new();
    for (key, value, _origin) in program(&call).map(|program| program.settings()).unwrap_or_default() {
        rabbit.insert(key, typed(&value));
    }
    let timeout = call.api.broker().services.consumer_timeout_ms();
    rabbit.insert("consumer_timeout".to_owned(), timeout.map_or(json!(false), |timeout_ms| json!(timeout_ms)));
    call.one(json!({ "rabbit": rabbit }))
}

/// Numbers and truths as such.
fn typed(value: &str) -> Value {
    let number = value.parse::<i64>().map(Value::from).ok();
    number.or_else(|| value.parse::<bool>().map(Value::from).ok()).unwrap_or_else(|| json!(value))
}

async fn set_consumer_timeout(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["value"])?;
    let limit_ms = match fields.get("value") {
        None | Some(Value::Bool(false)) => None,
        Some(value) => {
            let number = value.as_u64().filter(|number| *number > 0);
            Some(number.ok_or_else(|| ApiError::bad_request("value: neither a number of milliseconds nor false"))?)
        }
    };
    call.api.broker().services.set_consumer_timeout_ms(limit_ms);
    Ok(answer::no_content())
}

fn program(call: &Call) -> Result<&Arc<dyn Program>, ApiError> {
    let program = call.api.node.program();
    program.ok_or_else(|| {
        ApiError::bad_request("the broker runs inside another program, which keeps its own log and settings")
    })
}

/// Names that look like secrets are shown without their values.
async fn os_env(call: Call) -> Answer {
    let is_ours = |name: &str| ["RABBITMQ_", "LEVERET_"].iter().any(|prefix| name.starts_with(prefix));
    let is_secret = |name: &str| ["PASS", "COOKIE", "SECRET", "TOKEN", "KEY"].iter().any(|word| name.contains(word));
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let shown = variables.filter(|(name, _)| is_ours(name)).map(|(name, value)| {
        let value = if is_secret(&name) { "********".into() } else { value.to_string_lossy().into_owned() };
        (name, json!(value))
    });
    call.one(Value::Object(shown.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_types() {
        for (text, expected) in [("45", json!(45)), ("true", json!(true)), ("0.6", json!("0.6")), ("x", json!("x"))] {
            assert_eq!(typed(text), expected);
        }
    }

    #[test]
    fn the_end_of_a_file_begins_with_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        std::fs::write(&path, "a\nb\n").unwrap();
        assert_eq!(end_of(&path).unwrap(), "a\nb\n");
        std::fs::write(&path, "0123456789\n".repeat(200_000)).unwrap();
        let end = end_of(&path).unwrap();
        assert!(end.starts_with("0123456789\n") && end.len() <= 1024 * 1024, "{}", end.len());
    }

    #[test]
    fn amounts_are_shares_or_bytes() {
        let read = |body: &str| amount(&Fields::parse(body.as_bytes()).unwrap(), 1.0);
        assert_eq!(read(r#"{"relative": 0.5}"#).unwrap(), Amount::Relative(0.5));
        assert_eq!(read(r#"{"absolute": 1000}"#).unwrap(), Amount::Absolute(1000));
        for body in ["{}", r#"{"relative": 1.5}"#, r#"{"relative": -1}"#, r#"{"absolute": -1}"#, r#"{"absolute": "1"}"#]
        {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
