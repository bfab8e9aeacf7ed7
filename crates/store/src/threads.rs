//! The threads of a store, each of which only calls its steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::Error;
use crate::idle::Idle;
use crate::limits::{KEEPER_PAUSE_MS, PAGERS};
use crate::store::Store;

/// The threads of a store that is running.
#[derive(Debug)]
#[must_use = "stop() ends them in order"]
pub struct Threads {
    store: Arc<Store>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    pause: Mutex<()>,
    woken: Condvar,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl Store {
    /// Starts the threads: one commits, one keeps, two read messages back, one writes large bodies.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(self: &Arc<Self>) -> io::Result<Threads> {
        let mut threads =
            Threads { store: Arc::clone(self), shared: Arc::default(), threads: Vec::with_capacity(3 + PAGERS) };
        threads.spawn("store-commit", |store, shared| {
            let mut idle = Idle::new(store.options.release_memory);
            while !shared.is_stopping() && !store.has_failed() {
                store.work(&mut idle)?;
            }
            Ok(())
        })?;
        threads.spawn("store-keep", |store, shared| {
            let mut idle = Idle::new(store.options.release_memory);
            while !shared.is_stopping() && !store.has_failed() {
                if store.tend()? {
                    idle.worked();
                } else {
                    idle.passed();
                }
                let mut pause = shared.pause.lock();
                if !shared.is_stopping() {
                    shared.woken.wait_for(&mut pause, Duration::from_millis(KEEPER_PAUSE_MS));
                }
            }
            Ok(())
        })?;
        for _ in 0..PAGERS {
            threads.spawn("store-page", |store, shared| {
                let mut idle = Idle::new(store.options.release_memory);
                while let Some(wanted) = store.pager.wait(&mut idle) {
                    store.serve(wanted, &shared.stopping)?;
                }
                Ok(())
            })?;
        }
        threads.spawn("store-blobs", |store, _| {
            store.blobs.run(store.options.release_memory);
            Ok(())
        })?;
        Ok(threads)
    }

    /// Ends in order: commits what was appended, and writes a checkpoint that says that nothing follows. Nothing may be appended
    /// any more.
    ///
    /// # Errors
    /// When the disk has failed. Without room on it, all that is missing is the checkpoint.
    pub fn close(&self) -> Result<(), Error> {
        let committed = self.commit_all()?;
        match self.checkpoint(committed) {
            Err(error) if error.is_no_room() => {
                tracing::warn!(%error, "no room for a checkpoint: the next start takes longer");
                Ok(())
            }
            result => result,
        }
    }

    /// What the keeper's thread does each time it wakes: sees to a spare journal file, and keeps while there is something to.
    /// False if there was nothing.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn tend(&self) -> Result<bool, Error> {
        self.log.prepare_spare()?;
        // Blobs that were let go wait for a commit to pass; it may be that none comes.
        if self.blobs.wants_sweep() {
            self.commit()?;
        }
        let mut kept = false;
        while self.keep()? {
            kept = true;
        }
        Ok(self.keep_when_quiet()? || kept)
    }
}

impl Threads {
    /// Commits what was appended, writes a checkpoint that says that nothing follows, and ends the threads. Nothing may be
    /// appended any more.
    ///
    /// # Errors
    /// When the disk has failed. Without room on it, all that is missing is the checkpoint.
    pub fn stop(mut self) -> Result<(), Error> {
        self.store.blobs.stop();
        self.end();
        self.store.close()
    }

    fn end(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.store.log.nudge();
        self.store.pager.stop();
        self.store.blobs.stop();
        self.store.wake_waiting();
        {
            let _pause = self.shared.pause.lock();
            self.shared.woken.notify_all();
        }
        for thread in self.threads.drain(..) {
            // It panicked: that was reported when it happened.
            let _ = thread.join();
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the threads of the store start here")]
    fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce(&Store, &Shared) -> Result<(), Error> + Send + 'static,
    ) -> io::Result<()> {
        let (store, shared) = (Arc::clone(&self.store), Arc::clone(&self.shared));
        let thread = name.to_owned();
        self.threads.push(Builder::new().name(name.into()).spawn(move || {
            let _told = TellPanic { store: &store, thread };
            if let Err(error) = work(&store, &shared) {
                store.fail(&error);
            }
        })?);
        Ok(())
    }
}

/// Else everybody would wait for the thread, for ever.
struct TellPanic<'a> {
    store: &'a Store,
    thread: String,
}

impl Drop for TellPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.store.thread_panicked(&self.thread);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    use super::*;
    use crate::options::Options;
    use crate::sim::SimDisk;

    #[test]
    fn a_thread_that_panics_is_told_of_and_nothing_is_written_after_it() {
        let failures = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&failures);
        let on_failure = Arc::new(move |_: &Error| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let options = Options { on_failure, disk_free_min_bytes: 0, ..Options::default() };
        let (store, ..) = Store::open(Arc::new(SimDisk::new()), options).unwrap();
        let mut threads = store.start().unwrap();
        threads.spawn("store-test", |_, _| panic!("on purpose")).unwrap();
        let begun = Instant::now();
        while failures.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told");
            std::thread::yield_now();
        }
        let text = store.commit().unwrap_err().to_string();
        assert!(text.contains("store-test"), "{text}");
        threads.stop().unwrap_err();
        assert_eq!(failures.load(Ordering::SeqCst), 1);
    }
}
