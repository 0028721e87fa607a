//! One flow of orders for every book, made before anything is measured.
//!
//! Orders are named by the place of their operation in the flow. To cancel and amend what really
//! rests, the flow is made beside a book; that the other books agree with it is checked later.

use evenkeel_types::{Lots, OrderId, Side, Ticks};
use evenkeel_venue::{LoneBook, LoneTrade};

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Limit {
        side: Side,
        price: i64,
        lots: i64,
    },
    Market {
        side: Side,
        lots: i64,
    },
    Cancel {
        order: usize,
    },
    /// What is `None` stays as it is.
    Amend {
        order: usize,
        price: Option<i64>,
        lots: Option<i64>,
    },
}

/// How the flow is mixed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Resting orders of a side, about.
    pub depth: usize,
    /// New limit orders rest up to this many ticks from the middle, denser near it.
    pub width_ticks: u64,
    /// Operations that are measured, after those that fill the book.
    pub measured: usize,
    pub seed: u64,
    /// Whether a limit order that crosses asks for more than its limit admits, so that it has to
    /// stop there and rest. matchcore 0.4.0 hands no limit to its matching loop: once such an order
    /// has crossed it trades on at any price. So the common flow has none.
    pub stops_at_limits: bool,
}

/// The operations: the first `warm` fill the book, then come those that are measured, and at last
/// two market orders that empty it: their trades show what rested, and in which sequence.
pub(crate) struct Flow {
    pub acts: Vec<Act>,
    pub warm: usize,
    pub measured: usize,
    /// What the last two find.
    pub resting: usize,
}

const MIDDLE_TICKS: i64 = 100_000;
const ORDER_LOTS: u64 = 20;
const MARKET_LOTS: u64 = 100;

/// Words for the documentation of a run.
pub(crate) const WORDS: &str = "of 100 operations 2 market orders of 1 to 100 lots, 10 amends (4 \
    less, 2 more, 3 to another price, 1 both), 1 cancel of an order that is gone, the rest new \
    limit orders of 1 to 20 lots and cancels of a random resting order, as the depth needs; 1 new \
    order in 20 is up to 4 ticks through the middle, which takes one step of a random walk every \
    20 operations";

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Xorshift with a multiplication; the upper bits are the good ones.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn lots(&mut self, limit: u64) -> i64 {
        1 + self.below(limit) as i64
    }

    fn side(&mut self) -> Side {
        if self.one_in(2) { Side::Buy } else { Side::Sell }
    }
}

/// A resting order, as its owner knows it.
#[derive(Debug, Clone, Copy)]
struct Known {
    side: Side,
    price: i64,
    open: i64,
    /// Place in the list of the live ones; [`GONE`] if it is not there.
    live: usize,
}

const GONE: usize = usize::MAX;

struct Maker {
    mix: Mix,
    random: Random,
    middle: i64,
    acts: Vec<Act>,
    book: LoneBook,
    trades: Vec<LoneTrade>,
    /// By operation; only limit orders count.
    known: Vec<Known>,
    live: Vec<usize>,
    live_buys: usize,
    last_gone: usize,
}

impl Flow {
    pub(crate) fn new(mix: Mix) -> Self {
        let mut maker = Maker {
            mix,
            random: Random::new(mix.seed),
            middle: MIDDLE_TICKS,
            acts: Vec::new(),
            book: LoneBook::new(),
            trades: Vec::new(),
            known: Vec::new(),
            live: Vec::new(),
            live_buys: 0,
            last_gone: 0,
        };
        let warm = mix.depth * 2;
        for _ in 0..warm {
            let act = maker.resting();
            maker.push(act);
        }
        for _ in 0..mix.measured {
            let act = maker.next();
            maker.push(act);
        }
        let resting = maker.live.len();
        for side in [Side::Buy, Side::Sell] {
            let theirs = maker.live.iter().map(|order| &maker.known[*order]);
            let lots = theirs.filter(|known| known.side != side).map(|known| known.open).sum();
            maker.push(Act::Market { side, lots });
        }
        Self { acts: maker.acts, warm, measured: mix.measured, resting }
    }
}

impl Maker {
    /// A price behind the middle, denser near it.
    fn price(&mut self, side: Side) -> i64 {
        let width = self.mix.width_ticks;
        let away = 1 + self.random.below(width).min(self.random.below(width)) as i64;
        self.middle - side.sign() * away
    }

    /// A price that is not the order's own: what a move to the same price means differs from book
    /// to book.
    fn other_price(&mut self, known: &Known) -> i64 {
        let price = self.price(known.side);
        price - known.side.sign() * i64::from(price == known.price)
    }

    fn resting(&mut self) -> Act {
        let is_short_of_buys = self.live_buys * 2 < self.live.len();
        let side = if is_short_of_buys { Side::Buy } else { Side::Sell };
        Act::Limit { side, price: self.price(side), lots: self.random.lots(ORDER_LOTS) }
    }

