//! From a broker to definitions. All lists are in order of their names, so that equal brokers have equal definitions.

use std::sync::Arc;

use leveret_codec::table::FieldTable;
use serde_json::{Map, Value, json};

use crate::admin::{user_limits_json, vhost_limits_json};
use crate::broker::Broker;
use crate::exchange::Exchange;
use crate::json::{json_of_table, json_text};
use crate::policy::{Policy, PolicyKind};
use crate::queue::Queue;
use crate::user::User;
use crate::vhost::{BindingFacts, BindingsOf, Vhost, VhostMetadata};

/// What definitions say of the broker that they come from.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionsFacts<'a> {
    /// The version of RabbitMQ whose definitions these are.
    pub rabbitmq_version: &'a str,
    /// The product.
    pub product_name: &'a str,
    /// Its version.
    pub product_version: &'a str,
}

impl DefinitionsFacts<'_> {
    fn head(&self, format: &str, explanation: String) -> Map<String, Value> {
        let fields = [
            ("rabbit_version", self.rabbitmq_version),
            ("rabbitmq_version", self.rabbitmq_version),
            ("product_name", self.product_name),
            ("product_version", self.product_version),
            ("rabbitmq_definition_format", format),
            ("explanation", &*explanation),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

/// The definitions of a broker.
#[must_use]
pub fn export(broker: &Broker, facts: &DefinitionsFacts<'_>) -> Value {
    let cluster = broker.cluster_name();
    let mut definitions = facts.head("cluster", format!("Definitions of cluster '{cluster}'"));
    let vhosts = broker.vhosts();
    let of_all = |part: &dyn Fn(&Vhost) -> Vec<Value>| vhosts.iter().flat_map(|vhost| part(vhost)).collect::<Vec<_>>();
    let permissions = broker.permissions().into_iter().map(|permission| {
        json!({
            "user": &*permission.user, "vhost": &*permission.vhost, "configure": permission.configure,
            "write": permission.write, "read": permission.read,
        })
    });
    let topic_permissions = broker.topic_permissions().into_iter().map(|permission| {
        json!({
            "user": &*permission.user, "vhost": &*permission.vhost, "exchange": &*permission.exchange,
            "write": permission.write, "read": permission.read,
        })
    });
    let globals = broker.global_parameters().into_iter();
    let globals = globals.map(|parameter| json!({"name": &*parameter.name, "value": parameter.value}));
    let lists: [(&str, Vec<Value>); 10] = [
        ("users", broker.users().iter().map(|user| json_of_user(user)).collect()),
        ("vhosts", vhosts.iter().map(|vhost| json_of_vhost(vhost)).collect()),
        ("permissions", permissions.collect()),
        ("topic_permissions", topic_permissions.collect()),
        ("parameters", of_all(&|vhost| parameters(broker, vhost))),
        ("global_parameters", globals.collect()),
        ("policies", of_all(&policies)),
        ("queues", of_all(&queues)),
        ("exchanges", of_all(&exchanges)),
        ("bindings", of_all(&bindings)),
    ];
    definitions.insert("original_cluster_name".to_owned(), cluster.into());
    definitions.extend(lists.map(|(name, list)| (name.to_owned(), list.into())));
    Value::Object(definitions)
}

/// The definitions of a vhost: they can be imported into any other.
#[must_use]
pub fn export_vhost(broker: &Broker, vhost: &Vhost, facts: &DefinitionsFacts<'_>) -> Value {
    let explanation = format!("Definitions of virtual host '{}'", vhost.name);
    let mut definitions = facts.head("single_virtual_host", explanation);
    let metadata = vhost.metadata();
    let lists = [
        ("parameters", parameters(broker, vhost)),
        ("policies", policies(vhost)),
        ("queues", queues(vhost)),
        ("exchanges", exchanges(vhost)),
        ("bindings", bindings(vhost)),
    ];
    let without_vhost = |mut item: Value| {
        if let Value::Object(fields) = &mut item {
            fields.remove("vhost");
        }
        item
    };
    let lists = lists.map(|(name, list)| (name, list.into_iter().map(without_vhost).collect::<Vec<_>>().into()));
    let more = [
        ("original_vhost_name", vhost.name.as_ref().into()),
        ("description", metadata.description.as_str().into()),
        ("metadata", json_of_metadata(&metadata)),
        ("limits", vhost_limits_json(vhost.limits())),
    ];
    definitions.extend(lists.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)));
    Value::Object(definitions)
}

