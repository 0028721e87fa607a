//! The book module, its peers and the whole engine on one flow.

use crate::contest::{Book, Fill, Matchcore, OrderbookRs, Ours};
use crate::engine::{Checked, Unlimited, WholeEngine};
use crate::figures::{Latencies, clock_ns, core_time, count, median};
use crate::flow::{Flow, Mix, WORDS};
use crate::{Outcome, Plan};

const ROUNDS: usize = 3;

pub(crate) fn run(plan: &Plan) -> Outcome {
    println!("{WORDS}.");
    println!("One instrument. Rates are of a core's time, medians of {ROUNDS} rounds in turn;");
    println!("latencies hold one reading of the clock, {} ns.\n", clock_ns());
    let measured = if plan.quick { 200_000 } else { 2_000_000 };
    let mix = |depth, width_ticks| Mix {
        depth,
        width_ticks,
        measured,
        seed: plan.seed,
        stops_at_limits: false,
    };
    println!("With limit orders that cross and have to stop at their limit:");
    agree_at_limits(mix(1_000, 200))?;
    println!("Without (a limit order that crosses asks for what its limit admits):");
    one_depth(mix(1_000, 200))?;
    one_depth(mix(100_000, 2_000))
}

/// Rates, quantiles and name of one contestant.
struct Entrant {
    name: &'static str,
    checks: &'static str,
    round: fn(&Flow) -> Round,
    rates: Vec<f64>,
    quantiles_ns: Vec<u32>,
}

/// One round: operations a second without, and latencies with the clock read after each.
struct Round {
    rate: f64,
    quantiles_ns: Vec<u32>,
}

fn round<B: Book>(flow: &Flow) -> Round {
    let ops = B::translate(flow);
    let (warm, rest) = ops.split_at(flow.warm);
    let measured = &rest[..flow.measured];
    let mut book = B::new();
    warm.iter().for_each(|op| book.apply(op));
    let begin = core_time();
    measured.iter().for_each(|op| book.apply(op));
    let rate = measured.len() as f64 / (core_time() - begin).as_secs_f64();
    let mut book = B::new();
    warm.iter().for_each(|op| book.apply(op));
    let mut latencies = Latencies::with_capacity(measured.len());
    latencies.start();
    for op in measured {
        book.apply(op);
        latencies.tick();
    }
    Round { rate, quantiles_ns: latencies.quantiles(&[0.5, 0.99, 0.9999]) }
}

fn entrants() -> Vec<Entrant> {
    let of = |name, checks, round| Entrant {
        name,
        checks,
        round,
        rates: Vec::new(),
        quantiles_ns: Vec::new(),
    };
    vec![
        of("Evenkeel, book alone", "that the order exists", round::<Ours>),
        of(
            "matchcore 0.4",
            "that the order exists, sequence number, time, zero price and size",
            round::<Matchcore>,
        ),
        of(
            "orderbook-rs 0.15",
            "that the order exists and its id is new, kill switch, tick, lot, sums; concurrent",
            round::<OrderbookRs>,
        ),
        of(
            "Evenkeel, whole engine, unlimited",
            "session, mode, owner, terms, limits; accounts, events, digest chain",
            round::<WholeEngine<Unlimited>>,
        ),
        of(
            "Evenkeel, whole engine, checked",
            "the same, and that the balance covers the order",
            round::<WholeEngine<Checked>>,
        ),
    ]
}

fn one_depth(mix: Mix) -> Outcome {
    let flow = Flow::new(mix);
    let agreement = agree(&flow)?;
    let mut entrants = entrants();
    for _ in 0..ROUNDS {
        for entrant in &mut entrants {
            let round = (entrant.round)(&flow);
            entrant.rates.push(round.rate);
            entrant.quantiles_ns = round.quantiles_ns;
        }
    }
    let (depth, width) = (count(mix.depth as f64), mix.width_ticks);
    println!("about {depth} resting orders a side, up to {width} ticks away, {} operations:", {
        count(mix.measured as f64)
    });
    println!("{agreement}\n");
    println!("| | operations/s | book alone ahead by | p50 | p99 | p99.99 | checks |");
    println!("|---|---|---|---|---|---|---|");
    let ours = median(&entrants[0].rates);
    for entrant in &entrants {
        let rate = median(&entrant.rates);
        let [p50, p99, p9999] = entrant.quantiles_ns[..] else {
            continue;
        };
        println!(
            "| {} | {} | {:.2} | {p50} ns | {p99} ns | {p9999} ns | {} |",
            entrant.name,
            count(rate),
            ours / rate,
            entrant.checks
        );
    }
    println!();
    Ok(())
}

fn told<B: Book>(flow: &Flow, mut book: B) -> Vec<Fill> {
    let mut fills = Vec::new();
    for op in &B::translate(flow) {
        book.apply_told(op, &mut fills);
    }
    fills
}

/// Where a book traded otherwise than ours, if anywhere.
fn difference(ours: &[Fill], theirs: &[Fill]) -> Option<String> {
    let differs = ours.iter().zip(theirs).position(|(our, their)| our != their);
    if let Some(at) = differs {
        let (our, their) = (ours[at], theirs[at]);
        return Some(format!("trade {at} is {their:?}, ours is {our:?}"));
    }
    let counts = (theirs.len(), ours.len());
    (counts.0 != counts.1).then(|| format!("{} trades, ours {}", counts.0, counts.1))
}

/// Checks that all make the same trades in the same order, the last of which empty the book.
fn agree(flow: &Flow) -> Outcome<String> {
    let ours = told(flow, Ours::new());
    for (name, theirs) in [
        ("matchcore", told(flow, Matchcore::new())),
        ("orderbook-rs", told(flow, OrderbookRs::told())),
        ("the whole engine", told(flow, WholeEngine::<Checked>::new())),
    ] {
        if let Some(difference) = difference(&ours, &theirs) {
            return Err(format!("{name}: {difference}").into());
        }
    }
    let (traded, resting) = (count(ours.len() as f64), count(flow.resting as f64));
    Ok(format!(
        "all make the same {traded} trades in the same sequence, the last of them with the \
         {resting} orders that rest at the end"
    ))
}

/// The flow with limit orders that cross and have to stop at their limit: who differs, and where.
fn agree_at_limits(mix: Mix) -> Outcome {
    let flow = Flow::new(Mix { stops_at_limits: true, ..mix });
    let ours = told(&flow, Ours::new());
    for (name, theirs) in [
        ("the whole engine", told(&flow, WholeEngine::<Checked>::new())),
        ("orderbook-rs", told(&flow, OrderbookRs::told())),
        ("matchcore", told(&flow, Matchcore::new())),
    ] {
        match difference(&ours, &theirs) {
            None => println!("{name}: the same {} trades", count(ours.len() as f64)),
            Some(difference) if name == "matchcore" => println!("{name}: {difference}"),
            Some(difference) => return Err(format!("{name}: {difference}").into()),
        }
    }
    println!();
    Ok(())
}
