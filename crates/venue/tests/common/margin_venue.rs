//! The venue of histories with margin: its instruments, terms and accounts.

use evenkeel_types::regime::GraceTerms;
use evenkeel_types::terms::{Delivery, Haircut, LossRule, MarginModel, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, Collateral, Command, Currency, CurrencyId, Decimal, Instrument, InstrumentId,
    InstrumentKind, Money, OptionRight, SourceId, Style, Symbol, Term, Timestamp, UnderlyingId,
};

pub const BTC: CurrencyId = CurrencyId(1);
pub const USD: CurrencyId = CurrencyId(2);
pub const UNDERLYING: UnderlyingId = UnderlyingId(1);
/// 2026-11-20T06:00Z: the first expiry is two hours away.
pub const START: Timestamp = Timestamp(1_795_154_400_000_000_000);
pub const SECOND_NS: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * SECOND_NS;
pub const EXPIRIES: [Timestamp; 2] =
    [Timestamp(START.0 + 2 * HOUR_NS), Timestamp(START.0 + 50 * HOUR_NS)];
pub const ACCOUNTS: u64 = 8;
/// Sub-accounts of accounts 1 and 2.
pub const SUB_ACCOUNTS: [(u64, u64); 2] = [(9, 1), (10, 2)];
pub const SOURCES: [SourceId; 3] = [SourceId(1), SourceId(2), SourceId(3)];

fn decimal(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("a small decimal")
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("a short name")
}

/// Spot, perpetuals, a future, options on two expiries, inverse and linear.
pub fn instruments() -> Vec<Instrument> {
    let [near, far] = EXPIRIES;
    let option = |expiry, strike, right| InstrumentKind::Option {
        expiry,
        strike: Decimal::whole(strike),
        right,
    };
    let (call, put) = (OptionRight::Call, OptionRight::Put);
    let (dollar, coin) = (decimal(5, 1), decimal(1, 4));
    let (whole, tenth, thousandth) = (Decimal::whole(10), decimal(1, 1), decimal(1, 3));
    let inverse = Style::Inverse;
    let all = [
        ("SPOT", InstrumentKind::Spot, Style::Linear, USD, dollar, thousandth),
        ("PERP", InstrumentKind::Perpetual, inverse, BTC, dollar, whole),
        ("NEAR", InstrumentKind::Future { expiry: near }, inverse, BTC, dollar, whole),
        ("NEAR-60-C", option(near, 60_000, call), inverse, BTC, coin, tenth),
        ("NEAR-60-P", option(near, 60_000, put), inverse, BTC, coin, tenth),
        ("FAR-70-C", option(far, 70_000, call), inverse, BTC, coin, tenth),
        ("FAR-50-P", option(far, 50_000, put), inverse, BTC, coin, tenth),
        ("LINEAR-PERP", InstrumentKind::Perpetual, Style::Linear, USD, dollar, thousandth),
        ("LINEAR", InstrumentKind::Future { expiry: near }, Style::Linear, USD, dollar, thousandth),
        ("LINEAR-60-C", option(near, 60_000, call), Style::Linear, USD, dollar, tenth),
    ];
    all.into_iter()
        .zip(1..)
        .map(|((name, kind, style, settlement, tick, lot), id)| Instrument {
            id: InstrumentId(id),
            symbol: symbol(name),
            kind,
            style,
            base: BTC,
            quote: USD,
            settlement,
            tick,
            lot,
            contract_size: Decimal::whole(1),
        })
        .collect()
}

/// The commands that found the venue; a few of its terms vary.
pub fn opening(variant: u64, is_dense: bool) -> Vec<(AccountId, Command)> {
    let currency = |id, code, scale| Command::DefineCurrency {
        currency: Currency { id, code: symbol(code), scale },
    };
    let mut commands = vec![
        Command::Found { venue: [1; 16], salt: [2; 32] },
        Command::Resume { term: Term(1) },
        currency(BTC, "BTC", 8),
        currency(USD, "USD", 6),
        Command::Upgrade { rules: 2 },
        Command::SetVenueTerms { terms: Box::new(venue_terms(variant)) },
        Command::SetUnderlying { underlying: Box::new(underlying(variant, is_dense)) },
    ];
    let define = |instrument| Command::DefineInstrument { instrument };
    commands.extend(instruments().into_iter().map(define));
    let collateral = Collateral::Checked;
    for id in 1..=ACCOUNTS {
        commands.push(Command::OpenAccount { account: AccountId(id), collateral });
    }
    for (account, main) in SUB_ACCOUNTS {
        let (account, main) = (AccountId(account), AccountId(main));
        commands.push(Command::OpenSubAccount { account, main, collateral });
    }
    for id in 1..=ACCOUNTS + 2 {
        let account = AccountId(id);
        if id % 2 == 0 {
            let model = MarginModel::Portfolio;
            commands.push(Command::SetMarginModel { account, model });
        }
        for (currency, amount) in [(BTC, 40_000_000), (USD, 12_000_000_000)] {
            commands.push(Command::Deposit { account, currency, amount: Money(amount) });
        }
    }
    let (currency, amount) = (BTC, Money(20_000_000));
    commands.push(Command::FundInsurance { currency, amount });
    commands.into_iter().map(|command| (AccountId::OPERATOR, command)).collect()
}

fn venue_terms(variant: u64) -> VenueTerms {
    let haircuts = vec![Haircut { currency: BTC, haircut: 100_000 }];
    let usual = VenueTerms::usual(USD, haircuts);
    let is_shared = variant.is_multiple_of(2);
    let loss_rule = if is_shared { LossRule::Socialise } else { LossRule::AutoDeleverage };
    let max_step_ms = if variant.is_multiple_of(5) { 600_000 } else { 0 };
    let grace = GraceTerms { grace_ms: 20_000, daily_cap_ms: 60_000, ..GraceTerms::USUAL };
    VenueTerms { loss_rule, takeover_rounds: 3, max_step_ms, grace, ..usual }
}

fn underlying(variant: u64, is_dense: bool) -> Underlying {
    let mut usual = Underlying::usual(UNDERLYING, symbol("BTC-USD"), (BTC, USD), SOURCES.to_vec());
    if variant.is_multiple_of(3) {
        usual.settlement.delivery = Delivery::Physical;
    }
    if is_dense {
        // Sources tell a fall one after the other; most falls shall not halt trading.
        usual.oracle.disagreement_bp = 1_000;
    }
    usual.settlement.window_ms = 600_000;
    usual.settlement.min_samples = 20;
    usual.limits.open_orders = 60;
    usual.breakers.band_hits = 30;
    usual.breakers.cooldown_ms = 2_000;
    usual.breakers.step_ms = 500;
    usual.breakers.auction_ms = 1_000;
    usual
}
