//! The OpenAPI document, made of the table of routes.

use serde_json::{Map, Value, json};

use crate::http::routes::{Operation, Resource, Right};

/// Parameters of lists, with what they do.
const OF_LISTS: [(&str, &str, &str); 7] = [
    ("page", "integer", "The page, from 1 on: the answer is then an object with the items of the page"),
    ("page_size", "integer", "Items on a page: 100, at most 500"),
    ("name", "string", "With a page: only items whose name contains this"),
    ("use_regex", "boolean", "The name is a regular expression"),
    ("sort", "string", "The column to sort by; a path such as message_stats.publish"),
    ("sort_reverse", "boolean", "The other way round"),
    ("columns", "string", "Only these columns, with commas between"),
];

/// Who may use an operation, in words.
pub(crate) fn who(right: Right) -> &'static str {
    match right {
        Right::Open => "anybody",
        Right::User => "management",
        Right::Vhost => "management, with permissions in the vhost",
        Right::VhostVisible => "management, with permissions in the vhost, or monitoring",
        Right::Monitoring => "monitoring",
        Right::Policies => "policymaker, with permissions in the vhost",
        Right::Policymaker => "policymaker",
        Right::Administrator => "administrator",
    }
}

/// The document for a table of routes that stand below a prefix.
pub(crate) fn document(table: &[Resource], prefix: &str) -> Value {
    let paths: Map<String, Value> =
        table.iter().map(|resource| (format!("{prefix}{}", resource.path), path_item(resource))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Leveret",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP API that RabbitMQ's tools speak. Names in paths are percent-encoded.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "securitySchemes": { "basic": { "type": "http", "scheme": "basic" } } },
    })
}

fn path_item(resource: &Resource) -> Value {
    let mut item = Map::new();
    let parameters = parameters(resource.path);
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(parameters));
    }
    for operation in &resource.operations {
        item.insert(operation.method.as_str().to_lowercase(), described(resource.path, operation));
    }
    Value::Object(item)
}

/// The parameters in a path.
fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

fn described(path: &str, operation: &Operation) -> Value {
    let method = operation.method.as_str();
    let mut described = json!({
        "summary": operation.summary,
        "description": format!("Who may: {}.", who(operation.right)),
        "operationId": id(path, method),
        "tags": [tag(path)],
        "responses": responses(operation),
        "security": if operation.right == Right::Open { json!([]) } else { json!([{ "basic": [] }]) },
    });
    let Value::Object(fields) = &mut described else { return described };
    if matches!(method, "PUT" | "POST") {
        let content = json!({ "application/json": { "schema": { "type": "object" } } });
        fields.insert("requestBody".to_owned(), json!({ "required": false, "content": content }));
    }
    if method == "GET" && !operation.is_any_type {
        let of_lists = OF_LISTS.iter().map(|(name, kind, description)| {
            json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
        });
        fields.insert("parameters".to_owned(), of_lists.collect());
    }
    described
}

/// A name for an operation that no other has.
fn id(path: &str, method: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_lowercase(), |id, word| format!("{id}_{word}"))
}

/// What an operation is about: the first word of its path after `/api`.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/").unwrap_or(path);
    path.trim_start_matches('/').split('/').next().filter(|word| !word.is_empty()).unwrap_or("page")
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let mut put = |status: &str, description: &str| {
        responses.insert(status.to_owned(), json!({ "description": description }));
    };
    match operation.method.as_str() {
        "GET" => put("200", "What was asked for"),
        "PUT" => {
            put("201", "It is new");
            put("204", "It was there, and is changed");
        }
        "POST" => {
            put("200", "What came of it");
            put("201", "It is new");
            put("204", "It is done");
        }
        _ => put("204", "It is done"),
    }
    put("400", "The request makes no sense");
    if operation.right != Right::Open {
        put("401", "Not with these credentials");
    }
    put("404", "There is no such thing");
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::table;

    #[test]
    fn the_document_knows_every_route_and_no_other() {
        let table = table();
        let document = document(&table, "");
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), table.len(), "a path stands in the table twice");
        for resource in &table {
            let item = paths[resource.path].as_object().unwrap();
            let methods: Vec<String> = item.keys().filter(|key| *key != "parameters").cloned().collect();
            let mut expected: Vec<String> =
                resource.operations.iter().map(|operation| operation.method.as_str().to_lowercase()).collect();
            expected.sort();
            assert_eq!(methods, expected, "{}", resource.path);
            assert!(!expected.is_empty(), "{} can do nothing", resource.path);
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let table = table();
        let mut ids: Vec<String> = Vec::new();
        for resource in &table {
            ids.extend(resource.operations.iter().map(|operation| id(resource.path, operation.method.as_str())));
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn paths_name_their_parameters() {
        let names: Vec<Value> = parameters("/api/queues/{vhost}/{queue}").iter().map(|p| p["name"].clone()).collect();
        assert_eq!(names, ["vhost", "queue"]);
        assert_eq!((tag("/api/queues/{vhost}"), tag("/")), ("queues", "page"));
    }
}
