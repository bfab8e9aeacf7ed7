//! `leveret bench`: each of its commands for a moment, and what programs read of it.

use leveret_tests::broker;
use leveret_tests::prelude::*;
use serde_json::Value;

/// Runs `leveret bench` against this broker and gives its report.
fn bench(broker: &Broker, line: &str) -> Value {
    let url = broker.url();
    let pid = broker.pid().map(|pid| pid.to_string());
    let mut args = vec!["bench"];
    args.extend(line.split_whitespace());
    args.extend(["--url", &url, "--json", "--quiet"]);
    args.extend(pid.iter().flat_map(|pid| ["--pid", pid]));
    let (status, stdout, stderr) = broker::run(&args, PATIENCE * 4).expect("the load generator ends");
    assert!(status.success(), "{line}: {status}\n{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}\n{stdout}"))
}

fn load(broker: &Broker, line: &str) -> Value {
    load_for(broker, "1", line)
}

fn load_for(broker: &Broker, seconds: &str, line: &str) -> Value {
    let report = bench(broker, &format!("--seconds {seconds} --warmup-seconds 0.05 {line}"));
    assert_eq!(number(&report, "/missing"), 0.0, "{line}: {report}");
    assert!(number(&report, "/messages") > 0.0, "{line}: {report}");
    report
}

#[track_caller]
fn number(report: &Value, pointer: &str) -> f64 {
    let value = report.pointer(pointer).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no number {pointer}: {report}"))
}

#[track_caller]
fn assert_latency(latency: &Value) {
    let values = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(|name| number(latency, &format!("/{name}")));
    assert!(values.is_sorted() && values.iter().all(|us| *us > 0.0), "{latency}");
    assert!(number(latency, "/count") > 0.0, "{latency}");
}

// Load

#[test]
fn any_kind_of_work_is_loaded() {
    for line in [
        "--size 16",
        "--size 300000 --ack-batch 5 --prefetch 20 --backlog-max 50",
        "--producers 3 --consumers 4 --queues 2 --confirms 100 --persistent",
        "--exchange fanout --queues 3 --consumers 3",
        "--exchange topic --bindings 50 --queues 2",
        "--exchange headers --bindings 10",
        "--exchange direct --bindings 10",
        "--consumers 0 --confirms 1 --durable --queue-argument x-max-length=5",
    ] {
        let report = load(Broker::shared(), line);
        assert!(number(&report, "/published_per_second") > 0.0, "{line}: {report}");
        assert!(number(&report, "/generator_cpu_us_per_message") >= 0.0);
        assert_eq!(report["latency"], Value::Null);
        assert_eq!(report["refused"], 0);
        if Broker::shared().pid().is_some() {
            assert!(number(&report, "/broker_usage/cpu_us_per_message") > 0.0);
            assert!(number(&report, "/broker_usage/memory/resident_bytes") > 1e6);
        }
    }
}

#[test]
fn a_rate_is_kept_and_latency_measured() {
    // Longer than the others, and slower than any machine is: it may be busy with other tests.
    let line = "--rate 200 --size 100 --producers 2 --confirms 100 --ack-batch 1 --prefetch 50";
    let report = load_for(Broker::shared(), "3", line);
    let rate = number(&report, "/published_per_second");
    assert!((100.0..300.0).contains(&rate), "{report}");
    assert_latency(&report["latency"]);
    assert_latency(&report["send_delay"]);
    assert!(number(&report, "/unsent") < 300.0, "{report}");
}

#[test]
fn latency_is_measured_without_a_rate_too() {
    let report = load(Broker::shared(), "--latency --size 8 --backlog-max 100");
    assert_latency(&report["latency"]);
    assert_eq!(report["send_delay"], Value::Null);
}

#[test]
fn every_confirm_is_timed_when_each_is_waited_for() {
    let report = load(Broker::shared(), "--confirms 1");
    assert_latency(&report["confirm_latency"]);
}

#[test]
fn consumers_that_stall_are_not_waited_for() {
    let line = "--exchange fanout --queues 2 --consumers 2 --stalled-consumers 2 --rate 20000 --size 1024
        --stalled-queue-argument x-max-length=100";
    let report = load(Broker::shared(), line);
    assert_eq!(report["work"]["stalled_consumers"], 2);
    assert_latency(&report["latency"]);
}

#[test]
fn refused_messages_are_told() {
    let line =
        "--queue-argument x-max-length=10 --queue-argument x-overflow=reject-publish --confirms 100 --consumers 0";
    let report = bench(Broker::shared(), &format!("--seconds 1 {line}"));
    assert!(number(&report, "/refused") > 0.0, "{report}");
}

// The other commands

#[test]
fn everything_is_made_and_removed_again_and_again() {
    for kind in ["connections", "channels", "queues", "durable-queues"] {
        let report = bench(Broker::shared(), &format!("churn --kind {kind} --seconds 1 --workers 2"));
        assert_eq!(report["kind"], kind);
        assert!(number(&report, "/per_second") > 0.0);
        assert_latency(&report["latency"]);
    }
}

#[test]
fn many_idle_things_are_counted() {
    for line in
        ["--kind connections --count 20", "--kind queues --count 50", "--kind durable-queues --count 600 --pipeline"]
    {
        let report = bench(Broker::shared(), &format!("count --wait-seconds 0.1 {line}"));
        assert!(number(&report, "/per_second") > 0.0);
        if Broker::shared().pid().is_some() {
            assert!(number(&report, "/rss_after_bytes") > 1e6);
            number(&report, "/bytes_each");
            number(&report, "/cpu_us_each");
            assert!(number(&report, "/idle_cpu_percent") >= 0.0);
        }
    }
}

#[test]
fn a_backlog_goes_in_and_comes_out() {
    for line in ["--size 64", "--transient"] {
        let report = bench(Broker::shared(), &format!("backlog --messages 3000 --wait-seconds 0 {line}"));
        assert!(number(&report, "/fill/per_second") > 0.0);
        assert!(number(&report, "/drain/per_second") > 0.0);
        assert_eq!(report["messages"], 3000);
    }
}

#[test]
fn nothing_is_left_behind() {
    if skip_without_process("nothing_is_left_behind") {
        return;
    }
    let broker = Broker::start();
    load(&broker, "--persistent --exchange topic --queues 3 --confirms 10");
    bench(&broker, "count --kind durable-queues --count 10 --wait-seconds 0");
    let log = broker.output();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

// Mistakes

#[test]
fn a_mistake_is_told_and_ends_with_a_failure() {
    let nobody = "--url amqp://127.0.0.1:1";
    for (line, reason) in [
        (nobody, "cannot connect to 127.0.0.1:1"),
        ("--rate 5 --size 4", "--size of 8 or more"),
        ("--ack-batch 5 --prefetch 2", "--prefetch"),
        ("churn", "--kind"),
    ] {
        let args: Vec<&str> = ["bench"].into_iter().chain(line.split_whitespace()).collect();
        let (status, _, stderr) = broker::run(&args, PATIENCE).expect("the load generator ends");
        assert!(!status.success() && stderr.contains(reason), "{line}: {status}\n{stderr}");
    }
}

#[test]
fn the_help_has_examples() {
    let (status, stdout, _) = broker::run(&["bench", "--help"], PATIENCE).expect("the help ends");
    assert!(status.success());
    for part in ["Examples:", "--rate", "churn", "count", "backlog", "relay", "disk", "x-queue-type=quorum"] {
        assert!(stdout.contains(part), "no {part}:\n{stdout}");
    }
}
