//! `leveret serve`.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;

use leveret_server::{Error, Server, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::ServeOptions;

/// Runs the broker until a signal ends it.
pub(crate) fn run(options: &ServeOptions) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let config = ServerConfig {
        listen: SocketAddr::new(options.bind, options.port),
        data_dir: (!options.ephemeral).then(|| options.data_dir.clone()),
        remote_guest: options.remote_guest,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &ServerConfig) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config)?;
    announce(config, &server);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM received - shutting down"),
        _ = interrupt.recv() => tracing::info!("SIGINT received - shutting down"),
    }
    server.shutdown().await;
    Ok(())
}

/// Says on stdout what scripts and test containers wait for.
fn announce(config: &ServerConfig, server: &Server) {
    tracing::info!("Leveret {} speaks AMQP 0-9-1 on {}", env!("CARGO_PKG_VERSION"), server.address());
    if config.data_dir.is_some() {
        tracing::warn!("messages, queues and exchanges are kept in memory: nothing survives a restart yet");
    }
    let mut out = io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(out, "listening on {}", server.address());
    let _ = writeln!(out, "Server startup complete; 0 plugins started.");
    let _ = out.flush();
}
