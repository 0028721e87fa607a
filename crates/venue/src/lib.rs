//! The venue engine: order books, accounts and positions as one deterministic state machine.
//!
//! [`Engine::apply`] takes journal entries in order and tells what changed as events.
//! [`Engine::state_root`] is one hash over everything that influences later output,
//! [`Engine::snapshot`] the same state as bytes, [`StateTree`] proves single accounts and books.
//!
//! ```text
//!  Entry ──► sessions (exactly once) ──► mode ──► matching, changes, operator
//!                                                   │        │
//!                                                   ▼        ▼
//!                                                 book    accounting, margin ──► Events ──► digest
//! ```
//!
//! Price-time priority; limit and market orders; good-till-cancel, immediate-or-cancel,
//! fill-or-kill; post-only; amend, cancel, mass cancel, cancel on disconnect; spot, options, and
//! linear and inverse futures and perpetuals. Under rules 2 also margin, conditional orders,
//! self-trade prevention, liquidation, expiry, funding, breakers and modes in scopes.
//!
//! # Modes
//! | command | `normal` | `cancel-only` | `halted` |
//! |---|---|---|---|
//! | place, amend | yes | `CancelOnly` | `Halted` |
//! | cancel, mass cancel | yes | yes | `Halted` |
//! | connect | yes | yes | `Halted` |
//! | disconnect (and the cancels it brings) | yes | yes | yes |
//! | everything from the operator | yes | yes | yes |
//!
//! A disconnect is sent by the gateway about a client that is gone; refusing it would leave that
//! client's orders behind when the venue reopens.
//!
//! # Orders (rules 2)
//! A new order, an amended one that loses its place and a released conditional one come in the same
//! way (`entering.rs`): refused with a code and nothing changed, or taken, and then it cannot fail.
//!
//! | wish | what becomes of it | refused with |
//! |---|---|---|
//! | reduce-only | cut to the position, and again whenever the position changes | `NotReducing` |
//! | post-only | refused, or slid one tick behind the best opposite price | `WouldTrade` |
//! | fill-or-kill | the book is walked first, as in earnest | `CannotFill`, `SelfTrade` |
//! | market | goes as far as its protection, else the price band | `NoMark` |
//! | conditional | waits outside the book for mark or index, released by id | `BadTrigger` |
//! | protected | counted; when its owner's protection hits, all of them end | `Frozen` |
//! | self-trade prevention | ends the incoming order, the resting one or both | – |
//!
//! | bound | of | refused with |
//! |---|---|---|
//! | price band, fat finger | distance from the mark | `PriceBand`, `FatFinger` |
//! | order and position size | coins | `SizeLimit` |
//! | open orders, conditional ones too | account, and account in an underlying | `LimitReached` |
//! | throttle | orders and amendments of an account in a second | `Throttled` |
//!
//! What was sent counts for the throttle, and what a price band refused for the breaker, even if
//! it was refused; nothing else of a refused command is remembered but its outcome.
//!
//! | instrument | trading fee of a side |
//! |---|---|
//! | spot | none |
//! | future, perpetual | rate × value |
//! | option | rate × the underlying's value, at most a share of the premium |
//!
//! Fees round up and rebates down; a rebate never exceeds the other side's fee. A part of what
//! remains is the insurance fund's. One of the last 4,096 trades can be taken back, with its fees.
//!
//! # Prices, marks and margin (rules 2)
//! ```text
//!  sources ──► readings ──► median of a fresh quorum ──► index, forwards, smiles
//!                                                               │
//!        conditional orders, breakers, delivery samples ◄── marks of instruments
//!                                                               │
//!              liquidation ◄── accounts looked at in turn ◄── legs, sums, margin
//! ```
//! `oracle.rs` says when a price holds and when it is fresh, `marks.rs` what instruments are valued
//! at, `risk/` what accounts must have and in which order they are looked at. Margin is kept fill
//! by fill; [`Engine::verify_margins`] compares it with [`Engine::margin`], which is computed from
//! nothing but the state, and [`Engine::margin_report`] takes it apart.
//!
//! | order | reserves of the balance | initial margin |
//! |---|---|---|
//! | spot | as under rules 1 | – |
//! | option, buy | the premium, unless reduce-only | portfolio: the scenarios it worsens |
//! | option, sell | – | standard: that of the larger short position; portfolio: the scenarios |
//! | future, perpetual | – | that of the larger position, and what a price beyond the mark loses |
//! | what brings a position closer to zero | – | – |
//!
//! Orders that need margin need fresh prices (`PricesNotFresh`); those that do not are taken
//! without. Accounts with unlimited collateral are asked for nothing.
//!
//! # Expiry, funding, liquidation (rules 2)
//! `schedule.rs` tells when something is due, `settlement.rs` how a delivery price is made of index
//! samples and what an outage does to it, `physical.rs` how coins change hands, `funding.rs` what
//! perpetuals pay. `liquidation.rs` says when an account is due and what it may wait for,
//! `reduction.rs` which step is the smallest, `waterfall.rs` and `deleverage.rs` what follows when
//! the book is not enough.
//!
//! | it happens | once | with prices that are | otherwise |
//! |---|---|---|---|
//! | expiry | per expiry and underlying | means of fresh samples, fresh now | waits, told once |
//! | funding | per interval | means of fresh samples | time not sampled funds nothing |
//! | liquidation round | per interval and account | all within their bound | waits, told once |
//! | takeover, deleveraging | per liquidation | all within their bound, all books open | waits |
//!
//! Money is counted at every entry (`conservation.rs`): [`Engine::conservation`] lists the terms of
//! each currency, which add up to the last unit; if they ever did not, the venue halts.
//!
//! # Who may do what
//! The operator ([`evenkeel_types::AccountId::OPERATOR`]) founds, defines, opens accounts, moves
//! money, marks and sets the mode; it has no balances and places no orders (`UnknownAccount`).
//! Before the founding entry every command but the operator's `Found` is refused and nothing of it
//! is remembered; the same holds for commands of accounts that do not exist.
//!
//! Under rules 2 the insurance fund ([`evenkeel_types::AccountId::FUND`]) is an account like
//! others, but nobody sends commands for it, deposits to it or withdraws from it (`FundOnly`):
//! `FundInsurance` feeds it. What sessions with an API key may send is the table in `keys.rs`.
//!
//! # Accounts and collateral (rules 2)
//! A main account may have sub-accounts, one level; money moves between accounts of one owner only,
//! and margin of each account is its own. Free is what the balance holds beyond its orders'
//! reserves and without which initial margin is still met, at fresh prices where prices matter; an
//! account in liquidation or in grace has nothing free. Money that crosses the border goes in
//! steps:
//!
//! | command | from | to | balance | pool of withdrawals | net deposits |
//! |---|---|---|---|---|---|
//! | `ReportDeposit` seen | nothing, dropped | pending | | | |
//! | `ReportDeposit` final | pending | final | + | | + |
//! | `ReportDeposit` dropped | pending | failed | | | |
//! | `RequestWithdrawal` | nothing | requested | − | + | |
//! | `AdvanceWithdrawal` approve | requested | approved; queued while the chain stalls | | | |
//! | `SetChain` | approved, queued | queued, approved, in order of approval | | | |
//! | `AdvanceWithdrawal` send | approved | sent | | | |
//! | `AdvanceWithdrawal` final | sent | final | | − | − |
//! | `AdvanceWithdrawal` fail | requested to sent | failed | + | − | |
//! | `CancelWithdrawal` | requested, approved, queued | failed | + | − | |
//! | a physical delivery | nothing | approved, or queued | | + | |
//!
//! Every step is idempotent by the flow's key (`flows.rs`). `PayFees` lowers the pool of fees and
//! the net deposits, `FundInsurance` raises the fund's balance and the net deposits. The plain
//! `Deposit` and `Withdraw` remain for what is settled elsewhere.
//!
//! **Architecture invariants**
//! - No I/O, no clock, no randomness, no thread, no floating point, no unordered collection: the
//!   same entries give the same events, digest and root on every machine.
//! - [`Engine::apply`] cannot fail and does not panic: a command is checked whole before anything
//!   changes; the bounds in `state.rs` and `margin.rs` prove that no arithmetic behind them fails.
//! - Time is the entries' time. Positions, order ids and trade ids are counted here, never given.
//! - Root and snapshot are written by one piece of code (`leaf.rs`) that takes every structure
//!   apart field by field: state that is not covered does not compile.
//! - Risk is priced in one place: `margin.rs` under rules 1, `risk/` under rules 2; matching and
//!   accounting do not know how. Margin is a function of the state; caches only save work.
//! - It knows nothing of journals, sites, keys or JSON.
#![forbid(unsafe_code)]

