//! The line on stderr that says how far a run is.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_millis(500);

/// One line on stderr, written over again and again where that is possible.
pub struct Progress {
    quiet: bool,
    start: Instant,
    last: Instant,
    is_begun: bool,
}

impl Progress {
    /// Shows nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self { quiet, start: now, last: now, is_begun: false }
    }

    /// Shows what `line` makes of the seconds since the last one, if it is time for another.
    pub fn show(&mut self, line: impl FnOnce(f64) -> String) {
        let span = self.last.elapsed();
        if self.quiet || span < INTERVAL {
            return;
        }
        let line = format!("{:6.1} s  {}", self.start.elapsed().as_secs_f64(), line(span.as_secs_f64()));
        self.last = Instant::now();
        let mut stderr = stderr();
        // Progress that nobody can read must not end the run.
        let _ = if stderr.is_terminal() {
            self.is_begun = true;
            // A shorter line than the last leaves nothing of it.
            write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }

    /// Leaves the line as it is and goes on below it.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            eprintln!();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