fn json_of_user(user: &User) -> Value {
    json!({
        "name": &*user.name,
        "password_hash": user.password_hash(),
        "hashing_algorithm": user.hashing_algorithm().as_str(),
        "tags": user.tags(),
        "limits": user_limits_json(user.limits()),
    })
}

fn json_of_vhost(vhost: &Vhost) -> Value {
    let metadata = vhost.metadata();
    let mut fields = Map::from_iter([
        ("name".to_owned(), vhost.name.as_ref().into()),
        ("description".to_owned(), metadata.description.as_str().into()),
        ("tags".to_owned(), metadata.tags.clone().into()),
        ("metadata".to_owned(), json_of_metadata(&metadata)),
        ("limits".to_owned(), vhost_limits_json(vhost.limits())),
    ]);
    if let Some(queue_type) = metadata.default_queue_type {
        fields.insert("default_queue_type".to_owned(), queue_type.as_str().into());
    }
    Value::Object(fields)
}

fn json_of_metadata(metadata: &VhostMetadata) -> Value {
    let mut fields = Map::from_iter([
        ("description".to_owned(), metadata.description.as_str().into()),
        ("tags".to_owned(), metadata.tags.clone().into()),
    ]);
    if let Some(queue_type) = metadata.default_queue_type {
        fields.insert("default_queue_type".to_owned(), queue_type.as_str().into());
    }
    if metadata.protected_from_deletion {
        fields.insert("protected_from_deletion".to_owned(), true.into());
    }
    Value::Object(fields)
}

fn parameters(broker: &Broker, vhost: &Vhost) -> Vec<Value> {
    let json = |parameter: crate::admin::Parameter| {
        json!({
            "vhost": &*parameter.vhost, "component": &*parameter.component, "name": &*parameter.name,
            "value": parameter.value,
        })
    };
    broker.parameters(None, Some(&vhost.name)).into_iter().map(json).collect()
}

fn policies(vhost: &Vhost) -> Vec<Value> {
    let json = |policy: &Arc<Policy>| {
        json!({
            "vhost": &*vhost.name, "name": &*policy.name, "pattern": policy.pattern(),
            "apply-to": policy.apply_to.as_str(), "definition": json_of_table(&policy.definition),
            "priority": policy.priority,
        })
    };
    vhost.policies(PolicyKind::User).iter().map(json).collect()
}

/// What belongs to a connection goes with it.
fn is_lasting(queue: &Queue) -> bool {
    queue.owner.is_none()
}

fn queues(vhost: &Vhost) -> Vec<Value> {
    let mut queues = vhost.queues();
    queues.retain(|queue| is_lasting(queue));
    queues.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let json = |queue: &Arc<Queue>| {
        json!({
            "vhost": &*vhost.name, "name": &*queue.name, "durable": queue.durable, "auto_delete": queue.auto_delete,
            "type": queue.settings.queue_type.as_str(), "arguments": json_of_table(&queue.arguments),
        })
    };
    queues.iter().map(json).collect()
}

fn exchanges(vhost: &Vhost) -> Vec<Value> {
    let mut exchanges = vhost.exchanges();
    exchanges.retain(|exchange| !exchange.is_default() && !exchange.name.starts_with("amq."));
    exchanges.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let json = |exchange: &Arc<Exchange>| {
        json!({
            "vhost": &*vhost.name, "name": &*exchange.name, "type": exchange.type_name(),
            "durable": exchange.durable, "auto_delete": exchange.auto_delete, "internal": exchange.internal,
            "arguments": json_of_table(&exchange.arguments),
        })
    };
    exchanges.iter().map(json).collect()
}

fn bindings(vhost: &Vhost) -> Vec<Value> {
    let mut bindings = vhost.bindings(BindingsOf::All);
    let leads_on = |binding: &BindingFacts| {
        !binding.to_queue || vhost.queue(&binding.destination).is_ok_and(|queue| is_lasting(&queue))
    };
    bindings.retain(leads_on);
    let encoded = |table: &FieldTable| {
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        bytes
    };
    bindings.sort_by_cached_key(|binding| {
        let BindingFacts { source, destination, to_queue, routing_key, arguments, .. } = binding.clone();
        (source, to_queue, destination, routing_key, encoded(&arguments))
    });
    let json = |binding: &BindingFacts| {
        json!({
            "vhost": &*vhost.name, "source": &*binding.source, "destination": &*binding.destination,
            "destination_type": if binding.to_queue { "queue" } else { "exchange" },
            "routing_key": json_text(&binding.routing_key), "arguments": json_of_table(&binding.arguments),
        })
    };
    bindings.iter().map(json).collect()
}
