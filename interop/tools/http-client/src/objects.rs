//! What messages pass through.

use anyhow::{Context as _, ensure};
use rabbitmq_http_client::commons::QueueType;
use rabbitmq_http_client::requests::{
    BindingDeletionParams, ExchangeParams, QueueParams, StreamParams, VirtualHostParams,
};
use serde_json::json;

use crate::{Api, unique};

/// A virtual host with all kinds of queues in it; the caller deletes it.
fn filled_vhost(api: &Api) -> anyhow::Result<String> {
    let vhost = unique("v");
    let params =
        VirtualHostParams::named(&vhost).with_description("for a test").with_default_queue_type(QueueType::Classic);
    api.create_vhost(&params).context("create_vhost")?;
    api.grant_full_permissions("guest", &vhost).context("grant_full_permissions")?;
    api.declare_queue(&vhost, &QueueParams::new_durable_classic_queue("classic", None).with_max_length(10))?;
    api.declare_queue(&vhost, &QueueParams::new_quorum_queue("quorum", None))?;
    api.declare_queue(&vhost, &QueueParams::new_transient_autodelete("transient", None))?;
    api.declare_stream(&vhost, &StreamParams::new("stream", "7D"))?;
    for params in [
        ExchangeParams::durable_topic("topic", None),
        ExchangeParams::durable_fanout("fanout", None),
        ExchangeParams::durable_headers("headers", None),
    ] {
        api.declare_exchange(&vhost, &params).context("declare_exchange")?;
    }
    let arguments = json!({"x-match": "all", "n": 1}).as_object().cloned();
    api.bind_queue(&vhost, "classic", "topic", Some("a.#"), None).context("bind_queue")?;
    api.bind_queue(&vhost, "classic", "headers", None, arguments).context("bind_queue with arguments")?;
    api.bind_exchange(&vhost, "fanout", "topic", Some("b"), None).context("bind_exchange")?;
    Ok(vhost)
}

pub fn objects(api: &Api) -> anyhow::Result<()> {
    let vhost = filled_vhost(api)?;
    ensure!(api.list_vhosts()?.iter().any(|listed| listed.name == vhost), "the vhost is not listed");
    api.get_vhost(&vhost).context("get_vhost")?;
    let mut names: Vec<String> = api.list_queues_in(&vhost)?.into_iter().map(|queue| queue.name).collect();
    names.sort();
    ensure!(names == ["classic", "quorum", "stream", "transient"], "the queues are {names:?}");
    api.list_queues().context("list_queues")?;
    if !crate::on_peer() {
        api.list_queues_with_details().context("list_queues_with_details")?;
    }
    let queue = api.get_queue_info(&vhost, "quorum").context("get_queue_info")?;
    ensure!(queue.durable && queue.queue_type == "quorum", "the queue is {queue:?}");
    api.get_stream_info(&vhost, "stream").context("get_stream_info")?;
    ensure!(api.list_exchanges_in(&vhost)?.len() >= 10, "not all exchanges are listed");
    api.get_exchange_info(&vhost, "headers").context("get_exchange_info")?;
    bindings(api, &vhost)?;
    api.rebalance_queue_leaders().context("rebalance_queue_leaders")?;
    api.delete_stream(&vhost, "stream", false).context("delete_stream")?;
    api.delete_queue(&vhost, "quorum", false).context("delete_queue")?;
    api.delete_exchange(&vhost, "topic", false).context("delete_exchange")?;
    api.delete_vhost(&vhost, false).context("delete_vhost")
}

fn bindings(api: &Api, vhost: &str) -> anyhow::Result<()> {
    ensure!(!api.list_bindings()?.is_empty(), "no binding is listed");
    ensure!(api.list_exchange_bindings_with_source(vhost, "topic")?.len() == 2, "of an exchange as a source");
    ensure!(
        api.list_exchange_bindings_with_destination(vhost, "fanout")?.len() == 1,
        "of an exchange as a destination"
    );
    let of_queue = api.list_queue_bindings(vhost, "classic").context("list_queue_bindings")?;
    for binding in of_queue.iter().filter(|binding| !binding.source.is_empty()) {
        api.delete_binding(&BindingDeletionParams::from_binding_info(binding), false).context("delete_binding")?;
    }
    ensure!(api.list_queue_bindings(vhost, "classic")?.len() == 1, "only the binding of the default exchange is left");
    Ok(())
}

pub fn messages(api: &Api) -> anyhow::Result<()> {
    let name = unique("messages");
    api.declare_classic_queue("/", &name).context("declare_classic_queue")?;
    let properties = json!({"type": "greeting", "headers": {"n": 1}}).as_object().cloned().unwrap_or_default();
    for payload in ["first", "second"] {
        let routed = api.publish_message("/", "amq.default", &name, payload, properties.clone()).context("publish")?;
        ensure!(routed.routed, "{payload} was not routed");
    }
    let got = api.get_messages("/", &name, 10, "ack_requeue_false").context("get_messages")?;
    let payloads: Vec<&str> = got.iter().map(|message| message.payload.as_str()).collect();
    ensure!(payloads == ["first", "second"], "the messages are {payloads:?}");
    api.publish_message("/", "", &name, "third", properties).context("publish to the default exchange")?;
    api.purge_queue("/", &name).context("purge_queue")?;
    ensure!(api.get_messages("/", &name, 1, "ack_requeue_true")?.is_empty(), "a purged message is there");
    api.delete_queue("/", &name, false).context("delete_queue")
}

pub fn definitions(api: &Api) -> anyhow::Result<()> {
    let vhost = filled_vhost(api)?;
    let of_vhost = api.export_vhost_definitions(&vhost).context("export_vhost_definitions")?;
    api.export_vhost_definitions_as_data(&vhost).context("export_vhost_definitions_as_data")?;
    let all = api.export_cluster_wide_definitions().context("export_cluster_wide_definitions")?;
    let data = api.export_cluster_wide_definitions_as_data().context("export_cluster_wide_definitions_as_data")?;
    ensure!(data.queues.iter().any(|queue| queue.vhost == vhost), "a queue is missing in the export");
    api.delete_vhost(&vhost, false)?;
    api.import_cluster_wide_definitions(serde_json::from_str(&all)?).context("import_cluster_wide_definitions")?;
    api.get_queue_info(&vhost, "classic").context("a queue is back")?;
    api.delete_queue(&vhost, "classic", false)?;
    api.import_vhost_definitions(&vhost, serde_json::from_str(&of_vhost)?).context("import_vhost_definitions")?;
    api.get_queue_info(&vhost, "classic").context("a queue of one vhost is back")?;
    api.delete_vhost(&vhost, false).context("delete_vhost")
}
