//! A round: a broker's life from its start on the directory to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lapin::{Connection, ConnectionProperties};
use leveret_tests::broker::Stop;
use leveret_tests::{Broker, Home};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::consumer::Taker;
use crate::ledger::Ledger;
use crate::message::QUEUES;
use crate::producer;
use crate::random::Random;
use crate::topology::{self, Comers};

/// Producers with confirms; one more uses transactions.
const PRODUCERS: usize = 3;
/// The queue that has two consumers, so that its order cannot be seen.
const SHARED_QUEUE: usize = 0;
/// Threads of the clients' runtime.
const THREADS: usize = 2;
/// How long clients may take to notice that their broker is gone, or to finish.
const CLIENTS_END_MAX: Duration = Duration::from_secs(180);
/// How often an emptying queue is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How a round ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// SIGKILL after so long under load.
    Kill(Duration),
    /// SIGTERM after so long under load, when the clients have finished.
    Peace(Duration),
    /// SIGKILL so long after the start of the process, before any client.
    KillWhileStarting(Duration),
}

/// Everything that outlives a round.
pub struct Torture<'a> {
    home: &'a Home,
    durability: String,
    runtime: Runtime,
    pub ledger: Arc<Ledger>,
    comers: Arc<Comers>,
    pub recoveries: Vec<Duration>,
}

/// The clients of a round.
struct Clients {
    tasks: JoinSet<(&'static str, Result<()>)>,
    is_over: Arc<AtomicBool>,
}

impl<'a> Torture<'a> {
    pub fn new(home: &'a Home, durability: &str) -> Result<Torture<'a>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
        Ok(Torture {
            home,
            durability: durability.to_owned(),
            runtime,
            ledger: Arc::new(Ledger::new(PRODUCERS + 1)),
            comers: Arc::default(),
            recoveries: Vec::new(),
        })
    }

    /// One life of a broker; a progress line at its end.
    pub fn round(&mut self, number: u32, ending: Ending, random: &mut Random) -> Result<()> {
        if let Ending::KillWhileStarting(after) = ending {
            self.home.start_and_kill(&self.arguments(), after)?;
            println!("round {number:>4}: killed {after:?} after its start");
            return Ok(());
        }
        let before = self.ledger.totals();
        let broker = self.start()?;
        let url = broker.url();
        let mut clients = self.runtime.block_on(self.begin(&url, random))?;
        let is_peace = matches!(ending, Ending::Peace(_));
        let (Ending::Kill(life) | Ending::Peace(life) | Ending::KillWhileStarting(life)) = ending;
        std::thread::sleep(life);
        if is_peace {
            clients.is_over.store(true, Ordering::Relaxed);
            self.runtime.block_on(clients.finish(true))?;
            self.ledger.end_run_in_peace();
        }
        self.end(broker, if is_peace { Stop::Term } else { Stop::Kill });
        if !is_peace {
            clients.is_over.store(true, Ordering::Relaxed);
            self.runtime.block_on(clients.finish(false))?;
        }
        let after = self.ledger.totals();
        println!(
            "round {number:>4}: start {:>8.1?}, {:<22} +{:>6} confirmed +{:>6} delivered +{:>5} redelivered, {} broken",
            self.recoveries.last().copied().unwrap_or_default(),
            format!("{ending:.0?},"),
            after.confirmed - before.confirmed,
            after.delivered - before.delivered,
            after.redelivered - before.redelivered,
            after.faults
        );
        Ok(())
    }

    /// Takes everything out, and looks after a last stop in peace that nothing is left.
    pub fn empty(&mut self, stall_max: Duration) -> Result<()> {
        let broker = self.start()?;
        let url = broker.url();
        let ledger = Arc::clone(&self.ledger);
        let comers = Arc::clone(&self.comers);
        self.runtime.block_on(async {
            let connection = connect(&url).await?;
            topology::declare(&connection).await?;
            comers.check(&connection, &ledger).await?;
            let mut clients = Clients::new();
            for queue in 0..QUEUES.len() {
                clients.consume(&url, &ledger, queue, true, true, Random::new(0));
            }
            until_empty(&connection, &ledger, stall_max).await?;
            clients.is_over.store(true, Ordering::Relaxed);
            clients.finish(true).await?;
            connection.close(200, "OK".into()).await?;
            Ok::<(), anyhow::Error>(())
        })?;
        self.ledger.end_run_in_peace();
        self.end(broker, Stop::Term);
        let broker = self.start()?;
        let url = broker.url();
        self.runtime.block_on(async {
            let connection = connect(&url).await?;
            let left = ready(&connection).await?;
            ensure!(left == 0, "phantoms: {left} messages after everything was acknowledged");
            connection.close(200, "OK".into()).await?;
            Ok(())
        })?;
        self.end(broker, Stop::Term);
        self.ledger.close();
        Ok(())
    }

    fn arguments(&self) -> [&str; 2] {
        ["--durability", &self.durability]
    }

