//! The options that every command has: which broker, and how to tell what came of it.

use anyhow::Result;
use clap::Args;

use crate::cpu::{CpuSample, Memory};
use crate::progress::Progress;
use crate::url::Target;

/// Which broker, and how to tell what came of it.
#[derive(Args, Clone, Debug)]
pub struct ConnectArgs {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f", help_heading = "Broker")]
    pub url: String,

    /// Host, in place of the URL's
    #[arg(long, help_heading = "Broker")]
    pub host: Option<String>,

    /// Port, in place of the URL's
    #[arg(long, help_heading = "Broker")]
    pub port: Option<u16>,

    /// User, in place of the URL's
    #[arg(long, help_heading = "Broker")]
    pub user: Option<String>,

    /// Password, in place of the URL's
    #[arg(long, help_heading = "Broker")]
    pub password: Option<String>,

    /// Virtual host, in place of the URL's
    #[arg(long, help_heading = "Broker")]
    pub vhost: Option<String>,

    /// Process of the broker, if it runs on this machine: adds its CPU time and memory to the report
    #[arg(long, help_heading = "Broker")]
    pub pid: Option<u32>,

    /// Print the report as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Show no progress
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
}

impl ConnectArgs {
    /// The broker that the URL and its overrides name.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn target(&self) -> Result<Target> {
        let mut target = Target::parse(&self.url)?;
        let overrides = [
            (&mut target.host, &self.host),
            (&mut target.user, &self.user),
            (&mut target.password, &self.password),
            (&mut target.vhost, &self.vhost),
        ];
        for (part, given) in overrides {
            if let Some(given) = given {
                part.clone_from(given);
            }
        }
        target.port = self.port.unwrap_or(target.port);
        Ok(target)
    }

    /// Prints the report in the form that was asked for.
    pub(crate) fn print(&self, report: &(impl serde::Serialize + std::fmt::Display)) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.quiet)
    }

    /// CPU time of the broker so far, if its process is known.
    pub(crate) fn broker_cpu(&self) -> Result<Option<CpuSample>> {
        self.pid.map(CpuSample::take).transpose()
    }

    /// Microseconds of CPU that the broker has used since `earlier`.
    pub(crate) fn broker_cpu_us_since(&self, earlier: Option<&CpuSample>) -> Result<Option<f64>> {
        Ok(self.broker_cpu()?.zip(earlier).map(|(now, earlier)| now.us_since(earlier)))
    }

    /// Memory that the broker has resident, if its process is known.
    pub(crate) fn broker_resident_bytes(&self) -> Result<Option<u64>> {
        Ok(self.pid.map(Memory::take).transpose()?.map(|memory| memory.resident_bytes))
    }
}

#[cfg(test)]
mod tests {
    use crate::args::tests::parse;

    #[test]
    fn overrides_win_over_the_url() {
        let args = parse("--url amqp://a:b@h:1/v --port 2 --vhost w").unwrap();
        let target = args.connect.target().unwrap();
        assert_eq!((target.host.as_str(), target.port, target.vhost.as_str()), ("h", 2, "w"));
        assert_eq!((target.user.as_str(), target.password.as_str()), ("a", "b"));
    }
}
