//! Who says who somebody is, and what they may do.

use super::{Key, Take, first};
use crate::settings::{AuthBackend, AuthBackendKind, LdapBind, LdapQuery, PasswordRule, Settings};

const MAX: u64 = u64::MAX;

const BACKENDS: &[&str] = &[
    "internal",
    "http",
    "oauth2",
    "oauth",
    "ldap",
    "cache",
    "rabbit_auth_backend_internal",
    "rabbit_auth_backend_http",
    "rabbit_auth_backend_oauth2",
    "rabbit_auth_backend_ldap",
    "rabbit_auth_backend_cache",
];
const CACHED: &[&str] = &[
    "internal",
    "http",
    "oauth2",
    "oauth",
    "ldap",
    "rabbit_auth_backend_internal",
    "rabbit_auth_backend_http",
    "rabbit_auth_backend_oauth2",
    "rabbit_auth_backend_ldap",
];
const NAME_SOURCES: &[&str] = &["distinguished_name", "common_name", "subject_alternative_name", "subject_alt_name"];
const SAN_TYPES: &[&str] = &["dns", "ip", "email", "uri", "other_name"];
const HASHES: &[&str] = &[
    "rabbit_password_hashing_sha256",
    "rabbit_password_hashing_sha512",
    "rabbit_password_hashing_md5",
    "sha256",
    "sha512",
    "md5",
    "argon2",
];
const VALIDATORS: &[&str] = &[
    "rabbit_credential_validator_accept_everything",
    "rabbit_credential_validator_min_password_length",
    "rabbit_credential_validator_password_regexp",
];
const BINDS: &[&str] = &["as_user", "anon"];

