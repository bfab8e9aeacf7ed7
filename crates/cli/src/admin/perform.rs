//! What `rabbitmqadmin` does.

use std::io::{self, Read as _};
use std::time::Duration;
use std::{fs, path::PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::Generation;
use super::grammar::{Action, Fields, Verb};
use super::objects::{List, Object, listing};
use super::options::Options;
use super::tables;
use crate::client::{Answer, Client, Endpoint, Tls, Trouble};
use crate::commands::hash_of;
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::url::{self, Address, part, path};

/// A broker, and how one wants to hear of it.
pub(super) struct Session<'a> {
    options: &'a Options,
    client: Client,
    host: String,
}

impl<'a> Session<'a> {
    /// Nothing is connected yet.
    pub(super) fn new(options: &'a Options) -> Result<Self, Failure> {
        let port = match &options.port {
            Some(port) => port.parse().map_err(|_| Failure::new(Kind::Failed, format!("*** {port} is no port\n")))?,
            None if options.is_tls => 15671,
            None => 15672,
        };
        let host = options.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let user = options.user.clone().unwrap_or_else(|| "guest".to_owned());
        let password = options.password.clone().unwrap_or_else(|| "guest".to_owned());
        let prefix = url::prefix(options.prefix.as_deref().unwrap_or_default());
        let file = |name: &Option<String>| name.as_ref().map(PathBuf::from);
        let tls = Tls {
            ca_file: file(&options.ca_file),
            cert_file: file(&options.cert_file),
            key_file: file(&options.key_file),
            is_blind: options.is_blind,
        };
        let address =
            Address { is_tls: options.is_tls, host: host.clone(), port, prefix, user: Some((user, password)) };
        let seconds = options.timeout.as_ref().and_then(|timeout| timeout.parse().ok());
        let timeout = seconds.map_or(limits::REQUEST, Duration::from_secs);
        let client = Client::new(Endpoint::Tcp(address, tls), timeout)?;
        Ok(Self { options, client, host })
    }

    /// Does it, and says what there is to say.
    pub(super) fn perform(&self, action: &Action) -> Result<String, Failure> {
        let fields = &action.fields;
        match &action.verb {
            Verb::Declare(object) => self.declare(object, fields),
            Verb::Delete(object) => self.delete(object, action),
            Verb::List(list, columns) => self.list(list, columns, fields),
            Verb::Overview(columns) => self.overview(columns),
            Verb::ShowQueue => self.show_queue(fields),
            Verb::Publish => self.publish(fields),
            Verb::Get => self.get_messages(fields),
            Verb::Purge => {
                self.send(&Method::DELETE, &path(&["queues", self.vhost(), text(fields, "name"), "contents"]), None)?;
                Ok(self.say("queue purged"))
            }
            Verb::CloseConnection => {
                self.send(&Method::DELETE, &path(&["connections", text(fields, "name")]), None)?;
                Ok(self.say("connection closed"))
            }
            Verb::CloseUserConnections => {
                self.send(&Method::DELETE, &path(&["connections", "username", text(fields, "username")]), None)?;
                Ok(self.say("connections closed"))
            }
            Verb::UserConnections => {
                let found = self.get(&path(&["connections", "username", text(fields, "username")]))?;
                Ok(listing("connections").map(|list| self.table(&found, list, &[])).unwrap_or_default())
            }
            Verb::Export => self.export(fields),
            Verb::Import => self.import(fields),
            Verb::HealthCheck(check) => self.health_check(check, fields),
            Verb::EnableFeatureFlag => self.enable_feature_flag(text(fields, "name")),
            Verb::HashPassword => {
                Ok(tables::pairs(&[("password hash".to_owned(), hash_of(text(fields, "password"))?)], self.options))
            }
            Verb::Rebalance => {
                self.send(&Method::POST, "rebalance/queues", Some(&json!({})))?;
                Ok(String::new())
            }
            Verb::Protect(is_on) => {
                let path = path(&["vhosts", text(fields, "name"), "deletion", "protection"]);
                self.send(
                    if *is_on { &Method::POST } else { &Method::DELETE },
                    &path,
                    is_on.then(|| json!({})).as_ref(),
                )?;
                Ok(String::new())
            }
            Verb::MemoryBreakdown { is_relative } => self.memory(text(fields, "node"), *is_relative),
        }
    }

    fn is_first(&self) -> bool {
        self.options.generation == Generation::First
    }

    fn vhost(&self) -> &str {
        self.options.vhost.as_ref().or(self.options.declare_vhost.as_ref()).map_or("/", String::as_str)
    }

