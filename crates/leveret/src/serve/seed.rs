//! What the broker begins with: the first user, more of them, and definitions.

use std::fs;
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use leveret_config::settings::{self, Settings};
use leveret_server::Seed;
use leveret_server::engine::admin::DefaultUser;
use serde_json::{Map, Value, json};

/// What the settings say about it.
pub(super) fn config(settings: &Settings) -> Result<Seed, String> {
    let definitions = settings.definitions.path.as_deref().map_or_else(|| Ok(Vec::new()), definitions)?;
    let seed = &settings.seed;
    let user = DefaultUser {
        name: seed.user.clone(),
        password: seed.password.clone(),
        tags: seed.tags.clone(),
        vhost: seed.vhost.clone(),
        permissions: [&seed.permissions.configure, &seed.permissions.write, &seed.permissions.read].map(String::clone),
    };
    let has_user = seed.is_user_explicit || names(&definitions, "users").is_empty();
    let fresh = beginnings(seed, &vhosts(seed, &definitions), has_user)?;
    Ok(Seed {
        user: Some(user),
        user_is_explicit: seed.is_user_explicit,
        fresh: fresh.into_iter().collect(),
        definitions,
        skip_if_unchanged: settings.definitions.skip_if_unchanged,
    })
}

/// The definitions of a file, or of the files of a folder in the order of their names.
fn definitions(path: &Path) -> Result<Vec<Value>, String> {
    let failed = |error: std::io::Error| format!("cannot load definitions from {}: {error}", path.display());
    let mut paths: Vec<PathBuf> = if path.is_dir() {
        let entries = fs::read_dir(path).map_err(failed)?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        paths.filter(|path| is_json(path) && !is_hidden(path)).collect()
    } else {
        vec![path.to_owned()]
    };
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Value, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot load definitions from {}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let value: Value = serde_json::from_str(text).map_err(|error| failed(&error))?;
    if value.is_object() { Ok(value) } else { Err(failed(&"expected a JSON object")) }
}

/// The names in a list of definitions.
fn names<'a>(definitions: &'a [Value], list: &str) -> Vec<&'a str> {
    let items = definitions.iter().filter_map(|definitions| definitions.get(list)?.as_array()).flatten();
    items.filter_map(|item| item.get("name")?.as_str()).collect()
}

/// The virtual hosts that there will be.
fn vhosts<'a>(seed: &'a settings::Seed, definitions: &'a [Value]) -> Vec<&'a str> {
    let mut vhosts = names(definitions, "vhosts");
    if vhosts.is_empty() {
        vhosts.push(&seed.vhost);
    }
    vhosts.extend(seed.vhosts.iter().map(String::as_str));
    vhosts
}

/// More virtual hosts, users, policies and limits, as definitions; none if there are none.
fn beginnings(seed: &settings::Seed, vhosts: &[&str], has_user: bool) -> Result<Option<Value>, String> {
    let mut lists = Map::new();
    let mut push = |list: &str, value: Value| {
        if let Some(items) = lists.entry(list.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
            items.push(value);
        }
    };
    for vhost in &seed.vhosts {
        push("vhosts", json!({ "name": vhost }));
        if has_user {
            push("permissions", permission(&seed.user, vhost, &seed.permissions));
        }
    }
    for (name, user) in &seed.users {
        let password = user.password.as_deref();
        push(
            "users",
            match password {
                Some(password) => json!({ "name": name, "password": password, "tags": user.tags }),
                None => json!({ "name": name, "password_hash": "", "tags": user.tags }),
            },
        );
        for vhost in matching(vhosts, user.vhost_pattern.as_deref())? {
            push("permissions", permission(name, vhost, &user.permissions));
        }
    }
    for (name, policy) in &seed.operator_policies {
        for vhost in matching(vhosts, policy.vhost_pattern.as_deref())? {
            let value = json!({
                "pattern": policy.queue_pattern.as_deref().unwrap_or(".*"),
                "definition": policy.definition,
                "priority": 0,
                "apply-to": "queues",
            });
            push("parameters", json!({ "component": "operator_policy", "vhost": vhost, "name": name, "value": value }));
        }
    }
    for limits in seed.vhost_limits.values() {
        let mut value = Map::new();
        for (name, limit) in [("max-connections", limits.max_connections), ("max-queues", limits.max_queues)] {
            value.extend(limit.map(|limit| (name.to_owned(), json!(limit))));
        }
        for vhost in matching(vhosts, limits.pattern.as_deref())? {
            push(
                "parameters",
                json!({ "component": "vhost-limits", "vhost": vhost, "name": "limits", "value": value }),
            );
        }
    }
    Ok((!lists.is_empty()).then_some(Value::Object(lists)))
}