    fn next(&mut self) -> Act {
        if self.random.one_in(20) {
            let step = if self.random.one_in(2) { 1 } else { -1 };
            let bound = self.mix.width_ticks as i64;
            self.middle = (self.middle + step).clamp(MIDDLE_TICKS - bound, MIDDLE_TICKS + bound);
        }
        match self.random.below(100) {
            0..2 => {
                let side = self.random.side();
                Act::Market { side, lots: self.random.lots(MARKET_LOTS) }
            }
            2..12 => self.amend(),
            12 => Act::Cancel { order: self.last_gone },
            _ if self.live.len() >= self.mix.depth * 2 => Act::Cancel { order: self.any_live() },
            _ if self.random.one_in(20) => {
                let side = self.random.side();
                let through = self.random.below(5) as i64;
                let price = self.middle + side.sign() * through;
                Act::Limit { side, price, lots: self.random.lots(ORDER_LOTS) }
            }
            _ => self.resting(),
        }
    }

    fn any_live(&mut self) -> usize {
        self.live[self.random.below(self.live.len() as u64) as usize]
    }

    fn amend(&mut self) -> Act {
        let order = self.any_live();
        let known = self.known[order];
        let (price, lots) = match self.random.below(10) {
            0..4 => (None, Some((known.open / 2).max(1))),
            4..6 => (None, Some(known.open + self.random.lots(ORDER_LOTS))),
            6..9 => (Some(self.other_price(&known)), None),
            _ => (Some(self.other_price(&known)), Some(self.random.lots(ORDER_LOTS))),
        };
        Act::Amend { order, price, lots }
    }

    /// The size, or what the limit admits of it if the order crosses and may not have to stop.
    fn within(&self, side: Side, price: i64, lots: i64) -> i64 {
        let fillable = self.book.fillable(side, Some(Ticks(price)), Lots(lots)).0;
        if self.mix.stops_at_limits || fillable == 0 { lots } else { fillable }
    }

    /// The operation with such a size.
    fn bounded(&self, act: Act) -> Act {
        match act {
            Act::Limit { side, price, lots } => {
                Act::Limit { side, price, lots: self.within(side, price, lots) }
            }
            Act::Amend { order, price: Some(price), lots } => {
                let known = self.known[order];
                let asked = lots.unwrap_or(known.open);
                let bounded = self.within(known.side, price, asked);
                let lots = if bounded == asked { lots } else { Some(bounded) };
                Act::Amend { order, price: Some(price), lots }
            }
            other => other,
        }
    }

    /// Appends an operation and follows what it does.
    fn push(&mut self, act: Act) {
        let act = self.bounded(act);
        let at = self.acts.len();
        self.acts.push(act);
        self.known.push(Known { side: Side::Buy, price: 0, open: 0, live: GONE });
        self.trades.clear();
        match act {
            Act::Limit { side, price, lots } => {
                let limit = Some(Ticks(price));
                self.book.place(name(at), side, limit, Lots(lots), &mut self.trades);
                self.known[at] = Known { side, price, open: lots, live: GONE };
                self.settle(at);
                if self.known[at].open > 0 {
                    self.enlist(at);
                }
            }
            Act::Market { side, lots } => {
                self.book.place(name(at), side, None, Lots(lots), &mut self.trades);
                self.settle(at);
            }
            Act::Cancel { order } => {
                if self.book.cancel(name(order)) {
                    self.delist(order);
                }
            }
            Act::Amend { order, price, lots } => {
                let known = &mut self.known[order];
                known.price = price.unwrap_or(known.price);
                known.open = lots.unwrap_or(known.open);
                let (price, lots) = (price.map(Ticks), lots.map(Lots));
                self.book.amend(name(order), price, lots, &mut self.trades);
                self.settle(order);
                if self.known[order].open == 0 {
                    self.delist(order);
                }
            }
        }
    }

    /// Takes what traded from what is open of both.
    fn settle(&mut self, taker: usize) {
        for trade in std::mem::take(&mut self.trades) {
            let maker = trade.maker.0 as usize;
            self.known[maker].open -= trade.lots.0;
            self.known[taker].open -= trade.lots.0;
            if self.known[maker].open == 0 {
                self.delist(maker);
            }
        }
    }

    fn enlist(&mut self, order: usize) {
        self.known[order].live = self.live.len();
        self.live.push(order);
        self.live_buys += usize::from(self.known[order].side == Side::Buy);
    }

    fn delist(&mut self, order: usize) {
        let at = std::mem::replace(&mut self.known[order].live, GONE);
        self.live.swap_remove(at);
        if let Some(moved) = self.live.get(at) {
            self.known[*moved].live = at;
        }
        self.live_buys -= usize::from(self.known[order].side == Side::Buy);
        self.last_gone = order;
    }
}

/// The id of the order that the operation at this place brings.
pub(crate) fn name(at: usize) -> OrderId {
    OrderId(at as u64)
}
