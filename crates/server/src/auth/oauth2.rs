//! The OAuth 2 back end: the password is a token, which says who somebody is, what for, and until when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::StatusCode;
use leveret_engine::broker::Broker;
use leveret_engine::clock::Clock;
use leveret_engine::permission::{Authorizer, Resource, Verb};
use leveret_session::login::{LoginRequest, Refusal};
use parking_lot::Mutex;
use serde_json::Value;

use super::chain::{Asked, Known};
use super::config::{AuthConfigError, OAuth2Config};
use super::http::check_url;
use super::jwt::{Algorithm, Claims, Key, Token, keys_of};
use super::scope::{self, Places};
use super::waiting::wait_for;
use super::web::Web;

/// Keys are not fetched more often than this, however many tokens name keys that nobody knows.
const FETCHES_APART: Duration = Duration::from_secs(5);

/// By how much the clocks of issuers may be ahead of ours, where they say from when a token is good. RabbitMQ does not look at
/// that at all, so that nobody may be refused for a second.
const NOT_BEFORE_LEEWAY_S: u64 = 60;

/// Most scopes of a token (behaviour: RabbitMQ's).
const SCOPES_MAX: usize = 2048;

/// Patience for keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Where issuers tell about themselves.
const DISCOVERY: &str = ".well-known/openid-configuration";

/// What errors begin with.
const FAILED: &str = "Authentication using an OAuth 2/JWT token failed";

/// Whom tokens are to be from, and what for.
#[derive(Clone, Debug)]
pub(super) struct OAuth2(Arc<Issuer>);

struct Issuer {
    config: OAuth2Config,
    places: Places,
    algorithms: Vec<Algorithm>,
    /// By id, as they were configured.
    keys: BTreeMap<String, Key>,
    /// As they were fetched.
    fetched: Mutex<Fetched>,
    /// Held by who fetches them.
    turn: tokio::sync::Mutex<()>,
    web: Web,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Fetched {
    keys: BTreeMap<String, Key>,
    at: Option<Instant>,
}

/// Somebody with a token, which may be replaced.
#[derive(Debug)]
struct Bearer {
    issuer: Arc<Issuer>,
    token: ArcSwap<Proved>,
}

/// A token that is proved.
#[derive(Clone, Debug)]
struct Proved {
    name: String,
    scopes: Vec<String>,
    claims: Claims,
    expires_at_ms: u64,
}

impl OAuth2 {
    pub(super) fn new(config: &OAuth2Config, broker: &Broker) -> Result<Self, AuthConfigError> {
        if config.resource_server_id.is_empty() {
            return Err(AuthConfigError::Missing("auth_oauth2.resource_server_id"));
        }
        if config.signing_keys.is_empty() && config.jwks_url.is_none() && config.issuer.is_none() {
            return Err(AuthConfigError::Missing(
                "one of auth_oauth2.signing_keys, auth_oauth2.jwks_url, auth_oauth2.issuer",
            ));
        }
        for (key, url) in [("auth_oauth2.jwks_url", &config.jwks_url), ("auth_oauth2.issuer", &config.issuer)] {
            url.as_ref().map_or(Ok(()), |url| check_url(key, url))?;
        }
        let key = |(id, path): (&String, &std::path::PathBuf)| match Key::from_pem_file(path) {
            Ok(key) => Ok((id.clone(), key)),
            Err(reason) => Err(AuthConfigError::SigningKey { id: id.clone(), reason }),
        };
        let algorithm =
            |name: &String| Algorithm::from_name(name).ok_or_else(|| AuthConfigError::Algorithm(name.clone()));
        let audience = config.resource_server_id.clone();
        let more = config.additional_scopes_key.iter().flat_map(|key| key.split_whitespace()).map(str::to_owned);
        Ok(Self(Arc::new(Issuer {
            places: Places {
                prefix: config.scope_prefix.clone().unwrap_or_else(|| format!("{audience}.")),
                audience,
                more: more.collect(),
                aliases: config.scope_aliases.clone(),
            },
            algorithms: config.algorithms.iter().map(algorithm).collect::<Result<_, _>>()?,
            keys: config.signing_keys.iter().map(key).collect::<Result<_, _>>()?,
            fetched: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            web: Web::new(&config.tls, FETCH_TIMEOUT, FETCH_TIMEOUT)?,
            clock: Arc::clone(&broker.services.clock),
            config: config.clone(),
        })))
    }
}

impl Asked for OAuth2 {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        let token = request.password.unwrap_or_default();
        let proved = self.0.prove(token).map_err(|reason| Refusal(format!("{FAILED}: {reason}")))?;
        let (name, tags) = (proved.name.clone(), scope::tags(&proved.scopes));
        let bearer = Bearer { issuer: Arc::clone(&self.0), token: ArcSwap::from_pointee(proved) };
        Ok(Known::Other { name, tags, authorizer: Arc::new(bearer) })
    }
}