    fn start(&mut self) -> Result<Broker> {
        self.ledger.begin_run();
        let begin = Instant::now();
        let broker = self.home.try_start_with(&self.arguments()).context("the broker does not start again")?;
        self.recoveries.push(begin.elapsed());
        Ok(broker)
    }

    fn end(&self, broker: Broker, stop: Stop) {
        let output = broker.output();
        if output.contains("panicked") {
            self.ledger.fault(format!("the broker panicked:\n{output}"));
        }
        broker.end(stop);
    }

    /// Looks at what is there and puts the broker under load.
    async fn begin(&self, url: &str, random: &mut Random) -> Result<Clients> {
        let connection = connect(url).await?;
        topology::declare(&connection).await?;
        self.comers.check(&connection, &self.ledger).await?;
        connection.close(200, "OK".into()).await?;
        let mut clients = Clients::new();
        for producer in 0..=PRODUCERS {
            clients.produce(url, &self.ledger, producer, random.fork());
        }
        for queue in 0..QUEUES.len() {
            clients.consume(url, &self.ledger, queue, queue != SHARED_QUEUE, false, random.fork());
        }
        clients.consume(url, &self.ledger, SHARED_QUEUE, false, false, random.fork());
        clients.come_and_go(url, &self.comers, random.fork());
        Ok(clients)
    }
}

impl Clients {
    fn new() -> Clients {
        Clients { tasks: JoinSet::new(), is_over: Arc::default() }
    }

    fn produce(&mut self, url: &str, ledger: &Arc<Ledger>, producer: usize, mut random: Random) {
        let (url, ledger, over) = (url.to_owned(), Arc::clone(ledger), Arc::clone(&self.is_over));
        self.tasks.spawn(async move {
            let is_over = || over.load(Ordering::Relaxed);
            let work = async {
                let connection = connect(&url).await?;
                if producer == PRODUCERS {
                    producer::publish_in_transactions(&connection, producer, &ledger, &mut random, is_over).await
                } else {
                    producer::publish_with_confirms(&connection, producer, &ledger, &mut random, is_over).await
                }
            };
            ("producer", work.await)
        });
    }

    fn consume(
        &mut self,
        url: &str,
        ledger: &Arc<Ledger>,
        queue: usize,
        is_alone: bool,
        is_tame: bool,
        random: Random,
    ) {
        let (url, ledger, over) = (url.to_owned(), Arc::clone(ledger), Arc::clone(&self.is_over));
        let mut random = random;
        self.tasks.spawn(async move {
            let work = async {
                let connection = connect(&url).await?;
                let taker = Taker { connection: &connection, queue, ledger: &ledger, is_alone, is_tame };
                taker.run(&mut random, || over.load(Ordering::Relaxed)).await
            };
            ("consumer", work.await)
        });
    }

    fn come_and_go(&mut self, url: &str, comers: &Arc<Comers>, mut random: Random) {
        let (url, comers, over) = (url.to_owned(), Arc::clone(comers), Arc::clone(&self.is_over));
        self.tasks.spawn(async move {
            let work = async {
                let connection = connect(&url).await?;
                let channel = connection.create_channel().await?;
                comers.come_and_go(&channel, &mut random, || over.load(Ordering::Relaxed)).await
            };
            ("declarer", work.await)
        });
    }

    /// Waits for all of them. What a killed broker does to them is no error.
    async fn finish(&mut self, is_peace: bool) -> Result<()> {
        let deadline = tokio::time::Instant::now() + CLIENTS_END_MAX;
        while let Some(task) = tokio::time::timeout_at(deadline, self.tasks.join_next())
            .await
            .context("the clients do not come to an end")?
        {
            match task.context("a client panicked")? {
                (who, Err(error)) if is_peace => bail!("a {who} failed: {error:#}"),
                _ => (),
            }
        }
        Ok(())
    }
}

async fn connect(url: &str) -> Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await.with_context(|| format!("connecting to {url}"))
}

/// All messages that are ready.
async fn ready(connection: &Connection) -> Result<u64> {
    let channel = connection.create_channel().await?;
    let mut sum = 0;
    for queue in QUEUES {
        sum += u64::from(leveret_interop_lapin::scenario::ready(&channel, queue).await?);
    }
    channel.close(200, "OK".into()).await?;
    Ok(sum)
}

/// Waits until nothing is ready and nothing has been delivered for a moment.
async fn until_empty(connection: &Connection, ledger: &Ledger, stall_max: Duration) -> Result<()> {
    const LULLS: u32 = 10;
    let (mut lulls, mut last, mut progress) = (0, 0, Instant::now());
    while lulls < LULLS {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let (left, delivered) = (ready(connection).await?, ledger.totals().delivered);
        if delivered > last {
            progress = Instant::now();
        }
        lulls = if left == 0 && delivered == last { lulls + 1 } else { 0 };
        last = delivered;
        ensure!(progress.elapsed() < stall_max, "{left} messages are ready and nothing is delivered");
    }
    Ok(())
}
