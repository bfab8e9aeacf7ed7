//! Logging in without holding up others: hashes are computed on threads that may take their time, a few at once, and what was
//! right a moment ago is not computed again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use leveret_server::engine::user::User;
use leveret_server::session::login::{Authenticator, LoginRequest};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::limits::{LOGIN_CACHE, LOGIN_CACHE_MAX, LOGINS_AT_ONCE, NAME_BYTES_MAX};
use crate::state::Api;

/// The mechanism that name and password of HTTP Basic amount to.
const MECHANISM: &str = "PLAIN";

/// Logs users in.
#[derive(Debug)]
pub struct Logins {
    recent: Mutex<HashMap<String, Recent>>,
    /// Keys of our own, so that nobody can make up another secret with the same digest.
    keys: [RandomState; 2],
    permits: Semaphore,
}

/// A login that was right.
#[derive(Debug)]
struct Recent {
    digest: [u64; 2],
    user: Arc<User>,
    /// The user's at the time: it rises with each change.
    generation: u64,
    at: Instant,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            keys: [RandomState::new(), RandomState::new()],
            permits: Semaphore::new(LOGINS_AT_ONCE),
        }
    }
}

impl Logins {
    /// The user of this name and secret.
    ///
    /// # Errors
    /// 401
    pub async fn log_in(&self, api: &Api, name: &str, secret: &[u8], ip: IpAddr) -> Result<Arc<User>, ApiError> {
        // Nobody is called so; the name would only be logged.
        if name.len() > NAME_BYTES_MAX {
            return Err(ApiError::NotAuthenticated);
        }
        let digest = self.keys.each_ref().map(|key| key.hash_one((name, secret, ip)));
        if let Some(user) = self.recent(name, digest) {
            return Ok(user);
        }
        let user = self.ask(api.authenticator(), name, secret, ip).await?;
        let login = Recent { digest, user: Arc::clone(&user), generation: user.generation(), at: Instant::now() };
        self.remember(name, login);
        Ok(user)
    }

    /// The user who logged in with the same secret a moment ago, unless something was changed about them since.
    fn recent(&self, name: &str, digest: [u64; 2]) -> Option<Arc<User>> {
        let recent = self.recent.lock();
        let Recent { digest: known, user, generation, at } = recent.get(name)?;
        let is_unchanged = user.generation() == *generation && !user.is_deleted();
        (*known == digest && at.elapsed() < LOGIN_CACHE && is_unchanged).then(|| Arc::clone(user))
    }

    async fn ask(
        &self,
        whom: Arc<dyn Authenticator>,
        name: &str,
        secret: &[u8],
        ip: IpAddr,
    ) -> Result<Arc<User>, ApiError> {
        let _permit = self.permits.acquire().await.map_err(|error| ApiError::Internal(error.to_string()))?;
        let (name, secret) = (name.to_owned(), secret.to_vec());
        let asked = tokio::task::spawn_blocking(move || {
            let password = Some(secret.as_slice());
            whom.login(&LoginRequest { mechanism: MECHANISM, user: &name, password, peer: Some(ip), tls: None })
        });
        match asked.await {
            Ok(Ok(user)) => Ok(user),
            Ok(Err(refusal)) => {
                tracing::warn!("HTTP access denied: {refusal}");
                Err(ApiError::NotAuthenticated)
            }
            Err(error) => Err(ApiError::Internal(error.to_string())),
        }
    }

    fn remember(&self, name: &str, login: Recent) {
        let mut recent = self.recent.lock();
        if recent.len() >= LOGIN_CACHE_MAX {
            recent.retain(|_, login| login.at.elapsed() < LOGIN_CACHE);
        }
        if recent.len() < LOGIN_CACHE_MAX {
            recent.insert(name.to_owned(), login);
        }
    }
}
