//! Refusals of exchanges' arguments and bindings, in RabbitMQ's words.

use leveret_codec::erlang::Binary;
use thiserror::Error;

use crate::names::Name;
use crate::queue::arguments::QueueType;

/// A refusal by an exchange's type. Its display is the text after `PRECONDITION_FAILED - `, the reply code of all of them.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum ExchangeError {
    #[error("invalid type '{type_name}' for arg '{argument}': expected longstr")]
    ArgumentType { argument: Box<str>, type_name: &'static str },
    #[error("hash-header and hash-property are mutually exclusive")]
    HashOfTwo,
    #[error("Unsupported property: {0}")]
    UnsupportedProperty(Box<str>),
    #[error("The binding key must be an integer: {}", Binary(.0))]
    WeightNoInteger(Box<[u8]>),
    #[error("The binding key must be greater than 0")]
    WeightNotPositive,
    #[error("Invalid argument {0}, 'x-recent-history-length' must be a positive integer")]
    HistoryLength(Box<str>),
    #[error("Non empty binding '{0}' key not permitted")]
    KeyNotEmpty(Box<str>),
    #[error("Queue type {} not valid for this exchange type", .0.module())]
    WrongQueueType(QueueType),
    #[error("Destination not found")]
    NoQueueThere,
    #[error("cannot parse selector '{selector}' binding destination '{destination}' to exchange '{exchange}'")]
    BadSelector { selector: Box<str>, destination: Name, exchange: Name },
}
