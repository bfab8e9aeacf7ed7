//! Kills a broker under load again and again and keeps book of what it promised.
//!
//! Producers with confirms and with transactions publish through every exchange type to durable queues, consumers
//! acknowledge, requeue, reject and vanish. At a random moment the broker is killed (now and then stopped in peace, or
//! killed while it starts), and started again on the same directory. In the end the queues are emptied, and the [`ledger`]
//! says what is lost, corrupt, a phantom, doubled or out of order. The seed decides what is done; when the operating system
//! lets it happen it does not.

mod consumer;
mod ledger;
mod message;
mod producer;
mod random;
mod round;
mod topology;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Parser;
use leveret_tests::Home;

use crate::random::Random;
use crate::round::{Ending, Torture};

/// How long the emptying of the queues in the end may take without any progress.
const STALL_MAX: Duration = Duration::from_secs(90);

#[derive(Parser)]
#[command(about = "Kill a broker under load, again and again, and look whether it keeps its promises")]
struct Args {
    /// How often the broker is ended
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What decides sizes, routes, moments; without it a new one is drawn and printed
    #[arg(long)]
    seed: Option<u64>,
    /// The broker's durability: fsync, interval=MS or os
    #[arg(long, default_value = "fsync")]
    durability: String,
    /// No new round is begun after so many seconds
    #[arg(long, default_value_t = 3_600)]
    seconds_max: u64,
    /// The longest life of a broker, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    life_ms_max: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when every promise was kept.
fn run(args: &Args) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64 % 1_000_000_007)
    });
    println!("torture: {} rounds, seed {seed}, durability {}", args.rounds, args.durability);
    let home = Home::new();
    let mut random = Random::new(seed);
    let mut torture = Torture::new(&home, &args.durability)?;
    let begin = Instant::now();
    let mut outcome = Ok(());
    for number in 1..=args.rounds {
        if begin.elapsed() >= Duration::from_secs(args.seconds_max) {
            println!("stopped after {} rounds: {} s are over", number - 1, args.seconds_max);
            break;
        }
        let ending = draw_ending(number, args.life_ms_max, &mut random);
        outcome = torture.round(number, ending, &mut random);
        if outcome.is_err() || torture.ledger.totals().faults > 0 {
            break;
        }
    }
    let outcome = outcome.and_then(|()| torture.empty(STALL_MAX));
    if let Err(error) = &outcome {
        torture.ledger.fault(format!("{error:#}"));
    }
    report(&torture, begin.elapsed());
    let is_kept = torture.ledger.totals().faults == 0;
    if !is_kept {
        println!("again: --rounds {} --seed {seed} --durability {}", args.rounds, args.durability);
        println!("the data directory stays: {}", home.path().display());
        std::mem::forget(home);
    }
    Ok(is_kept)
}

fn draw_ending(number: u32, life_ms_max: u64, random: &mut Random) -> Ending {
    let life = Duration::from_millis(random.below(life_ms_max) + 1);
    match random.below(10) {
        // The first round always leaves something behind.
        _ if number == 1 => Ending::Kill(Duration::from_millis(life_ms_max)),
        0 => Ending::KillWhileStarting(Duration::from_micros(random.below(60_000))),
        1..3 => Ending::Peace(life),
        _ => Ending::Kill(life),
    }
}

fn report(torture: &Torture<'_>, took: Duration) {
    let totals = torture.ledger.totals();
    let mut recoveries = torture.recoveries.clone();
    recoveries.sort_unstable();
    let at = |index: usize| recoveries.get(index).copied().unwrap_or_default();
    println!("\n{:<34} {:>12}", "published", totals.published);
    println!("{:<34} {:>12}", "confirmed", totals.confirmed);
    println!("{:<34} {:>12}", "rolled back", totals.withdrawn);
    println!("{:<34} {:>12}", "delivered", totals.delivered);
    println!("{:<34} {:>12}", "redelivered", totals.redelivered);
    println!("{:<34} {:>12}", "acknowledged", totals.acknowledged);
    println!("{:<34} {:>12}", "came again after an unsafe ack", totals.reappeared);
    println!("{:<34} {:>12}", "came again without the mark", totals.unmarked);
    println!("{:<34} {:>12}", "starts", recoveries.len());
    println!("{:<34} {:>12.1?}", "start, median", at(recoveries.len() / 2));
    println!("{:<34} {:>12.1?}", "start, longest", at(recoveries.len().saturating_sub(1)));
    println!("{:<34} {:>12.1?}", "in all", took);
    println!("{:<34} {:>12}", "broken promises", totals.faults);
    torture.ledger.faults().iter().for_each(|fault| println!("  {fault}"));
}
