//! Logging in: who is asked whether a client is whom it says it is, and what they are told of it.
//!
//! The broker's own users answer unless an [`Authenticator`] is set, which may ask others: a server by HTTP, the signature of a
//! token. It is called by the connection's own task, without any lock held, and may take its time.

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leveret_codec::method::{BasicCancel, ConnectionUpdateSecret, ConnectionUpdateSecretOk};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::admin::AuthError;
use leveret_engine::broker::Broker;
use leveret_engine::names::Name;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::queue::Queue;
use leveret_engine::user::User;

use crate::connection::{Connection, Patience};
use crate::error::Failure;
use crate::outbox::ConsumerHome;
use crate::reply_to::is_reply_to;
use crate::sasl::{Claim, Mechanism};

/// Says who may log in.
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// The user that is logged in; one that is not the broker's own brings an authorizer along.
    ///
    /// # Errors
    /// The refusal.
    fn login(&self, request: &LoginRequest<'_>) -> Result<Arc<User>, Refusal>;
}

/// Who wants to log in, and from where.
#[derive(Clone, Copy, Debug)]
pub struct LoginRequest<'a> {
    /// The SASL mechanism: PLAIN, EXTERNAL...
    pub mechanism: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// Its password; none when the peer's certificate says who it is.
    pub password: Option<&'a [u8]>,
    /// The client's address, where it is known.
    pub peer: Option<IpAddr>,
    /// What is known of its TLS, if it speaks it.
    pub tls: Option<&'a TlsFacts>,
}

/// Why somebody was not let in, as the log says it: `user 'x' - invalid credentials`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The TLS of a connection, in the words of RabbitMQ's reports and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `ssl_protocol`: `tlsv1.3`, `tlsv1.2`.
    pub protocol: &'static str,
    /// `ssl_key_exchange`: `any`, `ecdhe_rsa`...
    pub key_exchange: &'static str,
    /// `ssl_cipher`: `aes_256_gcm`...
    pub cipher: &'static str,
    /// `ssl_hash`: `aead`.
    pub hash: &'static str,
    /// The client's certificate, if it showed one.
    pub peer: Option<PeerCertificate>,
    /// The name that EXTERNAL logs in with, or why there is none.
    pub login_name: Result<String, &'static str>,
}

/// A client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The distinguished name of its subject, as RFC 4514 writes it.
    pub subject: String,
    /// ...and of its issuer.
    pub issuer: String,
    /// Its serial number, in decimal digits.
    pub serial_number: String,
    /// From when to when it is good: `2025-01-01T00:00:00Z - 2035-01-01T00:00:00Z`.
    pub validity: String,
}

/// What clients say of themselves must not look like lines of the log.
#[must_use]
pub fn in_one_line(text: &str) -> String {
    let shown =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
    text.chars().map(shown).collect()
}

/// Asks the broker's own users.
///
/// # Errors
/// The refusal.
pub fn log_in_own(broker: &Broker, request: &LoginRequest<'_>) -> Result<Arc<User>, Refusal> {
    let user = match request.password {
        Some(password) => broker.authenticate(request.user, password),
        None => broker.user(request.user).ok_or_else(|| AuthError::Credentials(request.user.to_owned())),
    };
    user.map_err(Refusal::from)
}

impl Connection {
    /// The mechanisms that connection.start offers.
    pub(crate) fn mechanisms(&self) -> String {
        let offered = self.config.mechanisms.iter().filter(|mechanism| self.offers(**mechanism));
        offered.map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")
    }

    /// EXTERNAL is offered to all who speak TLS: who shows no certificate then hears of it in the log.
    pub(crate) fn offers(&self, mechanism: Mechanism) -> bool {
        self.config.mechanisms.contains(&mechanism)
            && match mechanism {
                Mechanism::Plain | Mechanism::Amqplain => true,
                Mechanism::Anonymous => self.config.anonymous.is_some(),
                Mechanism::External => self.tls().is_some(),
            }
    }

