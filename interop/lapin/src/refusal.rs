//! How lapin shows that the broker refused something.
//!
//! A soft error closes the channel, a hard one the connection. Either comes as [`ErrorKind::ProtocolError`] with the
//! reply code (as [`AMQPSoftError`] or `AMQPHardError`) and the reply text. A method with a reply fails with it. For a
//! method without one (publish, ack) the broker's answer comes later: as an event of the connection.

use std::fmt::Debug;

use anyhow::{Context, Result, ensure};
use futures_lite::{Stream, StreamExt};
use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};
use lapin::{ErrorKind, Event};

use crate::scenario::within;

/// Checks that a call was refused with this code and exactly this text.
#[track_caller]
pub fn assert_refused<T: Debug>(answer: lapin::Result<T>, code: impl Into<AMQPErrorKind>, text: &str) {
    let refusal = answer.expect_err("the broker had to refuse this");
    let ErrorKind::ProtocolError(error) = refusal.kind() else {
        panic!("expected `{text}`, not `{refusal}`");
    };
    assert_is(error, code, text);
}

/// Checks the next error among the connection's events, for what has no reply of its own.
pub async fn assert_refused_later(
    events: &mut (impl Stream<Item = Event> + Unpin),
    code: impl Into<AMQPErrorKind>,
    text: &str,
) -> Result<()> {
    loop {
        let event = within(events.next()).await?;
        if let Event::Error(refusal) = event.context("the connection is gone without an error")? {
            let ErrorKind::ProtocolError(error) = refusal.kind() else {
                panic!("expected `{text}`, not `{refusal}`");
            };
            assert_is(error, code, text);
            return Ok(());
        }
    }
}

/// Reads a passive declare's answer: `false` for 404, an error for any other refusal.
pub fn exists<T>(answer: lapin::Result<T>) -> Result<bool> {
    let Err(refusal) = answer else {
        return Ok(true);
    };
    let not_found = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    let is_not_found = matches!(refusal.kind(), ErrorKind::ProtocolError(error) if *error.kind() == not_found);
    ensure!(is_not_found, refusal);
    Ok(false)
}

#[track_caller]
fn assert_is(error: &AMQPError, code: impl Into<AMQPErrorKind>, text: &str) {
    assert_eq!(*error.kind(), code.into(), "{error}");
    assert_eq!(error.get_message().as_str(), text);
}
