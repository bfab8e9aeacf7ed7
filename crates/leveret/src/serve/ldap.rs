//! Settings of the LDAP back end.

use std::time::Duration;

use leveret_config::settings;
use leveret_server::auth::{LdapBind, LdapConfig, LdapQuery};

use super::auth::client_tls;

/// What the settings say about it.
pub(super) fn config(ldap: &settings::LdapAuth) -> LdapConfig {
    let default = LdapConfig::default();
    let query = |question: &str, default: LdapQuery| ldap.queries.get(question).map_or(default, of);
    LdapConfig {
        servers: ldap.servers.clone(),
        port: ldap.port,
        timeout: ldap.timeout_ms.map(Duration::from_millis),
        user_dn_pattern: ldap.user_dn_pattern.clone(),
        dn_lookup: ldap.dn_lookup_attribute.clone().zip(ldap.dn_lookup_base.clone()),
        dn_lookup_bind: bind(&ldap.dn_lookup_bind),
        other_bind: bind(&ldap.other_bind),
        vhost_access_query: query("vhost_access_query", default.vhost_access_query),
        resource_access_query: query("resource_access_query", default.resource_access_query),
        topic_access_query: query("topic_access_query", default.topic_access_query),
        tag_queries: if ldap.tag_queries.is_empty() {
            default.tag_queries
        } else {
            ldap.tag_queries.iter().map(|(tag, query)| (tag.clone(), of(query))).collect()
        },
        use_ssl: ldap.use_ssl,
        use_starttls: ldap.use_starttls,
        tls: client_tls(&ldap.tls),
    }
}

fn bind(bind: &settings::LdapBind) -> LdapBind {
    match bind {
        settings::LdapBind::AsUser => LdapBind::AsUser,
        settings::LdapBind::Anonymous => LdapBind::Anonymous,
        settings::LdapBind::As { user_dn, password } => {
            LdapBind::As { user_dn: user_dn.clone(), password: password.clone() }
        }
    }
}

fn of(query: &settings::LdapQuery) -> LdapQuery {
    use settings::LdapQuery as Asked;
    match query {
        Asked::Constant(answer) => LdapQuery::Constant(*answer),
        Asked::Exists(dn) => LdapQuery::Exists(dn.clone()),
        Asked::InGroup { dn, attribute } => LdapQuery::InGroup { dn: dn.clone(), attribute: attribute.clone() },
        Asked::Match { text, pattern } => LdapQuery::Match { text: text.clone(), pattern: pattern.clone() },
        Asked::Equals(left, right) => LdapQuery::Equals(left.clone(), right.clone()),
        Asked::For { variable, cases } => LdapQuery::For {
            variable: variable.clone(),
            cases: cases.iter().map(|(value, query)| (value.clone(), of(query))).collect(),
        },
        Asked::Not(query) => LdapQuery::Not(Box::new(of(query))),
        Asked::And(queries) => LdapQuery::And(queries.iter().map(of).collect()),
        Asked::Or(queries) => LdapQuery::Or(queries.iter().map(of).collect()),
    }
}
