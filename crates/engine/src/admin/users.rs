//! Users: adding, changing and deleting them, and letting them in.

use std::sync::Arc;

use thiserror::Error;

use crate::admin::{AdminError, Done, Gone, Settings, bytes_of, check_name, key, values};
use crate::broker::Broker;
use crate::journal::{Lsn, SettingKind};
use crate::names::Name;
use crate::password::{HashingAlgorithm, Judge, PasswordHash, PasswordRule, SALT_BYTES};
use crate::permission::Rights;
use crate::user::{Account, User};

/// What a user is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// How it logs in.
    pub password: Password,
    /// Tags such as `administrator` and `impersonator`.
    pub tags: Vec<String>,
}

/// How a user logs in.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// By this password.
    Plain(String),
    /// By the password that has this hash; empty is none.
    Hash {
        /// Base64 of salt and digest.
        hash: String,
        /// How it was made; none is how the broker makes them.
        algorithm: Option<HashingAlgorithm>,
    },
    /// Not by password.
    None,
    /// As before; a new user not by password.
    Keep,
}

/// Why somebody is not let in. Its display is for the log: peers are not told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuthError {
    /// No such user, or another password.
    #[error("user '{0}' - invalid credentials")]
    Credentials(String),
    /// The empty password.
    #[error(
        "user '{0}' attempted to log in with a blank password, which is prohibited by the internal authN backend. To use \
         TLS/x509 certificate-based authentication, see the rabbitmq_auth_mechanism_ssl plugin and configure the client to \
         use the EXTERNAL authentication mechanism. Alternatively change the password for the user to be non-blank."
    )]
    BlankPassword(String),
    /// It comes from another machine, and may not.
    #[error("user '{0}' can only connect via localhost")]
    NotLoopback(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Hash { .. } => "Hash",
            Self::None => "None",
            Self::Keep => "Keep",
        })
    }
}