    /// What the first tool says when it is done; the second is silent.
    fn say(&self, what: &str) -> String {
        if self.is_first() && !self.options.is_quiet { format!("{what}\n") } else { String::new() }
    }
}

fn text<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A path with fields put in.
fn filled(template: &str, fields: &Fields) -> String {
    let names =
        template.split('/').map(|segment| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => part(text(fields, name)),
            None => segment.to_owned(),
        });
    names.collect::<Vec<_>>().join("/")
}

/// To the broker.
impl Session<'_> {
    fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let answer = self.client.send(method, path, body).map_err(|trouble| self.trouble(trouble))?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(&answer, path)) }
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(&Method::GET, path, None).map(|answer| answer.json())
    }

    fn trouble(&self, trouble: Trouble) -> Failure {
        let (first, second) = match trouble {
            Trouble::Down(reason) => {
                (format!("Could not connect: {reason}"), format!("could not connect to {}: {reason}", self.host))
            }
            Trouble::Timeout => ("Timed out getting HTTP response".to_owned(), "request timed out".to_owned()),
            Trouble::Broken(reason) => (format!("Error getting HTTP response:\n\n{reason}"), reason),
        };
        if self.is_first() {
            Failure::new(Kind::Failed, format!("*** {first}\n"))
        } else {
            Failure::new(Kind::Unavailable, second)
        }
    }

    fn refused(&self, answer: &Answer, path: &str) -> Failure {
        if self.is_first() {
            let text = match answer.status {
                401 => format!("Access refused: /api/{path}"),
                404 => format!("Not found: /api/{path}"),
                _ => answer.reason(),
            };
            return Failure::new(Kind::Failed, format!("*** {text}\n"));
        }
        let name = http::StatusCode::from_u16(answer.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let text = format!("API responded with a {} {name}: {}", answer.status, answer.reason());
        Failure::new(if answer.status >= 500 { Kind::Unavailable } else { Kind::Data }, text)
    }
}

