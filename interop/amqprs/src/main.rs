//! Runs every capability of the matrix with amqprs and prints one line for each. `capabilities.rs` is where to read how
//! things are done.

mod capabilities;
mod client;

use std::process::ExitCode;
use std::time::Duration;

use amqprs::channel::{ExchangeDeleteArguments, QueueDeleteArguments};
use anyhow::{Result, anyhow, bail};

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
    println!("client amqprs {}", std::env::var("CLIENT_VERSION").unwrap_or_default());
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
    let connection = client::connect().await?;
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
        "recovery" => capabilities::recovery(&connection).await,
        _ => bail!("no such capability"),
    }?;
    // Amqprs closes the channels that were dropped in the background: there this can meet them, and fail without harm.
    let _ = connection.close().await;
    Ok(())
}

/// To delete what does not exist is no error.
async fn clean_up() -> Result<()> {
    let connection = client::connect().await?;
    let (channel, _events) = client::channel(&connection).await?;
    for name in client::given() {
        channel.queue_delete(QueueDeleteArguments::new(&name)).await?;
        channel.exchange_delete(ExchangeDeleteArguments::new(&name)).await?;
    }
    channel.close().await?;
    Ok(connection.close().await?)
}
