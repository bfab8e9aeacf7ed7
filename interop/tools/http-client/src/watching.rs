//! What goes on.

use std::env;

use anyhow::{Context as _, ensure};
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use rabbitmq_http_client::commons::SupportedProtocol;

use crate::{Api, unique, wait_until};

pub fn overview(api: &Api) -> anyhow::Result<()> {
    let overview = api.overview().context("overview")?;
    ensure!(overview.rabbitmq_version.starts_with("4."), "the version is {}", overview.rabbitmq_version);
    ensure!(api.server_version()? == overview.rabbitmq_version, "two versions");
    let nodes = api.list_nodes().context("list_nodes")?;
    let node = nodes.first().context("there is no node")?;
    api.get_node_info(&node.name).context("get_node_info")?;
    api.get_node_memory_footprint(&node.name).context("get_node_memory_footprint")?;
    api.list_node_plugins(&node.name).context("list_node_plugins")?;
    api.list_all_cluster_plugins().context("list_all_cluster_plugins")?;
    let name = api.get_cluster_name().context("get_cluster_name")?.name;
    api.set_cluster_name("renamed").context("set_cluster_name")?;
    ensure!(api.get_cluster_name()?.name == "renamed", "the cluster has another name");
    api.set_cluster_name(&name).context("set_cluster_name")?;
    api.get_cluster_tags().context("get_cluster_tags")?;
    api.list_feature_flags().context("list_feature_flags")?;
    api.enable_all_stable_feature_flags().context("enable_all_stable_feature_flags")?;
    api.list_all_deprecated_features().context("list_all_deprecated_features")?;
    api.list_deprecated_features_in_use().context("list_deprecated_features_in_use")?;
    api.auth_attempts_statistics(&node.name).context("auth_attempts_statistics")?;
    Ok(())
}

pub fn connections(api: &Api) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let name = unique("connection");
    let connection = runtime.block_on(consuming(&name))?;
    let found = wait_until("the connection is listed", || {
        Ok(api.list_connections()?.into_iter().find(|c| c.client_properties.connection_name == name))
    })?;
    ensure!(found.username == "guest" && found.protocol == "AMQP 0-9-1", "the connection is {found:?}");
    api.get_connection_info(&found.name).context("get_connection_info")?;
    api.list_connections_in("/").context("list_connections_in")?;
    api.list_user_connections("guest").context("list_user_connections")?;
    let channels = api.list_channels_on(&found.name).context("list_channels_on")?;
    let channel = channels.first().context("the connection has no channel")?;
    ensure!(channel.prefetch_count == 5 && channel.consumer_count == 1, "the channel is {channel:?}");
    api.get_channel_info(&channel.name).context("get_channel_info")?;
    api.list_channels().context("list_channels")?;
    ensure!(api.list_consumers_in("/")?.iter().any(|c| c.consumer_tag == name), "the consumer is not listed");
    api.list_consumers().context("list_consumers")?;
    api.close_connection(&found.name, Some("enough"), false).context("close_connection")?;
    wait_until("the connection is closed", || Ok((!connection.status().connected()).then_some(())))
}

/// A connection with a consumer.
async fn consuming(name: &str) -> anyhow::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(name.to_owned().into());
    let connection = Connection::connect(&env::var("AMQP_URL")?, properties).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(5, BasicQosOptions::default()).await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, FieldTable::default()).await?;
    let consumer =
        channel.basic_consume(name.into(), name.into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    // Until the connection is closed from outside.
    std::mem::forget((channel, consumer));
    Ok(connection)
}

pub fn health(api: &Api) -> anyhow::Result<()> {
    api.health_check_cluster_wide_alarms().context("alarms")?;
    api.health_check_local_alarms().context("local alarms")?;
    api.health_check_if_node_is_quorum_critical().context("quorum")?;
    let url = env::var("AMQP_URL")?;
    let port = url.rsplit_once('/').and_then(|(rest, _)| rest.rsplit_once(':')).context("AMQP_URL has no port")?.1;
    api.health_check_port_listener(port.parse()?).context("port listener")?;
    api.health_check_protocol_listener(SupportedProtocol::AMQP).context("protocol listener")?;
    ensure!(api.health_check_port_listener(1).is_err(), "nothing listens on port 1");
    Ok(())
}
