//! A run of named steps: each is timed, a failure does not stop the others, and the end tells all.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::bail;

/// The steps run so far and how they ended.
#[derive(Default)]
pub struct Plan {
    steps: Vec<Step>,
}

struct Step {
    name: Cow<'static, str>,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Plan {
    /// Runs one step now; true when it passed.
    pub fn step(&mut self, name: impl Into<Cow<'static, str>>, work: impl FnOnce() -> anyhow::Result<()>) -> bool {
        self.attempt(name, true, work).is_some()
    }

    /// Runs a step that others build upon. Its failure counts as one only if the step is `required`.
    pub fn attempt<T>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        required: bool,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<T> {
        self.record(name.into(), || match work() {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(error) if required => (Outcome::Failed(format!("{error:#}")), None),
            Err(error) => (Outcome::Skipped(format!("{error:#}")), None),
        })
    }

    /// Runs a step that may find out that it cannot be run here: it gives back why.
    pub fn step_unless(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        work: impl FnOnce() -> anyhow::Result<Option<String>>,
    ) {
        self.record(name.into(), || match work() {
            Ok(None) => (Outcome::Passed, ()),
            Ok(Some(why)) => (Outcome::Skipped(why), ()),
            Err(error) => (Outcome::Failed(format!("{error:#}")), ()),
        });
    }

    fn record<T>(&mut self, name: Cow<'static, str>, work: impl FnOnce() -> (Outcome, T)) -> T {
        println!("\n== {name}");
        let start = Instant::now();
        let (outcome, value) = work();
        let step = Step { name, took: start.elapsed(), outcome };
        println!("{}", step.line());
        self.steps.push(step);
        value
    }

    /// Notes a step that could not be run here, and why.
    pub fn skip(&mut self, name: impl Into<Cow<'static, str>>, why: &str) {
        let step = Step { name: name.into(), took: Duration::ZERO, outcome: Outcome::Skipped(why.to_owned()) };
        println!("\n{}", step.line());
        self.steps.push(step);
    }

    /// Prints the summary, its last line being the count; fails with the names of what failed.
    pub fn finish(self) -> anyhow::Result<()> {
        println!("\n{}", self.summary());
        let failed = self.names(|outcome| matches!(outcome, Outcome::Failed(_)));
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let mut lines = vec!["== summary".to_owned()];
        lines.extend(self.steps.iter().map(Step::line));
        let total: Duration = self.steps.iter().map(|step| step.took).sum();
        lines.push(format!("   {:>7.1} s  in all", total.as_secs_f64()));
        let passed = self.names(|outcome| matches!(outcome, Outcome::Passed)).len();
        let failed = self.names(|outcome| matches!(outcome, Outcome::Failed(_))).len();
        let skipped = self.steps.len() - passed - failed;
        let mut count = format!("{passed} passed, {failed} failed");
        if skipped > 0 {
            count.push_str(&format!(", {skipped} skipped"));
        }
        lines.push(count);
        lines.join("\n")
    }

    fn names(&self, keep: impl Fn(&Outcome) -> bool) -> Vec<&str> {
        self.steps.iter().filter(|step| keep(&step.outcome)).map(|step| step.name.as_ref()).collect()
    }
}

impl Step {
    fn line(&self) -> String {
        let seconds = self.took.as_secs_f64();
        match &self.outcome {
            Outcome::Passed => format!("ok {seconds:>7.1} s  {}", self.name),
            Outcome::Failed(why) => format!("!! {seconds:>7.1} s  {}: {why}", self.name),
            Outcome::Skipped(why) => format!("-- {seconds:>7.1} s  {}: {why}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_count() {
        let mut plan = Plan::default();
        assert!(plan.step("good", || Ok(())));
        assert!(!plan.step("bad", || bail!("broken")));
        plan.skip("other", "no network");
        let summary = plan.summary();
        assert!(summary.ends_with("\n1 passed, 1 failed, 1 skipped"), "{summary}");
        assert!(summary.contains("bad: broken"), "{summary}");
        assert!(summary.contains("other: no network"), "{summary}");
        let error = plan.finish().expect_err("a step failed");
        assert_eq!(error.to_string(), "failed: bad");
    }

    #[test]
    fn an_attempt_that_is_not_required_may_fail() {
        let mut plan = Plan::default();
        assert_eq!(plan.attempt("good", true, || Ok(7)), Some(7));
        assert_eq!(plan.attempt::<u32>("optional", false, || bail!("no network")), None);
        assert!(plan.summary().ends_with("\n1 passed, 0 failed, 1 skipped"));
        assert!(plan.finish().is_ok());
    }

    #[test]
    fn a_step_may_find_out_that_it_cannot_be_run() {
        let mut plan = Plan::default();
        plan.step_unless("here", || Ok(None));
        plan.step_unless("elsewhere", || Ok(Some("no ruby".to_owned())));
        plan.step_unless("bad", || bail!("broken"));
        let summary = plan.summary();
        assert!(summary.contains("elsewhere: no ruby"), "{summary}");
        assert!(summary.ends_with("\n1 passed, 1 failed, 1 skipped"), "{summary}");
    }

    #[test]
    fn skipped_steps_do_not_fail_a_plan() {
        let mut plan = Plan::default();
        plan.step("good", || Ok(()));
        plan.skip("other", "no network");
        assert!(plan.finish().is_ok());
    }
}
