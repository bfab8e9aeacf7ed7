//! The LDAP back end: a directory is asked by binding as the user, and about rights by queries.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fancy_regex::Regex;
use ldap3::{Ldap as Directory, LdapConnAsync, LdapConnSettings, Scope, SearchEntry, dn_escape, ldap_escape};
use leveret_engine::permission::{Authorizer, Resource, Verb};
use leveret_session::login::{LoginRequest, Refusal, in_one_line};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::answers::Answers;
use super::chain::{Asked, Known};
use super::config::{AuthConfigError, LdapBind, LdapConfig, LdapQuery};
use super::waiting::wait_for;
use super::web::client_config;

/// RabbitMQ's name of this back end, in the log.
const NAME: &str = "rabbit_auth_backend_ldap";

/// Patience where none is configured.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a directory says when a password is wrong (RFC 4511, invalidCredentials).
const INVALID_CREDENTIALS: u32 = 49;

/// A directory.
#[derive(Clone)]
pub(super) struct Ldap(Arc<Service>);

struct Service {
    config: LdapConfig,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ldap").field(&self.0.config.servers).finish()
    }
}

/// Why there is no answer.
enum Trouble {
    /// The password is wrong.
    Credentials,
    /// The directory says so, or says nothing.
    Failed(String),
}

impl From<ldap3::LdapError> for Trouble {
    fn from(error: ldap3::LdapError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What the variables of queries stand for, such as `${username}`.
type Variables<'a> = Vec<(&'static str, &'a str)>;

impl Ldap {
    pub(super) fn new(config: &LdapConfig) -> Result<Self, AuthConfigError> {
        if config.servers.is_empty() {
            return Err(AuthConfigError::Missing("auth_ldap.servers.1"));
        }
        Ok(Self(Arc::new(Service { config: config.clone(), tls: Arc::new(client_config(&config.tls)?) })))
    }
}

impl Asked for Ldap {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        let user = request.user;
        let password = match request.password {
            // A bind without a password is one as nobody, which succeeds.
            Some(b"") => return Err(Refusal(format!("user '{user}' - blank passwords are not allowed"))),
            Some(password) => Some(String::from_utf8_lossy(password).into_owned()),
            None => None,
        };
        let login = wait_for(self.0.within_time(self.0.log_in(user, password.as_deref())));
        match login {
            Ok((dn, tags)) => {
                let guest = Guest {
                    service: Arc::clone(&self.0),
                    dn,
                    password,
                    peer: request.peer,
                    answers: Answers::default(),
                };
                Ok(Known::Other { name: user.to_owned(), tags, authorizer: Arc::new(guest) })
            }
            Err(Trouble::Credentials) => Err(Refusal(format!("user '{user}' - invalid credentials"))),
            Err(Trouble::Failed(error)) => Err(Refusal(format!("{NAME} failed authenticating {user}: {error}"))),
        }
    }

    /// Somebody else has looked at the password, which may still be needed to ask as the user.
    fn authorize(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        let password = request.password.filter(|_| self.0.config.other_bind == LdapBind::AsUser);
        self.authenticate(&LoginRequest { password, ..*request })
    }
}

impl Service {
    async fn within_time<T>(&self, asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let patience = self.config.timeout.unwrap_or(PATIENCE);
        timeout(patience, asked).await.unwrap_or_else(|_| Err(Trouble::Failed("timeout".to_owned())))
    }

    /// Connects to the first server that answers.
    async fn connect(&self) -> Result<Directory, Trouble> {
        let scheme = if self.config.use_ssl { "ldaps" } else { "ldap" };
        let mut trouble = Trouble::Failed("no server".to_owned());
        for server in &self.config.servers {
            let url = format!("{scheme}://{server}:{}", self.config.port);
            let settings = LdapConnSettings::new()
                .set_conn_timeout(self.config.timeout.unwrap_or(PATIENCE))
                .set_starttls(self.config.use_starttls)
                .set_config(Arc::clone(&self.tls));
            match LdapConnAsync::with_settings(settings, &url).await {
                Ok((connection, directory)) => {
                    tokio::spawn(async move {
                        if let Err(error) = connection.drive().await {
                            tracing::debug!(%error, "connection to an LDAP server ended");
                        }
                    });
                    return Ok(directory);
                }
                Err(error) => trouble = Trouble::Failed(format!("{url}: {error}")),
            }
        }
        Err(trouble)
    }