mod accounting;
mod auction;
mod book;
mod booking;
#[cfg(test)]
mod bounds_tests;
mod breakers;
mod changes;
mod chunks;
mod collateral;
mod conservation;
#[cfg(test)]
mod coverage_tests;
mod deleverage;
mod engine;
mod entering;
mod extension;
mod fees;
mod fillable;
mod flow_checks;
#[cfg(test)]
mod flow_checks_tests;
mod flows;
mod forced;
mod funding;
mod grace;
mod keys;
mod leaf;
mod leaf_extended;
mod limits;
mod liquidation;
mod liquidation_view;
#[cfg(feature = "lone-book")]
mod lone_book;
mod margin;
mod margin_report;
mod marks;
mod matching;
mod modes;
mod operator;
mod oracle;
mod order_checks;
mod order_index;
mod orders;
mod own_orders;
mod physical;
mod protection;
mod ramp;
mod reduce_only;
mod reduction;
#[cfg(test)]
mod refusal_tests;
mod regime;
mod restore;
mod restore_books;
mod restore_checks;
mod risk;
mod root;
mod rules2;
mod schedule;
mod self_trade;
mod sessions;
mod settlement;
mod settlement_checks;
#[cfg(test)]
mod settlement_tests;
mod skips;
mod snapshot;
mod state;
mod surface;
mod throttle;
mod trades;
mod triggers;
mod underlyings;
mod veto;
mod view;
mod view_accounts;
mod view_risk;
mod waterfall;
mod withdrawals;

