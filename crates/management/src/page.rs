//! What a person finds who opens the API in a browser, or looks for `rabbitmqadmin` where it used to be.

use serde_json::json;

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::{openapi, router};

/// The page at `/`.
const HOME: &str = include_str!("page/home.html");

/// The page at `/api/index.html`, around a table of all operations.
const REFERENCE: &str = include_str!("page/reference.html");

/// What stands at `/cli/rabbitmqadmin`: a script that hands over to a tool that is installed.
const RABBITMQADMIN: &str = include_str!("page/rabbitmqadmin.sh");

/// Where the table goes in [`REFERENCE`].
const TABLE_MARK: &str = "{{operations}}";

/// Where the prefix of all paths goes in pages.
const PREFIX_MARK: &str = "{{prefix}}";

const HTML: &str = "text/html; charset=utf-8";

pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/").get(Right::Open, "A page that says what this is", home).any_type(),
        Resource::at("/api").get(Right::Open, "Sends on to the reference", to_reference).any_type(),
        Resource::at("/api/index.html").get(Right::Open, "A reference of the API", reference).any_type(),
        Resource::at("/api/openapi.json").get(Right::Open, "This document", document),
        Resource::at("/cli").get(Right::Open, "Sends on to the page about rabbitmqadmin", to_cli).any_type(),
        Resource::at("/cli/index.html")
            .get(Right::Open, "Sends on to the page that says what this is", to_home)
            .any_type(),
        Resource::at("/cli/rabbitmqadmin")
            .get(
                Right::Open,
                "A script that runs the rabbitmqadmin that is installed, or says how to install one",
                rabbitmqadmin,
            )
            .any_type(),
        Resource::at("/js/{file}")
            .get(Right::Open, "Scripts of RabbitMQ's web page: there are none", no_script)
            .any_type(),
    ]
}

async fn home(call: Call) -> Answer {
    Ok(answer::typed(HTML, HOME.replace(PREFIX_MARK, &call.api.prefix())))
}

async fn to_reference(call: Call) -> Answer {
    Ok(answer::moved(&format!("{}/api/index.html", call.api.prefix())))
}

async fn to_cli(call: Call) -> Answer {
    Ok(answer::moved(&format!("{}/cli/index.html", call.api.prefix())))
}

async fn to_home(call: Call) -> Answer {
    Ok(answer::moved(&format!("{}/", call.api.prefix())))
}

async fn reference(call: Call) -> Answer {
    let prefix = call.api.prefix();
    let mut rows = String::new();
    for resource in router::table() {
        for operation in &resource.operations {
            rows.push_str(&format!(
                "<tr><td>{}</td><td><code>{prefix}{}</code></td><td>{}</td><td>{}</td></tr>\n",
                operation.method,
                resource.path,
                openapi::who(operation.right),
                operation.summary.replace('&', "&amp;").replace('<', "&lt;"),
            ));
        }
    }
    Ok(answer::typed(HTML, REFERENCE.replace(PREFIX_MARK, &prefix).replace(TABLE_MARK, &rows)))
}

async fn document(call: Call) -> Answer {
    Ok(answer::json(&json!(openapi::document(&router::table(), &call.api.prefix()))))
}

async fn rabbitmqadmin(_call: Call) -> Answer {
    Ok(answer::typed("application/octet-stream", RABBITMQADMIN))
}

async fn no_script(_call: Call) -> Answer {
    Err(ApiError::NoObject)
}
