//! What authentication is set up with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use leveret_session::sasl::Mechanism;
use thiserror::Error;

use crate::tls::TlsError;

/// Who may log in, by what, and who says so.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// SASL mechanisms that are offered (`auth_mechanisms`).
    pub mechanisms: Vec<Mechanism>,
    /// Name and password that ANONYMOUS stands for; none refuses it.
    pub anonymous: Option<(String, String)>,
    /// Users who may connect from this machine only.
    pub loopback_users: Vec<String>,
    /// Who is asked, one after the other (`auth_backends`).
    pub backends: Vec<Backend>,
    /// Whom [`BackendKind::Cache`] asks.
    pub cached: Backend,
    /// How long it keeps answers.
    pub cache_ttl: Duration,
    /// It keeps refusals too.
    pub cache_refusals: bool,
    /// The HTTP back end.
    pub http: HttpConfig,
    /// The OAuth 2 back end.
    pub oauth2: OAuth2Config,
    /// The LDAP back end.
    #[cfg(feature = "ldap")]
    pub ldap: LdapConfig,
}

/// One place of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Who says who somebody is.
    pub authn: BackendKind,
    /// Who says what they may do.
    pub authz: BackendKind,
}

/// Somebody who can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// The broker's own users.
    #[default]
    Internal,
    /// A web service.
    Http,
    /// Signed tokens.
    OAuth2,
    /// A directory.
    #[cfg(feature = "ldap")]
    Ldap,
    /// Another, whose answers are kept.
    Cache,
}

/// A web service that is asked.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// POST in place of GET.
    pub post: bool,
    /// Where it is asked who somebody is.
    pub user_path: String,
    /// ...about vhosts,
    pub vhost_path: String,
    /// ...about exchanges and queues,
    pub resource_path: String,
    /// ...and about routing keys.
    pub topic_path: String,
    /// Patience for an answer.
    pub request_timeout: Duration,
    /// Patience for a connection.
    pub connection_timeout: Duration,
    /// For https.
    pub tls: ClientTls,
}

/// TLS towards a server that is asked.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Whose certificates are trusted; none is whom the system trusts.
    pub cacertfile: Option<PathBuf>,
    /// Our own certificate, for servers that ask for one...
    pub certfile: Option<PathBuf>,
    /// ...its key...
    pub keyfile: Option<PathBuf>,
    /// ...and its password.
    pub password: Option<String>,
    /// Whether the server's certificate is looked at.
    pub verify_peer: bool,
}

/// Tokens that are signed.
#[derive(Clone, Debug)]
pub struct OAuth2Config {
    /// The audience that tokens have to be for.
    pub resource_server_id: String,
    /// What scopes begin with; none is the audience and a dot.
    pub scope_prefix: Option<String>,
    /// More claims that hold scopes, divided by spaces.
    pub additional_scopes_key: Option<String>,
    /// Claims that hold the user's name, before `sub` and `client_id`.
    pub preferred_username_claims: Vec<String>,
    /// What scopes stand for: several of them are divided by spaces.
    pub scope_aliases: BTreeMap<String, String>,
    /// Whether the audience is looked at.
    pub verify_aud: bool,
    /// The key of tokens that name none.
    pub default_key: Option<String>,
    /// Public keys or certificates in PEM, by key id.
    pub signing_keys: BTreeMap<String, PathBuf>,
    /// Where keys are found.
    pub jwks_url: Option<String>,
    /// Who issues tokens; it says where keys are found if nobody else does.
    pub issuer: Option<String>,
    /// Where, below the issuer, it says so.
    pub discovery_endpoint_path: Option<String>,
    /// Algorithms that are taken; none is all that are known.
    pub algorithms: Vec<String>,
    /// For https.
    pub tls: ClientTls,
}

/// A directory that is asked.
#[cfg(feature = "ldap")]
#[derive(Clone, Debug)]
pub struct LdapConfig {
    /// Hosts: the first that answers is asked.
    pub servers: Vec<String>,
    /// Their port.
    pub port: u16,
    /// Patience for an answer; none is the back end's own.
    pub timeout: Option<Duration>,
    /// The user's distinguished name; `${username}` stands for its name.
    pub user_dn_pattern: String,
    /// The attribute by which the distinguished name is looked up instead, and below what.
    pub dn_lookup: Option<(String, String)>,
    /// As whom it is looked up.
    pub dn_lookup_bind: LdapBind,
    /// As whom rights are asked about.
    pub other_bind: LdapBind,
    /// Whether a vhost may be entered.
    pub vhost_access_query: LdapQuery,
    /// Whether something may be done to a resource.
    pub resource_access_query: LdapQuery,
    /// Whether a routing key may be used.
    pub topic_access_query: LdapQuery,
    /// Which tags a user has.
    pub tag_queries: Vec<(String, LdapQuery)>,
    /// TLS from the first byte.
    pub use_ssl: bool,
    /// TLS by STARTTLS.
    pub use_starttls: bool,
    /// For both.
    pub tls: ClientTls,
}

