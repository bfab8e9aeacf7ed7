//! `leveret serve`.

mod announce;
mod auth;
mod host;
mod http;
#[cfg(feature = "ldap")]
mod ldap;
mod seed;
mod server;

use std::sync::Arc;
use std::time::Duration;

use leveret_config::{ConfigError, Explained, Loaded, Sources, load};
use leveret_management::Management;
use leveret_server::{Server, ServerConfig};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::allocator::tidy;
use crate::cli::ServeOptions;
use crate::logging::{self, Logging};
use crate::notify::{State, notify};
use crate::pid_file::PidFiles;

/// How long a stop waits for HTTP clients.
const HTTP_PATIENCE: Duration = Duration::from_secs(1);

/// Why the broker does not serve.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    /// Files, environment or flags are wrong.
    #[error("the configuration cannot be used:\n{0}")]
    Config(#[from] ConfigError),
    /// What they say cannot be done.
    #[error("{0}")]
    Setting(String),
    /// The broker.
    #[error(transparent)]
    Server(#[from] leveret_server::Error),
    /// HTTP.
    #[error(transparent)]
    Http(#[from] leveret_management::Error),
}

/// What the settings come to.
pub(crate) struct Plan {
    pub(crate) loaded: Loaded,
    pub(crate) server: ServerConfig,
    pub(crate) http: http::Http,
}

impl Plan {
    /// Reads all there is, certificates and definitions as well.
    pub(crate) fn of(sources: &Sources) -> Result<Self, ServeError> {
        let loaded = load(sources)?;
        let server = server::config(&loaded.settings).map_err(ServeError::Setting)?;
        let http = http::config(&loaded).map_err(ServeError::Setting)?;
        Ok(Self { loaded, server, http })
    }
}

/// Runs the broker until a signal ends it.
pub(crate) fn run(options: &ServeOptions) -> Result<(), ServeError> {
    let sources = options.sources();
    let plan = Plan::of(&sources)?;
    let settings = &plan.loaded.settings;
    let logging = logging::start(&settings.log, &settings.node.name).map_err(ServeError::Setting)?;
    for warning in &plan.loaded.warnings {
        tracing::warn!("{warning}");
    }
    announce::message_of_the_day(settings);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(leveret_server::Error::Start)?;
    runtime.block_on(serve(&sources, plan, logging))
}

/// A broker with all that listens beside it.
struct Running {
    server: Server,
    management: Management,
    http: http::Http,
    stop: CancellationToken,
    logging: Logging,
    _pid_files: PidFiles,
}

async fn serve(sources: &Sources, plan: Plan, logging: Logging) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(leveret_server::Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(leveret_server::Error::Start)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(leveret_server::Error::Start)?;
    let mut loaded = plan.loaded.clone();
    let running = start(plan, logging).await?;
    let node = running.server.node();
    loop {
        tokio::select! {
            _ = terminate.recv() => { tracing::info!("SIGTERM received - shutting down"); break }
            _ = interrupt.recv() => { tracing::info!("SIGINT received - shutting down"); break }
            () = node.stop_requested() => { tracing::info!("asked to stop - shutting down"); break }
            _ = hangup.recv() => running.reload(sources, &mut loaded),
            () = running.server.failed() => return Err(leveret_server::Error::DiskFailed.into()),
            never = tidy() => match never {},
        }
    }
    notify(State::Stopping);
    running.end().await;
    Ok(())
}

/// Starts the broker, then what is not needed for messages.
async fn start(plan: Plan, logging: Logging) -> Result<Running, ServeError> {
    let Plan { loaded, server: config, mut http } = plan;
    let settings = &loaded.settings;
    // Who is there again when the node is reset.
    http.config.default_user = config.seed.user.clone().unwrap_or_default();
    http.prepare().map_err(ServeError::Setting)?;
    let server = Server::start(&config)?;
    logging.publish_in(server.broker(), &settings.seed.vhost);
    announce::seeding(settings, &server, !config.seed.definitions.is_empty());
    let node = server.node();
    node.set_host(host::facts(&loaded, &logging));
    node.set_program(Arc::new(host::LeveretProgram { logging: logging.clone(), settings: rows(&loaded.origins) }));
    let stop = CancellationToken::new();
    http.watch_certificates(&stop);
    let management = match leveret_management::serve(node, http.config.clone(), stop.clone()).await {
        Ok(management) => management,
        Err(error) => {
            server.shutdown().await;
            return Err(error.into());
        }
    };
    let pid_files = PidFiles::write(host::pid_paths(settings, http.has_data_dir), settings.node.keep_pid_file);
    announce::startup(settings, &server, &management, &logging);
    notify(State::Ready);
    Ok(Running { server, management, http, stop, logging, _pid_files: pid_files })
}

fn rows(origins: &[Explained]) -> Vec<(String, String, String)> {
    origins.iter().map(|row| (row.key.clone(), row.value.clone(), row.origin.to_string())).collect()
}

impl Running {
    /// Takes up what can change while the broker runs, and tells of what cannot.
    fn reload(&self, sources: &Sources, before: &mut Loaded) {
        tracing::info!("SIGHUP received - reading the configuration again");
        notify(State::Reloading);
        self.logging.reopen();
        match load(sources) {
            Ok(loaded) => {
                if let Err(error) = self.logging.apply(&loaded.settings.log) {
                    tracing::error!("the log goes on as it was: {error}");
                }
                for key in host::changed(&before.origins, &loaded.origins) {
                    tracing::warn!("{key} has changed: it takes effect with the next start");
                }
                *before = loaded;
            }
            Err(error) => tracing::error!("the configuration stays as it was: it cannot be used:\n{error}"),
        }
        if let Err(error) = self.server.reload_certificates() {
            tracing::error!("the certificates stay as they were: {error}");
        }
        self.http.reload_certificates();
        notify(State::Ready);
    }

    async fn end(self) {
        self.stop.cancel();
        self.management.ended(HTTP_PATIENCE).await;
        let listeners = self.server.node().listeners();
        self.server.shutdown().await;
        announce::stopped(&listeners);
        self.logging.flush();
    }
}
