//! What every book is asked to do, and the books that can.

use crate::flow::{Act, Flow, name};
use evenkeel_types::{Lots, Side, Ticks};
use evenkeel_venue::{LoneBook, LoneTrade};
use matchcore::{CommandKind, CommandOutcome, CommandReport};
use orderbook_rs::prelude::{Clock, StubClock};
use pricelevel::{Id, OrderUpdate, Price, Quantity, TimeInForce};
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

/// A trade, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub taker: usize,
    pub maker: usize,
    pub price: i64,
    pub lots: i64,
}

/// A book that takes the flow.
pub(crate) trait Book: Sized {
    /// An operation in the book's own words, made before the clock runs.
    type Op;

    fn translate(flow: &Flow) -> Vec<Self::Op>;
    fn new() -> Self;
    fn apply(&mut self, op: &Self::Op);
    /// As [`Book::apply`], telling the trades.
    fn apply_told(&mut self, op: &Self::Op, fills: &mut Vec<Fill>);
}

/// Our book module alone.
pub(crate) struct Ours {
    book: LoneBook,
    trades: Vec<LoneTrade>,
}

impl Book for Ours {
    type Op = (usize, Act);

    fn translate(flow: &Flow) -> Vec<Self::Op> {
        flow.acts.iter().copied().enumerate().collect()
    }

    fn new() -> Self {
        Self { book: LoneBook::new(), trades: Vec::new() }
    }

    fn apply(&mut self, (at, act): &Self::Op) {
        self.trades.clear();
        let trades = &mut self.trades;
        let found = match *act {
            Act::Limit { side, price, lots } => {
                self.book.place(name(*at), side, Some(Ticks(price)), Lots(lots), trades);
                true
            }
            Act::Market { side, lots } => {
                self.book.place(name(*at), side, None, Lots(lots), trades);
                true
            }
            Act::Cancel { order } => self.book.cancel(name(order)),
            Act::Amend { order, price, lots } => {
                self.book.amend(name(order), price.map(Ticks), lots.map(Lots), trades)
            }
        };
        black_box((found, &self.trades));
    }

    fn apply_told(&mut self, op: &Self::Op, fills: &mut Vec<Fill>) {
        self.apply(op);
        fills.extend(self.trades.iter().map(|trade| Fill {
            taker: trade.taker.0 as usize,
            maker: trade.maker.0 as usize,
            price: trade.price.0,
            lots: trade.lots.0,
        }));
    }
}

/// matchcore; it names an order by the sequence number of its command, as the flow does.
pub(crate) struct Matchcore(matchcore::OrderBook);

fn matchcore_kind(act: Act) -> CommandKind {
    use matchcore::{
        AmendCmd, AmendPatch, CancelCmd, LimitOrder, LimitOrderPatch, MarketOrder, NewOrder,
        OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy, SubmitCmd, TimeInForce,
    };
    let side_of = |side| match side {
        Side::Buy => matchcore::Side::Buy,
        Side::Sell => matchcore::Side::Sell,
    };
    let policy = |lots: i64| QuantityPolicy::Standard { quantity: Quantity(lots as u64) };
    match act {
        Act::Limit { side, price, lots } => {
            let flags = OrderFlags::new(side_of(side), false, TimeInForce::Gtc);
            let order = LimitOrder::new(Price(price as u64), policy(lots), flags);
            CommandKind::Submit(SubmitCmd { order: NewOrder::Limit(order) })
        }
        Act::Market { side, lots } => {
            let order = MarketOrder::new(Quantity(lots as u64), side_of(side), false);
            CommandKind::Submit(SubmitCmd { order: NewOrder::Market(order) })
        }
        Act::Cancel { order } => CommandKind::Cancel(CancelCmd {
            order_id: OrderId(order as u64),
            order_kind: OrderKind::Limit,
        }),
        Act::Amend { order, price, lots } => {
            let mut patch = LimitOrderPatch::new();
            if let Some(price) = price {
                patch = patch.with_price(Price(price as u64));
            }
            if let Some(lots) = lots {
                patch = patch.with_quantity_policy(policy(lots));
            }
            let order_id = OrderId(order as u64);
            CommandKind::Amend(AmendCmd { order_id, patch: AmendPatch::Limit(patch) })
        }
    }
}

impl Book for Matchcore {
    type Op = matchcore::Command;

    fn translate(flow: &Flow) -> Vec<Self::Op> {
        let numbered = flow.acts.iter().enumerate();
        let commands = numbered.map(|(at, act)| matchcore::Command {
            meta: matchcore::CommandMeta {
                sequence_number: matchcore::SequenceNumber(at as u64),
                timestamp: matchcore::Timestamp(at as u64),
            },
            kind: matchcore_kind(*act),
        });
        commands.collect()
    }

