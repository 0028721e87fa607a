//! Traders: makers that quote around the marks and takers that hit them.

mod answers;

use crate::demo::board::QuoteBoard;
use crate::demo::plan::{MarketPlan, QUIET_BEFORE_EXPIRY_NS};
use crate::demo::quoting::Listed;
use crate::demo::random::Random;
use crate::demo::slots::{SlotState, Slots};
use evenkeel_types::{
    AccountId, ClientSequence, Command, InstrumentId, Lots, NewOrder, OrderId, Origin, SessionId,
    Side, Ticks, TimeInForce,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Commands that may wait for their outcome before a crowd falls silent.
const MAX_IN_FLIGHT: usize = 8_192;
/// Share of commands that take liquidity.
const TAKE_SHARE: f64 = 0.045;
/// Share of those that come from gamblers.
const GAMBLE_SHARE: f64 = 0.06;
/// Share that amends quotes while the market is quiet, and after it moved.
const AMEND_SHARE: f64 = 0.47;
const AMEND_SHARE_MOVED: f64 = 0.70;
/// Orders that a whole plan's makers and takers aim to keep open.
const MAKER_ORDERS: usize = 7_000;
const TAKER_ORDERS: usize = 1_400;
/// Wait after a refusal because the venue is shut, and after a quote that would have traded.
const SHUT_WAIT_NS: u64 = 1_000_000_000;
const CROSSED_WAIT_NS: u64 = 500_000_000;

/// What a crowd has sent and heard since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrowdCounts {
    /// Resting orders sent.
    pub placed: u64,
    /// Amends sent.
    pub amended: u64,
    /// Cancels sent.
    pub cancelled: u64,
    /// Orders sent that take liquidity.
    pub taken: u64,
    /// Outcomes heard.
    pub answered: u64,
    /// Refusals among them.
    pub rejected: u64,
    /// Trades heard of.
    pub traded: u64,
}

#[derive(Debug)]
struct Trader {
    id: AccountId,
    is_maker: bool,
    next_sequence: u64,
}

/// What an unanswered command was about.
#[derive(Debug, Clone, Copy)]
enum Pending {
    Other,
    Place { slot: usize },
    Amend { slot: usize, order: OrderId, price: i64, open: i64 },
    Cancel { slot: usize, order: OrderId },
}

/// The traders of one client thread. It connects each account in its session first, then keeps a
/// stable number of orders open; ids are learned from outcomes.
#[derive(Debug)]
pub struct Crowd {
    random: Random,
    session: SessionId,
    listed: Vec<Listed>,
    by_id: BTreeMap<InstrumentId, usize>,
    traders: Vec<Trader>,
    by_account: BTreeMap<AccountId, usize>,
    takers: Vec<usize>,
    gamblers: Vec<usize>,
    connected: usize,
    slots: Slots,
    pending: BTreeMap<(AccountId, ClientSequence), Pending>,
    /// Slots whose price the market left behind, the most endangered last.
    urgent: Vec<usize>,
    seen_version: u64,
    /// Known position by trader and instrument, lots.
    positions: Vec<i64>,
    now_ns: u64,
    quiet_until_ns: u64,
    counts: CrowdCounts,
}

impl Crowd {
    /// The crowd of the plan's accounts with these indexes, each trading in session `session`.
    #[must_use]
    pub fn new(
        plan: &MarketPlan,
        seed: u64,
        account_range: Range<usize>,
        session: SessionId,
    ) -> Self {
        let first = account_range.start.min(plan.accounts.len());
        let last = account_range.end.clamp(first, plan.accounts.len());
        let traders: Vec<_> = plan.accounts[first..last]
            .iter()
            .map(|plan| Trader { id: plan.id, is_maker: plan.is_maker, next_sequence: 1 })
            .collect();
        let listed: Vec<_> =
            plan.instruments.iter().map(|instrument| Listed::new(instrument, plan)).collect();
        let ids = listed.iter().map(|listed| listed.id);
        let accounts = traders.iter().map(|trader| trader.id);
        let all = 0..traders.len();
        let gambles = |index: &usize| plan.accounts[first + index].is_gambler;
        let takers = all.clone().filter(|index| !traders[*index].is_maker && !gambles(index));
        let gamblers = all.filter(gambles).collect();
        let mut crowd = Self {
            random: Random::new(seed, 2 + first as u64),
            session,
            by_id: ids.zip(0..).collect(),
            by_account: accounts.zip(0..).collect(),
            takers: takers.collect(),
            gamblers,
            connected: 0,
            slots: Slots::default(),
            pending: BTreeMap::new(),
            urgent: Vec::new(),
            seen_version: 0,
            positions: vec![0; traders.len() * listed.len()],
            now_ns: 0,
            quiet_until_ns: 0,
            counts: CrowdCounts::default(),
            listed,
            traders,
        };
        crowd.lay_out_slots(plan);
        crowd
    }