pub(super) const KEYS: &[Key] = &[
    Key::honoured("auth_mechanisms.$number", Take::Text(|s, _, name| s.auth.mechanisms.push(name.to_owned()))),
    Key::honoured(
        "auth_backends.$number",
        Take::Choice(BACKENDS, |s, names, name| {
            place(s, names, name);
        }),
    ),
    // One of the two alone stands for both.
    Key::honoured(
        "auth_backends.$number.authn",
        Take::Choice(BACKENDS, |s, names, name| place(s, names, name).authn = backend(name)),
    ),
    Key::honoured(
        "auth_backends.$number.authz",
        Take::Choice(BACKENDS, |s, names, name| place(s, names, name).authz = backend(name)),
    ),
    Key::honoured(
        "auth_cache.cached_backend",
        Take::Choice(CACHED, |s, _, name| s.auth.cached = AuthBackend { authn: backend(name), authz: backend(name) }),
    )
    .or("internal"),
    Key::honoured(
        "auth_cache.cached_backend.authn",
        Take::Choice(CACHED, |s, _, name| s.auth.cached.authn = backend(name)),
    ),
    Key::honoured(
        "auth_cache.cached_backend.authz",
        Take::Choice(CACHED, |s, _, name| s.auth.cached.authz = backend(name)),
    ),
    Key::honoured("auth_cache.cache_ttl", Take::Number(0, MAX, |s, _, ms| s.auth.cache_ttl_ms = ms)).or("15000"),
    Key::honoured("auth_cache.cache_refusals", Take::Bool(|s, _, is| s.auth.cache_refusals = is)).or("false"),
    Key::honoured("anonymous_login_user", Take::Text(|s, _, name| s.auth.anonymous_user = some(name))).or("guest"),
    Key::honoured("anonymous_login_pass", Take::Text(|s, _, text| s.auth.anonymous_password = text.to_owned()))
        .or("guest"),
    Key::honoured(
        "ssl_cert_login_from",
        Take::Choice(NAME_SOURCES, |s, _, text| s.auth.certificate.from = text.replace("_alt_", "_alternative_")),
    )
    .or("distinguished_name"),
    Key::honoured(
        "ssl_cert_login_san_type",
        Take::Choice(SAN_TYPES, |s, _, text| s.auth.certificate.san_type = text.to_owned()),
    )
    .or("dns"),
    Key::honoured("ssl_cert_login_san_index", Take::Number(0, MAX, |s, _, n| s.auth.certificate.san_index = n)).or("0"),
    Key::honoured(
        "password_hashing_module",
        Take::Choice(HASHES, |s, _, name| {
            let name = name.strip_prefix("rabbit_password_hashing_").unwrap_or(name);
            s.auth.password_hashing = name.to_owned();
        }),
    )
    .or("sha256"),
    Key::honoured(
        "credential_validator.validation_backend",
        Take::Choice(VALIDATORS, |s, _, name| {
            s.auth.passwords.rule = match name {
                "rabbit_credential_validator_min_password_length" => PasswordRule::Length,
                "rabbit_credential_validator_password_regexp" => PasswordRule::Pattern,
                _ => PasswordRule::None,
            }
        }),
    )
    .or("rabbit_credential_validator_accept_everything"),
    Key::honoured("credential_validator.min_length", Take::Number(0, MAX, |s, _, n| s.auth.passwords.bytes_min = n))
        .or("5"),
    Key::honoured(
        "credential_validator.regexp",
        Take::Text(|s, _, text| s.auth.passwords.pattern = Some(text.to_owned())),
    ),
    // HTTP
    Key::honoured(
        "auth_http.http_method",
        Take::Choice(&["get", "post"], |s, _, text| s.auth.http.post = text == "post"),
    )
    .or("get"),
    Key::honoured("auth_http.user_path", Take::Text(|s, _, text| s.auth.http.user_path = text.to_owned()))
        .or("http://localhost:8000/auth/user"),
    Key::honoured("auth_http.vhost_path", Take::Text(|s, _, text| s.auth.http.vhost_path = text.to_owned()))
        .or("http://localhost:8000/auth/vhost"),
    Key::honoured("auth_http.resource_path", Take::Text(|s, _, text| s.auth.http.resource_path = text.to_owned()))
        .or("http://localhost:8000/auth/resource"),
    Key::honoured("auth_http.topic_path", Take::Text(|s, _, text| s.auth.http.topic_path = text.to_owned()))
        .or("http://localhost:8000/auth/topic"),
    Key::honoured("auth_http.request_timeout", Take::Number(1, MAX, |s, _, ms| s.auth.http.request_timeout_ms = ms))
        .or("15000"),
    Key::honoured(
        "auth_http.connection_timeout",
        Take::Number(1, MAX, |s, _, ms| s.auth.http.connection_timeout_ms = ms),
    )
    .or("15000"),
    // OAuth 2
    Key::honoured(
        "auth_oauth2.resource_server_id",
        Take::Text(|s, _, text| s.auth.oauth2.resource_server_id = text.to_owned()),
    ),
    Key::honoured(
        "auth_oauth2.scope_prefix",
        Take::Text(|s, _, text| s.auth.oauth2.scope_prefix = Some(text.to_owned())),
    ),
    Key::honoured(
        "auth_oauth2.additional_scopes_key",
        Take::Text(|s, _, text| s.auth.oauth2.additional_scopes_key = Some(text.to_owned())),
    ),
    Key::honoured(
        "auth_oauth2.preferred_username_claims.$number",
        Take::Text(|s, _, text| s.auth.oauth2.preferred_username_claims.push(text.to_owned())),
    ),
    Key::honoured(
        "auth_oauth2.scope_aliases.$alias",
        Take::Text(|s, names, text| {
            s.auth.oauth2.scope_aliases.insert(first(names).to_owned(), text.to_owned());
        }),
    ),
    Key::honoured(
        "auth_oauth2.scope_aliases.$number.alias",
        Take::Text(|s, names, text| alias_pair(s, names).0 = text.to_owned()),
    ),
    Key::honoured(
        "auth_oauth2.scope_aliases.$number.scope",
        Take::Text(|s, names, text| alias_pair(s, names).1 = text.to_owned()),
    ),
    Key::honoured("auth_oauth2.verify_aud", Take::Bool(|s, _, is| s.auth.oauth2.verify_aud = is)).or("true"),
    Key::honoured(
        "auth_oauth2.default_key",
        Take::Text(|s, _, text| s.auth.oauth2.default_key = Some(text.to_owned())),
    ),
    Key::honoured(
        "auth_oauth2.signing_keys.$name",
        Take::Path(|s, names, path| {
            s.auth.oauth2.signing_keys.insert(first(names).to_owned(), path.into());
        }),
    ),
    Key::honoured("auth_oauth2.jwks_url", Take::Text(|s, _, text| s.auth.oauth2.jwks_url = Some(text.to_owned()))),
    Key::honoured("auth_oauth2.jwks_uri", Take::Text(|s, _, text| s.auth.oauth2.jwks_url = Some(text.to_owned()))),
    Key::honoured("auth_oauth2.issuer", Take::Text(|s, _, text| s.auth.oauth2.issuer = Some(text.to_owned()))),
    Key::honoured(
        "auth_oauth2.discovery_endpoint_path",
        Take::Text(|s, _, text| s.auth.oauth2.discovery_endpoint_path = Some(text.to_owned())),
    ),
    Key::honoured(
        "auth_oauth2.algorithms.$number",
        Take::Text(|s, _, text| s.auth.oauth2.algorithms.push(text.to_owned())),
    ),
    // LDAP
    Key::honoured("auth_ldap.servers", Take::None(|s, _, ()| s.auth.ldap.servers.clear())),
    Key::honoured("auth_ldap.servers.$number", Take::Text(|s, _, text| s.auth.ldap.servers.push(text.to_owned()))),
    Key::honoured(
        "auth_ldap.port",
        Take::Number(1, 65_535, |s, _, n| s.auth.ldap.port = u16::try_from(n).unwrap_or_default()),
    )
    .or("389"),
    Key::honoured("auth_ldap.timeout", Take::NumberOrInfinity(|s, _, ms| s.auth.ldap.timeout_ms = ms)).or("infinity"),
    Key::honoured("auth_ldap.user_dn_pattern", Take::Text(|s, _, text| s.auth.ldap.user_dn_pattern = text.to_owned()))
        .or("${username}"),
    Key::honoured(
        "auth_ldap.dn_lookup_attribute",
        Take::Text(|s, _, text| s.auth.ldap.dn_lookup_attribute = some(text)),
    )
    .or("none"),
    Key::honoured("auth_ldap.dn_lookup_base", Take::Text(|s, _, text| s.auth.ldap.dn_lookup_base = some(text)))
        .or("none"),
    // RabbitMQ takes them in advanced.config only.
    Key::honoured("auth_ldap.vhost_access_query", Take::Query(|s, _, query| ask(s, "vhost_access_query", query))),
    Key::honoured("auth_ldap.resource_access_query", Take::Query(|s, _, query| ask(s, "resource_access_query", query))),
    Key::honoured("auth_ldap.topic_access_query", Take::Query(|s, _, query| ask(s, "topic_access_query", query))),
    Key::honoured(
        "auth_ldap.tag_queries.$tag",
        Take::Query(|s, names, query| s.auth.ldap.tag_queries.push((first(names).to_owned(), query))),
    ),
    Key::honoured("auth_ldap.use_ssl", Take::Bool(|s, _, is| s.auth.ldap.use_ssl = is)).or("false"),
    Key::honoured("auth_ldap.use_starttls", Take::Bool(|s, _, is| s.auth.ldap.use_starttls = is)).or("false"),
    Key::honoured(
        "auth_ldap.dn_lookup_bind",
        Take::Choice(BINDS, |s, _, text| s.auth.ldap.dn_lookup_bind = bind(text)),
    )
    .or("as_user"),
    Key::honoured(
        "auth_ldap.dn_lookup_bind.user_dn",
        Take::Text(|s, _, text| bind_name(&mut s.auth.ldap.dn_lookup_bind, text)),
    ),
    Key::honoured(
        "auth_ldap.dn_lookup_bind.password",
        Take::Text(|s, _, text| bind_password(&mut s.auth.ldap.dn_lookup_bind, text)),
    ),
    Key::honoured("auth_ldap.other_bind", Take::Choice(BINDS, |s, _, text| s.auth.ldap.other_bind = bind(text)))
        .or("as_user"),
    Key::honoured(
        "auth_ldap.other_bind.user_dn",
        Take::Text(|s, _, text| bind_name(&mut s.auth.ldap.other_bind, text)),
    ),
    Key::honoured(
        "auth_ldap.other_bind.password",
        Take::Text(|s, _, text| bind_password(&mut s.auth.ldap.other_bind, text)),
    ),
];