    fn new() -> Self {
        Self(matchcore::OrderBook::new("BTC"))
    }

    fn apply(&mut self, op: &Self::Op) {
        black_box(self.0.execute(op));
    }

    fn apply_told(&mut self, op: &Self::Op, fills: &mut Vec<Fill>) {
        let CommandOutcome::Applied(report) = self.0.execute(op) else {
            return;
        };
        let (CommandReport::Submit(effects) | CommandReport::Amend(effects)) = report else {
            return;
        };
        let target = effects.target_order();
        let taker = target.order_id().0 as usize;
        for trade in target.match_result().into_iter().flat_map(|result| result.trades()) {
            fills.push(Fill {
                taker,
                maker: trade.maker_order_id().0 as usize,
                price: trade.price().0 as i64,
                lots: trade.quantity().0 as i64,
            });
        }
    }
}

/// orderbook-rs, with a clock that counts (its own asks the system) and no listener.
pub(crate) struct OrderbookRs {
    book: orderbook_rs::OrderBook<()>,
    /// Trades of amends are told to a listener only.
    told: Option<Arc<Mutex<Vec<Fill>>>>,
}

fn orderbook_side(side: Side) -> pricelevel::Side {
    match side {
        Side::Buy => pricelevel::Side::Buy,
        Side::Sell => pricelevel::Side::Sell,
    }
}

fn id_of(at: usize) -> Id {
    Id::Sequential(at as u64)
}

fn place_of(id: Id) -> usize {
    match id {
        Id::Sequential(number) => number as usize,
        _ => usize::MAX,
    }
}

impl OrderbookRs {
    /// A book whose trades are collected.
    pub(crate) fn told() -> Self {
        let fills = Arc::new(Mutex::new(Vec::new()));
        let mut book = Self::new();
        book.told = Some(Arc::clone(&fills));
        book.book.set_trade_listener(Arc::new(move |result: &orderbook_rs::TradeResult| {
            let mut fills = fills.lock().unwrap_or_else(PoisonError::into_inner);
            for trade in result.match_result.trades().as_vec() {
                fills.push(Fill {
                    taker: place_of(trade.taker_order_id()),
                    maker: place_of(trade.maker_order_id()),
                    price: trade.price().as_u128() as i64,
                    lots: trade.quantity().as_u64() as i64,
                });
            }
        }));
        book
    }
}

impl Book for OrderbookRs {
    type Op = (usize, Act);

    fn translate(flow: &Flow) -> Vec<Self::Op> {
        Ours::translate(flow)
    }

    fn new() -> Self {
        let clock = Arc::new(StubClock::new()) as Arc<dyn Clock>;
        Self { book: orderbook_rs::OrderBook::with_clock("BTC", clock), told: None }
    }

    fn apply(&mut self, (at, act): &Self::Op) {
        match *act {
            Act::Limit { side, price, lots } => {
                let side = orderbook_side(side);
                let (id, gtc) = (id_of(*at), TimeInForce::Gtc);
                let (price, lots) = (price as u128, lots as u64);
                let book = &self.book;
                let _ =
                    black_box(book.add_limit_order_with_result(id, price, lots, side, gtc, None));
            }
            Act::Market { side, lots } => {
                let side = orderbook_side(side);
                let _ = black_box(self.book.submit_market_order(id_of(*at), lots as u64, side));
            }
            Act::Cancel { order } => {
                let _ = black_box(self.book.cancel_order(id_of(order)));
            }
            Act::Amend { order, price, lots } => {
                let order_id = id_of(order);
                let new_price = price.map(|price| Price::new(price as u128));
                let new_quantity = lots.map(|lots| Quantity::new(lots as u64));
                let update = match (new_price, new_quantity) {
                    (Some(new_price), Some(new_quantity)) => {
                        OrderUpdate::UpdatePriceAndQuantity { order_id, new_price, new_quantity }
                    }
                    (Some(new_price), None) => OrderUpdate::UpdatePrice { order_id, new_price },
                    (None, Some(new_quantity)) => {
                        OrderUpdate::UpdateQuantity { order_id, new_quantity }
                    }
                    (None, None) => return,
                };
                let _ = black_box(self.book.update_order(update));
            }
        }
    }

    fn apply_told(&mut self, op: &Self::Op, fills: &mut Vec<Fill>) {
        self.apply(op);
        if let Some(told) = &self.told {
            fills.append(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
