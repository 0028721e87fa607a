//! Looking at the state without changing it.

use crate::book::level_slots;
use crate::engine::Engine;
use crate::orders::OrderView;
use crate::state::{Account, InstrumentState};
use evenkeel_types::{
    AccountId, Collateral, Currency, CurrencyId, Instrument, InstrumentId, InstrumentKind, Lots,
    Mode, Money, OrderId, Origin, Outcome, SessionId, Side, Term, Ticks, Timestamp,
};

/// An account's money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceView {
    /// The currency.
    pub currency: CurrencyId,
    /// All of it; negative after losses, or without a check of collateral.
    pub balance: Money,
    /// What resting orders reserve of it.
    pub reserved: Money,
}

/// An account's position in one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionView {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Signed size.
    pub lots: Lots,
    /// What it cost, see [`evenkeel_types::instrument::Valuation::basis`].
    pub basis: Money,
    /// Profit realised so far.
    pub realised: Money,
}

/// An account. Entries of nothing but zeros are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// How its orders are covered.
    pub collateral: Collateral,
    /// Ascending by currency.
    pub balances: Vec<BalanceView>,
    /// Ascending by instrument.
    pub positions: Vec<PositionView>,
}

/// A price level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelView {
    /// Its price.
    pub price: Ticks,
    /// Open lots at it.
    pub lots: Lots,
    /// Number of orders at it.
    pub order_count: usize,
}

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// Its account.
    pub account: AccountId,
    /// Its id within the account.
    pub session: SessionId,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether its orders end with its connection.
    pub cancel_on_disconnect: bool,
}

/// One instrument's book.
#[derive(Debug, Clone, Copy)]
pub struct BookView<'a> {
    engine: &'a Engine,
    instrument: &'a InstrumentState,
}

impl<'a> BookView<'a> {
    /// Levels of a side, best price first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = LevelView> + use<'a> {
        let ladder = self.instrument.book.side(side);
        ladder.levels().map(|(price, level)| LevelView {
            price,
            lots: Lots(level.lots),
            order_count: level.order_count,
        })
    }

    /// Orders of a side in priority order: best price first, oldest first.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = OrderView> + use<'a> {
        let engine = self.engine;
        let ladder = self.instrument.book.side(side);
        ladder.slots(&engine.state.orders).map(|slot| engine.order_view(slot))
    }

    /// Orders of one price, oldest first.
    pub fn orders_at(&self, side: Side, price: Ticks) -> impl Iterator<Item = OrderView> + use<'a> {
        let engine = self.engine;
        let ladder = self.instrument.book.side(side);
        let level = ladder.levels().find(|(at, _)| *at == price);
        level
            .into_iter()
            .flat_map(|(_, level)| level_slots(level, &engine.state.orders))
            .map(|slot| engine.order_view(slot))
    }

    /// Best price of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Ticks> {
        self.instrument.book.side(side).best().map(|(price, _)| price)
    }
}

