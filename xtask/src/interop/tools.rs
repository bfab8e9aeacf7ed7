//! The programs that watch or administer a broker, and what each of them is asked to do: each is made for something
//! else, so each has a list of its own.

/// A folder in `interop/tools/`.
pub struct Tool {
    pub name: &'static str,
    /// What it is, for the page.
    pub what: &'static str,
    /// Each thing it is asked for, and what that means.
    pub asked: &'static [(&'static str, &'static str)],
}

pub const TOOLS: [Tool; 9] = [
    Tool {
        name: "flower",
        what: "Flower, which shows the queues and workers of Celery (PyPI)",
        asked: &[
            ("queues", "Flower's page of the broker shows the queues with their counts, from the HTTP API"),
            ("tasks", "a task that a worker has done is shown, with its result"),
        ],
    },
    Tool {
        name: "http-client",
        what: "rabbitmq_http_client, the typed HTTP client that rabbitmqadmin v2 is built on (crates.io)",
        asked: &[
            ("overview", "overview, nodes, memory, cluster name, feature flags and deprecated features are decoded"),
            ("objects", "virtual hosts, queues of every type, streams, exchanges and bindings come and go"),
            ("users", "users, permissions, topic permissions and limits"),
            ("policies", "policies, operator policies, runtime and global parameters"),
            ("messages", "publish and get by HTTP, and a purge"),
            ("connections", "a real connection, its channel and its consumer are decoded, and closed"),
            ("definitions", "export, import, of all and of one virtual host"),
            ("health", "the health checks"),
            ("errors", "what is missing is a 404, who is unknown a 401, as the client's own errors"),
        ],
    },
    Tool {
        name: "monitors",
        what: "The requests of KEDA, Telegraf, Datadog, Terraform, NServiceBus, MassTransit and Hutch, and the types that \
               each decodes the answers into (a program in Go, which is strict about types)",
        asked: &[
            ("keda", "one queue, and queues by a regular expression, paged"),
            ("telegraf", "overview, nodes, memory, queues, exchanges, federation links"),
            ("datadog", "virtual hosts, overview, exchanges, queues, nodes, connections, aliveness"),
            ("terraform", "virtual hosts, users, permissions, policies, exchanges, queues, bindings by properties key"),
            ("nservicebus", "version, disable_stats, feature flags, and the effective policy of a queue at once"),
            ("masstransit", "exchanges and queues of a virtual host, with the fields that its test harness reads"),
            ("hutch", "exchanges and bindings, as it asks for them before it consumes"),
        ],
    },
    Tool {
        name: "nagios",
        what: "The Nagios plugins for RabbitMQ (Debian's nagios-plugins-rabbitmq)",
        asked: &[
            ("aliveness", "check_rabbitmq_aliveness"),
            ("connections", "check_rabbitmq_connections"),
            ("objects", "check_rabbitmq_objects"),
            ("overview", "check_rabbitmq_overview"),
            ("partition", "check_rabbitmq_partition"),
            ("queue", "check_rabbitmq_queue, whose warning and critical limits work"),
            ("server", "check_rabbitmq_server"),
            ("watermark", "check_rabbitmq_watermark"),
        ],
    },
    Tool {
        name: "prometheus",
        what: "Prometheus, with the queries of Grafana's dashboard 10991 RabbitMQ-Overview (Debian)",
        asked: &[
            ("scrape", "it takes in what is served, without an error, and knows the types"),
            ("overview", "the queries of the dashboard give numbers after some traffic"),
            ("per-object", "/metrics/per-object has a series for each queue"),
            ("detailed", "/metrics/detailed gives the families asked for, of the virtual host asked for"),
            ("memory-breakdown", "/metrics/memory-breakdown"),
        ],
    },
    Tool {
        name: "pyrabbit",
        what: "pyrabbit2, a client of the HTTP API (PyPI)",
        asked: &[
            ("overview", "is_alive, overview, nodes, whoami"),
            ("vhosts", "virtual hosts, users and permissions come and go"),
            ("queues", "exchanges, queues and bindings; depths; a purge"),
            ("messages", "publish and get"),
            ("connections", "connections, channels and consumers are listed"),
        ],
    },
    Tool {
        name: "pytest-rabbitmq",
        what: "pytest-rabbitmq, which starts a broker by its commands `rabbitmq-server` and `rabbitmqctl` (PyPI)",
        asked: &[
            ("process", "it starts the server, waits for it, and stops it"),
            ("clean", "what a test has declared is gone for the next"),
        ],
    },
    Tool {
        name: "rabbitmqadmin-v1",
        what: "rabbitmqadmin v1, the Python program (Debian's rabbitmq-server)",
        asked: &[
            ("declare", "every object it can declare is there, and can be deleted"),
            ("list", "every kind that it can list, with columns and sorting"),
            ("formats", "tsv, long, kvp, bash, raw_json, pretty_json"),
            ("messages", "publish, get, purge"),
            ("definitions", "export and import"),
            ("connections", "a connection is listed and closed"),
            ("download", "the program that the broker itself offers for download understands the same"),
        ],
    },
    Tool {
        name: "rabbitmqadmin-v2",
        what: "rabbitmqadmin v2, which RabbitMQ's image carries since 2025 (crates.io)",
        asked: &[
            ("declare", "every object it can declare is there, and can be deleted"),
            ("list", "every kind that it can list"),
            ("show", "overview, churn, memory breakdowns, one queue"),
            ("messages", "publish, get, purge"),
            ("definitions", "export and import, of all and of one virtual host"),
            ("health", "its health checks"),
            ("errors", "what is missing makes it fail, and --idempotently not"),
        ],
    },
];

/// The tool of a folder.
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::client::{self, Kind};
    use crate::workspace::Workspace;

    #[test]
    fn each_tool_has_a_folder_and_each_folder_a_tool() {
        let workspace = Workspace::load().unwrap();
        let found = client::found(&workspace).unwrap();
        let folders: Vec<String> =
            found.into_iter().filter(|client| client.kind == Kind::Tool).map(|client| client.name).collect();
        assert_eq!(folders, TOOLS.map(|tool| tool.name));
    }
}
