//! Who asks, and whether they may: HTTP Basic against the broker's users, tags, and permissions in vhosts.

mod attempts;
mod cache;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use leveret_server::engine::permission::{Authorizer, Resource, Verb};
use leveret_server::engine::user::User;

pub use crate::auth::attempts::{Attempts, AttemptsOf};
pub use crate::auth::cache::Logins;
use crate::error::ApiError;
use crate::http::call::{PathParams, find_by_name};
use crate::http::routes::Right;
use crate::state::Api;

/// Who acts when a request comes over the unix socket.
const LOCAL_USER: &str = "rmq-cli";

/// The header that names the vhost which a list is about, for paths that name none.
pub(crate) const VHOST_HEADER: &str = "x-vhost";

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// The unix socket, which only the broker's own user can open.
    Socket,
    /// The network.
    Address(IpAddr),
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Access {
    /// The user, whose permissions count.
    pub user: Arc<User>,
    /// Where they ask from.
    pub peer: Peer,
}

impl Access {
    /// The user's name, as events tell who did something.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.user.name
    }

    /// Whether the user may do everything.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.user.has_tag("administrator")
    }

    /// Whether the user may see what belongs to others.
    #[must_use]
    pub fn is_monitoring(&self) -> bool {
        self.is_administrator() || self.user.has_tag("monitoring")
    }

    /// Whether the user may set policies and parameters.
    #[must_use]
    pub fn is_policymaker(&self) -> bool {
        self.is_administrator() || self.user.has_tag("policymaker")
    }

    fn is_manager(&self) -> bool {
        self.is_monitoring() || self.is_policymaker() || self.user.has_tag("management")
    }

    /// Whether the user has permissions in a vhost.
    #[must_use]
    pub fn may_enter(&self, vhost: &str) -> bool {
        self.user.may_enter(vhost)
    }

    /// Whether what is in a vhost is shown to the user.
    #[must_use]
    pub fn sees(&self, vhost: &str) -> bool {
        self.is_monitoring() || self.may_enter(vhost)
    }

    /// Whether what belongs to a user, such as a connection, is shown to this one.
    #[must_use]
    pub fn sees_user(&self, user: &str) -> bool {
        self.is_monitoring() || self.name() == user
    }
}

/// Who asks, if they may.
pub(crate) async fn authorize(
    api: &Api,
    right: Right,
    peer: Peer,
    headers: &HeaderMap,
    path: &PathParams,
) -> Result<Access, ApiError> {
    let Peer::Address(ip) = peer else { return Ok(Access { user: local_user(), peer }) };
    if right == Right::Open {
        return Ok(Access { user: nobody(), peer });
    }
    let Credentials { user, secret } = credentials(headers, api.config.disable_basic_auth)?;
    let result = match log_in(api, &user, &secret, ip).await {
        Ok(access) => allow(api, &access, right, headers, path).map(|()| access),
        Err(error) => Err(error),
    };
    api.attempts.count(ip, &user, result.is_ok());
    result
}

/// A user of the API by name and secret: whoever may use it at all.
///
/// # Errors
/// 401
pub async fn log_in(api: &Api, user: &str, secret: &[u8], ip: IpAddr) -> Result<Access, ApiError> {
    let user = api.logins.log_in(api, user, secret, ip).await?;
    let access = Access { user, peer: Peer::Address(ip) };
    if api.broker().check_loopback(access.name(), ip.to_canonical().is_loopback()).is_err() {
        return Err(denied(&access, "User can only log in via localhost"));
    }
    if !access.is_manager() {
        return Err(denied(&access, "Not management user"));
    }
    Ok(access)
}

struct Credentials {
    user: String,
    secret: Vec<u8>,
}

