//! The program around a broker, as those see it who manage the broker.

use std::fmt::Debug;
use std::sync::Arc;

use crate::node::Node;

/// What the program around a broker can do.
pub trait Program: Debug + Send + Sync {
    /// Logs what is at least this urgent: `debug`, `info`, `notice`, `warning`, `error`, `critical` or `none`.
    ///
    /// # Errors
    /// Why not, as a sentence for a person.
    fn set_log_level(&self, level: &str) -> Result<(), String>;

    /// Opens the log's file again, which somebody has moved away.
    fn reopen_logs(&self);

    /// The configuration: key, value and who said it.
    fn settings(&self) -> Vec<(String, String, String)>;
}

impl Node {
    /// Makes the program known, once.
    pub fn set_program(&self, program: Arc<dyn Program>) {
        let _ = self.shared.program.set(program);
    }

    /// The program, if there is one that can be managed.
    #[must_use]
    pub fn program(&self) -> Option<&Arc<dyn Program>> {
        self.shared.program.get()
    }
}
