//! The commands of entry points, provisioning scripts and Ansible, with what these read of the answers.

mod cli;

use cli::Tools;
use leveret_tests::prelude::*;
use serde_json::{Value, json};

/// The shared broker's tools.
fn tools() -> Option<Tools> {
    (!skip_without_process("a script")).then(Tools::start)
}

#[test]
fn users_are_looked_after() {
    let Some(tools) = tools() else { return };
    let done = "Done. Don't forget to grant the user permissions to some virtual hosts! \
                See 'rabbitmqctl help set_permissions' to learn more.";
    assert_eq!(tools.run("rabbitmqctl add_user u p").ok(), format!("Adding user \"u\" ...\n{done}\n"));
    assert_eq!(tools.run("rabbitmqctl add_user u p").failed(70), "Error:\nUser \"u\" already exists\n");
    assert_eq!(tools.run("rabbitmqctl -q add_user quiet p").ok(), "");
    tools.run_with_input(&["rabbitmqctl", "add_user", "piped"], "secret\n").ok();
    tools.run("rabbitmqctl authenticate_user piped secret").ok();
    tools
        .run("rabbitmqctl add_user hashed --pre-hashed-password kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR")
        .ok();
    assert_eq!(
        tools.run("rabbitmqctl authenticate_user hashed test12").ok(),
        "Authenticating user \"hashed\" ...\nSuccess\n"
    );
    let out = tools.run("rabbitmqctl set_user_tags u administrator monitoring").ok();
    assert_eq!(out, "Setting tags for user \"u\" to [administrator, monitoring] ...\n");
    tools.run("rabbitmqctl change_password u q").ok();
    tools.run("rabbitmqctl authenticate_user u q").ok();
    assert_eq!(
        tools.run("rabbitmqctl change_password nobody q").failed(67),
        "Error:\nUser \"nobody\" does not exist\n"
    );
    let listed = "guest\t[administrator]\nhashed\t[]\npiped\t[]\nquiet\t[]\nu\t[administrator, monitoring]\n";
    assert_eq!(tools.run("rabbitmqctl -q list_users").ok(), format!("user\ttags\n{listed}"));
    assert_eq!(tools.run("rabbitmqctl -s list_users").ok(), listed);
    tools.run("rabbitmqctl clear_password u").ok();
    assert_eq!(tools.run("rabbitmqctl authenticate_user u q").code, 65);
    assert_eq!(tools.run("rabbitmqctl delete_user guest").ok(), "Deleting user \"guest\" ...\n");
    assert_eq!(tools.run("rabbitmqctl delete_user guest").code, 67);
}

