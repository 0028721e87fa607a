//! The market as a venue holds it, for clients that trade there from another process.

use evenkeel_recovery::Request;
use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::{
    AccountId, ClientSequence, Command, Currency, Instrument, InstrumentId, Origin, SessionId,
    Ticks, Timestamp, canonical_struct,
};
use evenkeel_venue::Engine;

use crate::demo::{MarketPlan, PriceModel};

/// Clients on other machines take sessions from here on; below are the venue's own.
pub(crate) const REMOTE_SESSIONS: u64 = 1 << 32;

/// What is listed, who has an account, and where prices stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenMarket {
    /// Term and position of the primary that said so.
    pub(crate) term: u64,
    pub(crate) position: u64,
    currencies: Vec<Currency>,
    instruments: Vec<Instrument>,
    accounts: Vec<AccountId>,
    marks: Vec<Mark>,
    /// Sessions of clients that are gone.
    connected: Vec<Connected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    instrument: InstrumentId,
    mark: Ticks,
}
canonical_struct!(Mark { instrument, mark });

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connected {
    account: AccountId,
    session: SessionId,
}
canonical_struct!(Connected { account, session });

impl OpenMarket {
    pub(crate) fn of(engine: &Engine) -> Self {
        let marked = |instrument: &Instrument| {
            let mark = engine.mark(instrument.id)?;
            Some(Mark { instrument: instrument.id, mark })
        };
        let connected = engine.sessions().filter(|session| session.connected);
        Self {
            term: engine.term().0,
            position: engine.next_position().0,
            currencies: engine.currencies().cloned().collect(),
            instruments: engine.instruments().cloned().collect(),
            // The insurance fund trades with nobody.
            accounts: engine
                .accounts()
                .map(|account| account.id)
                .filter(|id| *id != AccountId::FUND)
                .collect(),
            marks: engine.instruments().filter_map(marked).collect(),
            connected: connected
                .map(|it| Connected { account: it.account, session: it.session })
                .collect(),
        }
    }

    /// The plan that crowds and prices need, and prices that go on from the last marks.
    pub(crate) fn reopen(self, seed: u64, now: Timestamp) -> (MarketPlan, PriceModel) {
        let Self { currencies, instruments, accounts, .. } = self;
        let plan = MarketPlan::reopen(currencies, instruments, &accounts, now);
        let mut prices = PriceModel::new(&plan, seed ^ self.position);
        let marks: Vec<_> = self.marks.iter().map(|it| (it.instrument, it.mark)).collect();
        prices.continue_from(&marks);
        (plan, prices)
    }

    /// Ends the sessions of clients that are gone. Those on other machines live on.
    pub(crate) fn farewells(&self) -> Vec<Request> {
        let farewell = |it: &Connected| Request {
            origin: Origin {
                account: it.account,
                session: it.session,
                // Behind whatever the client sent.
                sequence: ClientSequence(u64::MAX),
            },
            command: Command::Disconnect,
        };
        let ended = self.connected.iter().filter(|it| it.session.0 < REMOTE_SESSIONS);
        ended.map(farewell).collect()
    }
}

impl Canonical for OpenMarket {
    fn encode(&self, writer: &mut Writer) {
        let Self { term, position, currencies, instruments, accounts, marks, connected } = self;
        term.encode(writer);
        position.encode(writer);
        writer.sequence(currencies.iter());
        writer.sequence(instruments.iter());
        writer.sequence(accounts.iter());
        writer.sequence(marks.iter());
        writer.sequence(connected.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: Canonical::decode(reader)?,
            position: Canonical::decode(reader)?,
            currencies: reader.sequence()?,
            instruments: reader.sequence()?,
            accounts: reader.sequence()?,
            marks: reader.sequence()?,
            connected: reader.sequence()?,
        })
    }
}
