//! What a fresh node starts with.

use super::{Key, Take, first};
use crate::settings::{SeedPolicy, SeedUser, Settings, VhostLimits};

const MAX: u64 = u64::MAX;

pub(super) const KEYS: &[Key] = &[
    Key::honoured("default_user", Take::Text(|s, _, name| s.seed.user = name.to_owned())).or("guest"),
    Key::honoured("default_pass", Take::Text(|s, _, text| s.seed.password = text.to_owned())).or("guest"),
    Key::honoured("default_vhost", Take::Text(|s, _, name| s.seed.vhost = name.to_owned())).or("/"),
    Key::honoured(
        "default_user_tags.$tag",
        Take::Bool(|s, names, is| s.seed.tags.extend(is.then(|| first(names).to_owned()))),
    ),
    Key::honoured(
        "default_permissions.configure",
        Take::Text(|s, _, text| s.seed.permissions.configure = text.to_owned()),
    )
    .or(".*"),
    Key::honoured("default_permissions.read", Take::Text(|s, _, text| s.seed.permissions.read = text.to_owned()))
        .or(".*"),
    Key::honoured("default_permissions.write", Take::Text(|s, _, text| s.seed.permissions.write = text.to_owned()))
        .or(".*"),
    Key::honoured("loopback_users", Take::None(|s, _, ()| s.seed.loopback_users.clear())),
    Key::honoured(
        "loopback_users.$user",
        Take::Bool(|s, names, is| s.seed.loopback_users.extend(is.then(|| first(names).to_owned()))),
    ),
    Key::honoured(
        "default_users.$name.vhost_pattern",
        Take::Text(|s, names, text| user(s, names).vhost_pattern = Some(text.to_owned())),
    ),
    Key::honoured(
        "default_users.$name.password",
        Take::Text(|s, names, text| user(s, names).password = Some(text.to_owned())),
    ),
    Key::honoured(
        "default_users.$name.configure",
        Take::Text(|s, names, text| user(s, names).permissions.configure = text.to_owned()),
    ),
    Key::honoured(
        "default_users.$name.read",
        Take::Text(|s, names, text| user(s, names).permissions.read = text.to_owned()),
    ),
    Key::honoured(
        "default_users.$name.write",
        Take::Text(|s, names, text| user(s, names).permissions.write = text.to_owned()),
    ),
    Key::honoured("default_users.$name.tags", Take::Words(|s, names, tags| user(s, names).tags = tags)),
    Key::honoured(
        "default_policies.operator.$id.vhost_pattern",
        Take::Text(|s, names, text| policy(s, names).vhost_pattern = Some(text.to_owned())),
    ),
    Key::honoured(
        "default_policies.operator.$id.queue_pattern",
        Take::Text(|s, names, text| policy(s, names).queue_pattern = Some(text.to_owned())),
    ),
    Key::honoured(
        "default_policies.operator.$id.expires",
        Take::Duration(|s, names, ms| define(s, names, "expires", ms)),
    ),
    Key::honoured(
        "default_policies.operator.$id.message_ttl",
        Take::Duration(|s, names, ms| define(s, names, "message-ttl", ms)),
    ),
    Key::honoured(
        "default_policies.operator.$id.max_length",
        Take::Number(1, MAX, |s, names, n| define(s, names, "max-length", n)),
    ),
    Key::honoured(
        "default_policies.operator.$id.max_length_bytes",
        Take::BinaryBytes(|s, names, n| define(s, names, "max-length-bytes", n)),
    ),
    Key::honoured(
        "default_policies.operator.$id.max_in_memory_bytes",
        Take::BinaryBytes(|s, names, n| define(s, names, "max-in-memory-bytes", n)),
    ),
    Key::honoured(
        "default_policies.operator.$id.max_in_memory_length",
        Take::Number(1, MAX, |s, names, n| define(s, names, "max-in-memory-length", n)),
    ),
    Key::honoured(
        "default_policies.operator.$id.delivery_limit",
        Take::Number(1, MAX, |s, names, n| define(s, names, "delivery-limit", n)),
    ),
    Key::honoured(
        "default_limits.vhosts.$id.pattern",
        Take::Text(|s, names, text| limits(s, names).pattern = Some(text.to_owned())),
    ),
    Key::honoured(
        "default_limits.vhosts.$id.max_connections",
        Take::Number(1, MAX, |s, names, n| limits(s, names).max_connections = Some(n)),
    ),
    Key::honoured(
        "default_limits.vhosts.$id.max_queues",
        Take::Number(1, MAX, |s, names, n| limits(s, names).max_queues = Some(n)),
    ),
];

fn user<'a>(settings: &'a mut Settings, names: &[String]) -> &'a mut SeedUser {
    settings.seed.users.entry(first(names).to_owned()).or_default()
}

fn policy<'a>(settings: &'a mut Settings, names: &[String]) -> &'a mut SeedPolicy {
    settings.seed.operator_policies.entry(first(names).to_owned()).or_default()
}

fn define(settings: &mut Settings, names: &[String], key: &str, number: u64) {
    policy(settings, names).definition.insert(key.to_owned(), number);
}

fn limits<'a>(settings: &'a mut Settings, names: &[String]) -> &'a mut VhostLimits {
    settings.seed.vhost_limits.entry(first(names).to_owned()).or_default()
}