#[test]
fn vhosts_permissions_and_limits_are_looked_after() {
    let Some(tools) = tools() else { return };
    assert_eq!(tools.run("rabbitmqctl add_vhost v").ok(), "Adding vhost \"v\" ...\n");
    tools.run("rabbitmqctl add_vhost v").ok();
    tools.run("rabbitmqctl add_vhost w --description text --tags a,b --default-queue-type quorum").ok();
    let out = tools.run("rabbitmqctl -q list_vhosts name description tags default_queue_type tracing").ok();
    assert!(out.contains("w\ttext\t[a, b]\tquorum\tfalse\n"), "{out}");
    tools.run("rabbitmqctl -q add_user u p").ok();
    let out = tools.run_words(&["rabbitmqctl", "set_permissions", "-p", "v", "u", ".*", "^w", "^r"]).ok();
    assert_eq!(out, "Setting permissions for user \"u\" in vhost \"v\" ...\n");
    let out = tools.run("rabbitmqctl -q list_user_permissions u").ok();
    assert_eq!(out, "vhost\tconfigure\twrite\tread\nv\t.*\t^w\t^r\n");
    assert_eq!(
        tools.run("rabbitmqctl set_permissions -p v nobody a b c").failed(67),
        "Error:\nUser nobody does not exist\n"
    );
    assert_eq!(tools.run("rabbitmqctl list_permissions -p none").failed(65), "Virtual host 'none' does not exist\n");
    tools.run("rabbitmqctl set_topic_permissions -p v u amq.topic ^a ^b").ok();
    assert_eq!(tools.run("rabbitmqctl -s list_topic_permissions -p v").ok(), "u\tamq.topic\t^a\t^b\n");
    tools.run("rabbitmqctl clear_topic_permissions -p v u").ok();
    tools.run("rabbitmqctl clear_permissions -p v u").ok();
    tools.run_words(&["rabbitmqctl", "set_vhost_limits", "-p", "v", "{\"max-connections\": 5}"]).ok();
    assert_eq!(tools.run("rabbitmqctl -q list_vhost_limits -p v").ok(), "{\"max-connections\":5}\n");
    tools.run("rabbitmqctl clear_vhost_limits -p v").ok();
    tools.run_words(&["rabbitmqctl", "set_user_limits", "u", "{\"max-channels\": 5}"]).ok();
    assert_eq!(tools.run("rabbitmqctl -q list_user_limits --user u").ok(), "{\"max-channels\":5}\n");
    tools.run("rabbitmqctl clear_user_limits u all").ok();
    assert_eq!(
        tools.run("rabbitmqctl trace_on -p v").ok(),
        "Starting tracing for vhost \"v\" ...\nTrace enabled for vhost v\n"
    );
    assert!(tools.run("rabbitmqctl -q list_vhosts name tracing").ok().contains("v\ttrue\n"));
    tools.run("rabbitmqctl trace_off -p v").ok();
    tools.run("rabbitmqctl delete_vhost v").ok();
    assert_eq!(tools.run("rabbitmqctl delete_vhost v").failed(65), "Virtual host 'v' does not exist\n");
}

#[test]
fn policies_and_parameters_are_looked_after() {
    let Some(tools) = tools() else { return };
    let set = ["rabbitmqctl", "set_policy", "--priority", "3", "p", "^a", "{\"max-length\":5}", "--apply-to", "queues"];
    let out = tools.run_words(&set).ok();
    assert_eq!(
        out,
        "Setting policy \"p\" for pattern \"^a\" to \"{\"max-length\":5}\" with priority \"3\" for vhost \"/\" ...\n"
    );
    let out = tools.run("rabbitmqctl -q list_policies").ok();
    assert_eq!(out, "vhost\tname\tpattern\tapply-to\tdefinition\tpriority\n/\tp\t^a\tqueues\t{\"max-length\":5}\t3\n");
    let said = tools.run_words(&["rabbitmqctl", "set_policy", "p", "^a", "{\"bogus\":5}"]).failed(69);
    assert_eq!(said, "Error:\nValidation failed\n\n[{<<\"bogus\">>,5}] are not recognised policy settings\n\n");
    let said = tools.run("rabbitmqctl set_policy p ^a notjson").failed(69);
    assert_eq!(said, "Error:\nJSON decoding error. Reason: badarg\n");
    tools.run("rabbitmqctl clear_policy p").ok();
    assert_eq!(tools.run("rabbitmqctl clear_policy p").failed(69), "Error:\nParameter does not exist\n");
    tools.run_words(&["rabbitmqctl", "set_operator_policy", "o", "^a", "{\"max-length\":5}"]).ok();
    assert!(tools.run("rabbitmqctl -s list_operator_policies").ok().starts_with("/\to\t^a\tall\t"));
    tools.run("rabbitmqctl clear_operator_policy o").ok();
    tools.run_words(&["rabbitmqctl", "set_global_parameter", "g", "{\"a\":1}"]).ok();
    assert!(tools.run("rabbitmqctl -s list_global_parameters").ok().contains("g\t{\"a\":1}\n"));
    tools.run("rabbitmqctl set_cluster_name ours").ok();
    assert!(tools.run("rabbitmqctl cluster_status").ok().contains("Cluster name: ours\n"));
}