impl Issuer {
    /// Proves a token. Waits for keys, if there is none that it names.
    fn prove(&self, token: &[u8]) -> Result<Proved, String> {
        let text = str::from_utf8(token).map_err(|_| "provided token is invalid".to_owned())?;
        let token = Token::parse(text).map_err(|error| error.to_string())?;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&token.algorithm) {
            return Err("signature_invalid".to_owned());
        }
        let id = token.key_id.clone().or_else(|| self.config.default_key.clone());
        let id = id.ok_or("{error,no_key}")?;
        let key = self.key(&id).ok_or("{error,key_not_found}")?;
        let claims = token.verified(&key).map_err(|error| error.to_string())?;
        self.check_audience(&claims)?;
        let expires_at_ms = self.check_expiry(&claims)?;
        self.check_not_before(&claims)?;
        let scopes = self.places.scopes(&claims);
        if scopes.len() > SCOPES_MAX {
            return Err("{error,too_many_scopes}".to_owned());
        }
        Ok(Proved { name: self.name(&claims), scopes, claims, expires_at_ms })
    }

    /// The audience is one, or several in a list or a text.
    fn check_audience(&self, claims: &Claims) -> Result<(), String> {
        let own = &*self.config.resource_server_id;
        let is_ours = match claims.get("aud") {
            _ if !self.config.verify_aud => true,
            None => return Err("{error,no_aud_found}".to_owned()),
            Some(Value::String(text)) => text.split(' ').any(|audience| audience == own),
            Some(Value::Array(list)) => list.iter().any(|audience| audience == own),
            Some(_) => false,
        };
        if is_ours { Ok(()) } else { Err("{error,no_matching_aud_found}".to_owned()) }
    }

    fn check_expiry(&self, claims: &Claims) -> Result<u64, String> {
        let Some(expiry) = claims.get("exp") else { return Err("\"Provided JWT token has no exp claim\"".to_owned()) };
        let Some(expires_s) = seconds(expiry) else {
            return Err("\"Provided JWT token has an invalid exp claim: value is not a number\"".to_owned());
        };
        let now_s = self.clock.now_ms() / 1000;
        if expires_s <= now_s {
            let text = format!("Provided JWT token has expired at timestamp {expires_s} (validated at {now_s})");
            return Err(format!("{text:?}"));
        }
        Ok(expires_s.saturating_mul(1000))
    }

    /// From when the token is good, if it says so (RFC 7519, 4.1.5).
    fn check_not_before(&self, claims: &Claims) -> Result<(), String> {
        let Some(not_before) = claims.get("nbf") else { return Ok(()) };
        let Some(not_before_s) = seconds(not_before) else {
            return Err("\"Provided JWT token has an invalid nbf claim: value is not a number\"".to_owned());
        };
        let now_s = self.clock.now_ms() / 1000;
        if not_before_s > now_s.saturating_add(NOT_BEFORE_LEEWAY_S) {
            let text =
                format!("Provided JWT token is not valid before timestamp {not_before_s} (validated at {now_s})");
            return Err(format!("{text:?}"));
        }
        Ok(())
    }

    fn name(&self, claims: &Claims) -> String {
        let preferred = self.config.preferred_username_claims.iter().map(String::as_str);
        let mut names = preferred.chain(["sub", "client_id"]).filter_map(|claim| claims.get(claim)?.as_str());
        names.next().unwrap_or("unknown").to_owned()
    }

    /// The key of this id. Keys are fetched when it is not known, as issuers change theirs from time to time.
    fn key(&self, id: &str) -> Option<Key> {
        if let Some(key) = self.keys.get(id) {
            return Some(key.clone());
        }
        if let Some(key) = self.fetched.lock().keys.get(id) {
            return Some(key.clone());
        }
        wait_for(self.fetched_key(id))
    }

    /// The key of this id, when it was not there. One asks, and the others wait for what it is told.
    async fn fetched_key(&self, id: &str) -> Option<Key> {
        let _turn = self.turn.lock().await;
        {
            let fetched = self.fetched.lock();
            if let Some(key) = fetched.keys.get(id) {
                return Some(key.clone());
            }
            if fetched.at.is_some_and(|at| at.elapsed() < FETCHES_APART) {
                return None;
            }
        }
        let keys = self.fetch().await;
        let mut fetched = self.fetched.lock();
        fetched.at = Some(Instant::now());
        match keys {
            Ok(keys) => fetched.keys = keys,
            Err(error) => tracing::error!("cannot fetch the keys that OAuth 2 tokens are signed with: {error}"),
        }
        fetched.keys.get(id).cloned()
    }

    async fn fetch(&self) -> Result<BTreeMap<String, Key>, String> {
        let url = match (&self.config.jwks_url, &self.config.issuer) {
            (Some(url), _) => url.clone(),
            (None, Some(issuer)) => {
                let path = self.config.discovery_endpoint_path.as_deref().unwrap_or(DISCOVERY);
                let about = format!("{}/{}", issuer.trim_end_matches('/'), path.trim_start_matches('/'));
                let document = self.fetch_json(&about).await?;
                let url = document.get("jwks_uri").and_then(Value::as_str);
                url.ok_or_else(|| format!("{about} names no jwks_uri"))?.to_owned()
            }
            (None, None) => return Ok(BTreeMap::new()),
        };
        let jwks = self.fetch_json(&url).await?;
        Ok(keys_of(&jwks).into_iter().filter_map(|(id, key)| Some((id?, key))).collect())
    }

    async fn fetch_json(&self, url: &str) -> Result<Value, String> {
        let (status, body) = self.web.get(url).await.map_err(|error| format!("{url}: {error}"))?;
        if status != StatusCode::OK {
            return Err(format!("{url} answers {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
    }
}

/// Seconds since 1970, of which tokens may have parts.
fn seconds(claim: &Value) -> Option<u64> {
    claim.as_u64().or_else(|| claim.as_f64().map(|seconds| seconds as u64))
}

impl Bearer {
    /// What the token says, as long as it is good.
    fn with_token(&self, allows: impl FnOnce(&Proved) -> bool) -> bool {
        let token = self.token.load();
        self.issuer.clock.now_ms() < token.expires_at_ms && allows(&token)
    }
}

impl Authorizer for Bearer {
    fn allows_vhost(&self, _user: &str, vhost: &str) -> bool {
        self.with_token(|token| scope::allow_vhost(&token.scopes, &token.claims, vhost))
    }

    fn allows_resource(&self, _user: &str, vhost: &str, verb: Verb, resource: Resource<'_>) -> bool {
        let (Resource::Exchange(name) | Resource::Queue(name)) = resource;
        self.with_token(|token| scope::allow_resource(&token.scopes, &token.claims, vhost, verb, name))
    }

    fn allows_topic(&self, _user: &str, vhost: &str, verb: Verb, exchange: &str, key: &str) -> bool {
        self.with_token(|token| scope::allow_key(&token.scopes, &token.claims, vhost, verb, exchange, key))
    }

    fn expires_at_ms(&self) -> Option<u64> {
        Some(self.token.load().expires_at_ms)
    }

    fn tags(&self) -> Option<Vec<String>> {
        Some(scope::tags(&self.token.load().scopes))
    }

    fn renew(&self, _user: &str, secret: &[u8]) -> Result<(), String> {
        let proved = self.issuer.prove(secret).map_err(|reason| format!("{FAILED}: {reason}"))?;
        if proved.name != self.token.load().name {
            return Err("Not allowed to change username on refreshed token".to_owned());
        }
        self.token.store(Arc::new(proved));
        Ok(())
    }
}
