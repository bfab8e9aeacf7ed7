//! Who tried to log in: `/api/auth/attempts/{node}`.

use serde_json::{Value, json};

use crate::auth::AttemptsOf;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::state::Api;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/auth/attempts/{node}")
            .get(Right::Monitoring, "How often somebody logged in, or tried to, by protocol", all)
            .delete(Right::Monitoring, "Begins to count again", reset),
        Resource::at("/api/auth/attempts/{node}/source")
            .get(
                Right::Monitoring,
                "How often somebody logged in over HTTP, or tried to, by address and user",
                by_source,
            )
            .delete(Right::Monitoring, "Begins to count again", reset),
    ]
}

async fn all(call: Call) -> Answer {
    call.node()?;
    let amqp = call.api.attempts.of_amqp(of_amqp(&call.api));
    let rows = [("amqp091", amqp), ("http", call.api.attempts.all())];
    let rows = rows.into_iter().filter(|(_, attempts)| *attempts != AttemptsOf::default());
    let rows: Value = rows.map(|(protocol, attempts)| row(protocol, attempts)).collect();
    call.one(rows)
}

/// All that were counted of AMQP.
pub(super) fn of_amqp(api: &Api) -> AttemptsOf {
    let (succeeded, failed) = api.broker().services.churn.logins();
    AttemptsOf { succeeded, failed }
}

async fn by_source(call: Call) -> Answer {
    call.node()?;
    let sources = call.api.attempts.by_source().into_iter().map(|(from, user, attempts)| {
        let mut row = row("http", attempts);
        if let Value::Object(fields) = &mut row {
            fields.insert("remote_address".to_owned(), json!(from.to_string()));
            fields.insert("username".to_owned(), json!(user));
        }
        row
    });
    let sources: Value = sources.collect();
    call.one(sources)
}

async fn reset(call: Call) -> Answer {
    call.node()?;
    call.api.attempts.reset(of_amqp(&call.api));
    Ok(answer::no_content())
}

fn row(protocol: &str, attempts: AttemptsOf) -> Value {
    json!({
        "protocol": protocol,
        "auth_attempts": attempts.succeeded + attempts.failed,
        "auth_attempts_failed": attempts.failed,
        "auth_attempts_succeeded": attempts.succeeded,
    })
}
