//! The state as leaves: the one encoding behind the state root and the snapshot.
//!
//! Every structure is taken apart field by field here, without `..`: a field added to the state
//! does not compile until somebody decides here where it goes. Fields bound to `_` are derived
//! from others, or covered by another leaf, as their comments say.

use crate::book::{Ladder, level_slots};
use crate::orders::{Order, Orders};
use crate::sessions::{Session, Sessions};
use crate::state::{
    Account, Balance, CurrencyState, Holding, InstrumentState, Meta, OPERATOR_SLOT, State,
};
use evenkeel_types::canonical_enum;
use evenkeel_types::merkle::Hash;
use evenkeel_types::{AccountId, Canonical, CurrencyId, InstrumentId, Money, UnderlyingId, Writer};

/// Which part of the state a leaf holds. Leaves are ordered by kind, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKey {
    /// Counters, mode, term, time, digest, the venue's id.
    Meta,
    /// A currency and its net deposits.
    Currency {
        /// Its id.
        currency: CurrencyId,
    },
    /// An instrument's terms and mark.
    Instrument {
        /// Its id.
        instrument: InstrumentId,
    },
    /// An account's collateral, balances and positions.
    Account {
        /// Its id.
        account: AccountId,
    },
    /// An account's sessions and their windows.
    Sessions {
        /// The account's id; the operator's too.
        account: AccountId,
    },
    /// A book: prices, orders, open sizes, in priority order. It names no account.
    Book {
        /// The instrument's id.
        instrument: InstrumentId,
    },
    /// The book's orders' owners, sessions and labels, in the same order.
    Owners {
        /// The instrument's id.
        instrument: InstrumentId,
    },
    /// Rules, parameters, flows, modes, conditional orders, recent trades, liquidations; this and
    /// all that follow from the upgrade to margin on.
    Extension,
    /// An underlying: parameters, readings, prices, volatility index.
    Underlying {
        /// Its id.
        underlying: UnderlyingId,
    },
    /// A currency's pools.
    Pools {
        /// Its id.
        currency: CurrencyId,
    },
    /// An instrument's delivery and funding.
    Delivery {
        /// Its id.
        instrument: InstrumentId,
    },
    /// An account's owner, margin model, keys, protections, liquidation.
    Margin {
        /// Its id.
        account: AccountId,
    },
    /// Entries that were passed over; no such leaf if there are none.
    Skips,
}
canonical_enum!(LeafKey {
    1 => Meta,
    2 => Currency { currency },
    3 => Instrument { instrument },
    4 => Account { account },
    5 => Sessions { account },
    6 => Book { instrument },
    7 => Owners { instrument },
    8 => Extension,
    9 => Underlying { underlying },
    10 => Pools { currency },
    11 => Delivery { instrument },
    12 => Margin { account },
    13 => Skips,
});

/// Bytes collected before they are handed on; an item may exceed it by its own length.
const CHUNK_BYTES: usize = 64 * 1024;

/// Collects a leaf's bytes and hands them on in chunks, so that a book of any size needs little
/// memory.
pub(crate) struct Output<'a> {
    pub writer: Writer,
    sink: &'a mut dyn FnMut(&[u8]),
}

impl<'a> Output<'a> {
    pub fn new(sink: &'a mut dyn FnMut(&[u8])) -> Self {
        Self { writer: Writer::new(), sink }
    }

