//! `--mode match`: only new orders and true cancellations are fed, the engine does the matching.
//!
//! A deletion with an amount left is a true cancellation; one with amount 0 tells of a fill, which
//! is ours to find. An order that the exchange re-priced on its way through the book was a market
//! order and is fed as one. Changes, trades and what concerns orders already deleted are not fed.
//! Buyers and sellers are two accounts: the feed does not name any.
//!
//! A trade is **equal** if it is between the same two orders at the same price and amount; *equal
//! as far as told* if the recording tells only one of the two orders. The others are explained
//! where they can be: a trade with an order older than the recording is impossible for us, a market
//! order's limit was never told, and what involves an order of such a trade **follows** from it,
//! since that order is then open with another amount.

use super::super::error::ReplayError;
use super::super::feed::Units;
use super::super::pipeline::Pipeline;
use super::line::{Happening, Message, OrderEvent};
use super::read::{MARKET, Recording, time_ns};
use super::trades::{Hindsight, RecordedTrade, look_back};
use evenkeel_types::{
    AccountId, CloseReason, Command, Event, NewOrder, OrderId, OutcomeKind, Side, TimeInForce,
};
use std::collections::{BTreeMap, HashMap, HashSet};

const BUYERS: AccountId = AccountId(1);
const SELLERS: AccountId = AccountId(2);

/// On which side a trade has no counterpart, or not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Recorded, and not made by us.
    RecordedOnly,
    /// Made by us, and not recorded.
    OursOnly,
    /// Between the same orders, but recorded at another price or amount.
    OtherTerms,
}

impl Kind {
    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordedOnly => "recorded_only",
            Self::OursOnly => "ours_only",
            Self::OtherTerms => "other_terms",
        }
    }
}

/// Why a trade differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// One of its orders is older than the recording.
    OlderOrder,
    /// One of its orders was a market order.
    MarketOrder,
    /// One of its orders is in another trade that differs.
    Follows,
    /// None of these.
    Unexplained,
}

impl Cause {
    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OlderOrder => "older_order",
            Self::MarketOrder => "market_order",
            Self::Follows => "follows",
            Self::Unexplained => "unexplained",
        }
    }
}

/// A trade that differs; as recorded, or as made by us where it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeDifference {
    /// How.
    pub kind: Kind,
    /// Why.
    pub cause: Cause,
    /// The trade.
    pub trade: RecordedTrade,
}

/// What match mode found.
#[derive(Debug)]
pub struct MatchResult {
    /// Orders fed.
    pub placed: u64,
    /// Of them, as market orders.
    pub market_orders: u64,
    /// Orders that the engine refused.
    pub refused: u64,
    /// True cancellations fed.
    pub cancels: u64,
    /// Of them, of orders that we had filled.
    pub cancels_not_open: u64,
    /// Of them, of orders that were open with another amount than recorded.
    pub cancels_other_amount: u64,
    /// Trades recorded.
    pub recorded_trades: u64,
    /// Trades that the engine made.
    pub our_trades: u64,
    /// Of both, those that are equal.
    pub equal: u64,
    /// Of both, those that are equal as far as the recording tells.
    pub equal_as_told: u64,
    /// All others, in the order of the file.
    pub differences: Vec<TradeDifference>,
    /// Orders open at the end.
    pub left_open: u64,
}

struct Driver<'a> {
    pipeline: &'a mut Pipeline,
    units: Units,
    /// The engine's order for a recorded one.
    engine_orders: HashMap<u64, OrderId>,
    /// The recorded order for an engine's, which numbers from 1 in steps of 1.
    recorded_orders: Vec<u64>,
    gone: HashSet<u64>,
    ours: Vec<RecordedTrade>,
    result: MatchResult,
}

