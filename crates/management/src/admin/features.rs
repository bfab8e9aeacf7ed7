//! Feature flags, all of them enabled, and deprecated features, all of them permitted.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

/// What RabbitMQ 4.2 knows, and whether it can still be off there.
const FLAGS: [(&str, &str, &str); 28] = [
    ("classic_mirrored_queue_version", "required", "Classic queues may say which version they are of"),
    ("classic_queue_type_delivery_support", "required", "Deliveries of classic queues between nodes of two versions"),
    ("detailed_queues_endpoint", "stable", "/api/queues/detailed beside a shorter /api/queues"),
    ("direct_exchange_routing_v2", "required", "Direct exchanges look their bindings up in one step"),
    ("drop_unroutable_metric", "required", "Publishes that reach no queue and are dropped are counted"),
    ("empty_basic_get_metric", "required", "Gets from empty queues are counted"),
    ("feature_flags_v2", "required", "Feature flags by their second design"),
    ("implicit_default_bindings", "required", "Bindings of the default exchange are understood, not kept"),
    ("khepri_db", "stable", "Metadata in a replicated log"),
    ("listener_records_in_ets", "required", "Listeners are not kept in the metadata"),
    ("maintenance_mode_status", "required", "A node tells whether it is drained"),
    ("message_containers", "required", "Messages of all protocols have one form inside"),
    ("message_containers_deaths_v2", "stable", "Dead letters that go round in circles are told for certain"),
    ("quorum_queue", "required", "Queues of type quorum"),
    ("quorum_queue_non_voters", "stable", "New members of a quorum queue do not vote at first"),
    ("rabbit_exchange_type_local_random", "stable", "Exchanges of type x-local-random"),
    ("rabbitmq_4.0.0", "stable", "Nodes of 3.13 and 4.0 in one cluster"),
    ("rabbitmq_4.1.0", "stable", "Nodes of 4.0 and 4.1 in one cluster"),
    ("rabbitmq_4.2.0", "stable", "Nodes of 4.1 and 4.2 in one cluster"),
    ("restart_streams", "required", "A stream can be restarted, and a leader preferred"),
    ("stream_filtering", "required", "Consumers of streams can ask for some messages only"),
    ("stream_queue", "required", "Queues of type stream"),
    (
        "stream_sac_coordinator_unblock_group",
        "required",
        "Groups of consumers of a partitioned stream do not get stuck",
    ),
    ("stream_single_active_consumer", "required", "Streams with a single active consumer"),
    ("stream_update_config_command", "required", "Policies change streams that exist"),
    ("tracking_records_in_ets", "required", "What is open is not kept in the metadata"),
    ("user_limits", "required", "Limits of a user's connections and channels"),
    ("virtual_host_metadata", "required", "Virtual hosts with a description and tags"),
];

/// What RabbitMQ means to give up, and this broker does not.
const DEPRECATED: [(&str, &str); 6] = [
    ("amqp_address_v1", "The first form of addresses of AMQP 1.0, which is not spoken here."),
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
