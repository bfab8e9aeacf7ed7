//! Users: who they are, what they may do, and how much of it.
//!
//! Connections hold the user they belong to. What administration changes is swapped in behind it, so that their next check
//! sees it; [`User::generation`] tells those who remember what was allowed that they have to ask again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::names::Name;
use crate::password::{HashingAlgorithm, PasswordHash};
use crate::permission::{Authorizer, Rights};

/// The tag of those who may set any user-id on messages.
const IMPERSONATOR: &str = "impersonator";

/// A user of the broker.
#[derive(Debug)]
pub struct User {
    /// Its name.
    pub name: Name,
    account: ArcSwap<Account>,
    rights: ArcSwap<Rights>,
    /// Rises with each change of its rights and tags.
    generation: AtomicU64,
    deleted: AtomicBool,
    /// Who says what it may do, if that is not kept here.
    authorizer: Option<Arc<dyn Authorizer>>,
    /// Connections that are open.
    pub(crate) connections: AtomicUsize,
    /// Channels that are open.
    pub(crate) channels: AtomicUsize,
}

/// What is known of a user beside its permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Without one nobody can log in by password.
    pub password: Option<PasswordHash>,
    /// Tags such as `administrator` and `impersonator`.
    pub tags: Vec<String>,
    /// How much it may have.
    pub limits: UserLimits,
}

/// How much a user may have; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// `max-connections`
    pub connections_max: Option<u64>,
    /// `max-channels`: on all its connections together
    pub channels_max: Option<u64>,
}

impl User {
    /// A user whose permissions are kept here.
    #[must_use]
    pub fn new(name: impl Into<Name>, account: Account, rights: Rights) -> Self {
        Self {
            name: name.into(),
            account: ArcSwap::from_pointee(account),
            rights: ArcSwap::from_pointee(rights),
            generation: AtomicU64::new(0),
            deleted: AtomicBool::new(false),
            authorizer: None,
            connections: AtomicUsize::new(0),
            channels: AtomicUsize::new(0),
        }
    }

    /// A user whom a back end knows, and for whom it answers.
    #[must_use]
    pub fn authorized_by(name: impl Into<Name>, tags: Vec<String>, authorizer: Arc<dyn Authorizer>) -> Self {
        let account = Account { tags, ..Account::default() };
        Self { authorizer: Some(authorizer), ..Self::new(name, account, Rights::default()) }
    }

    /// Who says what it may do, if that is not kept here.
    #[must_use]
    pub fn authorizer(&self) -> Option<&Arc<dyn Authorizer>> {
        self.authorizer.as_ref()
    }

    /// What is known of it now.
    #[must_use]
    pub fn account(&self) -> Guard<Arc<Account>> {
        self.account.load()
    }

    /// What it may do now.
    #[must_use]
    pub fn rights(&self) -> Guard<Arc<Rights>> {
        self.rights.load()
    }

    /// Its tags now.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        self.account().tags.clone()
    }

    /// Whether it has a tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.account().tags.iter().any(|own| own == tag)
    }

    /// Its password's hash, as definitions have it; empty where there is none.
    #[must_use]
    pub fn password_hash(&self) -> String {
        self.account().password.as_ref().map(|hash| hash.text.to_string()).unwrap_or_default()
    }

    /// How its password is hashed.
    #[must_use]
    pub fn hashing_algorithm(&self) -> HashingAlgorithm {
        self.account().password.as_ref().map(|hash| hash.algorithm).unwrap_or_default()
    }

    /// How much it may have.
    #[must_use]
    pub fn limits(&self) -> UserLimits {
        self.account().limits
    }

    /// Rises with each change of its permissions and tags: what was allowed before has to be asked again.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What was allowed before has to be asked again: for whoever changes what an [`Authorizer`] says.
    pub fn permissions_changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether it was deleted; nothing is allowed to it then.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Whether `password` is the user's: in constant time, and never for an empty one.
    #[must_use]
    pub fn accepts(&self, password: &[u8]) -> bool {
        self.account().password.as_ref().is_some_and(|hash| hash.accepts(password))
    }

    /// When its login comes to its end, in milliseconds since 1970; none is never.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        self.authorizer.as_ref().and_then(|authorizer| authorizer.expires_at_ms())
    }

    /// Whether it may set any user-id on messages.
    #[must_use]
    pub fn is_impersonator(&self) -> bool {
        self.has_tag(IMPERSONATOR)
    }

    /// Gives it other tags: for whoever answers for it.
    pub fn set_tags(&self, tags: Vec<String>) {
        self.set_account(Account { tags, ..Account::clone(&self.account()) });
    }

    pub(crate) fn set_account(&self, account: Account) {
        self.account.store(Arc::new(account));
        self.permissions_changed();
    }

    pub(crate) fn change_rights(&self, change: impl FnOnce(&mut Rights)) {
        let mut rights = Rights::clone(&self.rights());
        change(&mut rights);
        self.rights.store(Arc::new(rights));
        self.permissions_changed();
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.change_rights(|rights| *rights = Rights::default());
    }
}
