//! Operations that fail on demand.

use std::io;

/// What is done to a disk. Opening an existing file, reading and asking for lengths change nothing and are not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named for the methods of Disk and File")]
pub enum Operation {
    Create,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
    Write,
    Allocate,
    SetLen,
    Sync,
}

/// Some operations that fail.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which operations are counted.
    pub operations: &'static [Operation],
    /// How many of them succeed first.
    pub after: u64,
    /// How many of them fail then.
    pub times: u64,
    /// How they fail.
    pub kind: io::ErrorKind,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    struck: bool,
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, struck: false }
    }

    pub(super) fn struck(&self) -> bool {
        self.struck
    }

    /// How this operation fails, if it does.
    pub(super) fn strike(&mut self, operation: Operation) -> Option<io::ErrorKind> {
        let mut failure = None;
        for fault in self.faults.iter_mut().filter(|fault| fault.operations.contains(&operation)) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                failure = Some(fault.kind);
            }
        }
        self.struck |= failure.is_some();
        failure
    }
}
