//! Plays histories on all cores until a number of them, or a time, is reached.
//!
//! `cargo xtask campaign sim [--histories N] [--minutes N] [--seed N] [--bug NAME] [--story SEED]
//! [--cells FAULT/PATH,...]`: with `--cells` only histories that are aimed at one of them.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_sim::{AIMED, Bug, Coverage, Fault, Path, Plan, TRIO, aim, play_seed, shrink, story};

#[derive(Default)]
struct Sums {
    coverage: Coverage,
    histories: u64,
    acknowledged: u64,
    faults: u64,
    lost: u64,
    liquidations: u64,
    broken: Vec<(u64, String)>,
}

fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn number(name: &str) -> Option<u64> {
    option(name).and_then(|text| text.parse().ok())
}

fn main() -> ExitCode {
    let bug = match option("--bug").map(|name| (Bug::named(&name), name)) {
        Some((None, name)) => {
            let known: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            eprintln!("no mistake is called {name}; there are: {}", known.join(", "));
            return ExitCode::FAILURE;
        }
        found => found.and_then(|(bug, _)| bug),
    };
    if let Some(seed) = number("--story") {
        println!("{}", story(&Plan::of(seed), bug));
        return ExitCode::SUCCESS;
    }
    let seed = std::env::var("EVENKEEL_SEED").ok().and_then(|text| text.parse().ok());
    let first: u64 = number("--seed").or(seed).unwrap_or(1).wrapping_mul(1_000_000_007);
    let minutes = number("--minutes");
    let histories =
        number("--histories").unwrap_or(if minutes.is_some() { u64::MAX } else { 1_000 });
    let begun = Instant::now();
    let lasts = minutes.map(|one| Duration::from_secs(one * 60));
    let Some(cells) = wanted_cells() else { return ExitCode::FAILURE };
    let sums = campaign(first, histories, lasts, &cells, bug);
    report(&sums, first, begun.elapsed(), bug)
}

/// The cells of `--cells`; `None` if one of them is none.
fn wanted_cells() -> Option<Vec<(Fault, Path)>> {
    let text = option("--cells").unwrap_or_default();
    let all: Vec<(Fault, Path)> =
        Coverage::default().rarest().into_iter().map(|(_, fault, path)| (fault, path)).collect();
    let find = |name: &str| {
        let found = all.iter().find(|(fault, path)| format!("{fault:?}/{path:?}") == name);
        if found.is_none() {
            eprintln!("{name} is no cell: write them as StoreFull/Unharmed,SyncError/FetchMirror");
        }
        found.copied()
    };
    text.split(',').filter(|name| !name.is_empty()).map(find).collect()
}

fn campaign(
    first: u64,
    histories: u64,
    lasts: Option<Duration>,
    cells: &[(Fault, Path)],
    bug: Option<Bug>,
) -> Sums {
    let (next, stops) = (AtomicU64::new(0), AtomicBool::new(false));
    let sums = Mutex::new(Sums::default());
    let begun = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut own = Sums::default();
                while !stops.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= histories || lasts.is_some_and(|lasts| begun.elapsed() >= lasts) {
                        break;
                    }
                    let seed = kind(first.wrapping_add(at), at, bug);
                    if !cells.is_empty() && !is_aimed_at(seed, cells) {
                        continue;
                    }
                    let played = play_seed(seed, bug);
                    own.histories += 1;
                    own.acknowledged += played.acknowledged as u64;
                    own.faults += played.struck as u64;
                    own.lost += played.lost;
                    own.liquidations += played.liquidations;
                    own.coverage.add(&played.coverage);
                    if let (None, Some(what)) = (bug, &played.broken) {
                        println!("seed {seed}: {}", what.chars().take(300).collect::<String>());
                    }
                    own.broken.extend(played.broken.map(|what| (seed, what)));
                    if bug.is_none() && own.broken.len() >= 12 {
                        stops.store(true, Ordering::Relaxed);
                    }
                }
                let Ok(mut all) = sums.lock() else { return };
                all.coverage.add(&own.coverage);
                all.histories += own.histories;
                all.acknowledged += own.acknowledged;
                all.faults += own.faults;
                all.lost += own.lost;
                all.liquidations += own.liquidations;
                all.broken.extend(own.broken);
            });
        }
    });
    sums.into_inner().unwrap_or_default()
}

fn is_aimed_at(seed: u64, cells: &[(Fault, Path)]) -> bool {
    seed & AIMED != 0 && aim::cells(seed).iter().any(|cell| cells.contains(cell))
}

/// Every fourth history is of three hosts; three of four are aimed. Mistakes are looked for in
/// histories without an aim.
fn kind(seed: u64, at: u64, bug: Option<Bug>) -> u64 {
    let seed = seed & !TRIO & !AIMED;
    let is_trio = bug.is_none_or(|bug| bug == Bug::MissingTermCheck) && at % 4 == 3;
    let is_aimed = bug.is_none() && !(at / 4).is_multiple_of(4);
    seed | if is_trio { TRIO } else { 0 } | if is_aimed { AIMED } else { 0 }
}

fn report(sums: &Sums, first: u64, lasted: Duration, bug: Option<Bug>) -> ExitCode {
    let seconds = lasted.as_secs_f64().max(0.001);
    println!("{}", sums.coverage);
    if bug.is_none() {
        let rarest = sums.coverage.rarest();
        let told: Vec<String> = rarest
            .iter()
            .take(12)
            .map(|(count, fault, path)| format!("{fault:?} then {path:?} {count}"))
            .collect();
        println!("{} cells, the rarest: {}", rarest.len(), told.join(", "));
    }
    println!(
        "{} histories from seed {first}, {} faults, {} entries acknowledged, {} said to be lost \
         with every copy, {} steps of liquidations; {seconds:.0} s, {:.0} histories/s",
        sums.histories,
        sums.faults,
        sums.acknowledged,
        sums.lost,
        sums.liquidations,
        per_second(sums.histories, lasted),
    );
    if let Some(bug) = bug {
        let (found, all) = (sums.broken.len(), sums.histories);
        println!("{}: found in {found} of {all} histories", bug.name());
        for (seed, what) in sums.broken.iter().take(5) {
            println!("  seed {seed}: {what}");
        }
        return if found > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for (seed, what) in &sums.broken {
        println!("BROKEN, seed {seed}: {}", what.chars().take(300).collect::<String>());
    }
    let Some((seed, _)) = sums.broken.first() else { return ExitCode::SUCCESS };
    println!("{}", story(&shrink(&Plan::of(*seed), None), None));
    ExitCode::FAILURE
}

fn per_second(count: u64, lasted: Duration) -> f64 {
    let millis = u32::try_from(lasted.as_millis()).unwrap_or(u32::MAX).max(1);
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * 1_000.0 / f64::from(millis)
}
