//! `leveret serve`.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;

use leveret_server::{Error, Server, ServerConfig, StoreConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[cfg(feature = "mimalloc")]
use crate::allocator::tidy;
use crate::cli::ServeOptions;

/// Other allocators look after themselves.
#[cfg(not(feature = "mimalloc"))]
use std::future::pending as tidy;

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
        store: (!options.ephemeral).then(|| store_config(options)),
        remote_guest: options.remote_guest,
        message_bytes_max: Some(options.max_message_size.as_u64()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&config))
}

fn store_config(options: &ServeOptions) -> StoreConfig {
    StoreConfig {
        durability: options.durability,
        memory_budget_bytes: options.memory_budget.map(|budget| budget.as_u64()),
        disk_free_min_bytes: options.disk_free_limit.as_u64(),
        recover: options.recover,
        ..StoreConfig::new(&options.data_dir)
    }
}

async fn serve(config: &ServerConfig) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config)?;
    announce(config, &server);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM received - shutting down"),
        _ = interrupt.recv() => tracing::info!("SIGINT received - shutting down"),
        () = server.failed() => return Err(Error::DiskFailed),
        never = tidy() => match never {},
    }
    server.shutdown().await;
    Ok(())
}

/// Says on stdout what scripts and test containers wait for.
fn announce(config: &ServerConfig, server: &Server) {
    tracing::info!("Leveret {} speaks AMQP 0-9-1 on {}", env!("CARGO_PKG_VERSION"), server.address());
    if config.store.is_none() {
        tracing::info!("nothing is kept on disk: a restart forgets all");
    }
    let mut out = io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(out, "listening on {}", server.address());
    let _ = writeln!(out, "Server startup complete; 0 plugins started.");
    let _ = out.flush();
}
