//! Our trades and books against an independent matcher, on random order flow.
//!
//! The matcher keeps all orders in one list and searches it from end to end for every decision: it
//! shares no code and no data structure with the engine.

mod replay_support;

use replay_support::{HEADER, Random, flow};
use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq)]
enum Tif {
    Gtc,
    Ioc,
    Fok,
    PostOnly,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Buy,
    Sell,
}

#[derive(Clone)]
struct Order {
    id: u64,
    instrument: usize,
    account: u64,
    side: Side,
    /// Tenths.
    price: u64,
    /// Hundredths.
    open: u64,
    /// Smaller is older.
    rank: u64,
    post_only: bool,
}

const INSTRUMENTS: [&str; 2] = ["BTC-PERP", "ETH-PERP"];

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn price_text(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn amount_text(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[derive(Default)]
struct Reference {
    resting: Vec<Order>,
    ranks: u64,
    trades: String,
    trade_count: u64,
    not_open: u64,
    refused: u64,
}

impl Reference {
    /// The order that an incoming one meets first: best price, then oldest.
    fn best_against(&self, taker: &Order, limit: Option<u64>) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (index, order) in self.resting.iter().enumerate() {
            let opposite = order.instrument == taker.instrument && order.side != taker.side;
            let crosses = limit.is_none_or(|limit| match taker.side {
                Side::Buy => order.price <= limit,
                Side::Sell => order.price >= limit,
            });
            if !opposite || !crosses {
                continue;
            }
            let better = best.is_none_or(|best| {
                let best = &self.resting[best];
                let cheaper = match taker.side {
                    Side::Buy => order.price < best.price,
                    Side::Sell => order.price > best.price,
                };
                cheaper || (order.price == best.price && order.rank < best.rank)
            });
            if better {
                best = Some(index);
            }
        }
        best
    }

    fn available(&self, taker: &Order, limit: Option<u64>) -> u64 {
        let mut copy = Reference { resting: self.resting.clone(), ..Reference::default() };
        let mut sum = 0;
        while let Some(index) = copy.best_against(taker, limit) {
            sum += copy.resting.remove(index).open;
        }
        sum
    }

    fn trade(&mut self, row: u64, taker: &mut Order, limit: Option<u64>) {
        while taker.open > 0
            && let Some(index) = self.best_against(taker, limit)
        {
            let maker = &mut self.resting[index];
            let amount = maker.open.min(taker.open);
            maker.open -= amount;
            taker.open -= amount;
            writeln!(
                self.trades,
                "{row},{},o{},o{},{},{},{}",
                INSTRUMENTS[taker.instrument],
                maker.id,
                taker.id,
                side_word(taker.side),
                price_text(maker.price),
                amount_text(amount),
            )
            .expect("write");
            self.trade_count += 1;
            if maker.open == 0 {
                self.resting.remove(index);
            }
        }
    }

    fn add(&mut self, row: u64, mut order: Order, market: bool, tif: Tif) {
        let limit = (!market).then_some(order.price);
        let post_only = tif == Tif::PostOnly;
        let would_trade = self.best_against(&order, limit).is_some();
        if (post_only && (market || would_trade))
            || (tif == Tif::Fok && self.available(&order, limit) < order.open)
        {
            self.refused += 1;
            return;
        }
        self.trade(row, &mut order, limit);
        if order.open > 0 && !market && (tif == Tif::Gtc || post_only) {
            self.rest(order);
        }
    }

    fn rest(&mut self, mut order: Order) {
        self.ranks += 1;
        order.rank = self.ranks;
        self.resting.push(order);
    }

    /// The order to change, if it is open and the sender's.
    fn own(&mut self, id: u64, sender: Option<u64>) -> Option<usize> {
        let Some(index) = self.resting.iter().position(|order| order.id == id) else {
            self.not_open += 1;
            return None;
        };
        let stranger = sender.is_some_and(|sender| sender != self.resting[index].account);
        self.refused += u64::from(stranger);
        (!stranger).then_some(index)
    }

    fn cancel(&mut self, id: u64, sender: Option<u64>) {
        if let Some(index) = self.own(id, sender) {
            self.resting.remove(index);
        }
    }

    fn amend(&mut self, row: u64, id: u64, price: Option<u64>, open: Option<u64>) {
        let Some(index) = self.own(id, None) else {
            return;
        };
        if price.is_none() && open.is_none() {
            self.refused += 1;
            return;
        }
        let old = self.resting[index].clone();
        let (price, open) = (price.unwrap_or(old.price), open.unwrap_or(old.open));
        if price == old.price && open <= old.open {
            self.resting[index].open = open;
            return;
        }
        let mut order = Order { price, open, ..old.clone() };
        if order.post_only && self.best_against(&order, Some(price)).is_some() {
            self.refused += 1;
            return;
        }
        self.resting.remove(index);
        self.trade(row, &mut order, Some(price));
        if order.open > 0 {
            self.rest(order);
        }
    }

    fn book(&self, row: u64, text: &mut String) {
        for (instrument, name) in INSTRUMENTS.iter().enumerate() {
            for side in [Side::Buy, Side::Sell] {
                let here = |order: &&Order| order.instrument == instrument && order.side == side;
                let mut orders: Vec<&Order> = self.resting.iter().filter(here).collect();
                orders.sort_by_key(|order| match side {
                    Side::Buy => (u64::MAX - order.price, order.rank),
                    Side::Sell => (order.price, order.rank),
                });
                for order in orders {
                    let (price, open) = (price_text(order.price), amount_text(order.open));
                    let side = side_word(side);
                    writeln!(text, "{row},{name},{side},{price},o{},{open}", order.id)
                        .expect("write");
                }
            }
        }
    }
}

/// Random rows, given to the reference as they are written.
struct Generator {
    random: Random,
    reference: Reference,
    text: String,
    books: String,
    orders: u64,
}

impl Generator {
    fn row(&mut self, row: u64) {
        let time_ns = 10_000 + row * 1_000 - self.random.below(3) * 700;
        let name = |instrument: usize| INSTRUMENTS[instrument];
        match self.random.below(10) {
            _ if row <= 2 => self.add(row, time_ns, usize::try_from(row - 1).expect("small")),
            0..=5 => {
                let instrument = self.random.pick(&[0, 1]);
                self.add(row, time_ns, instrument);
            }
            6 | 7 => {
                let (id, instrument) = self.some_order();
                let stranger = self.random.below(20) == 0;
                let sender = stranger.then_some(99);
                self.reference.cancel(id, sender);
                let account = if stranger { "a99" } else { "" };
                let name = name(instrument);
                writeln!(self.text, "{time_ns},{name},cancel,o{id},{account},,,,,").expect("write");
            }
            _ => {
                let (id, instrument) = self.some_order();
                let (price, open) = (self.price(), self.amount());
                let price = (self.random.below(3) > 0).then_some(price);
                let open = (self.random.below(3) > 0).then_some(open);
                self.reference.amend(row, id, price, open);
                let price = price.map(price_text).unwrap_or_default();
                let open = open.map(amount_text).unwrap_or_default();
                let name = name(instrument);
                writeln!(self.text, "{time_ns},{name},amend,o{id},,,{price},{open},,")
                    .expect("write");
            }
        }
    }

    fn price(&mut self) -> u64 {
        1_000 + self.random.below(25)
    }

    fn amount(&mut self) -> u64 {
        1 + self.random.below(500)
    }

    /// Mostly one that may be open, sometimes one that never was.
    fn some_order(&mut self) -> (u64, usize) {
        let recent = self.orders.min(60);
        let id = if self.random.below(25) == 0 {
            1_000_000 + self.random.below(5)
        } else {
            self.orders - self.random.below(recent)
        };
        let resting = self.reference.resting.iter().find(|order| order.id == id);
        (id, resting.map_or(0, |order| order.instrument))
    }

    fn add(&mut self, row: u64, time_ns: u64, instrument: usize) {
        self.orders += 1;
        let tifs = [Tif::Gtc, Tif::Gtc, Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::PostOnly];
        let (tif, market) = (self.random.pick(&tifs), self.random.below(12) == 0);
        let order = Order {
            id: self.orders,
            instrument,
            account: self.random.below(7),
            side: self.random.pick(&[Side::Buy, Side::Sell]),
            price: self.price(),
            open: self.amount(),
            rank: 0,
            post_only: tif == Tif::PostOnly,
        };
        let price = if market { String::new() } else { price_text(order.price) };
        let kind = if market { "market" } else { "limit" };
        let word = match tif {
            Tif::Gtc => "gtc",
            Tif::Ioc => "ioc",
            Tif::Fok => "fok",
            Tif::PostOnly => "post_only",
        };
        writeln!(
            self.text,
            "{time_ns},{},add,o{},a{},{},{price},{},{kind},{word}",
            INSTRUMENTS[instrument],
            order.id,
            order.account,
            side_word(order.side),
            amount_text(order.open),
        )
        .expect("write");
        self.reference.add(row, order, market, tif);
    }
}

fn compare(seed: u64, rows: u64, book_every: u64) {
    let mut generator = Generator {
        random: Random(seed),
        reference: Reference::default(),
        text: HEADER.to_owned(),
        books: String::new(),
        orders: 0,
    };
    for row in 1..=rows {
        generator.row(row);
        if row % book_every == 0 || row == rows {
            generator.reference.book(row, &mut generator.books);
        }
    }
    let dir = tempfile::tempdir().expect("folder");
    let outcome = flow(dir.path(), &generator.text, |args| args.book_every = Some(book_every));
    outcome.result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let reference = &generator.reference;
    let body = |text: &str| text.split_once('\n').map_or("", |(_, body)| body).to_owned();
    assert_eq!(body(&outcome.trades), reference.trades, "trades of seed {seed}");
    assert_eq!(body(&outcome.book), generator.books, "books of seed {seed}");
    let counts = &outcome.document["comparison"];
    let count = |name: &str| counts[name].as_u64().expect(name);
    let refused: u64 = counts["refused"]
        .as_object()
        .expect("refused")
        .values()
        .map(|count| count.as_u64().expect("count"))
        .sum();
    assert_eq!(refused, reference.refused, "refusals of seed {seed}");
    let not_open = count("cancels_not_open") + count("amends_not_open");
    assert_eq!(not_open, reference.not_open, "not open, seed {seed}");
    assert_eq!(count("resting_orders"), reference.resting.len() as u64);
    assert_eq!(outcome.document["trades"], reference.trade_count);
    assert_eq!(outcome.document["entries"], rows);
    assert!(reference.trade_count > rows / 20, "a flow that trades too little tests nothing");
}

#[test]
fn trades_and_books_equal_those_of_an_independent_matcher() {
    for seed in 1..=30 {
        compare(seed, 600, 50);
    }
}

#[test]
fn a_long_flow_equals_the_independent_matcher_to_the_last_order() {
    compare(1_000, 20_000, 5_000);
}
