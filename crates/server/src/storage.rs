//! Opening and closing the store.

use std::sync::Arc;

use leveret_engine::broker::Broker;
use leveret_engine::journal::{Journal, MemoryJournal};
use leveret_engine::memory::MemoryBudget;
use leveret_engine::services::Services;
use leveret_store::disk::StdDisk;
use leveret_store::{Options, Recovery, Store, Threads};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::config::ServerConfig;
use crate::error::Error;
use crate::memory::default_budget_bytes;
use crate::server::random;

/// A broker's state, and the store below it.
pub(crate) struct Opened {
    pub(crate) broker: Broker,
    pub(crate) storage: Option<Storage>,
}

/// A store at work.
pub(crate) struct Storage {
    pub(crate) store: Arc<Store>,
    threads: Threads,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// Opens the store and restores the broker from it; without a configuration the broker keeps nothing. `failed` is cancelled
/// when the disk fails: nothing is confirmed from then on.
pub(crate) fn open(config: &ServerConfig, failed: &CancellationToken) -> Result<Opened, Error> {
    let release_memory = config.release_memory;
    let Some(config) = &config.store else {
        let services = services(Arc::new(MemoryJournal::default()), MemoryBudget::default());
        return Ok(Opened { broker: Broker::with_services(services), storage: None });
    };
    let failed = failed.clone();
    let options = Options {
        durability: config.durability,
        disk_free_min_bytes: config.disk_free_min_bytes,
        recover: config.recover,
        release_memory,
        on_failure: Arc::new(move |error| {
            tracing::error!(%error, "the store has failed: nothing is confirmed any more");
            failed.cancel();
        }),
        ..Options::default()
    };
    let unusable = |source| Error::Store { path: config.data_dir.clone(), source };
    let disk = Arc::new(StdDisk::open(&config.data_dir).map_err(unusable)?);
    let (store, restored, recovery) = Store::open(disk, options).map_err(unusable)?;
    let budget_bytes = config.memory_budget_bytes.unwrap_or_else(default_budget_bytes);
    let journal: Arc<dyn Journal> = Arc::<Store>::clone(&store);
    let (broker, problems) = Broker::restore(services(journal, MemoryBudget::new(budget_bytes)), &restored);
    tell(&recovery);
    let messages: u64 = restored.queues.iter().map(|queue| queue.messages).sum();
    tracing::info!(
        queues = restored.queues.len(),
        messages,
        durability = %config.durability,
        "data directory {} is open",
        config.data_dir.display()
    );
    for problem in problems {
        tracing::error!("{problem}");
    }
    let threads = store.start()?;
    Ok(Opened { broker, storage: Some(Storage { store, threads }) })
}

fn services(journal: Arc<dyn Journal>, memory: MemoryBudget) -> Services {
    Services::new(journal, memory, Arc::new(SystemClock::start()), u64::from_le_bytes(random()))
}

/// Says what was cut off or left out.
fn tell(recovery: &Recovery) {
    if let Some(cut) = &recovery.cut {
        tracing::warn!(
            "{} ends at byte {}: {} bytes after it were being written when the broker stopped, were never confirmed, and are cut off",
            cut.path,
            cut.offset,
            cut.bytes
        );
    }
    for skipped in &recovery.skipped {
        tracing::error!("{} is damaged at byte {}: {} bytes are left out", skipped.path, skipped.offset, skipped.bytes);
    }
    tracing::debug!(records = recovery.records, clean = recovery.clean, "replayed the journal");
}

impl Storage {
    /// Writes what is left, so that the next start has nothing to do. Blocks.
    pub(crate) fn close(self) {
        if let Err(error) = self.threads.stop() {
            tracing::error!(%error, "the store was not closed in order: what was confirmed is safe, the next start takes longer");
        }
    }
}