    /// To be called between items.
    fn pause(&mut self) {
        if self.writer.as_bytes().len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Hands on what is collected.
    pub fn flush(&mut self) {
        if !self.writer.as_bytes().is_empty() {
            (self.sink)(self.writer.as_bytes());
            self.writer.clear();
        }
    }
}

/// Salt of a leaf: BLAKE3 of its key, keyed with the venue's secret salt. It hides a leaf's
/// content from those who hold proofs of its neighbours.
pub(crate) fn leaf_salt(venue_salt: &[u8; 32], key: &LeafKey) -> Hash {
    *blake3::keyed_hash(venue_salt, &key.to_bytes()).as_bytes()
}

/// Commits to the venue's salt without telling it.
pub(crate) fn salt_commitment(venue_salt: &[u8; 32]) -> Hash {
    blake3::derive_key("evenkeel venue state root salt commitment v1", venue_salt)
}

impl State {
    /// Calls `visit` with every leaf's key, in order.
    pub(crate) fn each_leaf(&self, mut visit: impl FnMut(LeafKey)) {
        let Self {
            meta: _,
            currencies,
            // Slots are in no leaf: only ids count.
            instruments: _,
            instrument_slots,
            accounts: _,
            account_slots,
            // Covered by the books and owners.
            orders: _,
            // Counted below, with margin only.
            extension: _,
            skips,
        } = self;
        visit(LeafKey::Meta);
        for currency in currencies.keys().copied() {
            visit(LeafKey::Currency { currency });
        }
        for instrument in instrument_slots.keys().copied() {
            visit(LeafKey::Instrument { instrument });
        }
        for (account, slot) in account_slots {
            if *slot != OPERATOR_SLOT {
                visit(LeafKey::Account { account: *account });
            }
        }
        for account in account_slots.keys().copied() {
            visit(LeafKey::Sessions { account });
        }
        for instrument in instrument_slots.keys().copied() {
            visit(LeafKey::Book { instrument });
        }
        for instrument in instrument_slots.keys().copied() {
            visit(LeafKey::Owners { instrument });
        }
        if self.has_margin() {
            self.each_extended_leaf(&mut visit);
        }
        if !skips.is_empty() {
            visit(LeafKey::Skips);
        }
    }

    /// The leaves that rules 2 add.
    fn each_extended_leaf(&self, visit: &mut impl FnMut(LeafKey)) {
        let Self { currencies, instrument_slots, account_slots, extension, .. } = self;
        visit(LeafKey::Extension);
        for underlying in extension.underlyings.keys().copied() {
            visit(LeafKey::Underlying { underlying });
        }
        for currency in currencies.keys().copied() {
            visit(LeafKey::Pools { currency });
        }
        for instrument in instrument_slots.keys().copied() {
            visit(LeafKey::Delivery { instrument });
        }
        for (account, slot) in account_slots {
            if *slot != OPERATOR_SLOT {
                visit(LeafKey::Margin { account: *account });
            }
        }
    }

    /// Writes a leaf's value; `None` if there is no such leaf.
    pub(crate) fn write_leaf(&self, key: LeafKey, output: &mut Output<'_>) -> Option<()> {
        let instrument = |id| {
            let slot = self.instrument_slots.get(&id)?;
            Some(self.instrument(*slot))
        };
        let account = |id| Some(self.account(*self.account_slots.get(&id)?));
        match key {
            LeafKey::Meta => self.write_meta(&mut output.writer),
            LeafKey::Currency { currency } => {
                write_currency(self.currencies.get(&currency)?, &mut output.writer);
            }
            LeafKey::Instrument { instrument: id } => {
                write_instrument(instrument(id)?, &mut output.writer);
            }
            LeafKey::Account { account: id } => {
                if id == AccountId::OPERATOR {
                    return None;
                }
                write_account(account(id)?, output);
            }
            LeafKey::Sessions { account: id } => write_sessions(&account(id)?.sessions, output),
            LeafKey::Book { instrument: id } => {
                let book = &instrument(id)?.book;
                write_ladder(&book.bids, &self.orders, output);
                write_ladder(&book.asks, &self.orders, output);
            }
            LeafKey::Owners { instrument: id } => self.write_owners(instrument(id)?, output),
            LeafKey::Skips if self.skips.is_empty() => return None,
            LeafKey::Skips => self.skips.encode(&mut output.writer),
            _ => self.write_extended_leaf(key, &mut output.writer)?,
        }
        Some(())
    }

    fn write_meta(&self, writer: &mut Writer) {
        let Meta {
            next_position,
            time,
            term,
            mode,
            mode_cause,
            digest,
            next_order,
            next_trade,
            venue,
            salt,
        } = &self.meta;
        next_position.encode(writer);
        time.encode(writer);
        term.encode(writer);
        mode.encode(writer);
        mode_cause.encode(writer);
        digest.encode(writer);
        next_order.encode(writer);
        next_trade.encode(writer);
        venue.encode(writer);
        salt_commitment(salt).encode(writer);
        writer.u64(self.currencies.len() as u64);
        writer.u64(self.instruments.len() as u64);
        // The operator is always there and not counted.
        writer.u64(self.accounts.len() as u64 - 1);
    }

