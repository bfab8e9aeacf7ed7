//! OAuth 2 scopes: `read:vhost/name`, `write:vhost/name/key`, with `*` for anything and `%2F` for a slash.

use leveret_engine::permission::Verb;
use serde_json::Value;

use super::jwt::Claims;

/// Where Keycloak's requesting party tokens hold scopes.
const REQUESTING_PARTY_PATH: &str = "authorization.permissions.scopes";

/// What a scope that gives a tag begins with.
const TAG: &str = "tag:";

/// What a scope grants.
struct Grant<'a> {
    verb: Verb,
    vhost: &'a str,
    name: &'a str,
    key: Option<&'a str>,
}

impl<'a> Grant<'a> {
    fn parse(scope: &'a str) -> Option<Self> {
        let (verb, resource) = scope.split_once(':')?;
        let verb = [Verb::Configure, Verb::Write, Verb::Read].into_iter().find(|known| known.as_str() == verb)?;
        let mut parts = resource.split('/');
        let grant = Self { verb, vhost: parts.next()?, name: parts.next()?, key: parts.next() };
        parts.next().is_none().then_some(grant)
    }
}

/// Whether a vhost may be entered: when there is any right in it.
pub(super) fn allow_vhost(scopes: &[String], claims: &Claims, vhost: &str) -> bool {
    scopes.iter().any(|scope| {
        let scope = filled_in(scope, claims, vhost);
        Grant::parse(&scope).is_some_and(|grant| matches(grant.vhost, vhost))
    })
}

/// Whether something may be done to a resource.
pub(super) fn allow_resource(scopes: &[String], claims: &Claims, vhost: &str, verb: Verb, name: &str) -> bool {
    scopes.iter().any(|scope| {
        let scope = filled_in(scope, claims, vhost);
        let grants = |grant: &Grant<'_>| grant.verb == verb && matches(grant.vhost, vhost) && matches(grant.name, name);
        Grant::parse(&scope).is_some_and(|grant| grants(&grant))
    })
}

/// Whether a routing key may be used. Scopes without a pattern for keys do not allow any.
pub(super) fn allow_key(scopes: &[String], claims: &Claims, vhost: &str, verb: Verb, name: &str, key: &str) -> bool {
    scopes.iter().any(|scope| {
        let scope = filled_in(scope, claims, vhost);
        Grant::parse(&scope).is_some_and(|grant| {
            grant.verb == verb
                && matches(grant.vhost, vhost)
                && matches(grant.name, name)
                && grant.key.is_some_and(|pattern| matches(pattern, key))
        })
    })
}