#[test]
fn lists_come_in_every_format() {
    let Some(tools) = tools() else { return };
    tools.admin(&["declare", "queue", "name=q1", "arguments={\"x-max-length\":5}"]).ok();
    tools.admin(&["publish", "routing_key=q1", "payload=hello"]).ok();
    let banner = "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\n";
    assert_eq!(tools.run("rabbitmqctl list_queues").ok(), format!("{banner}name\tmessages\nq1\t1\n"));
    assert_eq!(tools.run("rabbitmqctl -q list_queues").ok(), "name\tmessages\nq1\t1\n");
    assert_eq!(tools.run("rabbitmqctl -s list_queues").ok(), "q1\t1\n");
    assert_eq!(tools.run("rabbitmqctl list_queues --formatter json").ok(), "[\n{\"name\":\"q1\",\"messages\":1}\n]\n");
    assert_eq!(tools.run("rabbitmqctl --formatter csv list_queues").ok(), "\"name\",\"messages\"\n\"q1\",\"1\"\n");
    assert_eq!(tools.run("rabbitmqctl -q --formatter erlang list_queues").ok(), "[[{name,<<\"q1\">>},{messages,1}]]\n");
    assert_eq!(
        tools.run("rabbitmqctl list_queues --formatter json_stream").ok(),
        "{\"name\":\"q1\",\"messages\":1}\n\n"
    );
    let drawn =
        "┌──────┬──────────┐\n│ name │ messages │\n├──────┼──────────┤\n│ q1   │ 1        │\n└──────┴──────────┘\n";
    assert_eq!(tools.run("rabbitmqctl -q --formatter pretty_table list_queues").ok(), drawn);
    let out = tools.run("rabbitmqctl -s list_queues name arguments durable type state consumers").ok();
    assert_eq!(out, "q1\t[{\"x-max-length\",5}]\ttrue\tclassic\trunning\t0\n");
    let out = tools.run("rabbitmqctl -s list_bindings").ok();
    assert_eq!(out, "\texchange\tq1\tqueue\tq1\t[]\n");
    assert!(tools.run("rabbitmqctl -q list_exchanges").ok().contains("amq.topic\ttopic\n"));
    assert_eq!(tools.run("rabbitmqctl -q list_queues -p none").ok(), "");
    let said = tools.run("rabbitmqctl list_queues bogus").failed(64);
    assert!(said.starts_with(
        "Error (argument validation): Info key(s) bogus are not supported\nArguments given:\n\tlist_queues bogus\n"
    ));
    assert_eq!(tools.run("rabbitmqctl purge_queue q1").ok(), "Purging queue 'q1' in vhost '/' ...\n");
    let out = tools.run("rabbitmqctl -q delete_queue q1").ok();
    assert_eq!(out, "Queue was successfully deleted with 0 ready messages\n");
    assert_eq!(tools.run("rabbitmqctl delete_queue q1").failed(64), "Error:\nQueue not found\n");
}

#[test]
fn clients_are_listed_and_sent_away() {
    let Some(tools) = tools() else { return };
    let connection = Connection::open(&tools.broker);
    wait_until("the connection", || tools.run("rabbitmqctl -s list_connections user state").ok() == "guest\trunning\n");
    let pid = tools.run("rabbitmqctl -s list_connections pid").ok();
    assert!(pid.starts_with("<rabbit@localhost."), "{pid}");
    tools.run_words(&["rabbitmqctl", "close_connection", pid.trim(), "go"]).ok();
    connection.expect_close(320, "go", (0, 0));
    wait_until("the end of the connection", || tools.run("rabbitmqctl -s list_connections").ok().is_empty());
    let connection = Connection::open(&tools.broker);
    wait_until("the connection", || !tools.run("rabbitmqctl -s list_connections").ok().is_empty());
    let out = tools.run_words(&["rabbitmqctl", "close_all_connections", "out of", "reason"]).failed(64);
    assert!(out.contains("too many arguments"), "{out}");
    let out = tools.run("rabbitmqctl close_all_connections reason").ok();
    assert_eq!(out, "Closing all connections in vhost /, reason: reason...\nClosed 1 connections\n");
    connection.expect_close(320, "reason", (0, 0));
}

