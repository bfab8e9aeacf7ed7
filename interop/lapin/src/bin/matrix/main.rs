//! Runs every capability of the matrix with lapin and prints one line for each.
//!
//! `capabilities.rs` shows each in short; the tests of this package show more of it, topic by topic.

mod capabilities;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use leveret_interop_lapin::scenario::connect;

const CAPABILITIES: [&str; 10] = [
    "declare",
    "publish-confirms",
    "consume-acks",
    "get",
    "returns",
    "ttl-dead-letter",
    "priorities",
    "rpc",
    "topology-errors",
    "recovery",
];
const CAPABILITY_TIME_MAX: Duration = Duration::from_secs(90);
/// The broker's own stop and start come on top.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> ExitCode {
    println!("client lapin {}", std::env::var("CLIENT_VERSION").unwrap_or_default());
    let mut passed = true;
    for capability in CAPABILITIES {
        match in_time(capability).await {
            Ok(()) => println!("ok {capability}"),
            Err(error) => {
                passed = false;
                let reason = format!("{error:#}");
                println!("not ok {capability}: {}", reason.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    match tokio::time::timeout(CAPABILITY_TIME_MAX, clean_up()).await {
        Ok(Ok(())) => {}
        other => eprintln!("cleaning up: {other:?}"),
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A task of its own turns a failed assertion into an error.
async fn in_time(capability: &'static str) -> Result<()> {
    let limit = if capability == "recovery" { RECOVERY_TIME_MAX } else { CAPABILITY_TIME_MAX };
    let proof = tokio::spawn(Box::pin(prove(capability)));
    match tokio::time::timeout(limit, proof).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(anyhow!(said(panic))),
        Err(_) => bail!("not over after {limit:?}"),
    }
}

fn said(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "cancelled".to_owned();
    };
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "panicked".to_owned(),
    }
}

/// Each capability has a connection of its own, so that one that breaks it does no harm to the next.
async fn prove(capability: &str) -> Result<()> {
    let connection = connect().await?;
    match capability {
        "declare" => capabilities::declare(&connection).await,
        "publish-confirms" => capabilities::publish_confirms(&connection).await,
        "consume-acks" => capabilities::consume_acks(&connection).await,
        "get" => capabilities::get(&connection).await,
        "returns" => capabilities::returns(&connection).await,
        "ttl-dead-letter" => capabilities::ttl_dead_letter(&connection).await,
        "priorities" => capabilities::priorities(&connection).await,
        "rpc" => capabilities::rpc(&connection).await,
        "topology-errors" => capabilities::topology_errors(&connection).await,
        // It makes one that recovers. This one goes with the broker.
        "recovery" => capabilities::recovery().await,
        _ => bail!("no such capability"),
    }?;
    // lapin closes the channels that were dropped in the background: there this can meet them, and fail without harm.
    let _ = connection.close(200, "OK".into()).await;
    Ok(())
}

/// To delete what does not exist is no error.
async fn clean_up() -> Result<()> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    for name in capabilities::given() {
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
        channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await?;
    }
    channel.close(200, "OK".into()).await?;
    Ok(connection.close(200, "OK".into()).await?)
}
