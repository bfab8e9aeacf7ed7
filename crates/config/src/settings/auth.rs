//! Who says who somebody is, and what they may do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Tls;

/// Who says who somebody is, and what they may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// SASL mechanisms, in the order of their numbers: `PLAIN`, `AMQPLAIN`, `EXTERNAL`, `ANONYMOUS`, `RABBIT-CR-DEMO`.
    pub mechanisms: Vec<String>,
    /// Asked in the order of their numbers; the first that knows the user wins.
    pub backends: BTreeMap<u32, AuthBackend>,
    /// The user that nobody in particular logs in as; none refuses ANONYMOUS.
    pub anonymous_user: Option<String>,
    /// The password that it logs in with.
    pub anonymous_password: String,
    /// Who a client certificate stands for.
    pub certificate: CertificateLogin,
    /// The HTTP back end.
    pub http: HttpAuth,
    /// The OAuth 2 back end.
    pub oauth2: OAuth2,
    /// The LDAP back end.
    pub ldap: LdapAuth,
    /// What the cache asks.
    pub cached: AuthBackend,
    /// How long an answer is good for.
    pub cache_ttl_ms: u64,
    /// Refusals are kept, too.
    pub cache_refusals: bool,
    /// How new passwords are hashed: `sha256`, `sha512`, `md5` or `argon2`.
    pub password_hashing: String,
    /// Which passwords users may have.
    pub passwords: PasswordRules,
}

/// One place of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthBackend {
    /// Who says who somebody is.
    pub authn: AuthBackendKind,
    /// Who says what they may do.
    pub authz: AuthBackendKind,
}

/// A kind of back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthBackendKind {
    /// Our own users.
    #[default]
    Internal,
    /// A web service.
    Http,
    /// Signed tokens.
    OAuth2,
    /// A directory.
    Ldap,
    /// Another, behind a cache.
    Cache,
}

/// Which passwords users may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordRules {
    /// The one that holds.
    pub rule: PasswordRule,
    /// The shortest, in bytes.
    pub bytes_min: u64,
    /// What is found in each.
    pub pattern: Option<String>,
}

/// A rule for passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordRule {
    /// All passwords will do.
    #[default]
    None,
    /// They have a length.
    Length,
    /// They match a pattern.
    Pattern,
}

/// Who a client certificate stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateLogin {
    /// `distinguished_name`, `common_name` or `subject_alternative_name`.
    pub from: String,
    /// `dns`, `ip`, `email`, `uri` or `other_name`.
    pub san_type: String,
    /// Which of them.
    pub san_index: u64,
}

/// The HTTP back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAuth {
    /// POST in place of GET.
    pub post: bool,
    /// Is this user known, and which tags has it?
    pub user_path: String,
    /// May it enter this virtual host?
    pub vhost_path: String,
    /// May it do this to that?
    pub resource_path: String,
    /// May it use this routing key?
    pub topic_path: String,
    /// Patience for an answer.
    pub request_timeout_ms: u64,
    /// Patience for a connection.
    pub connection_timeout_ms: u64,
    /// For https.
    pub tls: Tls,
}

/// The OAuth 2 back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OAuth2 {
    /// The audience, and the prefix of scopes.
    pub resource_server_id: String,
    /// Another prefix of scopes.
    pub scope_prefix: Option<String>,
    /// More claims that hold scopes, divided by spaces.
    pub additional_scopes_key: Option<String>,
    /// Claims that hold the user's name, in the order of their numbers.
    pub preferred_username_claims: Vec<String>,
    /// What a scope stands for.
    pub scope_aliases: BTreeMap<String, String>,
    /// Alias and scope by a number, as they are read; in the end all are in `scope_aliases`.
    pub scope_alias_pairs: BTreeMap<String, (String, String)>,
    /// The audience must be ours.
    pub verify_aud: bool,
    /// The key of tokens that name none.
    pub default_key: Option<String>,
    /// PEM files by key id.
    pub signing_keys: BTreeMap<String, PathBuf>,
    /// Where keys are fetched.
    pub jwks_url: Option<String>,
    /// Who issues tokens; keys are found by its discovery document.
    pub issuer: Option<String>,
    /// Where, below the issuer, that document is.
    pub discovery_endpoint_path: Option<String>,
    /// `RS256` and the like; empty is all.
    pub algorithms: Vec<String>,
    /// For https.
    pub tls: Tls,
}

/// The LDAP back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LdapAuth {
    /// Hosts, in the order of their numbers.
    pub servers: Vec<String>,
    /// Their port.
    pub port: u16,
    /// Patience for an answer; none is for ever.
    pub timeout_ms: Option<u64>,
    /// The name to bind with; `${username}` stands for the user's.
    pub user_dn_pattern: String,
    /// The attribute that holds the user's name.
    pub dn_lookup_attribute: Option<String>,
    /// Where it is looked up.
    pub dn_lookup_base: Option<String>,
    /// As whom.
    pub dn_lookup_bind: LdapBind,
    /// As whom questions about rights are asked.
    pub other_bind: LdapBind,
    /// Whether somebody may, by RabbitMQ's names of the questions: `vhost_access_query`, `resource_access_query`,
    /// `topic_access_query`.
    pub queries: BTreeMap<String, LdapQuery>,
    /// Which tags somebody has.
    pub tag_queries: Vec<(String, LdapQuery)>,
    /// TLS from the first byte.
    pub use_ssl: bool,
    /// TLS by STARTTLS.
    pub use_starttls: bool,
    /// For both.
    pub tls: Tls,
}

/// A question to a directory. `${username}`, `${vhost}` and their like stand for what it is about.
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
        /// What of it names its members.
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
        /// Its name.
        variable: String,
        /// The values.
        cases: Vec<(String, Self)>,
    },
    /// The other answer.
    Not(Box<Self>),
    /// All of them.
    And(Vec<Self>),
    /// One of them.
    Or(Vec<Self>),
}

/// As whom a directory is asked.
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