#[test]
fn events_are_shown_as_they_happen() {
    let Some(tools) = tools() else { return };
    let mut command = tools.command("rabbitmq-diagnostics");
    command.args(["-q", "consume_event_stream", "--duration", "3", "--pattern", "^vhost\\..*"]);
    let watcher = std::thread::spawn(move || cli::Run::of(command.output().unwrap()));
    // Nobody can see when it listens: there is something to be seen all the time.
    while !watcher.is_finished() {
        tools.run("rabbitmqctl add_vhost seen").ok();
        tools.run("rabbitmqctl add_user unseen p").ok();
        tools.run("rabbitmqctl delete_vhost seen").ok();
        tools.run("rabbitmqctl delete_user unseen").ok();
    }
    let seen = watcher.join().unwrap().ok();
    let events: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "vhost.created" && event["name"] == "seen"), "{seen}");
    assert!(events.iter().all(|event| event["event"].as_str().unwrap().starts_with("vhost.")), "{seen}");
}

#[test]
fn definitions_go_out_and_come_in() {
    let Some(tools) = tools() else { return };
    tools.run("rabbitmqctl add_vhost v").ok();
    tools.admin(&["declare", "queue", "name=kept"]).ok();
    let exported = tools.run("rabbitmqctl export_definitions -").ok();
    let definitions: Value = serde_json::from_str(&exported).unwrap();
    assert!(definitions["vhosts"].as_array().unwrap().iter().any(|vhost| vhost["name"] == "v"));
    let file = tools.home.path().join("defs.json");
    let path = file.to_str().unwrap();
    let out = tools.run_words(&["rabbitmqctl", "export_definitions", path]).ok();
    assert_eq!(out, format!("Exporting definitions in JSON to a file at \"{path}\" ...\n"));
    tools.run("rabbitmqctl delete_queue kept").ok();
    tools.run("rabbitmqctl delete_vhost v").ok();
    let out = tools.run_words(&["rabbitmqctl", "import_definitions", path]).ok();
    let started = "Successfully started definition import. This process is asynchronous and can take some time.";
    assert_eq!(out, format!("Importing definitions in JSON from a file at \"{path}\" ...\n{started}\n"));
    assert_eq!(tools.run("rabbitmqctl -s list_queues name").ok(), "kept\n");
    let more = json!({"vhosts": [{"name": "piped"}]}).to_string();
    tools.run_with_input(&["rabbitmqctl", "import_definitions", "-"], &more).ok();
    assert!(tools.run("rabbitmqctl -s list_vhosts").ok().contains("piped\n"));
    assert_eq!(tools.run("rabbitmqctl import_definitions /nowhere.json").code, 65);
    assert_eq!(tools.run_with_input(&["rabbitmqctl", "import_definitions", "-"], "{").code, 65);
}