impl Session<'_> {
    fn declare(&self, object: &Object, fields: &Fields) -> Result<String, Failure> {
        let path = filled(object.path, fields);
        let method = if object.name == "binding" { Method::POST } else { Method::PUT };
        self.send(&method, &path, Some(&json!(fields)))?;
        Ok(self.say(&format!("{} declared", object.name)))
    }

    fn delete(&self, object: &Object, action: &Action) -> Result<String, Failure> {
        let mut fields = action.fields.clone();
        if object.name == "binding" && fields.contains_key("routing_key") {
            let key = self.properties_key(object, &fields)?;
            fields.insert("properties_key".to_owned(), json!(key));
        }
        let path = filled(object.delete_path.unwrap_or(object.path), &fields);
        match self.client.send(&Method::DELETE, &path, None).map_err(|trouble| self.trouble(trouble))? {
            answer if answer.is_success() || (answer.status == 404 && action.is_idempotent) => {
                Ok(self.say(&format!("{} deleted", object.name)))
            }
            answer => Err(self.refused(&answer, &path)),
        }
    }

    /// What the API calls the binding with this routing key and these arguments.
    fn properties_key(&self, object: &Object, fields: &Fields) -> Result<String, Failure> {
        let bindings = self.get(&filled(object.path, fields))?;
        let arguments = serde_json::from_str(text(fields, "arguments")).unwrap_or_else(|_| json!({}));
        let is_meant = |binding: &&Value| {
            binding["routing_key"] == text(fields, "routing_key") && binding["arguments"] == arguments
        };
        let found = bindings.as_array().into_iter().flatten().find(is_meant);
        let key = found.and_then(|binding| binding["properties_key"].as_str());
        key.map(str::to_owned)
            .ok_or_else(|| Failure::new(Kind::Data, "API responded with a 404 Not Found: no such binding"))
    }

    fn list(&self, list: &List, columns: &[String], fields: &Fields) -> Result<String, Failure> {
        let mut path = list.path.to_owned();
        if let (true, Some(vhost)) = (list.is_of_vhost, &self.options.vhost) {
            path = format!("{path}/{}", part(vhost));
        }
        for name in ["component", "username", "user"] {
            if !text(fields, name).is_empty() && matches!(list.name, "parameters" | "user_limits") {
                path = format!("{path}/{}", part(text(fields, name)));
            }
        }
        let mut query = Vec::new();
        let usual: Vec<String> =
            if self.is_first() { list.first } else { list.second }.iter().map(|&name| name.to_owned()).collect();
        let is_json = self.options.format.as_ref().is_some_and(|format| format.contains("json"));
        let is_deep = self.options.depth.as_ref().is_some_and(|depth| depth != "1");
        let columns =
            if columns.is_empty() && !(self.is_first() && (is_json || is_deep)) { usual } else { columns.to_vec() };
        if !columns.is_empty() {
            query.push(format!("columns={}", columns.iter().map(|column| part(column)).collect::<Vec<_>>().join(",")));
        }
        if let Some(sort) = &self.options.sort {
            query.push(format!("sort={}", part(sort)));
        }
        if self.options.sort_reverse {
            query.push("sort_reverse=true".to_owned());
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        Ok(self.table(&self.get(&path)?, list, &columns))
    }

    fn table(&self, found: &Value, list: &List, columns: &[String]) -> String {
        tables::list(found, columns, list.json, self.options)
    }

    fn overview(&self, columns: &[String]) -> Result<String, Failure> {
        let usual = ["rabbitmq_version", "cluster_name", "queue_totals.messages", "object_totals.queues"];
        let columns = if columns.is_empty() { usual.map(str::to_owned).to_vec() } else { columns.to_vec() };
        let overview = self.get("overview")?;
        if self.is_first() {
            return Ok(tables::list(&json!([overview]), &columns, &[], self.options));
        }
        let members = [
            ("Product name", "product_name"),
            ("Product version", "product_version"),
            ("RabbitMQ version", "rabbitmq_version"),
            ("Cluster name", "cluster_name"),
            ("Connections (total)", "object_totals.connections"),
            ("AMQP 0-9-1 channels (total)", "object_totals.channels"),
            ("Queues and streams (total)", "object_totals.queues"),
            ("Consumers (total)", "object_totals.consumers"),
            ("Messages (total)", "queue_totals.messages"),
            ("Messages ready for delivery (total)", "queue_totals.messages_ready"),
            ("Messages delivered but unacknowledged by consumers (total)", "queue_totals.messages_unacknowledged"),
        ];
        let pairs = members.map(|(title, member)| (title.to_owned(), tables::shown(tables::at(&overview, member))));
        Ok(tables::pairs(&pairs, self.options))
    }

    fn show_queue(&self, fields: &Fields) -> Result<String, Failure> {
        let queue = self.get(&path(&["queues", self.vhost(), text(fields, "name")]))?;
        let members = queue.as_object().into_iter().flatten();
        let pairs: Vec<(String, String)> = members.map(|(name, value)| (name.clone(), tables::shown(value))).collect();
        Ok(tables::pairs(&pairs, self.options))
    }

    fn publish(&self, fields: &Fields) -> Result<String, Failure> {
        let exchange = if text(fields, "exchange").is_empty() { "amq.default" } else { text(fields, "exchange") };
        let (payload, encoding) = if !text(fields, "payload_file").is_empty() {
            (STANDARD.encode(fs::read(text(fields, "payload_file"))?), "base64")
        } else if fields.contains_key("payload") {
            let encoding =
                if text(fields, "payload_encoding").is_empty() { "string" } else { text(fields, "payload_encoding") };
            (text(fields, "payload").to_owned(), encoding)
        } else {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            (STANDARD.encode(bytes), "base64")
        };
        let properties = text(fields, "properties");
        let properties: Value = if properties.is_empty() {
            json!({})
        } else {
            let parsed = serde_json::from_str(properties);
            parsed.map_err(|_| Failure::new(Kind::Failed, format!("ERROR: Could not parse JSON:\n  {properties}")))?
        };
        let body = json!({"routing_key": text(fields, "routing_key"), "payload": payload, "payload_encoding": encoding,
            "properties": properties});
        let answer = self.send(&Method::POST, &path(&["exchanges", self.vhost(), exchange, "publish"]), Some(&body))?;
        let is_routed = answer.json().get("routed") == Some(&Value::Bool(true));
        Ok(match (self.is_first(), is_routed) {
            _ if self.options.is_quiet => String::new(),
            (true, true) => "Message published\n".to_owned(),
            (true, false) => "Message published but NOT routed\n".to_owned(),
            (false, true) => "Message published and routed successfully\n".to_owned(),
            (false, false) => "Message published but NOT routed\n".to_owned(),
        })
    }

    fn get_messages(&self, fields: &Fields) -> Result<String, Failure> {
        let or = |name: &str, usual: &'static str| {
            let given = text(fields, name);
            if given.is_empty() { usual.to_owned() } else { given.to_owned() }
        };
        let usual_mode = if self.is_first() { "ack_requeue_true" } else { "ack_requeue_false" };
        let count: u32 =
            or("count", "1").parse().map_err(|_| Failure::new(Kind::Failed, "*** count is no number\n"))?;
        let body = json!({"count": count, "ackmode": or("ackmode", usual_mode), "encoding": or("encoding", "auto")});
        let messages = self
            .send(&Method::POST, &path(&["queues", self.vhost(), text(fields, "queue"), "get"]), Some(&body))?
            .json();
        let file = text(fields, "payload_file");
        if let (false, Some(message)) = (file.is_empty(), messages.get(0)) {
            let payload = message["payload"].as_str().unwrap_or_default();
            let is_base64 = message["payload_encoding"] == "base64";
            let bytes =
                if is_base64 { STANDARD.decode(payload).unwrap_or_default() } else { payload.as_bytes().to_vec() };
            fs::write(file, bytes)?;
        }
        let columns: &[&str] = match (self.is_first(), file.is_empty()) {
            (true, true) => &[],
            (true, false) => &["routing_key", "exchange", "message_count", "payload_bytes", "redelivered"],
            (false, _) => &[
                "payload_bytes",
                "redelivered",
                "exchange",
                "routing_key",
                "message_count",
                "properties",
                "payload",
                "payload_encoding",
            ],
        };
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        Ok(tables::list(&messages, &columns, &[], self.options))
    }

    fn definitions_path(&self, fields: &Fields) -> String {
        let vhost =
            if self.is_first() { self.options.vhost.as_deref() } else { fields.get("vhost").and_then(Value::as_str) };
        vhost.map_or_else(|| "definitions".to_owned(), |vhost| path(&["definitions", vhost]))
    }

    fn export(&self, fields: &Fields) -> Result<String, Failure> {
        let answer = self.send(&Method::GET, &self.definitions_path(fields), None)?;
        let file = text(fields, "file");
        if file.is_empty() || file == "-" || text(fields, "stdout") == "true" {
            return Ok(format!("{}\n", String::from_utf8_lossy(&answer.body)));
        }
        fs::write(file, &answer.body)?;
        Ok(self.say(&format!("Exported definitions for {} to \"{file}\"", self.host)))
    }

    fn import(&self, fields: &Fields) -> Result<String, Failure> {
        let file = text(fields, "file");
        let mut bytes = Vec::new();
        if file == "-" || text(fields, "stdin") == "true" {
            io::stdin().read_to_end(&mut bytes)?;
        } else {
            bytes = fs::read(file).map_err(|error| Failure::new(Kind::Failed, format!("*** {file}: {error}\n")))?;
        }
        let definitions: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Kind::Failed, format!("*** {file} is no JSON: {error}\n")))?;
        self.send(&Method::POST, &self.definitions_path(fields), Some(&definitions))?;
        Ok(self.say(&format!(
            "Uploaded definitions from \"{file}\" to {}. The import process may take some time. Consult server logs to track progress.",
            self.host
        )))
    }

    fn health_check(&self, check: &str, fields: &Fields) -> Result<String, Failure> {
        let fields: Fields = fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let path = filled(check, &fields);
        let answer = self.client.send(&Method::GET, &path, None).map_err(|trouble| self.trouble(trouble))?;
        let is_passed = answer.is_success() && answer.json().as_array().is_none_or(Vec::is_empty);
        if is_passed {
            return Ok(if self.options.is_quiet { String::new() } else { "health check passed\n".to_owned() });
        }
        let pairs = [("result", "health check failed".to_owned()), ("path", path), ("reason", answer.reason())];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        Err(Failure::new(Kind::Unavailable, tables::pairs(&pairs, self.options).trim_end()))
    }

    fn enable_feature_flag(&self, name: &str) -> Result<String, Failure> {
        let flags = self.get("feature-flags")?;
        let flags = flags.as_array().into_iter().flatten().filter(|flag| name == "all" || flag["name"] == name);
        for flag in flags.filter(|flag| flag["state"] != "enabled") {
            let name = flag["name"].as_str().unwrap_or_default();
            self.send(&Method::PUT, &path(&["feature-flags", name, "enable"]), Some(&json!({"name": name})))?;
        }
        Ok(String::new())
    }

    fn memory(&self, node: &str, is_relative: bool) -> Result<String, Failure> {
        let node_path = path(&["nodes", node, "memory"]);
        let memory = self.get(&if is_relative { format!("{node_path}/relative") } else { node_path })?;
        let members = tables::at(&memory, "memory").as_object().into_iter().flatten();
        let pairs: Vec<(String, String)> = members.map(|(name, value)| (name.clone(), tables::shown(value))).collect();
        Ok(tables::pairs(&pairs, self.options))
    }
}
