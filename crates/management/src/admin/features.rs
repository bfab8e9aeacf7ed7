//! Feature flags, all of them enabled, and deprecated features, all of them permitted.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

/// What RabbitMQ 4.2 knows, and whether it can still be off there.
const FLAGS: [(&str, &str, &str); 28] = [
    ("classic_mirrored_queue_version", "required", "Support setting version for classic mirrored queues"),
    ("classic_queue_type_delivery_support", "required", "Bug fix for classic queue deliveries using mixed versions"),
    (
        "detailed_queues_endpoint",
        "stable",
        "Add a detailed queues HTTP API endpoint. Reduce number of metrics in the default endpoint.",
    ),
    ("direct_exchange_routing_v2", "required", "v2 direct exchange routing implementation"),
    ("drop_unroutable_metric", "required", "Count unroutable publishes to be dropped in stats"),
    ("empty_basic_get_metric", "required", "Count AMQP `basic.get` on empty queues in stats"),
    ("feature_flags_v2", "required", "Feature flags subsystem V2"),
    (
        "implicit_default_bindings",
        "required",
        "Default bindings are now implicit, instead of being stored in the database",
    ),
    ("khepri_db", "stable", "New Raft-based metadata store."),
    ("listener_records_in_ets", "required", "Store listener records in ETS instead of Mnesia"),
    ("maintenance_mode_status", "required", "Maintenance mode status"),
    ("message_containers", "required", "Message containers."),
    ("message_containers_deaths_v2", "stable", "Bug fix for dead letter cycle detection"),
    ("quorum_queue", "required", "Support queues of type `quorum`"),
    ("quorum_queue_non_voters", "stable", "Support new quorum queue members as non-voters."),
    ("rabbit_exchange_type_local_random", "stable", "Local random exchange"),
    ("rabbitmq_4.0.0", "stable", "Allows rolling upgrades from 3.13.x to 4.0.x"),
    ("rabbitmq_4.1.0", "stable", "Allows rolling upgrades to 4.1.x"),
    ("rabbitmq_4.2.0", "stable", "Allows rolling upgrades to 4.2.x"),
    ("restart_streams", "required", "Support for restarting streams with optional preferred next leader argument."),
    ("stream_filtering", "required", "Support for stream filtering."),
    ("stream_queue", "required", "Support queues of type `stream`"),
    (
        "stream_sac_coordinator_unblock_group",
        "required",
        "Bug fix to unblock a group of consumers in a super stream partition",
    ),
    ("stream_single_active_consumer", "required", "Single active consumer for streams"),
    (
        "stream_update_config_command",
        "required",
        "A new internal command that is used to update streams as part of a policy.",
    ),
    ("tracking_records_in_ets", "required", "Store tracking records in ETS instead of Mnesia"),
    ("user_limits", "required", "Configure connection and channel limits for a user"),
    ("virtual_host_metadata", "required", "Virtual host metadata (description, tags, etc)"),
];

/// What RabbitMQ means to give up, and this broker does not.
const DEPRECATED: [(&str, &str); 6] = [
    ("amqp_address_v1", "AMQP address version 1 is deprecated. Clients should use AMQP address version 2."),
    ("global_qos", "Global QoS, as opposed to a limit for each consumer, is deprecated in RabbitMQ. Here it stays."),
    ("management_metrics_collection", "Metrics in the management API are deprecated in RabbitMQ. Here they stay."),
    ("queue_master_locator", "The argument queue-master-locator is deprecated in favour of queue-leader-locator."),
    ("ram_node_type", "Nodes of type RAM are deprecated."),
    ("transient_nonexcl_queues", "Transient queues that are not exclusive are deprecated in RabbitMQ. Here they stay."),
];

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/feature-flags").get(
            Right::Administrator,
            "The feature flags of RabbitMQ 4.2, all enabled",
            flags,
        ),
        Resource::at("/api/feature-flags/{name}/enable").put(
            Right::Administrator,
            "Enables a feature flag, as it is already",
            enable,
        ),
        Resource::at("/api/deprecated-features").get(
            Right::Administrator,
            "What RabbitMQ means to give up",
            deprecated,
        ),
        Resource::at("/api/deprecated-features/used").get(
            Right::Administrator,
            "What of it is in use: none of it has to go here, so that none is listed",
            used,
        ),
    ]
}

async fn flags(call: Call) -> Answer {
    let rows = FLAGS.iter().map(|(name, stability, description)| {
        json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": stability,
            "require_level": if *stability == "required" { "hard" } else { "soft" },
            "experiment_level": "unsupported",
            "callbacks": [],
            "provided_by": "rabbit",
        })
    });
    call.list(rows.collect())
}

async fn enable(call: Call) -> Answer {
    let name = call.param("name");
    if name == "all" || FLAGS.iter().any(|(known, _, _)| *known == name) {
        return Ok(answer::no_content());
    }
    Err(ApiError::bad_request("unsupported"))
}

async fn deprecated(call: Call) -> Answer {
    let rows = DEPRECATED.iter().map(|(name, description)| {
        json!({
            "name": name,
            "desc": description,
            "deprecation_phase": "permitted_by_default",
            "doc_url": "https://www.rabbitmq.com/docs/deprecated",
            "provided_by": "rabbit",
        })
    });
    call.list(rows.collect())
}

async fn used(call: Call) -> Answer {
    call.list::<Value>(Vec::new())
}