/// Feeds the recording and compares the trades.
///
/// # Errors
/// [`ReplayError::Journal`].
pub fn replay(recording: &Recording, pipeline: &mut Pipeline) -> Result<MatchResult, ReplayError> {
    let hindsight = look_back(&recording.records);
    pipeline.open_account(SELLERS)?;
    let mut driver = Driver {
        pipeline,
        units: recording.units(),
        engine_orders: HashMap::new(),
        recorded_orders: vec![0],
        gone: HashSet::new(),
        ours: Vec::new(),
        result: empty_result(hindsight.trades.len() as u64),
    };
    for record in &recording.records {
        let Message::Order(event) = &record.message else {
            continue;
        };
        match event.happening {
            Happening::Created if !driver.gone.contains(&event.id) => {
                let market = hindsight.market.contains(&event.id);
                driver.place(record.line, record.time_ms, event, market)?;
            }
            Happening::Deleted => {
                if driver.gone.insert(event.id) && event.amount > 0 {
                    driver.cancel(record.time_ms, event)?;
                }
            }
            Happening::Created | Happening::Changed => {}
        }
    }
    let mut result = driver.result;
    result.left_open = driver.pipeline.engine().open_order_count() as u64;
    compare(&hindsight, &driver.ours, &mut result);
    Ok(result)
}

fn empty_result(recorded_trades: u64) -> MatchResult {
    MatchResult {
        placed: 0,
        market_orders: 0,
        refused: 0,
        cancels: 0,
        cancels_not_open: 0,
        cancels_other_amount: 0,
        recorded_trades,
        our_trades: 0,
        equal: 0,
        equal_as_told: 0,
        differences: Vec::new(),
        left_open: 0,
    }
}

fn account_of(side: Side) -> AccountId {
    match side {
        Side::Buy => BUYERS,
        Side::Sell => SELLERS,
    }
}

impl Driver<'_> {
    fn place(
        &mut self,
        line: u64,
        time_ms: u64,
        event: &OrderEvent,
        market: bool,
    ) -> Result<(), ReplayError> {
        use TimeInForce::{GoodTillCancel, ImmediateOrCancel};
        let order = NewOrder {
            instrument: MARKET,
            side: event.side,
            price: (!market).then(|| self.units.ticks(event.price)),
            lots: self.units.lots(event.amount),
            time_in_force: if market { ImmediateOrCancel } else { GoodTillCancel },
            post_only: false,
            label: event.id,
        };
        let account = account_of(event.side);
        let command = Command::Place { order };
        self.result.placed += 1;
        self.result.market_orders += u64::from(market);
        match self.pipeline.submit(time_ns(time_ms), account, command)? {
            OutcomeKind::Order { order } => {
                self.engine_orders.insert(event.id, order);
                self.recorded_orders.push(event.id);
                self.collect_trades(line, time_ms);
            }
            OutcomeKind::Done | OutcomeKind::Rejected { .. } => self.result.refused += 1,
        }
        self.pipeline.file_entry_done()
    }

    fn collect_trades(&mut self, line: u64, time_ms: u64) {
        let recorded = |order: OrderId| {
            let index = usize::try_from(order.0).ok()?;
            self.recorded_orders.get(index).copied()
        };
        for event in self.pipeline.events() {
            let Event::Traded { price, lots, taker_side, maker, taker, .. } = event else {
                continue;
            };
            let (buyer, seller) = match taker_side {
                Side::Buy => (recorded(*taker), recorded(*maker)),
                Side::Sell => (recorded(*maker), recorded(*taker)),
            };
            let price = price.0 * self.units.tick_units;
            let amount = lots.0 * self.units.lot_units;
            self.ours.push(RecordedTrade { line, time_ms, price, amount, buyer, seller });
        }
    }

    fn cancel(&mut self, time_ms: u64, event: &OrderEvent) -> Result<(), ReplayError> {
        let Some(order) = self.engine_orders.get(&event.id).copied() else {
            return Ok(());
        };
        self.result.cancels += 1;
        let command = Command::Cancel { order };
        let kind = self.pipeline.submit(time_ns(time_ms), account_of(event.side), command)?;
        if matches!(kind, OutcomeKind::Rejected { .. }) {
            self.result.cancels_not_open += 1;
        }
        let told = self.units.lots(event.amount);
        let other = self.pipeline.events().iter().any(|event| {
            let cancelled = CloseReason::Cancelled;
            matches!(event, Event::OrderClosed { reason, open, .. }
                if *reason == cancelled && *open != told)
        });
        self.result.cancels_other_amount += u64::from(other);
        self.pipeline.file_entry_done()
    }
}

