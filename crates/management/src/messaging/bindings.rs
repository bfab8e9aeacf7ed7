//! Bindings, and what they are called in paths.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_codec::table::FieldTable;
use leveret_server::engine::effects::Effects;
use leveret_server::engine::error::Error;
use leveret_server::engine::json::{json_of_table, json_text};
use leveret_server::engine::permission::{Resource as Thing, Verb};
use leveret_server::engine::vhost::{BindingFacts, BindingKey, BindingsOf, Vhost};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::{Call, find_by_name};
use crate::http::query::{percent_decoded, percent_encoded};
use crate::http::routes::{Answer, Resource, Right};
use crate::messaging::queues::{NO_CONNECTION, arguments};

pub(super) fn resources() -> Vec<Resource> {
    let visible = Right::VhostVisible;
    vec![
        Resource::at("/api/bindings").get(Right::User, "All bindings that the user sees", list),
        Resource::at("/api/bindings/{vhost}").get(visible, "The bindings of a vhost", list),
        Resource::at("/api/bindings/{vhost}/e/{source}/{kind}/{destination}")
            .get(visible, "The bindings between an exchange and a queue (q) or an exchange (e)", between)
            .post(Right::Vhost, "Bind a queue or an exchange to an exchange; fields routing_key, arguments", bind),
        Resource::at("/api/bindings/{vhost}/e/{source}/{kind}/{destination}/{props}")
            .get(visible, "A binding by its properties_key", get)
            .delete(Right::Vhost, "Unbind", unbind),
        Resource::at("/api/queues/{vhost}/{queue}/bindings").get(visible, "The bindings of a queue", of_queue),
        Resource::at("/api/exchanges/{vhost}/{exchange}/bindings/source").get(
            visible,
            "The bindings that come from an exchange",
            from_exchange,
        ),
        Resource::at("/api/exchanges/{vhost}/{exchange}/bindings/destination").get(
            visible,
            "The bindings that lead to an exchange",
            to_exchange,
        ),
    ]
}