/// As whom a directory is asked.
#[cfg(feature = "ldap")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LdapBind {
    /// As the user who logs in.
    #[default]
    AsUser,
    /// As nobody.
    Anonymous,
    /// As this one.
    As {
        /// Its distinguished name.
        user_dn: String,
        /// Its password.
        password: String,
    },
}

/// A question to a directory. `${username}`, `${user_dn}`, `${vhost}`, `${resource}`, `${name}`, `${permission}`,
/// `${routing_key}` and `${ip}` stand for what it is about.
#[cfg(feature = "ldap")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LdapQuery {
    /// Always the same answer.
    Constant(bool),
    /// There is such an entry.
    Exists(String),
    /// The user is in a group.
    InGroup {
        /// The group.
        dn: String,
        /// What of it names its members: `member`, `uniqueMember`.
        attribute: String,
    },
    /// A text fits a regular expression.
    Match {
        /// The text.
        text: String,
        /// The expression.
        pattern: String,
    },
    /// Two texts are the same.
    Equals(String, String),
    /// One query for each value of a variable; no for all others.
    For {
        /// Its name: `permission`, `resource`.
        variable: String,
        /// The values.
        cases: Vec<(String, LdapQuery)>,
    },
    /// The other answer.
    Not(Box<LdapQuery>),
    /// All of them.
    And(Vec<LdapQuery>),
    /// One of them.
    Or(Vec<LdapQuery>),
}

#[cfg(feature = "ldap")]
impl Default for LdapConfig {
    /// RabbitMQ's: who is known may do everything, and nobody is an administrator.
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            port: 389,
            timeout: None,
            user_dn_pattern: "${username}".to_owned(),
            dn_lookup: None,
            dn_lookup_bind: LdapBind::AsUser,
            other_bind: LdapBind::AsUser,
            vhost_access_query: LdapQuery::Constant(true),
            resource_access_query: LdapQuery::Constant(true),
            topic_access_query: LdapQuery::Constant(true),
            tag_queries: vec![("administrator".to_owned(), LdapQuery::Constant(false))],
            use_ssl: false,
            use_starttls: false,
            tls: ClientTls::default(),
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, Error)]
pub enum AuthConfigError {
    /// A setting that is needed is not there.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A key cannot be read.
    #[error("signing key '{id}' cannot be used: {reason}")]
    SigningKey {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An algorithm is not known.
    #[error("algorithm '{0}' of auth_oauth2.algorithms is not supported")]
    Algorithm(String),
    /// The cache is to ask itself.
    #[error("auth_cache.cached_backend is the cache itself")]
    CacheOfCache,
    /// An address is none.
    #[error("{key}: '{url}' is no URL: {reason}")]
    Url {
        /// Whose.
        key: &'static str,
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS towards a server.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl AuthConfig {
    /// Whether anybody but the broker's own users is asked.
    #[must_use]
    pub fn asks_others(&self) -> bool {
        self.backends.iter().any(|backend| *backend != Backend::default())
    }
}

impl Default for AuthConfig {
    /// The broker's own users, of whom guest may come from this machine only.
    fn default() -> Self {
        Self {
            mechanisms: Mechanism::DEFAULT.to_vec(),
            anonymous: Some(("guest".to_owned(), "guest".to_owned())),
            loopback_users: vec!["guest".to_owned()],
            backends: vec![Backend::default()],
            cached: Backend::default(),
            cache_ttl: Duration::from_secs(15),
            cache_refusals: false,
            http: HttpConfig::default(),
            oauth2: OAuth2Config::default(),
            #[cfg(feature = "ldap")]
            ldap: LdapConfig::default(),
        }
    }
}

impl Backend {
    /// One for both questions.
    #[must_use]
    pub fn of(kind: BackendKind) -> Self {
        Self { authn: kind, authz: kind }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let path = |what: &str| format!("http://localhost:8000/auth/{what}");
        Self {
            post: false,
            user_path: path("user"),
            vhost_path: path("vhost"),
            resource_path: path("resource"),
            topic_path: path("topic"),
            request_timeout: Duration::from_secs(15),
            connection_timeout: Duration::from_secs(15),
            tls: ClientTls::default(),
        }
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self { cacertfile: None, certfile: None, keyfile: None, password: None, verify_peer: true }
    }
}

impl Default for OAuth2Config {
    fn default() -> Self {
        Self {
            resource_server_id: String::new(),
            scope_prefix: None,
            additional_scopes_key: None,
            preferred_username_claims: Vec::new(),
            scope_aliases: BTreeMap::new(),
            verify_aud: true,
            default_key: None,
            signing_keys: BTreeMap::new(),
            jwks_url: None,
            issuer: None,
            discovery_endpoint_path: None,
            algorithms: Vec::new(),
            tls: ClientTls::default(),
        }
    }
}
