//! `rabbitmqadmin`, with the grammar of the first tool of that name and of the second.

mod cli;

use cli::Tools;
use leveret_tests::prelude::*;

fn tools() -> Option<Tools> {
    (!skip_without_process("rabbitmqadmin")).then(Tools::start)
}

#[test]
fn the_first_grammar_declares_and_lists() {
    let Some(tools) = tools() else { return };
    for (words, said) in [
        (&["declare", "vhost", "name=v"][..], "vhost declared\n"),
        (&["declare", "queue", "name=q", "durable=true", "arguments={\"x-max-length\":5}"], "queue declared\n"),
        (&["declare", "exchange", "name=e", "type=topic", "auto_delete=false"], "exchange declared\n"),
        (&["declare", "binding", "source=e", "destination=q", "routing_key=k.#"], "binding declared\n"),
        (&["--vhost=v", "declare", "queue", "name=in_v"], "queue declared\n"),
        (&["declare", "queue", "--vhost=v", "name=in_v", "queue_type=classic"], "queue declared\n"),
        (&["declare", "user", "name=u", "password=p", "tags=monitoring"], "user declared\n"),
        (
            &["declare", "permission", "vhost=v", "user=u", "configure=.*", "write=.*", "read=.*"],
            "permission declared\n",
        ),
        (
            &["declare", "policy", "name=p", "pattern=^a", "definition={\"max-length\":5}", "apply-to=queues"],
            "policy declared\n",
        ),
        (
            &["declare", "operator_policy", "name=o", "pattern=^a", "definition={\"max-length\":5}"],
            "operator_policy declared\n",
        ),
        (&["declare", "vhost_limit", "vhost=v", "name=max-queues", "value=5"], "vhost_limit declared\n"),
        (&["publish", "exchange=e", "routing_key=k.a", "payload=hello"], "Message published\n"),
        (&["publish", "exchange=e", "routing_key=nowhere", "payload=hello"], "Message published but NOT routed\n"),
        (&["-q", "declare", "queue", "name=quiet"], ""),
        (&["delete", "queue", "name=quiet"], "queue deleted\n"),
        (&["-f", "tsv", "list", "queues", "vhost", "name", "messages"], "vhost\tname\tmessages\n/\tq\t1\nv\tin_v\t0\n"),
        (&["-q", "-f", "bash", "-V", "v", "list", "queues"], "in_v\n"),
        (&["purge", "queue", "name=q"], "queue purged\n"),
        (
            &["delete", "binding", "source=e", "destination_type=queue", "destination=q", "properties_key=k.%23"],
            "binding deleted\n",
        ),
        (&["delete", "exchange", "name=e"], "exchange deleted\n"),
    ] {
        assert_eq!(tools.admin(words).ok(), said, "{words:?}");
    }
    let drawn =
        "+------+----------+\n| name | messages |\n+------+----------+\n| q    | 0        |\n+------+----------+\n";
    assert_eq!(tools.admin(&["-V", "/", "list", "queues"]).ok(), drawn);
    assert_eq!(tools.admin(&["get", "queue=q"]).ok(), "No items\n");
}

#[test]
fn the_first_grammar_tells_what_is_wrong() {
    let Some(tools) = tools() else { return };
    assert_eq!(tools.admin(&["delete", "queue", "name=none"]).failed(1), "*** Not found: /api/queues/%2F/none\n\n");
    assert_eq!(
        tools.admin(&["-u", "nobody", "list", "queues"]).failed(1),
        "*** Access refused: /api/queues?columns=name,messages\n\n"
    );
    let said = tools.admin(&["declare", "queue"]).failed(1);
    assert_eq!(said, "\nERROR: mandatory argument \"name\" is required\n\nrabbitmqadmin --help for help\n\n");
    tools.admin(&["declare", "queue", "name=q"]).ok();
    let said = tools.admin(&["declare", "queue", "name=q", "durable=false"]).failed(1);
    assert!(said.starts_with("*** inequivalent arg 'durable' for queue 'q'"), "{said}");
}

#[test]
fn the_second_grammar_declares_and_lists() {
    let Some(tools) = tools() else { return };
    for words in [
        &["queues", "declare", "--name", "q", "--type", "quorum"][..],
        &["declare", "queue", "--name", "c", "--durable", "true", "--arguments", "{\"x-max-length\":5}"],
        &["streams", "declare", "--name", "s", "--expiration", "7D"],
        &["declare", "exchange", "--name", "e", "--type", "topic"],
        &[
            "bindings",
            "declare",
            "--source",
            "e",
            "--destination-type",
            "queue",
            "--destination",
            "c",
            "--routing-key",
            "k",
        ],
        &["vhosts", "declare", "--name", "v"],
        &["users", "declare", "--name", "u", "--password", "p", "--tags", "monitoring"],
        &["permissions", "declare", "--username", "u", "--configure", ".", "--read", ".", "--write", "."],
        &[
            "declare",
            "policy",
            "--name",
            "p",
            "--pattern",
            "^a",
            "--apply-to",
            "queues",
            "--definition",
            "{\"max-length\":3}",
        ],
        &["--vhost", "v", "declare", "vhost_limit", "--name", "max-queues", "--value", "5"],
        &[
            "bindings",
            "delete",
            "--source",
            "e",
            "--destination-type",
            "queue",
            "--destination",
            "c",
            "--routing-key",
            "k",
        ],
        &["delete", "queue", "--name", "none", "--idempotently"],
        &["queues", "purge", "--name", "c"],
    ] {
        assert_eq!(tools.admin(words).ok(), "", "{words:?}");
    }
    let out = tools.admin(&["publish", "message", "--routing-key", "c", "--payload", "hello"]).ok();
    assert_eq!(out, "Message published and routed successfully\n");
    let out = tools.admin(&["--non-interactive", "get", "messages", "--queue", "c"]).ok();
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["5", "false", "c", "0", "hello", "string"]);
    let out = tools.admin(&["--non-interactive", "list", "queues"]).ok();
    let names: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["c", "q", "s"]);
    assert!(tools.admin(&["users", "list"]).ok().starts_with("╭─"));
    assert_eq!(tools.admin(&["health_check", "local_alarms"]).ok(), "health check passed\n");
    assert_eq!(tools.admin(&["health_check", "port_listener", "--port", "1"]).code, 69);
    assert_eq!(tools.admin(&["queues", "delete", "--name", "none"]).code, 65);
    assert_eq!(tools.admin(&["declare", "queue", "--durable", "true"]).code, 2);
    assert!(tools.admin(&["definitions", "export", "--stdout"]).ok().contains("\"queues\":["));
}
