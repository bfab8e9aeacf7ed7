//! What a broker is told.

/// What a broker is told, whoever said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {}