    /// The user that a client proves to be, or the name that it claims and why it is refused.
    pub(crate) fn log_in(&self, mechanism: &str, claim: Claim) -> Result<Arc<User>, (String, Refusal)> {
        let (name, password) = self.claimed(claim).map_err(|refusal| (String::new(), refusal))?;
        let request = LoginRequest {
            mechanism,
            user: &name,
            password: password.as_deref(),
            peer: self.peer_address(),
            tls: self.tls(),
        };
        let user = match &self.config.authenticator {
            Some(authenticator) => authenticator.login(&request),
            None => log_in_own(&self.broker, &request),
        };
        let user = user.map_err(|refusal| (name, refusal))?;
        match self.broker.check_loopback(&user.name, self.peer_is_loopback) {
            Ok(()) => Ok(user),
            Err(error) => Err((user.name.to_string(), error.into())),
        }
    }

    /// Name and password that a client claims.
    fn claimed(&self, claim: Claim) -> Result<(String, Option<Vec<u8>>), Refusal> {
        match claim {
            Claim::Password { user, password } => Ok((String::from_utf8_lossy(&user).into_owned(), Some(password))),
            Claim::Anonymous => {
                let (user, password) = self.config.anonymous.clone().unwrap_or_default();
                Ok((user, Some(password.into_bytes())))
            }
            Claim::External => match self.tls().map(|tls| &tls.login_name) {
                Some(Ok(name)) => Ok((name.clone(), None)),
                Some(Err(reason)) => Err(Refusal((*reason).to_owned())),
                None => Err(Refusal("not a TLS-enabled connection".to_owned())),
            },
        }
    }

    /// How long the login still lasts, where it ends.
    #[must_use]
    pub fn until_login_ends(&self) -> Option<Duration> {
        let ends_at_ms = self.home.as_ref()?.user.expires_at_ms()?;
        Some(Duration::from_millis(ends_at_ms.saturating_sub(self.broker.services.clock.now_ms())))
    }

    /// The time is up that [`Connection::patience`] or [`Connection::until_login_ends`] gave. Says whether there is anything
    /// left to be said to the client.
    pub fn time_is_up(&mut self) -> bool {
        if self.until_login_ends().is_none() || self.patience() == Patience::Over {
            return false;
        }
        let user = self.home.as_ref().map(|home| Arc::clone(&home.user));
        if let (Some(user), Patience::Endless { .. }) = (user, self.patience()) {
            let name = self.log_name();
            tracing::warn!("closing AMQP connection {name} of user '{}': credential has expired", user.name);
            self.force_close("credential expired");
            return true;
        }
        false
    }

    /// Takes a new secret, for users whose old one expires. What they may do is asked anew from now on.
    pub(crate) fn update_secret(
        &mut self,
        update: &ConnectionUpdateSecret<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let refuse = |text: String| Err(Failure::new(ReplyCode::NotAllowed, text, ids));
        if let Some(home) = &self.home
            && let Some(authorizer) = home.user.authorizer()
        {
            let (user, vhost) = (&home.user.name, &home.vhost.name);
            if let Err(reason) = authorizer.renew(user, update.new_secret) {
                tracing::error!("Secret update was refused for user '{user}': {reason}");
                return refuse("New secret was refused by one of the backends".to_owned());
            }
            match authorizer.tags() {
                Some(tags) => home.user.set_tags(tags),
                None => home.user.permissions_changed(),
            }
            if !home.user.may_enter(vhost) {
                return refuse(format!("access to vhost '{vhost}' refused for user '{user}'"));
            }
        }
        self.outbox.send_method(0, ConnectionUpdateSecretOk);
        self.cancel_refused_consumers();
        Ok(())
    }

    /// Ends the consumers of queues that the user may not read any more.
    fn cancel_refused_consumers(&mut self) {
        let Some(home) = self.home.clone().filter(|home| home.user.authorizer().is_some()) else { return };
        let mut consumers = Vec::new();
        for (number, channel) in &self.outbox.lock().channels {
            let of_channel =
                |(tag, consumer): (&Name, &ConsumerHome)| (*number, Name::clone(tag), Arc::clone(&consumer.queue));
            consumers.extend(channel.consumers.iter().map(of_channel));
        }
        // The lock is free again: whoever is asked may take his time.
        let refused = |queue: &Queue| home.user.check(&home.vhost, Verb::Read, Resource::Queue(&queue.name)).is_err();
        for (number, tag, queue) in consumers {
            if !is_reply_to(&queue.name) && refused(&queue) {
                let cancel = BasicCancel { consumer_tag: &tag, nowait: true };
                self.cancel(number, &cancel);
                if self.client.consumer_cancel_notify {
                    self.outbox.send_method(number, cancel);
                }
            }
        }
    }
}
