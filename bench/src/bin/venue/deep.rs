//! A million resting orders: memory of each, and how long an entry takes among them.

use crate::engine::{ACCOUNTS, Entries, founded};
use crate::figures::{Latencies, allocated_bytes, core_time, count};
use crate::flow::Random;
use crate::{Outcome, Plan};
use evenkeel_types::{
    Collateral, Command, Entry, InstrumentId, Lots, NewOrder, OrderId, Side, Ticks, TimeInForce,
};
use evenkeel_venue::{Engine, LoneBook};
use std::hint::black_box;

const INSTRUMENTS: u32 = 200;
const WIDTH_TICKS: u64 = 500;
const MIDDLE_TICKS: i64 = 100_000;

/// Memory of a book alone.
pub(crate) fn memory(plan: &Plan) -> Outcome {
    lone_memory(plan.seed, resting(plan));
    Ok(())
}

/// The whole engine.
pub(crate) fn run(plan: &Plan) -> Outcome {
    whole_engine(plan.seed, resting(plan));
    Ok(())
}

fn resting(plan: &Plan) -> usize {
    if plan.quick { 100_000 } else { 1_000_000 }
}

/// Where the next order goes: it rests.
struct Quotes {
    random: Random,
}

impl Quotes {
    fn next(&mut self) -> (Side, Ticks, Lots) {
        let side = if self.random.one_in(2) { Side::Buy } else { Side::Sell };
        let away = 1 + self.random.below(WIDTH_TICKS) as i64;
        let lots = Lots(1 + self.random.below(20) as i64);
        (side, Ticks(MIDDLE_TICKS - side.sign() * away), lots)
    }
}

/// Bytes of a resting order in a book alone, with ids close together and after a flow in which
/// nineteen of twenty orders were cancelled.
fn lone_memory(seed: u64, resting: usize) {
    for (words, cancelled) in [("none cancelled before", 0), ("19 of 20 cancelled before", 19)] {
        let mut quotes = Quotes { random: Random::new(seed) };
        let (mut trades, mut placed) = (Vec::new(), 0);
        let mut open: Vec<u64> = Vec::with_capacity(resting);
        let before = allocated_bytes();
        let mut book = LoneBook::new();
        let mut place = |book: &mut LoneBook| {
            let (side, price, lots) = quotes.next();
            placed += 1;
            book.place(OrderId(placed), side, Some(price), lots, &mut trades);
            placed
        };
        open.extend((0..resting).map(|_| place(&mut book)));
        let mut random = Random::new(seed + 1);
        for _ in 0..resting * cancelled {
            let at = random.below(resting as u64) as usize;
            book.cancel(OrderId(open[at]));
            open[at] = place(&mut book);
        }
        let bytes = allocated_bytes() - before;
        let orders = book.order_count();
        println!(
            "book alone, {} resting orders, {words}: {:.1} bytes an order",
            count(orders as f64),
            bytes as f64 / orders as f64
        );
        black_box(&book);
    }
}

fn place(quotes: &mut Quotes) -> Command {
    let (side, price, lots) = quotes.next();
    let order = NewOrder {
        instrument: InstrumentId(1 + quotes.random.below(INSTRUMENTS.into()) as u32),
        side,
        price: Some(price),
        lots,
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: false,
        label: 0,
    };
    Command::Place { order }
}

/// Entries among the resting orders: 45 % placed, 45 % cancelled, 8 % amended, 2 % trade.
fn among(
    entries: &mut Entries,
    quotes: &mut Quotes,
    open: &mut Vec<(usize, u64)>,
    placed: &mut u64,
    measured: usize,
) -> Vec<Entry> {
    let mut flow = Vec::with_capacity(measured);
    for step in 0..measured {
        let account = 1 + quotes.random.below(ACCOUNTS as u64) as usize;
        let at = quotes.random.below(open.len() as u64) as usize;
        let (owner, order) = open[at];
        let part = quotes.random.below(100);
        flow.push(match part {
            0..2 => {
                *placed += 1;
                let Command::Place { mut order } = place(quotes) else {
                    continue;
                };
                order.price = None;
                order.time_in_force = TimeInForce::ImmediateOrCancel;
                entries.entry(account, Command::Place { order })
            }
            2..10 => {
                let (price, lots) = (None, Some(Lots(1)));
                entries.entry(owner, Command::Amend { order: OrderId(order), price, lots })
            }
            _ if step % 2 == 0 => {
                *placed += 1;
                open.push((account, *placed));
                entries.entry(account, place(quotes))
            }
            _ => {
                open.swap_remove(at);
                entries.entry(owner, Command::Cancel { order: OrderId(order) })
            }
        });
    }
    flow
}

fn whole_engine(seed: u64, resting: usize) {
    let measured = 2_000_000;
    let mut quotes = Quotes { random: Random::new(seed) };
    let mut entries = Entries::new();
    let mut engine = founded(&mut entries, Collateral::Checked, INSTRUMENTS);
    let (mut open, mut placed) = (Vec::new(), 0);
    let mut warm = Vec::with_capacity(resting);
    for _ in 0..resting {
        let account = 1 + quotes.random.below(ACCOUNTS as u64) as usize;
        placed += 1;
        open.push((account, placed));
        let command = place(&mut quotes);
        warm.push(entries.entry(account, command));
    }
    // Holdings, sessions and the like are there before the orders are.
    let flow = among(&mut entries, &mut quotes, &mut open, &mut placed, measured);
    let mut events = Vec::with_capacity(1_000);
    let before = allocated_bytes();
    apply_all(&mut engine, &warm, &mut events);
    let bytes = allocated_bytes() - before;
    let orders = engine.open_order_count();
    println!(
        "whole engine, {INSTRUMENTS} books, {ACCOUNTS} accounts, {} resting orders: {:.1} bytes an \
         order with the accounts' holdings",
        count(orders as f64),
        bytes as f64 / orders as f64
    );
    let (first, second) = flow.split_at(measured / 2);
    let begin = core_time();
    apply_all(&mut engine, first, &mut events);
    let rate = first.len() as f64 / (core_time() - begin).as_secs_f64();
    let mut latencies = Latencies::with_capacity(second.len());
    latencies.start();
    for entry in second {
        events.clear();
        engine.apply(entry, &mut events);
        latencies.tick();
    }
    let quantiles = latencies.quantiles(&[0.5, 0.99, 0.9999, 1.0]);
    println!(
        "apply among them: {} entries/s; p50 {} ns, p99 {} ns, p99.99 {} ns, max {} ns",
        count(rate),
        quantiles[0],
        quantiles[1],
        quantiles[2],
        quantiles[3]
    );
}

fn apply_all(engine: &mut Engine, entries: &[Entry], events: &mut Vec<evenkeel_types::Event>) {
    for entry in entries {
        events.clear();
        engine.apply(entry, events);
    }
}
