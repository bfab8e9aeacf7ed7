//! What streams refuse, in RabbitMQ's words.

use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::FieldValue;
use thiserror::Error;

use crate::queue::Queue;
use crate::queue::arguments::Term;

/// A refusal. Its display is the text after `CODE_NAME - `.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{before}queue '{queue}' in vhost '{vhost}'{after}")]
pub struct StreamRefused {
    code: ReplyCode,
    before: &'static str,
    queue: Box<str>,
    vhost: Box<str>,
    after: String,
}

impl StreamRefused {
    fn new(queue: &Queue, code: ReplyCode, before: &'static str, after: impl Into<String>) -> Self {
        Self { code, before, queue: (&*queue.name).into(), vhost: (&*queue.vhost).into(), after: after.into() }
    }

    /// basic.get: a stream is only read by consumers.
    #[must_use]
    pub fn get(queue: &Queue) -> Self {
        Self::new(queue, ReplyCode::NotImplemented, "basic.get not supported by stream queues ", "")
    }

    /// queue.purge: messages go by age and size alone.
    #[must_use]
    pub fn purge(queue: &Queue) -> Self {
        Self::new(queue, ReplyCode::NotImplemented, "queue.purge not supported by stream queues ", "")
    }

    /// A consumer without a limit of unacknowledged deliveries.
    #[must_use]
    pub fn without_prefetch(queue: &Queue) -> Self {
        Self::new(queue, ReplyCode::PreconditionFailed, "consumer prefetch count is not set for stream ", "")
    }

    /// A consumer that does not acknowledge.
    #[must_use]
    pub fn no_ack(queue: &Queue) -> Self {
        Self::new(queue, ReplyCode::NotImplemented, "automatic acknowledgement not supported by stream ", "")
    }

    /// A consumer on a channel with a limit for all its consumers.
    #[must_use]
    pub fn global_qos(queue: &Queue) -> Self {
        Self::new(queue, ReplyCode::NotImplemented, "", " does not support global qos")
    }

    /// An `x-stream-offset` that means nothing.
    #[must_use]
    pub fn offset(queue: &Queue, value: &FieldValue) -> Self {
        let after = format!(": {{invalid_stream_offset_arg,{{{},{}}}}}", value.type_name(), Term(value));
        Self::new(queue, ReplyCode::PreconditionFailed, "invalid arg 'x-stream-offset' for ", after)
    }

    /// The code of the close that carries this refusal.
    #[must_use]
    pub fn reply_code(&self) -> ReplyCode {
        self.code
    }
}
