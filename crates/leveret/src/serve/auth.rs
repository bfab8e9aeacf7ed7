//! Settings of logins.

use std::time::Duration;

use fancy_regex::Regex;
use leveret_config::settings::{self, AuthBackendKind, PasswordRules, Settings, TlsVerify};
use leveret_server::auth::{AuthConfig, Backend, BackendKind, ClientTls, HttpConfig, Mechanism, OAuth2Config};
use leveret_server::engine::password::PasswordRule;
use leveret_server::tls::{CertificateLogin, SanKind};

/// What the settings say about logins.
pub(super) fn config(settings: &Settings) -> Result<AuthConfig, String> {
    let auth = &settings.auth;
    let mechanisms = auth.mechanisms.iter().map(|name| {
        Mechanism::from_name(name).ok_or_else(|| format!("auth_mechanisms: the mechanism {name} is not known"))
    });
    Ok(AuthConfig {
        mechanisms: mechanisms.collect::<Result<_, _>>()?,
        anonymous: auth.anonymous_user.clone().map(|user| (user, auth.anonymous_password.clone())),
        loopback_users: settings.seed.loopback_users.clone(),
        backends: auth.backends.values().map(backend).collect::<Result<_, _>>()?,
        cached: backend(&auth.cached)?,
        cache_ttl: Duration::from_millis(auth.cache_ttl_ms),
        cache_refusals: auth.cache_refusals,
        http: http(&auth.http),
        oauth2: oauth2(&auth.oauth2),
        #[cfg(feature = "ldap")]
        ldap: super::ldap::config(&auth.ldap),
    })
}

/// Which passwords users may have.
pub(super) fn password_rule(rules: &PasswordRules) -> Result<PasswordRule, String> {
    Ok(match (rules.rule, &rules.pattern) {
        (settings::PasswordRule::Length, _) => {
            PasswordRule::BytesMin(usize::try_from(rules.bytes_min).unwrap_or(usize::MAX))
        }
        (settings::PasswordRule::Pattern, Some(pattern)) => {
            Regex::new(pattern).map_err(|error| format!("credential_validator.regexp: {error}"))?;
            PasswordRule::Matches(pattern.clone())
        }
        _ => PasswordRule::None,
    })
}

fn backend(backend: &settings::AuthBackend) -> Result<Backend, String> {
    Ok(Backend { authn: kind(backend.authn)?, authz: kind(backend.authz)? })
}

fn kind(kind: AuthBackendKind) -> Result<BackendKind, String> {
    Ok(match kind {
        AuthBackendKind::Internal => BackendKind::Internal,
        AuthBackendKind::Http => BackendKind::Http,
        AuthBackendKind::OAuth2 => BackendKind::OAuth2,
        AuthBackendKind::Cache => BackendKind::Cache,
        #[cfg(feature = "ldap")]
        AuthBackendKind::Ldap => BackendKind::Ldap,
        #[cfg(not(feature = "ldap"))]
        AuthBackendKind::Ldap => return Err("auth_backends: this build has no LDAP".to_owned()),
    })
}

fn http(http: &settings::HttpAuth) -> HttpConfig {
    HttpConfig {
        post: http.post,
        user_path: http.user_path.clone(),
        vhost_path: http.vhost_path.clone(),
        resource_path: http.resource_path.clone(),
        topic_path: http.topic_path.clone(),
        request_timeout: Duration::from_millis(http.request_timeout_ms),
        connection_timeout: Duration::from_millis(http.connection_timeout_ms),
        tls: client_tls(&http.tls),
    }
}

fn oauth2(oauth2: &settings::OAuth2) -> OAuth2Config {
    OAuth2Config {
        resource_server_id: oauth2.resource_server_id.clone(),
        scope_prefix: oauth2.scope_prefix.clone(),
        additional_scopes_key: oauth2.additional_scopes_key.clone(),
        preferred_username_claims: oauth2.preferred_username_claims.clone(),
        scope_aliases: oauth2.scope_aliases.clone(),
        verify_aud: oauth2.verify_aud,
        default_key: oauth2.default_key.clone(),
        signing_keys: oauth2.signing_keys.clone(),
        jwks_url: oauth2.jwks_url.clone(),
        issuer: oauth2.issuer.clone(),
        discovery_endpoint_path: oauth2.discovery_endpoint_path.clone(),
        algorithms: oauth2.algorithms.clone(),
        tls: client_tls(&oauth2.tls),
    }
}

pub(super) fn client_tls(tls: &settings::Tls) -> ClientTls {
    ClientTls {
        cacertfile: tls.ca_file.clone(),
        certfile: tls.cert_file.clone(),
        keyfile: tls.key_file.clone(),
        password: tls.key_password.clone(),
        verify_peer: tls.verify != Some(TlsVerify::None),
    }
}

/// Who a client certificate stands for.
pub(super) fn certificate_login(login: &settings::CertificateLogin) -> CertificateLogin {
    match login.from.as_str() {
        "common_name" => CertificateLogin::CommonName,
        "subject_alternative_name" => CertificateLogin::SubjectAlternativeName {
            kind: match login.san_type.as_str() {
                "ip" => SanKind::Ip,
                "email" => SanKind::Email,
                "uri" => SanKind::Uri,
                "other_name" => SanKind::OtherName,
                _ => SanKind::Dns,
            },
            index: usize::try_from(login.san_index).unwrap_or(usize::MAX),
        },
        _ => CertificateLogin::DistinguishedName,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_passwords_are_checked() {
        let rules =
            |rule, pattern: Option<&str>| PasswordRules { rule, bytes_min: 8, pattern: pattern.map(str::to_owned) };
        assert_eq!(password_rule(&rules(settings::PasswordRule::None, Some("("))), Ok(PasswordRule::None));
        assert_eq!(password_rule(&rules(settings::PasswordRule::Length, None)), Ok(PasswordRule::BytesMin(8)));
        let wrong = password_rule(&rules(settings::PasswordRule::Pattern, Some("("))).unwrap_err();
        assert!(wrong.starts_with("credential_validator.regexp: "), "{wrong}");
    }
}