    fn write_owners(&self, instrument: &InstrumentState, output: &mut Output<'_>) {
        for ladder in [&instrument.book.bids, &instrument.book.asks] {
            for slot in ladder.slots(&self.orders) {
                let Order {
                    // In the book's leaf.
                    id: _,
                    price: _,
                    open: _,
                    side: _,
                    instrument: _,
                    account,
                    session,
                    label,
                    post_only,
                    flags,
                    reserve,
                    // Derived from the rest.
                    in_level: _,
                    level: _,
                    in_account: _,
                    next_in_bucket: _,
                } = self.orders.at(slot);
                self.account(*account).id.encode(&mut output.writer);
                session.encode(&mut output.writer);
                label.encode(&mut output.writer);
                post_only.encode(&mut output.writer);
                if self.has_margin() {
                    flags.encode(&mut output.writer);
                    // Under the first rules it follows from the rest.
                    reserve.encode(&mut output.writer);
                }
                output.pause();
            }
        }
    }
}

fn write_currency(currency: &CurrencyState, writer: &mut Writer) {
    let CurrencyState {
        terms,
        net_deposits,
        // A leaf of its own.
        extra: _,
        // Derived from balances and positions.
        held: _,
    } = currency;
    terms.encode(writer);
    net_deposits.encode(writer);
}

fn write_instrument(instrument: &InstrumentState, writer: &mut Writer) {
    let InstrumentState {
        terms,
        // Derived from the terms.
        valuation: _,
        base_per_lot: _,
        mark,
        // Leaves of their own.
        book: _,
        extra: _,
    } = instrument;
    terms.encode(writer);
    mark.encode(writer);
}

fn write_account(account: &Account, output: &mut Output<'_>) {
    let Account {
        // The key.
        id: _,
        collateral,
        balances,
        holdings,
        // Derived from the holdings.
        held: _,
        // A leaf of its own.
        sessions: _,
        // Derived from the orders.
        first_order: _,
        last_order: _,
        // A leaf of its own.
        extra: _,
    } = account;
    collateral.encode(&mut output.writer);
    let is_balance = |b: &&Balance| b.balance != Money::ZERO || b.reserved != Money::ZERO;
    let balance_count = balances.iter().filter(is_balance).count();
    output.writer.u64(balance_count as u64);
    for money in balances.iter().filter(is_balance) {
        let Balance {
            currency,
            balance,
            reserved,
            // Derived.
            counted: _,
        } = money;
        currency.encode(&mut output.writer);
        balance.encode(&mut output.writer);
        reserved.encode(&mut output.writer);
        output.pause();
    }
    let is_held = |h: &&Holding| h.lots.0 != 0 || h.basis.0 != 0 || h.realised.0 != 0;
    let holding_count = holdings.iter().filter(is_held).count();
    output.writer.u64(holding_count as u64);
    for holding in holdings.iter().filter(is_held) {
        let Holding {
            instrument,
            lots,
            basis,
            realised,
            // Derived from the orders.
            open_buy: _,
            open_sell: _,
            // Derived.
            counted: _,
        } = holding;
        instrument.encode(&mut output.writer);
        lots.encode(&mut output.writer);
        basis.encode(&mut output.writer);
        realised.encode(&mut output.writer);
        output.pause();
    }
}

fn write_sessions(sessions: &Sessions, output: &mut Output<'_>) {
    let Sessions { floor, by_id } = sessions;
    floor.encode(&mut output.writer);
    output.writer.u64(by_id.len() as u64);
    for (id, session) in by_id {
        let Session { connected, cancel_on_disconnect, lowest, window } = session;
        id.encode(&mut output.writer);
        connected.encode(&mut output.writer);
        cancel_on_disconnect.encode(&mut output.writer);
        lowest.encode(&mut output.writer);
        output.writer.u64(window.len() as u64);
        for (sequence, outcome) in window {
            sequence.encode(&mut output.writer);
            outcome.encode(&mut output.writer);
        }
        output.pause();
    }
}

fn write_ladder(ladder: &Ladder, orders: &Orders, output: &mut Output<'_>) {
    output.writer.u64(ladder.level_count() as u64);
    for (price, level) in ladder.levels() {
        price.encode(&mut output.writer);
        output.writer.u64(level.order_count as u64);
        for slot in level_slots(level, orders) {
            let order = orders.at(slot);
            order.id.encode(&mut output.writer);
            order.open.encode(&mut output.writer);
            output.pause();
        }
    }
}