impl Broker {
    /// All users, in order of their names.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<User>> {
        let mut users = self.users.all();
        users.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        users
    }

    /// The user `name`.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.get(name)
    }

    /// The user whose name and password these are.
    ///
    /// # Errors
    /// [`AuthError::Credentials`], [`AuthError::BlankPassword`]
    pub fn authenticate(&self, name: &str, password: &[u8]) -> Result<Arc<User>, AuthError> {
        if password.is_empty() {
            return Err(AuthError::BlankPassword(name.to_owned()));
        }
        let user = self.user(name);
        if user.is_none() {
            PasswordHash::accept_nobody(password, self.password_hashing());
        }
        user.filter(|user| user.accepts(password)).ok_or_else(|| AuthError::Credentials(name.to_owned()))
    }

    /// Refuses a user who may connect from this machine only, and does not.
    ///
    /// # Errors
    /// [`AuthError::NotLoopback`]
    pub fn check_loopback(&self, name: &str, peer_is_loopback: bool) -> Result<(), AuthError> {
        let is_refused =
            !peer_is_loopback && self.administration.loopback_users.read().iter().any(|user| **user == *name);
        if is_refused { Err(AuthError::NotLoopback(name.to_owned())) } else { Ok(()) }
    }

    /// Only these users have to connect from this machine (`loopback_users`).
    pub fn set_loopback_users<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        *self.administration.loopback_users.write() = names.into_iter().map(Name::from).collect();
    }

    /// How new passwords are hashed.
    #[must_use]
    pub fn password_hashing(&self) -> HashingAlgorithm {
        *self.administration.hashing.read()
    }

    /// How new passwords are hashed from now on.
    pub fn set_password_hashing(&self, algorithm: HashingAlgorithm) {
        *self.administration.hashing.write() = algorithm;
    }

    /// Which passwords users may have from now on (`credential_validator`). Those of users who are there stay.
    ///
    /// # Errors
    /// [`AdminError::Pattern`]
    pub fn set_password_rule(&self, rule: &PasswordRule) -> Result<(), AdminError> {
        *self.administration.passwords.write() = Judge::new(rule)?;
        Ok(())
    }

    /// Refuses a password that nobody may have. Of a hash nothing is known.
    fn judge(&self, password: &Password, is_new: bool) -> Result<(), AdminError> {
        let text = match password {
            Password::Plain(text) => text,
            Password::None if is_new => "",
            Password::Hash { .. } | Password::None | Password::Keep => return Ok(()),
        };
        self.administration.passwords.read().judge(text).map_err(AdminError::Password)
    }

    /// The hash of a password, with a new salt.
    #[must_use]
    pub fn hash_password(&self, password: &str) -> PasswordHash {
        let mut salt = [0; SALT_BYTES];
        for half in salt.chunks_exact_mut(8) {
            half.copy_from_slice(&self.services.random().to_le_bytes());
        }
        PasswordHash::of(password.as_bytes(), self.password_hashing(), salt)
    }

    /// Adds a user, or changes its password and tags; what it may do stays.
    ///
    /// # Errors
    /// [`AdminError::Name`], [`AdminError::Password`], [`AdminError::PasswordHash`], [`AdminError::TooLarge`]
    pub fn put_user(&self, name: &str, new: &NewUser, actor: &str) -> Result<Done, AdminError> {
        self.judge(&new.password, self.user(name).is_none())?;
        self.put_user_unjudged(name, new, actor)
    }

    /// The same, whatever its password is.
    pub(super) fn put_user_unjudged(&self, name: &str, new: &NewUser, actor: &str) -> Result<Done, AdminError> {
        check_name("user", name)?;
        // Without the lock: it may take its time.
        let hash = self.hash_of(&new.password)?;
        let mut settings = self.settings();
        match self.user(name) {
            Some(user) => self.change_user(&mut settings, &user, (&new.password, hash), Some(&new.tags), actor),
            None => {
                let account = Account { password: hash, tags: new.tags.clone(), ..Account::default() };
                let lsn = self.write_user(&mut settings, name, &account)?;
                let user = User::new(name, account.clone(), Rights::default());
                self.users.insert_new(Name::clone(&user.name), Arc::new(user));
                self.services.event("user.created", |fields| fields.text("name", name).by(actor));
                if !account.tags.is_empty() {
                    self.tell_tags(name, &account.tags, actor);
                }
                Ok(Done { lsn, created: true })
            }
        }
    }

    fn change_user(
        &self,
        settings: &mut Settings,
        user: &User,
        (password, hash): (&Password, Option<PasswordHash>),
        tags: Option<&Vec<String>>,
        actor: &str,
    ) -> Result<Done, AdminError> {
        let mut account = Account::clone(&user.account());
        if *password != Password::Keep {
            account.password = hash;
        }
        account.tags = tags.cloned().unwrap_or(account.tags);
        let lsn = self.write_user(settings, &user.name, &account)?;
        user.set_account(account.clone());
        if *password != Password::Keep {
            let what = if account.password.is_some() { "changed" } else { "cleared" };
            let event = format!("user.password.{what}");
            self.services.event(&event, |fields| fields.text("name", &user.name).by(actor));
        }
        if tags.is_some() {
            self.tell_tags(&user.name, &account.tags, actor);
        }
        Ok(Done::at(lsn))
    }

    /// Gives a user these tags.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::TooLarge`]
    pub fn set_user_tags(&self, name: &str, tags: Vec<String>, actor: &str) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let user = self.existing_user(name)?;
        self.change_user(&mut settings, &user, (&Password::Keep, None), Some(&tags), actor)
    }

    /// Gives a user another password; connections stay.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::Password`], [`AdminError::PasswordHash`]
    pub fn set_password(&self, name: &str, password: Password, actor: &str) -> Result<Done, AdminError> {
        self.judge(&password, false)?;
        let hash = self.hash_of(&password)?;
        let mut settings = self.settings();
        let user = self.existing_user(name)?;
        self.change_user(&mut settings, &user, (&password, hash), None, actor)
    }

    /// Deletes a user with its permissions. What it has declared stays; its connections are closed by whoever is told: see
    /// [`Broker::when_gone`].
    ///
    /// # Errors
    /// [`AdminError::NoUser`]
    pub fn delete_user(&self, name: &str, actor: &str) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let user = self.existing_user(name)?;
        let rights = Rights::clone(&user.rights());
        for vhost in rights.permissions.keys() {
            self.write_cleared(&mut settings, key(SettingKind::Permission, vhost, name));
        }
        for (vhost, exchange) in rights.topic_permissions.keys() {
            let both = super::both(name, exchange);
            self.write_cleared(&mut settings, key(SettingKind::TopicPermission, vhost, &both));
        }
        if user.limits() != crate::user::UserLimits::default() {
            self.write_cleared(&mut settings, key(SettingKind::UserLimits, "", name));
        }
        let lsn = self.write_cleared(&mut settings, key(SettingKind::User, "", name));
        self.users.remove(name);
        user.mark_deleted();
        self.services.event("user.deleted", |fields| fields.text("name", name).by(actor));
        drop(settings);
        self.tell_gone(&Gone::User(Name::clone(&user.name)));
        Ok(Done { lsn, created: false })
    }

    fn hash_of(&self, password: &Password) -> Result<Option<PasswordHash>, AdminError> {
        match password {
            Password::Plain(text) if text.is_empty() => Ok(None),
            Password::Plain(text) => Ok(Some(self.hash_password(text))),
            Password::Hash { hash, .. } if hash.is_empty() => Ok(None),
            Password::Hash { hash, algorithm } => {
                let algorithm = algorithm.unwrap_or_else(|| self.password_hashing());
                PasswordHash::parse(hash, algorithm)
                    .map(Some)
                    .ok_or_else(|| AdminError::PasswordHash("password_hash is not a base64-encoded string".to_owned()))
            }
            Password::None | Password::Keep => Ok(None),
        }
    }

    fn write_user(&self, settings: &mut Settings, name: &str, account: &Account) -> Result<Lsn, AdminError> {
        let bytes = bytes_of(&values::user(account))?;
        Ok(self.write(settings, key(SettingKind::User, "", name), &bytes))
    }

    fn tell_tags(&self, name: &str, tags: &[String], actor: &str) {
        self.services.event("user.tags.set", |fields| {
            fields.text("name", name).texts("tags", tags.iter().map(String::as_str)).by(actor)
        });
    }
}