#[test]
fn status_has_what_tools_read() {
    let Some(tools) = tools() else { return };
    let text = tools.run("rabbitmqctl status").ok();
    let has = |start: &str| assert!(text.lines().any(|line| line.starts_with(start)), "{start}\n{text}");
    for start in
        ["RabbitMQ version: 4.", "Node name: rabbit@localhost", "OS PID: ", "Uptime (seconds): ", "Interface: "]
    {
        has(start);
    }
    let status: Value = serde_json::from_str(&tools.run("rabbitmq-diagnostics --formatter json status").ok()).unwrap();
    let version = status["rabbitmq_version"].as_str().unwrap();
    assert!(version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    for key in [
        "os",
        "pid",
        "product_name",
        "product_version",
        "erlang_version",
        "crypto_lib_version",
        "uptime",
        "is_under_maintenance",
        "processes",
        "run_queue",
        "net_ticktime",
        "vm_memory_calculation_strategy",
        "vm_memory_high_watermark_setting",
        "vm_memory_high_watermark_limit",
        "disk_free_limit",
        "disk_free",
        "alarms",
        "tags",
        "listeners",
        "memory",
        "data_directory",
        "raft_data_directory",
        "config_files",
        "log_files",
        "active_plugins",
        "enabled_plugin_file",
    ] {
        assert!(status.get(key).is_some(), "{key}: {status}");
    }
    assert_eq!(status["totals"], json!({"connection_count": 0, "queue_count": 0, "virtual_host_count": 1}));
    let eval = |expression: &str| tools.run_words(&["rabbitmqctl", "eval", expression]);
    assert_eq!(eval("node().").ok(), "'rabbit@localhost'\n");
    assert_eq!(eval("application:set_env(rabbit, consumer_timeout, 10000).").ok(), "ok\n");
    assert_eq!(eval("application:get_env(rabbit, consumer_timeout).").ok(), "{ok,10000}\n");
    assert_eq!(eval("rabbit_nodes:reached_target_cluster_size().").ok(), "true\n");
    assert!(eval("bogus(").failed(64).contains("syntax error before:"));
    assert!(eval("foo:bar().").failed(70).contains("there is no Erlang to evaluate 'foo:bar().' with."));
    assert!(tools.run("rabbitmqctl -q list_feature_flags").ok().contains("stream_queue\tenabled\n"));
}

#[test]
fn messages_are_looked_at_moved_and_held_back() {
    let Some(tools) = tools() else { return };
    tools.admin(&["declare", "queue", "name=from"]).ok();
    tools.admin(&["declare", "queue", "name=to"]).ok();
    for payload in ["payload=one", "payload=two", "payload=three"] {
        tools.admin(&["publish", "routing_key=from", payload]).ok();
    }
    let seen = tools.run("rabbitmq-queues -q peek from 2").ok();
    assert!(seen.contains("│ payload (max 64 bytes) │ two"), "{seen}");
    assert_eq!(
        tools.run("rabbitmq-queues peek from 4").failed(69),
        "Error:\nTarget queue does not have a message at that position\n"
    );
    assert_eq!(tools.run("leveretctl -q move_messages from to --count 2").ok(), "Moved 2 messages\n");
    assert_eq!(tools.run("rabbitmqctl -s list_queues").ok(), "from\t1\nto\t2\n");
    tools.run("leveretctl pause_queue to").ok();
    tools.run("leveretctl resume_queue to").ok();
    assert_eq!(tools.run("leveretctl -q redrive_queue to").ok(), "Moved 0 messages\n");
}

#[test]
fn a_mistaken_command_line_is_explained() {
    let Some(tools) = tools() else { return };
    let said = tools.run("rabbitmqctl lst_queues").failed(64);
    assert_eq!(said, "\nCommand 'lst_queues' not found. \nDid you mean 'list_queues'? \n\n");
    let said = tools.run("rabbitmqctl set_policy a b").failed(64);
    let expected = "Error (argument validation): not enough arguments.\nArguments given:\n\tset_policy a b\n\nUsage\n\n\
                    rabbitmqctl [--node <node>] [--longnames] [--quiet] set_policy ";
    assert!(said.starts_with(expected), "{said}");
    let said = tools.run("rabbitmqctl list_queues --bogus").failed(64);
    assert!(said.starts_with("Error (argument validation): Invalid options for this command:\n--bogus : \n"), "{said}");
    assert_eq!(tools.run("rabbitmqctl check_running").code, 64);
    assert_eq!(tools.run("leveretctl -q check_running").code, 0);
    for line in [
        "rabbitmqctl -p / -q list_queues",
        "rabbitmqctl list_queues -q -p /",
        "rabbitmqctl list_queues --vhost=/ --quiet",
    ] {
        assert_eq!(tools.run(line).ok(), "", "{line}");
    }
}

#[test]
fn a_node_can_be_emptied() {
    let Some(tools) = tools() else { return };
    tools.run("rabbitmqctl add_vhost v").ok();
    tools.run("rabbitmqctl add_user u p").ok();
    tools.run("rabbitmqctl stop_app").ok();
    tools.run("rabbitmqctl reset").ok();
    tools.run("rabbitmqctl start_app").ok();
    assert_eq!(tools.run("rabbitmqctl -s list_users").ok(), "guest\t[administrator]\n");
    assert_eq!(tools.run("rabbitmqctl -s list_vhosts").ok(), "/\n");
    Connection::open(&tools.broker).close();
}
