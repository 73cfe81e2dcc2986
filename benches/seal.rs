//! Sealing against the stock tools, in one run on the same data: `cargo bench --bench seal`.
//!
//! Prints the ratio of the time that `zstd -3 --check | age` takes to the time that Keyhaven takes, pair by pair. Keyhaven
//! seals packs of 32 MiB side by side on two threads, with padding, MACs left out (they are made when a payload is added);
//! the stock pipeline is two processes, so both may use two cores. Needs `zstd` and `age` on the PATH; runs nothing else.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench prints its figures, and is an edge of its own"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyhaven::crypto::{Identities, Recipients, seal};
use rand::{RngExt as _, SeedableRng as _};

const PACK: usize = 32 * 1024 * 1024;
const PACKS: usize = 8;
const PAIRS: usize = 5;
const LEVEL: i32 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let packs: Vec<Vec<u8>> = (0..PACKS).map(|index| pack(index as u64)).collect();
    let folder = std::env::temp_dir().join(format!("keyhaven-bench-seal-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let plain = folder.join("plain.jsonl");
    let mut file = std::fs::File::create(&plain)?;
    for pack in &packs {
        file.write_all(pack)?;
    }
    drop(file);

    let (identity, _) = Identities::generate();
    let recipients = Recipients::new(identity.recipients())?;
    let names = recipients.names();
    println!("{PACKS} packs of {} MiB of JSON Lines, level {LEVEL}, {PAIRS} pairs", PACK / 1024 / 1024);
    let mut ratios = Vec::new();
    for pair in 0..=PAIRS {
        let (ours, our_bytes) = keyhaven(&packs, &recipients)?;
        let (stock, stock_bytes) = stock(&plain, &folder.join("sealed"), &names)?;
        if pair == 0 {
            println!("warm-up: sealed to {our_bytes} bytes, stock tools to {stock_bytes}");
            continue;
        }
        let ratio = stock.as_secs_f64() / ours.as_secs_f64();
        println!("pair {pair}: keyhaven {ours:.2?}, zstd | age {stock:.2?}, ratio {ratio:.2}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2} (goal: at least 1.5)", ratios[PAIRS / 2]);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Lines such as a pack holds: ids, MACs and payloads that compress about as badly as real ones.
fn pack(seed: u64) -> Vec<u8> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut lines = Vec::with_capacity(PACK + 1024);
    while lines.len() < PACK {
        let [id, version, mac, secret]: [u128; 4] = std::array::from_fn(|_| random.random());
        let port: u16 = random.random();
        let line = format!(
            "{{\"key\":\"secret/{id:032x}\",\"version\":\"{version:032x}\",\"mac\":\"{mac:044x}\",\"payload\":\"{{\\\"data\\\":\
             {{\\\"host\\\":\\\"db-{port}.internal.example\\\",\\\"port\\\":{port},\\\"user\\\":\\\"app\\\",\\\"password\\\":\
             \\\"{secret:032x}\\\",\\\"tls\\\":{{\\\"verify\\\":true,\\\"ca\\\":\\\"/etc/ssl/certs/internal.pem\\\"}}}}}}\"}}\n"
        );
        lines.extend_from_slice(line.as_bytes());
    }
    lines
}

fn keyhaven(packs: &[Vec<u8>], recipients: &Recipients) -> Result<(Duration, usize), String> {
    let begun = Instant::now();
    let (left, right) = packs.split_at(packs.len() / 2);
    let seal_all = |packs: &[Vec<u8>]| -> Result<usize, String> {
        let mut bytes = 0;
        for pack in packs {
            let sealed = seal::seal(pack, recipients, LEVEL).map_err(|error| error.to_string())?;
            bytes += sealed.bytes.len();
        }
        Ok(bytes)
    };
    let bytes = std::thread::scope(|scope| {
        let other = scope.spawn(|| seal_all(right));
        let own = seal_all(left)?;
        Ok::<_, String>(own + other.join().map_err(|_| "a sealing thread failed")??)
    })?;
    Ok((begun.elapsed(), bytes))
}

fn stock(
    plain: &std::path::Path,
    sealed: &std::path::Path,
    recipients: &[String],
) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut zstd = Command::new("zstd")
        .args(["-q", "-3", "-T1", "--check", "-c"])
        .arg(plain)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run zstd: {error}"))?;
    let mut age = Command::new("age");
    for recipient in recipients {
        age.args(["-r", recipient]);
    }
    let stdout = zstd.stdout.take().ok_or("zstd has no output")?;
    let status =
        age.arg("-o").arg(sealed).stdin(stdout).status().map_err(|error| format!("cannot run age: {error}"))?;
    if !zstd.wait()?.success() || !status.success() {
        return Err("the stock tools failed".into());
    }
    Ok((begun.elapsed(), std::fs::metadata(sealed)?.len()))
}
