//! Random histories of orders with every term, watched from their events alone.

mod common;
#[path = "common/orders_play.rs"]
mod orders_play;

use common::order_watch::Seen;
use orders_play::play;

#[test]
fn every_trade_keeps_every_promise_of_both_its_orders() {
    let mut seen = Seen::default();
    for seed in 0..40 {
        let (more, _) = play(seed, 1_200);
        seen.trades += more.trades;
        seen.reduce_only_trades += more.reduce_only_trades;
        seen.self_trades_prevented += more.self_trades_prevented;
        seen.released += more.released;
        seen.protections += more.protections;
        seen.slid += more.slid;
        seen.filled_or_killed += more.filled_or_killed;
        seen.cut += more.cut;
    }
    println!("{seen:?}");
    assert!(seen.trades > 5_000 && seen.reduce_only_trades > 500, "{seen:?}");
    assert!(seen.self_trades_prevented > 200 && seen.released > 200, "{seen:?}");
    assert!(seen.protections > 100 && seen.slid > 200, "{seen:?}");
    assert!(seen.filled_or_killed > 200 && seen.cut > 150, "{seen:?}");
}