pub use book::MAX_SIDE_LOTS;
pub use conservation::Conservation;
pub use deleverage::DeleverageRank;
pub use engine::Engine;
pub use flows::{MAX_FINISHED_FLOWS, MAX_OPEN_FLOWS};
pub use keys::MAX_KEYS;
pub use leaf::LeafKey;
pub use liquidation_view::{FundView, LiquidationView, PerpetualView};
#[cfg(feature = "lone-book")]
pub use lone_book::{LoneBook, LoneOrder, LoneTrade};
pub use margin::{FUTURE_RATE_BP, OPTION_SELL_RATE_BP};
pub use margin_report::{CurrencyReport, GroupReport, LegReport, MarginReport};
pub use orders::{MAX_OPEN_ORDERS, OrderView};
pub use restore::{BookOrder, BookRecord};
pub use risk::{AccountMargin, CurrencyMargin};
pub use root::{Proof, StateTree};
pub use sessions::{MAX_SESSIONS, WINDOW};
pub use skips::{CAUSE_SKIPPED, SKIPS_MAX};
pub use snapshot::{MAGIC, SnapshotError, VERSION};
pub use trades::{RECENT_TRADES_MAX, TradeView};
pub use view::{AccountView, BalanceView, BookView, LevelView, PositionView, SessionView};
pub use view_accounts::{AccountReport, Exposure, FlowView, SettlementRule};
pub use view_risk::UnderlyingPrices;
