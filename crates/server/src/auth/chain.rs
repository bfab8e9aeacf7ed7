//! The back ends in the order in which they are asked.

use std::fmt;
use std::sync::{Arc, Weak};

use leveret_engine::broker::Broker;
use leveret_engine::permission::Authorizer;
use leveret_engine::user::User;
use leveret_session::login::{Authenticator, LoginRequest, Refusal};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use super::answers::{ANSWERS_KEPT, Kept};
use super::config::{AuthConfig, AuthConfigError, Backend, BackendKind};
use super::http::Http;
use super::oauth2::OAuth2;
use super::own::OwnUsers;

/// Somebody who can be asked who a client is, and what it may do.
pub(super) trait Asked: fmt::Debug + Send + Sync {
    /// Who it is.
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal>;

    /// What somebody may do of whom another has said who it is.
    fn authorize(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.authenticate(request)
    }
}

/// Somebody who is known to a back end.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// A user of the broker.
    Own(Arc<User>),
    /// Somebody else.
    Other { name: String, tags: Vec<String>, authorizer: Arc<dyn Authorizer> },
}

impl Known {
    fn name(&self) -> &str {
        match self {
            Self::Own(user) => &user.name,
            Self::Other { name, .. } => name,
        }
    }

    fn tags(self) -> Vec<String> {
        match self {
            Self::Own(user) => user.tags(),
            Self::Other { tags, .. } => tags,
        }
    }
}

/// Asks one after the other.
#[derive(Debug)]
pub(super) struct Chain {
    places: Vec<Place>,
    /// Those who were let in and are not the broker's own.
    guests: Arc<Mutex<Vec<Weak<User>>>>,
}

#[derive(Debug)]
struct Place {
    authn: Arc<dyn Asked>,
    /// None is the same.
    authz: Option<Arc<dyn Asked>>,
}

impl Chain {
    /// Must be made within a runtime, with which it ends.
    pub(super) fn new(config: &AuthConfig, broker: &Arc<Broker>) -> Result<Self, AuthConfigError> {
        let mut made = Made { config, broker, all: Vec::new() };
        let places = config.backends.iter().map(|backend| made.place(backend)).collect::<Result<_, _>>()?;
        let guests = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(forget(Arc::downgrade(&guests)));
        Ok(Self { places, guests })
    }

    /// The user, for whom a back end answers from now on.
    fn let_in(&self, known: Known) -> Arc<User> {
        match known {
            Known::Own(user) => user,
            Known::Other { name, tags, authorizer } => {
                let user = Arc::new(User::authorized_by(name, tags, authorizer));
                let mut guests = self.guests.lock();
                if guests.len() == guests.capacity() {
                    guests.retain(|guest| guest.strong_count() > 0);
                }
                guests.push(Arc::downgrade(&user));
                user
            }
        }
    }
}

impl Authenticator for Chain {
    fn login(&self, request: &LoginRequest<'_>) -> Result<Arc<User>, Refusal> {
        let mut refusal = Refusal(format!("No modules checked '{}'", request.user));
        for place in &self.places {
            match place.ask(request) {
                Ok(known) => return Ok(self.let_in(known)),
                Err(refused) => refusal = refused,
            }
        }
        Err(refusal)
    }
}

impl Asked for Place {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.ask(request)
    }

    fn authorize(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.authz.as_ref().unwrap_or(&self.authn).authorize(request)
    }
}

impl Place {
    fn ask(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        let known = self.authn.authenticate(request)?;
        let Some(authz) = &self.authz else { return Ok(known) };
        let rights = authz.authorize(&LoginRequest { user: known.name(), ..*request })?;
        match rights {
            Known::Own(user) => Ok(Known::Own(user)),
            Known::Other { tags: more, authorizer, .. } => {
                let name = known.name().to_owned();
                let mut tags = known.tags();
                tags.extend(more.into_iter().filter(|tag| !tags.contains(tag)).collect::<Vec<_>>());
                Ok(Known::Other { name, tags, authorizer })
            }
        }
    }
}

/// Back ends that were made: each is made once, however often it is asked.
struct Made<'a> {
    config: &'a AuthConfig,
    broker: &'a Arc<Broker>,
    all: Vec<(BackendKind, Arc<dyn Asked>)>,
}

impl Made<'_> {
    fn place(&mut self, backend: &Backend) -> Result<Place, AuthConfigError> {
        let authn = self.backend(backend.authn)?;
        let authz = if backend.authz == backend.authn { None } else { Some(self.backend(backend.authz)?) };
        Ok(Place { authn, authz })
    }

    fn backend(&mut self, kind: BackendKind) -> Result<Arc<dyn Asked>, AuthConfigError> {
        if let Some((_, made)) = self.all.iter().find(|(made, _)| *made == kind) {
            return Ok(Arc::clone(made));
        }
        let asked: Arc<dyn Asked> = match kind {
            BackendKind::Internal => Arc::new(OwnUsers(Arc::clone(self.broker))),
            BackendKind::Http => Arc::new(Http::new(&self.config.http)?),
            BackendKind::OAuth2 => Arc::new(OAuth2::new(&self.config.oauth2, self.broker)?),
            #[cfg(feature = "ldap")]
            BackendKind::Ldap => Arc::new(super::ldap::Ldap::new(&self.config.ldap)?),
            BackendKind::Cache => {
                let cached = self.config.cached;
                if [cached.authn, cached.authz].contains(&BackendKind::Cache) {
                    return Err(AuthConfigError::CacheOfCache);
                }
                let place = self.place(&cached)?;
                if [cached.authn, cached.authz].contains(&BackendKind::OAuth2) {
                    // Nobody is asked about tokens: they speak for themselves, each for its own connection.
                    return Ok(Arc::new(place));
                }
                Arc::new(Kept::new(place, self.config.cache_ttl, self.config.cache_refusals))
            }
        };
        self.all.push((kind, Arc::clone(&asked)));
        Ok(asked)
    }
}

/// What connections remember of their users' rights is forgotten from time to time, so that they ask again.
async fn forget(guests: Weak<Mutex<Vec<Weak<User>>>>) {
    let mut ticks = interval(ANSWERS_KEPT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(guests) = guests.upgrade() else { return };
        let present: Vec<Arc<User>> = guests.lock().iter().filter_map(Weak::upgrade).collect();
        present.iter().for_each(|user| user.permissions_changed());
    }
}