fn permission(user: &str, vhost: &str, patterns: &settings::Permissions) -> Value {
    let settings::Permissions { configure, write, read } = patterns;
    json!({ "user": user, "vhost": vhost, "configure": configure, "write": write, "read": read })
}

fn matching<'a>(vhosts: &[&'a str], pattern: Option<&str>) -> Result<Vec<&'a str>, String> {
    let pattern = pattern.unwrap_or(".*");
    let pattern = Regex::new(pattern).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
    Ok(vhosts.iter().copied().filter(|vhost| pattern.is_match(vhost).unwrap_or(false)).collect())
}

#[cfg(test)]
mod tests {
    use leveret_config::settings::{SeedPolicy, SeedUser, VhostLimits};

    use super::*;

    #[test]
    fn nothing_more_is_nothing() {
        assert_eq!(beginnings(&settings::Seed::default(), &["/"], true), Ok(None));
    }

    #[test]
    fn more_of_everything_becomes_definitions() {
        let mut seed =
            settings::Seed { user: "ann".into(), vhost: "/".into(), vhosts: vec!["a".into()], ..Default::default() };
        let user = SeedUser { vhost_pattern: Some("^a".into()), password: Some("p".into()), ..Default::default() };
        seed.users.insert("bob".into(), user);
        let definition = [("message-ttl".to_owned(), 5)].into_iter().collect();
        seed.operator_policies.insert("short".into(), SeedPolicy { definition, ..Default::default() });
        seed.vhost_limits.insert("1".into(), VhostLimits { max_queues: Some(3), ..Default::default() });
        let told = beginnings(&seed, &vhosts(&seed, &[]), true).unwrap().unwrap();
        assert_eq!(told["vhosts"], json!([{ "name": "a" }]));
        assert_eq!(told["users"], json!([{ "name": "bob", "password": "p", "tags": [] }]));
        assert_eq!(told["permissions"].as_array().unwrap().len(), 2);
        assert_eq!(told["parameters"].as_array().unwrap().len(), 4);
        assert_eq!(told["parameters"][0]["value"]["definition"], json!({ "message-ttl": 5 }));
        assert_eq!(told["parameters"][2]["value"], json!({ "max-queues": 3 }));
    }

    #[test]
    fn the_vhosts_of_definitions_count() {
        let seed =
            settings::Seed { user: "ann".into(), vhost: "/".into(), vhosts: vec!["a".into()], ..Default::default() };
        let definitions = [json!({ "vhosts": [{ "name": "shop" }], "users": [{ "name": "x" }] })];
        assert_eq!(vhosts(&seed, &definitions), ["shop", "a"]);
        assert_eq!(vhosts(&seed, &[]), ["/", "a"]);
        let told = beginnings(&seed, &["shop", "a"], false).unwrap().unwrap();
        assert_eq!(told, json!({ "vhosts": [{ "name": "a" }] }));
    }

    #[test]
    fn a_pattern_must_be_one() {
        let mut seed = settings::Seed::default();
        seed.users.insert("bob".into(), SeedUser { vhost_pattern: Some("(".into()), ..Default::default() });
        assert!(beginnings(&seed, &["/"], true).is_err());
    }

    #[test]
    fn definitions_come_from_a_file_or_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("b.json", "\u{feff}{\"b\":1}"), ("a.json", r#"{"a":1}"#), ("c.txt", "no"), (".d.json", "no")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(definitions(folder.path()), Ok(vec![json!({ "a": 1 }), json!({ "b": 1 })]));
        assert_eq!(definitions(&folder.path().join("a.json")), Ok(vec![json!({ "a": 1 })]));
        for name in ["c.txt", "nowhere.json"] {
            let error = definitions(&folder.path().join(name)).unwrap_err();
            assert!(error.starts_with("cannot load definitions from "), "{error}");
        }
    }
}