type Pair = (Option<u64>, Option<u64>);
type Terms = (i64, i64);

/// Pairs off equal trades, then those between the same orders; the rest stands alone.
fn compare(hindsight: &Hindsight, ours: &[RecordedTrade], result: &mut MatchResult) {
    let mut open: BTreeMap<(Pair, Terms), Vec<&RecordedTrade>> = BTreeMap::new();
    for trade in ours {
        let terms = (trade.price, trade.amount);
        open.entry(((trade.buyer, trade.seller), terms)).or_default().push(trade);
    }
    result.our_trades = ours.len() as u64;
    let mut unequal = Vec::new();
    for trade in &hindsight.trades {
        let key = ((trade.buyer, trade.seller), (trade.price, trade.amount));
        if open.get_mut(&key).and_then(Vec::pop).is_some() {
            result.equal += 1;
        } else {
            unequal.push(*trade);
        }
    }
    unequal.retain(|trade| {
        let told = half_told_twin(&mut open, trade);
        result.equal_as_told += u64::from(told);
        !told
    });
    let mut ours_left: BTreeMap<Pair, Vec<&RecordedTrade>> = BTreeMap::new();
    for ((pair, _), trades) in open {
        ours_left.entry(pair).or_default().extend(trades);
    }
    let differs = |kind, trade| TradeDifference { kind, cause: Cause::Unexplained, trade };
    for trade in unequal {
        let same_orders = ours_left.get_mut(&(trade.buyer, trade.seller)).and_then(Vec::pop);
        let kind = if same_orders.is_some() { Kind::OtherTerms } else { Kind::RecordedOnly };
        result.differences.push(differs(kind, trade));
    }
    let alone = ours_left.into_values().flatten();
    result.differences.extend(alone.map(|trade| differs(Kind::OursOnly, *trade)));
    result.differences.sort_by_key(|difference| (difference.trade.line, difference.kind));
    explain(hindsight, &mut result.differences);
}

/// Takes the trade of ours that is all that a half-told one tells.
fn half_told_twin(
    open: &mut BTreeMap<(Pair, Terms), Vec<&RecordedTrade>>,
    trade: &RecordedTrade,
) -> bool {
    if trade.buyer.is_some() && trade.seller.is_some() {
        return false;
    }
    let same = |told: Option<u64>, ours: Option<u64>| told.is_none() || told == ours;
    let mut fitting = open.iter_mut().filter(|(((buyer, seller), terms), _)| {
        let orders = same(trade.buyer, *buyer) && same(trade.seller, *seller);
        orders && *terms == (trade.price, trade.amount)
    });
    fitting.any(|(_, trades)| trades.pop().is_some())
}

fn explain(hindsight: &Hindsight, differences: &mut [TradeDifference]) {
    let orders = |trade: &RecordedTrade| [trade.buyer, trade.seller];
    let mut touched = HashSet::new();
    for difference in differences.iter_mut() {
        let orders = orders(&difference.trade);
        let any = |test: &dyn Fn(u64) -> bool| orders.into_iter().flatten().any(test);
        difference.cause = if any(&|order| !hindsight.created.contains(&order)) {
            Cause::OlderOrder
        } else if any(&|order| hindsight.market.contains(&order)) {
            Cause::MarketOrder
        } else {
            continue;
        };
        touched.extend(orders.into_iter().flatten());
    }
    loop {
        let mut changed = false;
        for difference in differences.iter_mut() {
            let orders = orders(&difference.trade);
            let follows = orders.into_iter().flatten().any(|order| touched.contains(&order));
            if difference.cause == Cause::Unexplained && follows {
                difference.cause = Cause::Follows;
                touched.extend(orders.into_iter().flatten());
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