fn backend(name: &str) -> AuthBackendKind {
    match name.strip_prefix("rabbit_auth_backend_").unwrap_or(name) {
        "http" => AuthBackendKind::Http,
        "oauth2" | "oauth" => AuthBackendKind::OAuth2,
        "ldap" => AuthBackendKind::Ldap,
        "cache" => AuthBackendKind::Cache,
        _ => AuthBackendKind::Internal,
    }
}

/// The place of the chain that a key is about; it is made of the back end named if it is not there yet.
fn place<'a>(settings: &'a mut Settings, names: &[String], name: &str) -> &'a mut AuthBackend {
    let kind = backend(name);
    let number = first(names).parse().unwrap_or(u32::MAX);
    settings.auth.backends.entry(number).or_insert(AuthBackend { authn: kind, authz: kind })
}

fn alias_pair<'a>(settings: &'a mut Settings, names: &[String]) -> &'a mut (String, String) {
    settings.auth.oauth2.scope_alias_pairs.entry(first(names).to_owned()).or_default()
}

fn ask(settings: &mut Settings, question: &str, query: LdapQuery) {
    settings.auth.ldap.queries.insert(question.to_owned(), query);
}

fn some(text: &str) -> Option<String> {
    (text != "none").then(|| text.to_owned())
}

fn bind(text: &str) -> LdapBind {
    if text == "anon" { LdapBind::Anonymous } else { LdapBind::AsUser }
}

fn bind_name(bind: &mut LdapBind, name: &str) {
    let password = if let LdapBind::As { password, .. } = bind { std::mem::take(password) } else { String::new() };
    *bind = LdapBind::As { user_dn: name.to_owned(), password };
}

fn bind_password(bind: &mut LdapBind, text: &str) {
    let user_dn = if let LdapBind::As { user_dn, .. } = bind { std::mem::take(user_dn) } else { String::new() };
    *bind = LdapBind::As { user_dn, password: text.to_owned() };
}