/// What a binding is called in a path: its key in quotes, and where it has arguments a number made of them.
fn properties_key(routing_key: &[u8], arguments: &FieldTable) -> String {
    if routing_key.is_empty() && arguments.0.is_empty() {
        return "~".to_owned();
    }
    let quoted = routing_key.iter().map(|&byte| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let quoted: String = quoted.collect();
    if arguments.0.is_empty() { quoted } else { format!("{quoted}~{}", digest(arguments)) }
}

/// Tells arguments apart that have the same key, whatever their order (FNV-1a).
fn digest(arguments: &FieldTable) -> String {
    let mut sorted = arguments.clone();
    sorted.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut encoded = Vec::new();
    sorted.encode(&mut encoded);
    let digest = encoded.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    URL_SAFE_NO_PAD.encode(digest.to_be_bytes())
}

/// Whether a binding is the one that a path calls `props`.
fn is_called(binding: &BindingFacts, props: &str) -> bool {
    let (key, hash) = match props.split_once('~') {
        None => (props, None),
        Some((key, "")) => (key, None),
        Some((key, hash)) => (key, Some(hash)),
    };
    let key = percent_decoded(&key.replace('+', " "));
    let is_same_key =
        key.as_bytes() == &*binding.routing_key || properties_key(&binding.routing_key, &FieldTable::default()) == key;
    is_same_key
        && match hash {
            None => binding.arguments.0.is_empty(),
            Some(hash) => !binding.arguments.0.is_empty() && digest(&binding.arguments) == hash,
        }
}

fn binding_json(vhost: &Vhost, binding: &BindingFacts) -> Value {
    json!({
        "source": &*binding.source,
        "vhost": &*vhost.name,
        "destination": &*binding.destination,
        "destination_type": if binding.to_queue { "queue" } else { "exchange" },
        "routing_key": json_text(&binding.routing_key),
        "arguments": json_of_table(&binding.arguments),
        "properties_key": properties_key(&binding.routing_key, &binding.arguments),
    })
}

/// The bindings that there are without having been made: each queue's to the default exchange.
fn implicit(vhost: &Vhost) -> Vec<BindingFacts> {
    vhost.queues().iter().map(|queue| implicit_of(&queue.name)).collect()
}

fn implicit_of(queue: &leveret_server::engine::names::Name) -> BindingFacts {
    BindingFacts {
        source: "".into(),
        destination: queue.clone(),
        to_queue: true,
        routing_key: queue.as_bytes().into(),
        arguments: FieldTable::default(),
        durable: true,
    }
}

fn in_order(a: &BindingFacts, b: &BindingFacts) -> Ordering {
    (&a.source, &a.destination, &a.routing_key).cmp(&(&b.source, &b.destination, &b.routing_key))
}

fn rows(vhost: &Vhost, mut bindings: Vec<BindingFacts>) -> Vec<Value> {
    bindings.sort_by(in_order);
    bindings.iter().map(|binding| binding_json(vhost, binding)).collect()
}

async fn list(call: Call) -> Answer {
    let vhosts = call.vhosts()?;
    let rows = vhosts.iter().flat_map(|vhost| {
        let mut all = implicit(vhost);
        all.extend(vhost.bindings(BindingsOf::All));
        rows(vhost, all)
    });
    call.list(rows.collect())
}

async fn of_queue(call: Call) -> Answer {
    let (vhost, queue) = call.queue()?;
    let mut all = vec![implicit_of(&queue.name)];
    all.extend(vhost.bindings(BindingsOf::Queue(&queue.name)));
    call.list(rows(&vhost, all))
}

async fn from_exchange(call: Call) -> Answer {
    let (vhost, exchange) = call.exchange()?;
    let all = match exchange.is_default() {
        true => implicit(&vhost),
        false => vhost.bindings(BindingsOf::Source(&exchange.name)),
    };
    call.list(rows(&vhost, all))
}

async fn to_exchange(call: Call) -> Answer {
    let (vhost, exchange) = call.exchange()?;
    call.list(rows(&vhost, vhost.bindings(BindingsOf::Exchange(&exchange.name))))
}

/// The ends that a path names, as far as they are there.
struct Ends {
    source: String,
    destination: String,
    to_queue: bool,
}

impl Ends {
    fn of(call: &Call, vhost: &Vhost) -> Result<Self, ApiError> {
        let to_queue = match call.param("kind") {
            "q" => true,
            "e" => false,
            _ => return Err(ApiError::NoObject),
        };
        let exchange = |name: &str| {
            let found = find_by_name(name, |name| vhost.exchange(name).ok().map(|exchange| exchange.name.to_string()));
            found.unwrap_or_else(|| name.to_owned())
        };
        let source = exchange(call.exchange_param("source"));
        let asked = call.param("destination");
        let destination = match to_queue {
            true => find_by_name(asked, |name| vhost.queue(name).ok().map(|queue| queue.name.to_string())),
            false => Some(exchange(call.exchange_param("destination"))),
        };
        Ok(Self { source, destination: destination.unwrap_or_else(|| asked.to_owned()), to_queue })
    }

    fn bindings(&self, vhost: &Vhost) -> Vec<BindingFacts> {
        let mut all = match self.to_queue {
            true => vhost.bindings(BindingsOf::Queue(&self.destination)),
            false => vhost.bindings(BindingsOf::Exchange(&self.destination)),
        };
        all.retain(|binding| *binding.source == self.source);
        if let (true, "", Ok(queue)) = (self.to_queue, &*self.source, vhost.queue(&self.destination)) {
            all.push(implicit_of(&queue.name));
        }
        all
    }

    /// The rights that binding and unbinding need.
    fn check(&self, call: &Call, vhost: &Vhost, key: &[u8]) -> Result<(), Error> {
        let user = &call.access.user;
        let destination = match self.to_queue {
            true => Thing::Queue(&self.destination),
            false => Thing::Exchange(&self.destination),
        };
        user.check(vhost, Verb::Write, destination)?;
        if self.source.is_empty() || !self.to_queue && self.destination.is_empty() {
            return Err(Error::DefaultExchange);
        }
        user.check(vhost, Verb::Read, Thing::Exchange(&self.source))?;
        match vhost.exchange(&self.source) {
            Ok(source) => user.check_topic(vhost, Verb::Read, &source, key),
            // That it is missing is told later.
            Err(_) => Ok(()),
        }
    }
}

async fn between(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let ends = Ends::of(&call, &vhost)?;
    call.list(rows(&vhost, ends.bindings(&vhost)))
}

fn binding(call: &Call, vhost: &Vhost) -> Result<(Ends, BindingFacts), ApiError> {
    let ends = Ends::of(call, vhost)?;
    let found = ends.bindings(vhost).into_iter().find(|binding| is_called(binding, call.param("props")));
    found.map(|binding| (ends, binding)).ok_or(ApiError::NoObject)
}

async fn get(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let (_, binding) = binding(&call, &vhost)?;
    call.one(binding_json(&vhost, &binding))
}

async fn bind(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let ends = Ends::of(&call, &vhost)?;
    let fields = call.fields()?;
    let arguments = arguments(&fields)?;
    let routing_key = fields.routing_key()?.unwrap_or_default();
    ends.check(&call, &vhost, routing_key.as_bytes())?;
    let user = call.access.name();
    let key = BindingKey { source: &ends.source, routing_key: routing_key.as_bytes(), arguments: &arguments, user };
    let mut effects = Effects::default();
    let bound = match ends.to_queue {
        true => vhost.bind_queue(&key, &ends.destination, NO_CONNECTION, &mut effects),
        false => vhost.bind_exchange(&key, &ends.destination, &mut effects),
    };
    effects.carry_out();
    call.api.durable(bound?).await?;
    let props = properties_key(routing_key.as_bytes(), &arguments);
    Ok(answer::created_at(&format!("{}/{}", percent_encoded(&ends.destination), percent_encoded(&props))))
}

async fn unbind(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let (ends, binding) = binding(&call, &vhost)?;
    ends.check(&call, &vhost, &binding.routing_key)?;
    let key = binding.key(call.access.name());
    let unbound = match ends.to_queue {
        true => vhost.unbind_queue(&key, &ends.destination, NO_CONNECTION)?,
        false => vhost.unbind_exchange(&key, &ends.destination),
    };
    call.api.durable(unbound).await?;
    Ok(answer::no_content())
}

#[cfg(test)]
mod tests {
    use leveret_codec::table::FieldValue;

    use super::*;

    fn facts(key: &str, arguments: FieldTable) -> BindingFacts {
        BindingFacts { routing_key: key.as_bytes().into(), arguments, ..implicit_of(&"q".into()) }
    }

    #[test]
    fn keys_are_quoted_as_rabbitmq_does() {
        let none = FieldTable::default();
        for (key, props) in
            [("", "~"), ("a.b/c d", "a.b%2Fc+d"), ("é", "%C3%A9"), ("k~1", "k%7E1"), ("a+b-_", "a%2Bb-_")]
        {
            assert_eq!(properties_key(key.as_bytes(), &none), props);
            assert!(is_called(&facts(key, none.clone()), props), "{key}");
        }
    }

    #[test]
    fn arguments_tell_bindings_apart_whatever_their_order() {
        let mut first = FieldTable::default();
        first.push(*b"b", FieldValue::I64(1));
        first.push(*b"a", FieldValue::I64(2));
        let second = FieldTable(first.0.iter().rev().cloned().collect());
        let mut other = first.clone();
        other.push(*b"c", FieldValue::Void);
        let props = properties_key(b"k", &first);
        assert!(props.starts_with("k~") && props == properties_key(b"k", &second));
        assert_ne!(props, properties_key(b"k", &other));
        for (arguments, is_it) in
            [(first.clone(), true), (second, true), (other, false), (FieldTable::default(), false)]
        {
            assert_eq!(is_called(&facts("k", arguments), &props), is_it);
        }
        let without_key = properties_key(b"", &first);
        assert!(is_called(&facts("", first.clone()), &without_key) && !is_called(&facts("k", first), &without_key));
    }
}
