//! Use of a given pace, and what a round costs in requests, against the embedded instance over HTTP:
//! `cargo bench --bench pace`.
//!
//! The pace is measured where the requests arrive. The goals: at least 95 % of it used by callers who always have
//! something to send, and in no stretch of time `T` more than `pace × T + 1` requests (above 40 per second, where timers
//! are too coarse to space requests one by one, `pace × (T + 10 ms) + 1`). What the network adds in jitter is in the
//! figure, so the table shows the excess over that bound, in requests.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "the tasks of a bench end with it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use keyhaven::model::ItemKind;
use keyhaven::provider::embedded::{EmbeddedInstance, Options, Server, seed, seed_small};
use keyhaven::provider::ibm::{Client, ClientSettings, Pace};
use keyhaven::provider::{InstanceInventory, ItemReader, Listed, Readable};
use secrecy::ExposeSecret as _;

/// Requests per second, and for how long: the default of a source, the default of a standby, and two fast ones.
const PACES: [(f64, u64); 4] = [(5.0, 20), (20.0, 10), (100.0, 5), (500.0, 5)];
const CALLERS: usize = 8;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("use of a given pace, {CALLERS} callers");
    println!("{:>6} {:>9} {:>8} {:>7} {:>12}", "pace", "requests", "seconds", "used", "excess");
    for (pace, seconds) in PACES {
        let used = use_of(pace, seconds).await?;
        println!("{used}");
    }
    println!();
    println!("requests of a round");
    println!("{:>8} {:>10}", "secrets", "inventory");
    for secrets in [1_000, 10_000, 100_000] {
        let (requests, took) = inventory(secrets).await?;
        println!("{secrets:>8} {requests:>10}   listed in {took:.2?}");
    }
    println!();
    reads().await
}

/// One line of the first table.
async fn use_of(pace: f64, seconds: u64) -> Result<String, Failure> {
    let (instance, server) = start(|_| Ok(())).await?;
    let client = connect(&instance, &server, Pace::new(pace))?;
    // The token and the connection are there before the clock runs.
    client.registration().await?;
    instance.reset_counters();
    let end = Instant::now() + Duration::from_secs(seconds);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    if client.registration().await.is_err() {
                        break;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await?;
    }
    let arrived = instance.counters().instants;
    server.stop().await;
    let (Some(first), Some(last)) = (arrived.first(), arrived.last()) else { return Err("nothing arrived".into()) };
    let span = last.duration_since(*first).as_secs_f64();
    let used = (arrived.len() - 1) as f64 / span / pace;
    let slack = if pace > 40.0 { 0.010 } else { 0.0 };
    let excess = arrived.iter().enumerate().flat_map(|(index, from)| {
        let later = arrived.iter().enumerate().skip(index);
        later.map(move |(at, to)| {
            let allowed = pace * (to.duration_since(*from).as_secs_f64() + slack) + 1.0;
            (at - index + 1) as f64 - allowed
        })
    });
    let excess = excess.fold(f64::MIN, f64::max).max(0.0);
    Ok(format!("{pace:>6} {:>9} {span:>8.2} {:>6.1}% {excess:>12.3}", arrived.len(), used * 100.0))
}

/// Requests of one inventory, as the server counts them.
async fn inventory(secrets: usize) -> Result<(u64, Duration), Failure> {
    let (instance, server) = start(|instance| Ok(seed_small(instance, 1, secrets)?)).await?;
    let client = connect(&instance, &server, Pace::new(10_000.0))?;
    let begin = Instant::now();
    let mut listed = 0_usize;
    client.list(&mut |_: Listed| listed += 1).await?;
    let took = begin.elapsed();
    server.stop().await;
    Ok((instance.counters().requests(), took))
}

/// Requests of reads by the number of versions, locks counted apart.
async fn reads() -> Result<(), Failure> {
    let (instance, server) = start(|instance| Ok(seed(instance, 1, 500)?)).await?;
    let client = connect(&instance, &server, Pace::new(10_000.0))?;
    let mut items = Vec::new();
    client.list(&mut |listed: Listed| items.push(listed)).await?;
    println!("{:<28} {:>6} {:>10} {:>14}", "case", "items", "requests", "each, no locks");
    let mut cases: Vec<(String, usize, u64, u64)> = Vec::new();
    for listed in &items {
        let before = client.requests().reading;
        client.read(listed, None).await?;
        let spent = client.requests().reading - before;
        let row = listed.item.doc("row").unwrap_or_default();
        let locks = row.u64("locks_total").unwrap_or_default().div_ceil(100);
        let case = match (listed.item.key.kind(), listed.readable, row.u64("versions_total").unwrap_or_default()) {
            (ItemKind::Secret, Readable::MetadataOnly, _) => "no payload to read".to_owned(),
            (ItemKind::Secret, _, versions @ (1 | 2)) => format!("{versions} version(s)"),
            (ItemKind::Secret, ..) => "3 to 50 versions".to_owned(),
            (kind, ..) => kind.to_string(),
        };
        let at = cases.iter().position(|(name, ..)| *name == case).unwrap_or_else(|| {
            cases.push((case, 0, 0, 0));
            cases.len() - 1
        });
        let (_, count, requests, of_locks) = &mut cases[at];
        *count += 1;
        *requests += spent;
        *of_locks += locks;
    }
    cases.sort();
    for (case, count, requests, of_locks) in cases {
        let each = (requests - of_locks) as f64 / count as f64;
        println!("{case:<28} {count:>6} {requests:>10} {each:>14.2}");
    }
    server.stop().await;
    Ok(())
}

async fn start(
    fill: impl FnOnce(&EmbeddedInstance) -> Result<(), Failure>,
) -> Result<(EmbeddedInstance, Server), Failure> {
    let instance = EmbeddedInstance::new(Options::default());
    fill(&instance)?;
    let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    Ok((instance, server))
}

fn connect(instance: &EmbeddedInstance, server: &Server, pace: Pace) -> Result<Client, Failure> {
    let key = instance.options().api_key.expose_secret().to_owned();
    let settings = ClientSettings::new(&server.base_url(), &server.iam_url(), key.into());
    Ok(Client::with_pace(settings, pace)?)
}
