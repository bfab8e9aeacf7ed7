//! What a broker begins with, before anybody can connect to it.

use leveret_engine::admin::DefaultUser;
use leveret_engine::broker::Broker;
use leveret_engine::definitions::{self, Options, fingerprint};
use leveret_engine::events::INTERNAL_USER;
use serde_json::Value;

use crate::error::Error;

/// What is there when the server begins to listen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// The user and vhost of a fresh data directory, but for what definitions bring; none where nothing is to come into being by
    /// itself.
    pub user: Option<DefaultUser>,
    /// The user comes into being even if definitions bring others.
    pub user_is_explicit: bool,
    /// Definitions that a fresh data directory gets, after the user.
    pub fresh: Vec<Value>,
    /// Definitions that are imported at each start, in this order.
    pub definitions: Vec<Value>,
    /// They are not imported when they are those of the last start.
    pub skip_if_unchanged: bool,
}

/// Vhost `/` and user guest.
impl Default for Seed {
    fn default() -> Self {
        Self {
            user: Some(DefaultUser::default()),
            user_is_explicit: false,
            fresh: Vec::new(),
            definitions: Vec::new(),
            skip_if_unchanged: false,
        }
    }
}

impl Seed {
    /// Whether definitions have anything in this list.
    fn bring(&self, list: &str) -> bool {
        let is_filled =
            |definitions: &Value| definitions.get(list).and_then(Value::as_array).is_some_and(|l| !l.is_empty());
        self.definitions.iter().any(is_filled)
    }
}

/// Fills a broker that is fresh, and imports definitions.
pub(crate) fn plant(broker: &Broker, seed: &Seed) -> Result<(), Error> {
    let is_fresh = broker.is_fresh();
    let brings_users = seed.bring("users");
    let user = seed.user.as_ref().filter(|_| is_fresh);
    let new_user = user.filter(|_| seed.user_is_explicit || !brings_users);
    if let Some(user) = new_user {
        broker.seed_user(user)?;
    }
    if user.is_some() && brings_users && new_user.is_none() {
        tracing::info!("the users are those of the definitions: no default user is made");
    }
    if let Some(user) = user.filter(|_| !seed.bring("vhosts")) {
        match new_user {
            Some(user) => broker.seed(user)?,
            None => broker.seed_vhost(user)?,
        };
    }
    import_at_start(broker, seed)?;
    if is_fresh {
        // After the others: they may be about vhosts that those bring.
        seed.fresh.iter().try_for_each(|definitions| import(broker, definitions))?;
    }
    if let Some(user) = new_user {
        broker.permit_everywhere(user)?;
    }
    if is_fresh {
        broker.keep_vhosts()?;
    }
    Ok(())
}

fn import_at_start(broker: &Broker, seed: &Seed) -> Result<(), Error> {
    if seed.definitions.is_empty() {
        return Ok(());
    }
    let fingerprint = fingerprint(&seed.definitions);
    if seed.skip_if_unchanged && broker.definitions_fingerprint().is_some_and(|last| last == fingerprint) {
        tracing::info!("definitions are those that were imported last: nothing is to be done");
        return Ok(());
    }
    seed.definitions.iter().try_for_each(|definitions| import(broker, definitions))?;
    if seed.skip_if_unchanged {
        broker.set_definitions_fingerprint(&fingerprint, INTERNAL_USER)?;
    }
    tracing::info!("imported {} definition file(s)", seed.definitions.len());
    Ok(())
}

