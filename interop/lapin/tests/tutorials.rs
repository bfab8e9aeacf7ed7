//! The seven RabbitMQ tutorials, run as the programs of `examples/`.

use anyhow::Result;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::FieldTable;
use leveret_interop_lapin::program::Program;
use leveret_interop_lapin::scenario::{connect, delete_queue, run, unique};

/// A prefix for the names that the programs use, and what of them has to be deleted in the end.
struct Names {
    prefix: String,
}

impl Names {
    fn new(purpose: &str) -> Names {
        Names { prefix: format!("{}.", unique(purpose)) }
    }

    fn delete_queue(&self, plain: &str) {
        run(async {
            let connection = connect().await?;
            let channel = connection.create_channel().await?;
            delete_queue(&channel, &format!("{}{plain}", self.prefix)).await?;
            Ok(connection.close(200, "OK".into()).await?)
        });
    }

    /// Deletes an exchange after a look at its type.
    fn delete_exchange(&self, plain: &str, kind: ExchangeKind) {
        let exchange = format!("{}{plain}", self.prefix);
        run(async {
            let connection = connect().await?;
            let channel = connection.create_channel().await?;
            let options = ExchangeDeclareOptions::default();
            let (name, arguments) = (exchange.as_str(), FieldTable::default());
            channel.exchange_declare(name.into(), kind, options, arguments).await?;
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(name.into(), options).await?;
            Ok(connection.close(200, "OK".into()).await?)
        });
    }
}

#[test]
fn hello_world() -> Result<()> {
    let names = Names::new("hello");
    // The message waits in the queue until somebody comes for it.
    let sent = Program::run(&names.prefix, "send", &[])?;
    assert_eq!(sent, ["sent Hello World!"]);
    let mut receiver = Program::listen(&names.prefix, "receive", &[])?;
    assert_eq!(receiver.line()?, "received Hello World!");

    Program::run(&names.prefix, "send", &["and", "again"])?;
    assert_eq!(receiver.line()?, "received and again");
    assert_eq!(receiver.end()?, [""; 0]);
    names.delete_queue("hello");
    Ok(())
}

#[test]
fn work_queues_dispatch_fairly() -> Result<()> {
    let names = Names::new("work");
    let mut first = Program::listen(&names.prefix, "worker", &[])?;
    let mut second = Program::listen(&names.prefix, "worker", &[])?;

    // One worker gets a task that outlasts this test; the other one does all the rest meanwhile.
    let endless = ".".repeat(6000);
    Program::run(&names.prefix, "new_task", &["endless", &endless])?;
    first.expect("started endless")?;
    for task in ["a", "b", "c"] {
        Program::run(&names.prefix, "new_task", &[task])?;
    }
    for task in ["a", "b", "c"] {
        second.expect(&format!("started {task}"))?;
        second.expect(&format!("done {task}"))?;
    }
    assert_eq!(second.end()?, [""; 0]);
    assert_eq!(first.end()?, [""; 0]);
    names.delete_queue("tasks");
    Ok(())
}

#[test]
fn the_task_of_a_killed_worker_goes_to_another_one() -> Result<()> {
    let names = Names::new("killed");
    let mut doomed = Program::listen(&names.prefix, "worker", &[])?;
    let endless = ".".repeat(6000);
    Program::run(&names.prefix, "new_task", &["endless", &endless])?;
    doomed.expect("started endless")?;

    let mut heir = Program::listen(&names.prefix, "worker", &[])?;
    assert_eq!(doomed.end()?, [""; 0]);
    heir.expect("started endless")?;
    assert_eq!(heir.end()?, [""; 0]);
    names.delete_queue("tasks");
    Ok(())
}

#[test]
fn publish_subscribe() -> Result<()> {
    let names = Names::new("logs");
    // Nobody listens yet: this one is lost, as a broadcast is.
    Program::run(&names.prefix, "emit_log", &["lost"])?;
    let mut one = Program::listen(&names.prefix, "receive_logs", &[])?;
    let mut other = Program::listen(&names.prefix, "receive_logs", &[])?;

    Program::run(&names.prefix, "emit_log", &["info:", "for", "all"])?;
    for subscriber in [&mut one, &mut other] {
        assert_eq!(subscriber.line()?, "received info: for all");
    }
    assert_eq!(one.end()?, [""; 0]);
    assert_eq!(other.end()?, [""; 0]);
    names.delete_exchange("logs", ExchangeKind::Fanout);
    Ok(())
}

#[test]
fn routing() -> Result<()> {
    let names = Names::new("routing");
    let program = "receive_logs_direct";
    let mut pager = Program::listen(&names.prefix, program, &["error"])?;
    let mut screen = Program::listen(&names.prefix, program, &["info", "warning", "error"])?;

    for (severity, text) in [("info", "up"), ("error", "on fire"), ("warning", "hot")] {
        Program::run(&names.prefix, "emit_log_direct", &[severity, text])?;
    }
    assert_eq!(pager.line()?, "received error: on fire");
    assert_eq!(screen.line()?, "received info: up");
    assert_eq!(screen.line()?, "received error: on fire");
    assert_eq!(screen.line()?, "received warning: hot");
    assert_eq!(pager.end()?, [""; 0]);
    assert_eq!(screen.end()?, [""; 0]);
    names.delete_exchange("logs_direct", ExchangeKind::Direct);
    Ok(())
}

#[test]
fn topics() -> Result<()> {
    let names = Names::new("topics");
    let program = "receive_logs_topic";
    let mut everything = Program::listen(&names.prefix, program, &["#"])?;
    let mut kernel = Program::listen(&names.prefix, program, &["kernel.*"])?;
    let mut both = Program::listen(&names.prefix, program, &["kernel.*", "*.critical"])?;

    for topic in ["kernel.critical", "cron.info", "cron.critical"] {
        Program::run(&names.prefix, "emit_log_topic", &[topic, "text"])?;
    }
    assert_eq!(kernel.line()?, "received kernel.critical: text");
    for topic in ["kernel.critical", "cron.info", "cron.critical"] {
        assert_eq!(everything.line()?, format!("received {topic}: text"));
    }
    // One copy a queue, even of what two of its patterns match.
    assert_eq!(both.line()?, "received kernel.critical: text");
    assert_eq!(both.line()?, "received cron.critical: text");
    for subscriber in [everything, kernel, both] {
        assert_eq!(subscriber.end()?, [""; 0]);
    }
    names.delete_exchange("logs_topic", ExchangeKind::Topic);
    Ok(())
}

#[test]
fn remote_procedure_call() -> Result<()> {
    let names = Names::new("rpc");
    let mut server = Program::listen(&names.prefix, "rpc_server", &[])?;
    let client = Program::run(&names.prefix, "rpc_client", &["30"])?;
    assert_eq!(client, ["requested fib(30)", "got 832040"]);
    assert_eq!(server.line()?, "answered fib(30) = 832040");

    let client = Program::run(&names.prefix, "rpc_client", &["7"])?;
    assert_eq!(client, ["requested fib(7)", "got 13"]);
    drop(server);
    names.delete_queue("rpc");
    Ok(())
}

#[test]
fn publisher_confirms() -> Result<()> {
    let names = Names::new("confirms");
    let lines = Program::run(&names.prefix, "publisher_confirms", &["500"])?;
    let starts = ["500 one by one", "500 in batches", "500 as they come"];
    assert_eq!(lines.len(), starts.len());
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    Ok(())
}