impl Engine {
    /// What the venue admits.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.state.meta.mode
    }

    /// The cause given with the last change of mode; 0 before the first.
    #[must_use]
    pub fn mode_cause(&self) -> u32 {
        self.state.meta.mode_cause
    }

    /// The venue's identity; `None` before the founding entry.
    #[must_use]
    pub fn venue_id(&self) -> Option<[u8; 16]> {
        self.state.meta.venue
    }

    /// Fencing number of the present primary; 0 before the first `Resume`.
    #[must_use]
    pub fn term(&self) -> Term {
        self.state.meta.term
    }

    /// Time of the last entry.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.state.meta.time
    }

    /// Id that the next accepted order gets.
    #[must_use]
    pub fn next_order(&self) -> OrderId {
        self.state.meta.next_order
    }

    /// Number of open orders.
    #[must_use]
    pub fn open_order_count(&self) -> usize {
        self.state.orders.count()
    }

    /// Number of accounts, the operator's not counted.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.state.accounts.len() - 1
    }

    /// Accounts in order of their ids, without the operator's.
    pub fn accounts(&self) -> impl Iterator<Item = AccountView> + '_ {
        self.state.clients().map(account_view)
    }

    /// One account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<AccountView> {
        let slot = self.state.client_slot(id).ok()?;
        Some(account_view(self.state.account(slot)))
    }

    /// Currencies in order of their ids.
    pub fn currencies(&self) -> impl Iterator<Item = &Currency> + '_ {
        self.state.currencies.values().map(|known| &known.terms)
    }

    /// Deposits less withdrawals of a currency. Over all accounts, balances less the basis of
    /// positions in futures and perpetuals always sum up to it.
    #[must_use]
    pub fn net_deposits(&self, currency: CurrencyId) -> Option<Money> {
        let known = self.state.currencies.get(&currency)?;
        Some(known.net_deposits)
    }

    /// Instruments in order of their ids.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> + '_ {
        self.state.instruments_by_id().map(|known| &known.terms)
    }

    /// One instrument's terms.
    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        Some(&self.known_instrument(id)?.terms)
    }

    /// An instrument's mark; `None` if it was not marked in this term.
    #[must_use]
    pub fn mark(&self, id: InstrumentId) -> Option<Ticks> {
        self.known_instrument(id)?.mark
    }

    /// An instrument's book.
    #[must_use]
    pub fn book(&self, id: InstrumentId) -> Option<BookView<'_>> {
        Some(BookView { engine: self, instrument: self.known_instrument(id)? })
    }

    /// An open order.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<OrderView> {
        Some(self.order_view(self.state.orders.find(id)?))
    }

    /// Sessions in order of account and id, the operator's included.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.state.account_slots.values().flat_map(|slot| {
            let account = self.state.account(*slot);
            account.sessions.by_id.iter().map(|(id, session)| SessionView {
                account: account.id,
                session: *id,
                connected: session.connected,
                cancel_on_disconnect: session.cancel_on_disconnect,
            })
        })
    }

    /// What became of a command, while its session remembers.
    #[must_use]
    pub fn outcome_of(&self, origin: Origin) -> Option<Outcome> {
        let slot = *self.state.account_slots.get(&origin.account)?;
        let sessions = &self.state.account(slot).sessions;
        sessions.by_id.get(&origin.session)?.outcome(origin.sequence)
    }

    /// Unrealised profit of a position at the mark: *basis at the mark − basis*, in the settlement
    /// currency. `None` for an unknown account or instrument, a missing mark of a held position,
    /// or a result out of range.
    #[must_use]
    pub fn unrealised(&self, account: AccountId, instrument: InstrumentId) -> Option<Money> {
        let slot = self.state.client_slot(account).ok()?;
        let known = self.known_instrument(instrument)?;
        let holding = self.state.account(slot).holding(instrument);
        if holding.lots == Lots::ZERO {
            return Some(Money::ZERO);
        }
        let at_mark = known.valuation.basis(known.mark?, holding.lots).ok()?;
        at_mark.sub(holding.basis).ok()
    }

    /// Equity in a currency: balance, unrealised profit of futures and perpetuals that settle in
    /// it, and the value of options at their marks (their premiums have been paid from the
    /// balance). `None` if a needed mark is missing.
    #[must_use]
    pub fn equity(&self, account: AccountId, currency: CurrencyId) -> Option<Money> {
        self.state.currencies.get(&currency)?;
        let slot = self.state.client_slot(account).ok()?;
        let owner = self.state.account(slot);
        let mut equity = owner.balance(currency).balance;
        for holding in owner.holdings.iter().filter(|h| h.lots != Lots::ZERO) {
            let known = self.known_instrument(holding.instrument)?;
            if known.terms.settlement != currency {
                continue;
            }
            let at_mark = known.valuation.basis(known.mark?, holding.lots).ok()?;
            let worth = match known.terms.kind {
                InstrumentKind::Option { .. } => at_mark,
                _ => at_mark.sub(holding.basis).ok()?,
            };
            equity = equity.add(worth).ok()?;
        }
        Some(equity)
    }

    fn known_instrument(&self, id: InstrumentId) -> Option<&InstrumentState> {
        let slot = self.state.instrument_slot(id).ok()?;
        Some(self.state.instrument(slot))
    }

    pub(crate) fn order_view(&self, slot: u32) -> OrderView {
        let order = self.state.orders.at(slot);
        OrderView {
            order: order.id,
            instrument: self.state.instrument(order.instrument).terms.id,
            account: self.state.account(order.account).id,
            session: order.session,
            side: order.side,
            price: order.price,
            open: order.open,
            label: order.label,
            post_only: order.post_only,
            reserve: order.reserve,
        }
    }
}

fn account_view(account: &Account) -> AccountView {
    let balances = account.balances.iter().map(|money| BalanceView {
        currency: money.currency,
        balance: money.balance,
        reserved: money.reserved,
    });
    let positions = account.holdings.iter().map(|holding| PositionView {
        instrument: holding.instrument,
        lots: holding.lots,
        basis: holding.basis,
        realised: holding.realised,
    });
    AccountView {
        id: account.id,
        collateral: account.collateral,
        balances: balances
            .filter(|b| b.balance != Money::ZERO || b.reserved != Money::ZERO)
            .collect(),
        positions: positions
            .filter(|p| p.lots.0 != 0 || p.basis.0 != 0 || p.realised.0 != 0)
            .collect(),
    }
}