    /// The user's distinguished name, and its tags.
    async fn log_in(&self, user: &str, password: Option<&str>) -> Result<(String, Vec<String>), Trouble> {
        let mut directory = self.connect().await?;
        let dn = self.find(&mut directory, user, password).await?;
        if dn.is_empty() {
            // A bind without a name is one as nobody, which some directories let succeed whatever the password.
            return Err(Trouble::Credentials);
        }
        if let Some(password) = password {
            bind(&mut directory, &dn, password).await?;
        }
        self.bind_for_others(&mut directory, &dn, password).await?;
        let variables = vec![("username", user), ("user_dn", &*dn)];
        let mut tags = Vec::new();
        for (tag, query) in &self.config.tag_queries {
            if ask(&mut directory, query, &variables).await? {
                tags.push(tag.clone());
            }
        }
        let _ = directory.unbind().await;
        Ok((dn, tags))
    }

    /// The user's distinguished name: by its pattern, or looked up.
    async fn find(&self, directory: &mut Directory, user: &str, password: Option<&str>) -> Result<String, Trouble> {
        let escaped = dn_escape(user);
        let by_pattern = filled(&self.config.user_dn_pattern, &[("username", &*escaped)]);
        let Some((attribute, base)) = &self.config.dn_lookup else { return Ok(by_pattern) };
        match &self.config.dn_lookup_bind {
            LdapBind::AsUser => bind(directory, &by_pattern, password.unwrap_or_default()).await?,
            LdapBind::Anonymous => bind(directory, "", "").await?,
            LdapBind::As { user_dn, password } => bind(directory, user_dn, password).await?,
        }
        let filter = format!("({attribute}={})", ldap_escape(user));
        let (entries, _) = directory.search(base, Scope::Subtree, &filter, vec!["1.1"]).await?.success()?;
        let mut entries = entries.into_iter().map(SearchEntry::construct);
        match (entries.next(), entries.next()) {
            (Some(entry), None) => Ok(entry.dn),
            // Nobody, or who knows who.
            _ => Err(Trouble::Credentials),
        }
    }

