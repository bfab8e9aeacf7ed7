//! Waiting for the disk: what changed something durable is answered when it survives.

use std::sync::Arc;

use leveret_server::engine::journal::{Lsn, Waiter};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::limits::DURABLE_PATIENCE;
use crate::state::Api;

/// Told by the journal.
struct Told(Mutex<Option<oneshot::Sender<()>>>);

impl Waiter for Told {
    fn wake(&self) {
        if let Some(sender) = self.0.lock().take() {
            // Who does not wait any more does not want to know.
            let _ = sender.send(());
        }
    }
}

impl Api {
    /// Comes when everything up to `lsn` is durable.
    ///
    /// # Errors
    /// 503 when the disk does not answer.
    pub async fn durable(&self, lsn: Lsn) -> Result<(), ApiError> {
        let journal = &self.broker().services.journal;
        if journal.durable() >= lsn {
            return Ok(());
        }
        let (sender, told) = oneshot::channel();
        journal.when_durable(lsn, Arc::new(Told(Mutex::new(Some(sender)))));
        match timeout(DURABLE_PATIENCE, told).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(ApiError::Unavailable("the change is not on disk: the disk does not answer".to_owned())),
        }
    }

    /// Comes when the journal takes more.
    ///
    /// # Errors
    /// 503 when the disk does not answer.
    pub async fn journal_has_room(&self) -> Result<(), ApiError> {
        let journal = &self.broker().services.journal;
        if !journal.is_full() {
            return Ok(());
        }
        let (sender, told) = oneshot::channel();
        journal.when_room(Arc::new(Told(Mutex::new(Some(sender)))));
        match timeout(DURABLE_PATIENCE, told).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(ApiError::Unavailable("the disk does not answer".to_owned())),
        }
    }
}