fn import(broker: &Broker, definitions: &Value) -> Result<(), Error> {
    let imported = definitions::import(broker, definitions, Options { vhost: None, actor: INTERNAL_USER })?;
    for skipped in imported.skipped {
        tracing::warn!("{skipped}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leveret_engine::clock::ManualClock;
    use leveret_engine::journal::MemoryJournal;
    use leveret_engine::memory::MemoryBudget;
    use leveret_engine::services::Services;
    use serde_json::json;

    use super::*;

    fn fresh() -> Broker {
        let (journal, clock) = (Arc::<MemoryJournal>::default(), Arc::<ManualClock>::default());
        Broker::with_services(Services::new(journal, MemoryBudget::default(), clock, 7))
    }

    /// Names of the vhosts and users that come of it.
    fn planted(seed: &Seed) -> (Vec<String>, Vec<String>) {
        let broker = fresh();
        plant(&broker, seed).unwrap();
        let vhosts = broker.vhosts().iter().map(|vhost| vhost.name.to_string()).collect();
        (vhosts, broker.users().iter().map(|user| user.name.to_string()).collect())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_fresh_node_has_guest_and_a_vhost() {
        assert_eq!(planted(&Seed::default()), (names(&["/"]), names(&["guest"])));
        assert_eq!(planted(&Seed { user: None, ..Seed::default() }), (Vec::new(), Vec::new()));
        let user = DefaultUser { name: "me".to_owned(), vhost: "mine".to_owned(), ..DefaultUser::default() };
        assert_eq!(planted(&Seed { user: Some(user), ..Seed::default() }), (names(&["mine"]), names(&["me"])));
    }

    #[test]
    fn definitions_take_the_place_of_what_they_bring() {
        let users = json!({"users": [{"name": "u", "password": "p", "tags": ""}]});
        let vhosts = json!({"vhosts": [{"name": "v"}]});
        let with = |definitions: &[&Value]| Seed {
            definitions: definitions.iter().copied().cloned().collect(),
            ..Seed::default()
        };
        assert_eq!(planted(&with(&[&users, &vhosts])), (names(&["v"]), names(&["u"])));
        assert_eq!(planted(&with(&[&users])), (names(&["/"]), names(&["u"])));
        assert_eq!(planted(&with(&[&vhosts])), (names(&["v"]), names(&["guest"])));
        let queues = json!({"queues": [{"name": "q", "vhost": "/"}]});
        assert_eq!(planted(&with(&[&queues])), (names(&["/"]), names(&["guest"])));
        let explicit = Seed { user_is_explicit: true, ..with(&[&users, &vhosts]) };
        let broker = fresh();
        plant(&broker, &explicit).unwrap();
        assert!(broker.user("guest").unwrap().may_enter("v"), "who was asked for may use what there is");
        let more = Seed { fresh: vec![json!({"vhosts": [{"name": "more"}]})], ..Seed::default() };
        assert_eq!(planted(&more), (names(&["/", "more"]), names(&["guest"])));
    }

    #[test]
    fn unchanged_definitions_may_be_skipped() {
        let (broker, policy) = (
            fresh(),
            |pattern: &str| json!({"policies": [{"vhost": "/", "name": "p", "pattern": pattern, "definition": {"expires": 1}}]}),
        );
        let clear = || broker.clear_policy("/", leveret_engine::policy::PolicyKind::User, "p", INTERNAL_USER).is_ok();
        let seed = |pattern, skip_if_unchanged| Seed {
            definitions: vec![policy(pattern)],
            skip_if_unchanged,
            ..Seed::default()
        };
        plant(&broker, &seed("a", true)).unwrap();
        assert!(clear());
        import_at_start(&broker, &seed("a", true)).unwrap();
        assert!(!clear(), "nothing was imported");
        import_at_start(&broker, &seed("b", true)).unwrap();
        assert!(clear());
        import_at_start(&broker, &seed("b", false)).unwrap();
        assert!(clear());
        assert!(broker.global_parameters().iter().all(|parameter| !parameter.name.contains("hash")));
    }

    #[test]
    fn wrong_definitions_end_the_start() {
        let seed =
            Seed { definitions: vec![json!({"queues": [{"name": "q", "vhost": "nowhere"}]})], ..Seed::default() };
        let refused = plant(&fresh(), &seed).unwrap_err();
        let text = "Please create virtual host \"nowhere\" prior to importing definitions.";
        assert_eq!(refused.to_string(), format!("cannot import definitions: {text}"));
    }
}