    /// Binds as whom questions about rights are asked.
    async fn bind_for_others(
        &self,
        directory: &mut Directory,
        dn: &str,
        password: Option<&str>,
    ) -> Result<(), Trouble> {
        match (&self.config.other_bind, password) {
            (LdapBind::AsUser, Some(password)) => bind(directory, dn, password).await,
            (LdapBind::AsUser, None) => {
                Err(Trouble::Failed("there is no password to bind with as the user".to_owned()))
            }
            (LdapBind::Anonymous, _) => bind(directory, "", "").await,
            (LdapBind::As { user_dn, password }, _) => bind(directory, user_dn, password).await,
        }
    }
}

async fn bind(directory: &mut Directory, dn: &str, password: &str) -> Result<(), Trouble> {
    let result = directory.simple_bind(dn, password).await?;
    match result.rc {
        0 => Ok(()),
        INVALID_CREDENTIALS => Err(Trouble::Credentials),
        _ => Err(Trouble::Failed(result.to_string())),
    }
}

/// A pattern with its variables filled in. What they stand for is no pattern: a queue may be called `${username}`.
fn filled(pattern: &str, variables: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let known = variables.iter().find_map(|(name, value)| {
            let after = after.strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("${");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Whether a query is answered with yes. Names within distinguished names are escaped.
async fn ask(directory: &mut Directory, query: &LdapQuery, variables: &Variables<'_>) -> Result<bool, Trouble> {
    let in_dn = |pattern: &str| {
        let escaped: Vec<(&str, String)> = variables
            .iter()
            .map(|(name, value)| {
                (*name, if *name == "user_dn" { (*value).to_owned() } else { dn_escape(*value).into_owned() })
            })
            .collect();
        let escaped: Vec<(&str, &str)> = escaped.iter().map(|(name, value)| (*name, &**value)).collect();
        filled(pattern, &escaped)
    };
    match query {
        LdapQuery::Constant(answer) => Ok(*answer),
        LdapQuery::Exists(pattern) => exists(directory, &in_dn(pattern), "(objectClass=*)").await,
        LdapQuery::InGroup { dn, attribute } => {
            let user_dn = variables.iter().find(|(name, _)| *name == "user_dn").map_or("", |(_, dn)| dn);
            exists(directory, &in_dn(dn), &format!("({attribute}={})", ldap_escape(user_dn))).await
        }
        LdapQuery::Match { text, pattern } => {
            // What somebody is called is no pattern.
            let escaped: Vec<(&str, String)> =
                variables.iter().map(|(name, value)| (*name, fancy_regex::escape(value).into_owned())).collect();
            let escaped: Vec<(&str, &str)> = escaped.iter().map(|(name, value)| (*name, &**value)).collect();
            let pattern = filled(pattern, &escaped);
            let regex = Regex::new(&pattern).map_err(|error| Trouble::Failed(error.to_string()))?;
            Ok(regex.is_match(&filled(text, variables)).unwrap_or_default())
        }
        LdapQuery::Equals(one, other) => Ok(filled(one, variables) == filled(other, variables)),
        LdapQuery::For { variable, cases } => {
            let value = variables.iter().find(|(name, _)| name == variable).map(|(_, value)| *value);
            match cases.iter().find(|(case, _)| Some(&**case) == value) {
                Some((_, query)) => Box::pin(ask(directory, query, variables)).await,
                None => Ok(false),
            }
        }
        LdapQuery::Not(query) => Ok(!Box::pin(ask(directory, query, variables)).await?),
        LdapQuery::And(queries) => {
            for query in queries {
                if !Box::pin(ask(directory, query, variables)).await? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        LdapQuery::Or(queries) => {
            for query in queries {
                if Box::pin(ask(directory, query, variables)).await? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Whether there is such an entry. Where there is no place for it, it is not there.
async fn exists(directory: &mut Directory, dn: &str, filter: &str) -> Result<bool, Trouble> {
    let (entries, result) = {
        let found = directory.search(dn, Scope::Base, filter, vec!["1.1"]).await?;
        (found.0, found.1)
    };
    const NO_SUCH_OBJECT: u32 = 32;
    match result.rc {
        0 => Ok(!entries.is_empty()),
        NO_SUCH_OBJECT => Ok(false),
        _ => Err(Trouble::Failed(result.to_string())),
    }
}

/// Somebody whom the directory knows.
struct Guest {
    service: Arc<Service>,
    dn: String,
    /// To ask as the user.
    password: Option<String>,
    peer: Option<IpAddr>,
    answers: Answers,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("dn", &self.dn).finish_non_exhaustive()
    }
}

impl Guest {
    /// Whether a query is answered with yes. What the directory does not answer is not allowed.
    fn is_allowed(&self, query: &LdapQuery, user: &str, about: Variables<'_>) -> bool {
        if let LdapQuery::Constant(answer) = query {
            return *answer;
        }
        let peer = self.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let mut variables: Variables<'_> = vec![("username", user), ("user_dn", &*self.dn), ("ip", &*peer)];
        variables.extend(about);
        // With all that would end a value escaped, so that no two questions are written alike.
        let question = variables.iter().map(|(name, value)| format!("{name}={value:?} ")).collect();
        self.answers.find(question, |_| {
            let asked = async {
                let mut directory = self.service.connect().await?;
                self.service.bind_for_others(&mut directory, &self.dn, self.password.as_deref()).await?;
                let answer = ask(&mut directory, query, &variables).await;
                let _ = directory.unbind().await;
                answer
            };
            match wait_for(self.service.within_time(asked)) {
                Ok(answer) => Some(answer),
                Err(Trouble::Credentials) => Some(false),
                Err(Trouble::Failed(error)) => {
                    tracing::error!("{NAME} gave no answer about user '{}': {error}", in_one_line(user));
                    None
                }
            }
        })
    }
}

impl Authorizer for Guest {
    fn allows_vhost(&self, user: &str, vhost: &str) -> bool {
        self.is_allowed(&self.service.config.vhost_access_query, user, vec![("vhost", vhost)])
    }

    fn allows_resource(&self, user: &str, vhost: &str, verb: Verb, resource: Resource<'_>) -> bool {
        let (kind, name) = match resource {
            Resource::Exchange(name) => ("exchange", name),
            Resource::Queue(name) => ("queue", name),
        };
        let variables = vec![("vhost", vhost), ("resource", kind), ("name", name), ("permission", verb.as_str())];
        self.is_allowed(&self.service.config.resource_access_query, user, variables)
    }

    fn allows_topic(&self, user: &str, vhost: &str, verb: Verb, exchange: &str, key: &str) -> bool {
        let mut variables = vec![("vhost", vhost), ("resource", "topic"), ("name", exchange)];
        variables.extend([("permission", verb.as_str()), ("routing_key", key)]);
        self.is_allowed(&self.service.config.topic_access_query, user, variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_variables_stand_for_is_no_pattern() {
        let variables = [("name", "${permission}-queue"), ("permission", "write"), ("username", "${name}")];
        assert_eq!(filled("${name}", &variables), "${permission}-queue");
        assert_eq!(filled("cn=${username},ou=${permission}", &variables), "cn=${name},ou=write");
        assert_eq!(filled("${unknown} ${permission} ${permission", &variables), "${unknown} write ${permission");
        assert_eq!(filled("", &variables), "");
    }
}