    /// Goes on with the sequences of another crowd of the same accounts in the same session, which
    /// ends.
    pub fn take_over(&mut self, earlier: &Self) {
        for trader in &mut self.traders {
            let known = earlier.traders.iter().find(|known| known.id == trader.id);
            trader.next_sequence = known.map_or(1, |known| known.next_sequence);
        }
    }

    /// What it has sent and heard.
    #[must_use]
    pub fn counts(&self) -> CrowdCounts {
        self.counts
    }

    /// Number of orders it believes open.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.slots.open_count()
    }

    /// Number of commands without an outcome yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Up to `budget` commands to send now, in order. `now_ns` is on the venue's clock (Unix time).
    /// Fewer come when too many wait for their outcome, the venue is shut, or no mark is known.
    pub fn next_batch(
        &mut self,
        now_ns: u64,
        board: &QuoteBoard,
        budget: usize,
    ) -> Vec<(Origin, Command)> {
        self.now_ns = self.now_ns.max(now_ns);
        let mut batch = Vec::with_capacity(budget.min(MAX_IN_FLIGHT));
        if self.now_ns < self.quiet_until_ns {
            return batch;
        }
        self.note_moves(board);
        while batch.len() < budget && self.pending.len() < MAX_IN_FLIGHT {
            let next = self.connect().or_else(|| self.act(board));
            match next {
                Some(sent) => batch.push(sent),
                None => break,
            }
        }
        batch
    }

    /// Makers quote every dollar instrument and a share of the options, on both sides at two or
    /// more depths; takers hold a few resting orders each, anywhere.
    fn lay_out_slots(&mut self, plan: &MarketPlan) {
        let makers = plan.accounts.iter().filter(|account| account.is_maker).count();
        let takers = plan.accounts.len() - makers;
        let maker_quota = (MAKER_ORDERS / makers.max(1)).clamp(8, 800);
        let taker_quota = (TAKER_ORDERS / takers.max(1)).clamp(1, 6);
        let everything = 2 * self.listed.len().max(1);
        let depths = i64::try_from(maker_quota / everything + 1).map_or(2, |count| count.max(2));
        for trader in 0..self.traders.len() {
            if self.traders[trader].is_maker {
                let mut left = maker_quota;
                for instrument in self.shuffled_instruments() {
                    for depth in 0..depths {
                        self.slots.add(trader, instrument, Side::Buy, depth);
                        self.slots.add(trader, instrument, Side::Sell, depth);
                        left = left.saturating_sub(2);
                    }
                    if left == 0 {
                        break;
                    }
                }
            } else {
                for _ in 0..taker_quota {
                    self.slots.add(trader, 0, Side::Buy, 0);
                }
            }
        }
    }

    /// Dollar instruments first, then the options in random order.
    fn shuffled_instruments(&mut self) -> Vec<usize> {
        let all = 0..self.listed.len();
        let (mut options, mut order): (Vec<_>, Vec<_>) =
            all.partition(|index| self.listed[*index].is_option);
        while !options.is_empty() {
            let drawn = self.random.below(options.len());
            order.push(options.swap_remove(drawn));
        }
        order
    }

    /// Finds the quotes that the latest marks left behind.
    fn note_moves(&mut self, board: &QuoteBoard) {
        let version = board.version();
        if version == self.seen_version {
            return;
        }
        self.seen_version = version;
        let mut scored = Vec::new();
        for &slot in self.slots.live() {
            let Some(wanted) = self.wanted_price(slot, board) else {
                continue;
            };
            let quote = self.slots.get(slot);
            let half = self.half_spread(quote.instrument, board).unwrap_or(1);
            // Positive when the quote stands where others would now gladly take it.
            let danger = (quote.price - wanted) * quote.side.sign();
            let threshold = (half / 4).max(1);
            if danger >= threshold || danger <= -2 * half {
                scored.push((danger * 16 / half, slot));
            }
        }
        scored.sort_unstable();
        self.urgent = scored.into_iter().map(|(_, slot)| slot).collect();
    }

    fn connect(&mut self) -> Option<(Origin, Command)> {
        let trader = self.connected;
        (trader < self.traders.len()).then(|| {
            self.connected += 1;
            self.send(trader, Pending::Other, Command::Connect { cancel_on_disconnect: true })
        })
    }

    /// One command by the mix; what cannot be done now is drawn again a few times.
    fn act(&mut self, board: &QuoteBoard) -> Option<(Origin, Command)> {
        let amend_share =
            if self.urgent.len() * 16 > self.slots.len() { AMEND_SHARE_MOVED } else { AMEND_SHARE };
        for _ in 0..8 {
            let sparse = self.slots.empty_count() * 10 > self.slots.len();
            let draw = self.random.unit();
            let sent = if sparse && self.random.chance(0.7) {
                self.place(board)
            } else if draw < TAKE_SHARE {
                self.take(board)
            } else if draw < TAKE_SHARE + amend_share {
                self.amend(board)
            } else if self.wants_more() {
                self.place(board)
            } else {
                self.cancel()
            };
            if sent.is_some() {
                return sent;
            }
        }
        None
    }

    /// Keeps about one slot in twenty empty.
    fn wants_more(&mut self) -> bool {
        let (empty, all) = (self.slots.empty_count() * 100, self.slots.len());
        if empty < 3 * all {
            false
        } else if empty > 6 * all {
            true
        } else {
            self.random.chance(0.5)
        }
    }

    fn place(&mut self, board: &QuoteBoard) -> Option<(Origin, Command)> {
        let slot = self.slots.random_empty(&mut self.random)?;
        if self.slots.get(slot).not_before_ns > self.now_ns {
            return None;
        }
        let trader = self.slots.get(slot).trader;
        let is_maker = self.traders[trader].is_maker;
        if !is_maker {
            self.move_taker_slot(slot);
        }
        self.redraw_edge(slot, board)?;
        let price = self.wanted_price(slot, board)?;
        let quote = self.slots.get(slot);
        let (instrument, side) = (quote.instrument, quote.side);
        if !self.is_trading(instrument) {
            return None;
        }
        let (low, high) = self.listed[instrument].quoted_lots;
        let open = self.random.log_between(low, high);
        let order = NewOrder {
            instrument: self.listed[instrument].id,
            side,
            price: Some(Ticks(price)),
            lots: Lots(open),
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: is_maker,
            label: slot as u64,
        };
        let quote = self.slots.get_mut(slot);
        (quote.price, quote.open) = (price, open);
        self.slots.set_state(slot, SlotState::Placing(None));
        self.counts.placed += 1;
        Some(self.send(trader, Pending::Place { slot }, Command::Place { order }))
    }

    fn amend(&mut self, board: &QuoteBoard) -> Option<(Origin, Command)> {
        let slot = match self.next_urgent() {
            Some(slot) => slot,
            None => {
                let slot = self.slots.random_live(&mut self.random)?;
                self.redraw_edge(slot, board)?;
                slot
            }
        };
        let SlotState::Live(order) = self.slots.state(slot) else {
            return None;
        };
        let price = self.wanted_price(slot, board)?;
        let quote = self.slots.get(slot);
        let (trader, instrument) = (quote.trader, quote.instrument);
        if !self.is_trading(instrument) {
            return None;
        }
        let (low, high) = self.listed[instrument].quoted_lots;
        let same_price = price == quote.price;
        let top_up = same_price || quote.open < low || self.random.chance(0.2);
        let open = if top_up { self.random.log_between(low, high) } else { quote.open };
        let changed_price = (!same_price).then_some(Ticks(price));
        let lots = top_up.then_some(Lots(open));
        self.slots.set_state(slot, SlotState::Changing(order));
        self.counts.amended += 1;
        let pending = Pending::Amend { slot, order, price, open };
        Some(self.send(trader, pending, Command::Amend { order, price: changed_price, lots }))
    }

    fn cancel(&mut self) -> Option<(Origin, Command)> {
        let slot = self.slots.random_live(&mut self.random)?;
        let SlotState::Live(order) = self.slots.state(slot) else {
            return None;
        };
        let trader = self.slots.get(slot).trader;
        self.slots.set_state(slot, SlotState::Changing(order));
        self.counts.cancelled += 1;
        Some(self.send(trader, Pending::Cancel { slot, order }, Command::Cancel { order }))
    }

    /// A taker crosses the spread, more often against its position than with it.
    fn take(&mut self, board: &QuoteBoard) -> Option<(Origin, Command)> {
        if !self.gamblers.is_empty() && self.random.chance(GAMBLE_SHARE) {
            return self.gamble(board);
        }
        let drawn = self.random.below(self.takers.len());
        let trader = *self.takers.get(drawn)?;
        let instrument = self.draw_instrument();
        if !self.is_trading(instrument) {
            return None;
        }
        let mark = board.mark_at(instrument)?.0;
        let half = self.half_spread(instrument, board)?;
        let position = self.positions[trader * self.listed.len() + instrument];
        let (low, high) = self.listed[instrument].taken_lots;
        let sell_share = 0.5 + ratio(position, 12 * high) / 2.0;
        let side = if self.random.chance(sell_share) { Side::Sell } else { Side::Buy };
        let lots = self.random.log_between(low, high);
        let reach = 3 * half + self.random.between(0, half);
        let price = (mark + side.sign() * reach).max(1);
        let order = NewOrder {
            instrument: self.listed[instrument].id,
            side,
            price: self.random.chance(0.8).then_some(Ticks(price)),
            lots: Lots(lots),
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            label: 0,
        };
        self.counts.taken += 1;
        Some(self.send(trader, Pending::Other, Command::Place { order }))
    }

    /// A gambler adds to its bet on a perpetual: odd accounts are always long, even ones short.
    fn gamble(&mut self, board: &QuoteBoard) -> Option<(Origin, Command)> {
        let trader = self.gamblers[self.random.below(self.gamblers.len())];
        let instrument = self.listed.iter().position(|listed| listed.is_perpetual)?;
        let mark = board.mark_at(instrument)?.0;
        let half = self.half_spread(instrument, board)?;
        let is_long = self.traders[trader].id.0 % 2 == 1;
        let side = if is_long { Side::Buy } else { Side::Sell };
        let (_, high) = self.listed[instrument].taken_lots;
        let order = NewOrder {
            instrument: self.listed[instrument].id,
            side,
            price: Some(Ticks((mark + side.sign() * 4 * half).max(1))),
            lots: Lots(self.random.log_between(high, 40 * high)),
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            label: 0,
        };
        self.counts.taken += 1;
        Some(self.send(trader, Pending::Other, Command::Place { order }))
    }

    /// A dollar instrument two times in five, else any option.
    fn draw_instrument(&mut self) -> usize {
        let wants_option = self.random.chance(0.6);
        let mut drawn = self.random.below(self.listed.len());
        for _ in 0..64 {
            if self.listed[drawn].is_option == wants_option {
                break;
            }
            drawn = self.random.below(self.listed.len());
        }
        drawn
    }

    fn move_taker_slot(&mut self, slot: usize) {
        let instrument = self.draw_instrument();
        let side = if self.random.chance(0.5) { Side::Buy } else { Side::Sell };
        let depth = self.random.between(0, 3);
        let quote = self.slots.get_mut(slot);
        (quote.instrument, quote.side, quote.depth) = (instrument, side, depth);
    }

    fn redraw_edge(&mut self, slot: usize, board: &QuoteBoard) -> Option<()> {
        let quote = self.slots.get(slot);
        let half = self.half_spread(quote.instrument, board)?;
        let edge = quote.depth * half + self.random.between(0, half);
        self.slots.get_mut(slot).edge = edge;
        Some(())
    }

    fn half_spread(&self, instrument: usize, board: &QuoteBoard) -> Option<i64> {
        let mark = board.mark_at(instrument)?;
        Some(self.listed.get(instrument)?.half_spread_ticks(mark))
    }

    /// Where the slot's quote belongs now: half a spread and its edge away from the mark, shifted
    /// against the trader's position.
    fn wanted_price(&self, slot: usize, board: &QuoteBoard) -> Option<i64> {
        let quote = self.slots.get(slot);
        let mark = board.mark_at(quote.instrument)?.0;
        let half = self.half_spread(quote.instrument, board)?;
        let position = self.positions[quote.trader * self.listed.len() + quote.instrument];
        let limit = 8 * self.listed[quote.instrument].quoted_lots.1;
        // Half of the half spread at most: two makers' shifts cannot make their quotes meet.
        let shift = position.clamp(-limit, limit) * (half / 2) / limit;
        let away = half + quote.edge + quote.widen;
        Some(match quote.side {
            Side::Buy => (mark - away - shift).max(1),
            Side::Sell => (mark + away - shift).max(2),
        })
    }

    fn next_urgent(&mut self) -> Option<usize> {
        while let Some(slot) = self.urgent.pop() {
            if matches!(self.slots.state(slot), SlotState::Live(_)) {
                return Some(slot);
            }
        }
        None
    }

    fn is_trading(&self, instrument: usize) -> bool {
        let expiry = self.listed[instrument].expiry;
        expiry.is_none_or(|expiry| self.now_ns.saturating_add(QUIET_BEFORE_EXPIRY_NS) < expiry.0)
    }

    fn send(&mut self, trader: usize, pending: Pending, command: Command) -> (Origin, Command) {
        let sender = &mut self.traders[trader];
        let sequence = ClientSequence(sender.next_sequence);
        sender.next_sequence += 1;
        let origin = Origin { account: sender.id, session: self.session, sequence };
        self.pending.insert((origin.account, sequence), pending);
        (origin, command)
    }
}

#[expect(clippy::cast_precision_loss, reason = "positions are small")]
fn ratio(position: i64, limit: i64) -> f64 {
    (position as f64 / limit.max(1) as f64).clamp(-1.0, 1.0)
}