/// Name and password, or a token, which says itself whose it is.
fn credentials(headers: &HeaderMap, is_basic_disabled: bool) -> Result<Credentials, ApiError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credentials { user: String::new(), secret: rest.trim().as_bytes().to_vec() });
    }
    if is_basic_disabled {
        return Err(ApiError::not_authorised("HTTP access denied: basic auth disabled"));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ApiError::NoCredentials);
    }
    let decoded = STANDARD.decode(rest.trim()).map_err(|_| ApiError::NotAuthenticated)?;
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or(ApiError::NotAuthenticated)?;
    let (user, secret) = decoded.split_at(colon);
    let user = String::from_utf8(user.to_vec()).map_err(|_| ApiError::NotAuthenticated)?;
    Ok(Credentials { user, secret: secret.get(1..).unwrap_or_default().to_vec() })
}

fn allow(api: &Api, access: &Access, right: Right, headers: &HeaderMap, path: &PathParams) -> Result<(), ApiError> {
    let enters = || vhost_of(api, headers, path).is_none_or(|vhost| access.may_enter(&vhost));
    let (is_allowed, reason) = match right {
        Right::Open | Right::User => return Ok(()),
        Right::Vhost => (access.is_administrator() || enters(), "User not authorised to access virtual host"),
        Right::VhostVisible => (access.is_monitoring() || enters(), "User not authorised to access virtual host"),
        Right::Monitoring => (access.is_monitoring(), "Not monitor user"),
        Right::Policies => {
            let is_allowed = access.is_administrator() || access.is_policymaker() && enters();
            (is_allowed, "User not authorised to access object")
        }
        Right::Policymaker => (access.is_policymaker(), "User not authorised to access object"),
        Right::Administrator => (access.is_administrator(), "Not administrator user"),
    };
    if is_allowed { Ok(()) } else { Err(denied(access, reason)) }
}

/// The vhost that a request is about; none when it names none, or one that is not there, which is for the handler to say.
fn vhost_of(api: &Api, headers: &HeaderMap, path: &PathParams) -> Option<String> {
    let header = headers.get(VHOST_HEADER).and_then(|value| value.to_str().ok()).filter(|vhost| !vhost.is_empty());
    let name = path.get("vhost").or(header)?;
    find_by_name(name, |name| api.broker().vhost(name)).map(|vhost| vhost.name.to_string())
}

fn denied(access: &Access, reason: &str) -> ApiError {
    tracing::warn!("HTTP access denied: user '{}' - {reason}", access.name());
    ApiError::not_authorised(reason)
}

/// Says yes to everything, or no.
#[derive(Debug)]
struct All(bool);

impl Authorizer for All {
    fn allows_vhost(&self, _user: &str, _vhost: &str) -> bool {
        self.0
    }

    fn allows_resource(&self, _user: &str, _vhost: &str, _verb: Verb, _resource: Resource<'_>) -> bool {
        self.0
    }

    fn allows_topic(&self, _user: &str, _vhost: &str, _verb: Verb, _exchange: &str, _key: &str) -> bool {
        self.0
    }
}

/// Who may do everything: whoever comes by the unix socket, and the broker itself.
pub(crate) fn local_user() -> Arc<User> {
    Arc::new(User::authorized_by(LOCAL_USER, vec!["administrator".to_owned()], Arc::new(All(true))))
}

fn nobody() -> Arc<User> {
    Arc::new(User::authorized_by("", Vec::new(), Arc::new(All(false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Result<(String, Vec<u8>), String> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
        let read = credentials(&headers, false).map_err(|error| error.to_string());
        read.map(|Credentials { user, secret }| (user, secret))
    }

    #[test]
    fn credentials_are_basic_or_a_token() {
        // "guest:a:b"
        assert_eq!(of("Basic Z3Vlc3Q6YTpi"), Ok(("guest".to_owned(), b"a:b".to_vec())));
        assert_eq!(of("bearer x.y.z"), Ok((String::new(), b"x.y.z".to_vec())));
        assert_eq!(of("Digest x"), Err("no credentials".to_owned()));
        for broken in ["Basic ?", "Basic Z3Vlc3Q=", "Basic"] {
            assert_eq!(of(broken), Err("not authorized".to_owned()), "{broken}");
        }
    }
}
