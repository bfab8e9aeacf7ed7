//! What administration has set: the latest value under each key.

use std::collections::BTreeMap;

use leveret_engine::restore::RestoredSetting;

use crate::record::LoggedKey;

/// What a setting is filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: u8,
    pub(crate) scope: Box<str>,
    pub(crate) name: Box<str>,
}

impl Key {
    pub(crate) fn of(key: &LoggedKey<'_>) -> Self {
        Self { kind: key.kind, scope: key.scope.into(), name: key.name.into() }
    }
}

/// All settings. They mean nothing here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings(BTreeMap<Key, Box<[u8]>>);

impl Settings {
    pub(crate) fn set(&mut self, key: Key, value: &[u8]) {
        self.0.insert(key, value.into());
    }

    pub(crate) fn clear(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// All of them, in order of their keys.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = (&Key, &[u8])> {
        self.0.iter().map(|(key, value)| (key, &**value))
    }

    pub(crate) fn restored(&self) -> Vec<RestoredSetting> {
        let restored = |(key, value): (&Key, &[u8])| RestoredSetting {
            kind: key.kind,
            scope: key.scope.to_string(),
            name: key.name.to_string(),
            value: value.to_vec(),
        };
        self.all().map(restored).collect()
    }
}