/// The tags that scopes give.
pub(super) fn tags(scopes: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = scopes.iter().filter_map(|scope| scope.strip_prefix(TAG)).map(str::to_owned).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// Whether a pattern with `*`s fits a text. What stands between them is percent-encoded.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*').map(decoded);
    let Some(first) = parts.next() else { return false };
    let mut parts: Vec<String> = parts.collect();
    let Some(last) = parts.pop() else { return first == text };
    let Some(rest) = text.strip_prefix(&*first) else { return false };
    let Some(mut rest) = rest.strip_suffix(&*last) else { return false };
    for part in &parts {
        match rest.split_once(&**part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A scope with `{vhost}` and `{claim}` filled in. A claim that is no text stands for its own name.
fn filled_in(scope: &str, claims: &Claims, vhost: &str) -> String {
    let mut filled = String::with_capacity(scope.len());
    let mut rest = scope;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { return String::new() };
        filled.push_str(before);
        filled.push_str(match name {
            "vhost" => vhost,
            _ => claims.get(name).and_then(Value::as_str).unwrap_or(name),
        });
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// How scopes are found in claims.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The audience that is ours.
    pub(super) audience: String,
    /// What our scopes begin with.
    pub(super) prefix: String,
    /// Paths to more of them.
    pub(super) more: Vec<String>,
    /// What some of them stand for.
    pub(super) aliases: std::collections::BTreeMap<String, String>,
}

impl Places {
    /// All scopes that are meant for us, without their prefix.
    pub(super) fn scopes(&self, claims: &Claims) -> Vec<String> {
        let mut all = Vec::new();
        for path in [REQUESTING_PARTY_PATH].into_iter().chain(self.more.iter().map(String::as_str)) {
            let keys: Vec<&str> = path.split('.').filter(|key| !key.is_empty()).collect();
            self.find(claims, &keys, &mut all);
        }
        self.scopes_in(claims.get("scope"), &mut all);
        let aliases: Vec<&String> = all.iter().filter_map(|scope| self.aliases.get(scope)).collect();
        let meant: Vec<String> = aliases.iter().flat_map(|scopes| words(scopes)).collect();
        all.extend(meant);
        let mut ours: Vec<String> =
            all.iter().filter_map(|scope| scope.strip_prefix(&*self.prefix)).map(str::to_owned).collect();
        ours.sort();
        ours.dedup();
        ours
    }

    fn find(&self, object: &Claims, path: &[&str], all: &mut Vec<String>) {
        let Some((key, rest)) = path.split_first() else { return };
        match object.get(*key) {
            value if rest.is_empty() => self.scopes_in(value, all),
            Some(Value::Object(object)) => self.find(object, rest, all),
            Some(Value::Array(objects)) => {
                objects.iter().filter_map(Value::as_object).for_each(|object| self.find(object, rest, all));
            }
            _ => {}
        }
    }

    fn scopes_in(&self, value: Option<&Value>, all: &mut Vec<String>) {
        match value {
            Some(Value::String(text)) => all.extend(words(text)),
            Some(Value::Array(list)) => all.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
            // By audience, without the prefix.
            Some(Value::Object(object)) => {
                let mut own = Vec::new();
                if let Some(value @ (Value::String(_) | Value::Array(_))) = object.get(&self.audience) {
                    self.scopes_in(Some(value), &mut own);
                }
                all.extend(own.iter().map(|scope| format!("{}.{scope}", self.audience)));
            }
            _ => {}
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    fn owned(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn patterns_have_stars_and_percents() {
        assert!(matches("*", "") && matches("*", "anything") && matches("a*c", "abc") && matches("a*b*c", "a-b-b-c"));
        assert!(matches("%2F", "/") && matches("a%2A", "a*") && matches("a+b", "a b") && matches("", ""));
        assert!(!matches("a", "ab") && !matches("a*a", "a") && !matches("*b*", "acd") && !matches("", "x"));
    }

    #[test]
    fn a_right_in_a_vhost_opens_it_and_goes_no_further() {
        let scopes = owned(&["read:%2F/orders*", "write:test/*/eu.*", "configure:%2F/a/b/c", "nonsense"]);
        let none = Claims::new();
        assert!(allow_vhost(&scopes, &none, "/") && allow_vhost(&scopes, &none, "test"));
        assert!(!allow_vhost(&scopes, &none, "other"));
        let may = |vhost: &str, verb, name: &str| allow_resource(&scopes, &none, vhost, verb, name);
        assert!(may("/", Verb::Read, "orders.1") && may("test", Verb::Write, "any"));
        assert!(
            !may("/", Verb::Write, "orders.1") && !may("/", Verb::Read, "bills") && !may("/", Verb::Configure, "a")
        );
        let key = |vhost: &str, verb, key: &str| allow_key(&scopes, &none, vhost, verb, "orders", key);
        assert!(key("test", Verb::Write, "eu.de") && !key("test", Verb::Write, "us.ny"));
        // No pattern for keys allows none.
        assert!(!key("/", Verb::Read, "eu.de"));
    }

    #[test]
    fn scopes_may_have_variables() {
        let claims = claims(json!({"sub": "bob", "n": 1}));
        let scopes = owned(&["read:{vhost}/{sub}-*", "write:*/{n}"]);
        assert!(allow_resource(&scopes, &claims, "v1", Verb::Read, "bob-1"));
        assert!(!allow_resource(&scopes, &claims, "v1", Verb::Read, "eve-1"));
        assert!(allow_resource(&scopes, &claims, "v1", Verb::Write, "n"));
        assert!(!allow_vhost(&owned(&["read:{vhost/x"]), &claims, "v1"));
    }

    #[test]
    fn scopes_are_found_wherever_they_may_be() {
        let places = Places {
            audience: "rabbitmq".to_owned(),
            prefix: "rabbitmq.".to_owned(),
            more: owned(&["roles", "extra.list"]),
            aliases: BTreeMap::from([("admin".to_owned(), "rabbitmq.tag:administrator rabbitmq.read:*/*".to_owned())]),
        };
        let scopes = |value| places.scopes(&claims(value));
        assert_eq!(scopes(json!({"scope": "rabbitmq.read:a/b other.read:c/d"})), ["read:a/b"]);
        assert_eq!(scopes(json!({"scope": ["rabbitmq.write:a/b", "rabbitmq.write:a/b"]})), ["write:a/b"]);
        assert_eq!(scopes(json!({"roles": {"rabbitmq": ["read:x/y"], "other": ["read:z/z"]}})), ["read:x/y"]);
        assert_eq!(
            scopes(json!({"extra": [{"list": "rabbitmq.read:1/2"}, {"list": ["rabbitmq.read:3/4"]}]})),
            ["read:1/2", "read:3/4"]
        );
        let party = json!({"authorization": {"permissions": [{"scopes": ["rabbitmq.read:p/q"]}]}});
        assert_eq!(scopes(party), ["read:p/q"]);
        assert_eq!(scopes(json!({"scope": "admin"})), ["read:*/*", "tag:administrator"]);
        assert_eq!(tags(&owned(&["tag:monitoring", "tag:administrator", "read:*/*"])), ["administrator", "monitoring"]);
        assert!(scopes(json!({"scope": 1, "roles": {"rabbitmq": 2}})).is_empty());
    }
}
