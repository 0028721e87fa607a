//! The demonstration venue's rulebook: Deribit's published parameters, with windows short enough
//! that an onlooker sees an expiry, a funding payment and a tripped breaker within minutes.

use super::plan::{BTC, ETH, MarketPlan, USDC};
use evenkeel_types::oracle::OracleRule;
use evenkeel_types::regime::{BreakerTerms, GraceTerms};
use evenkeel_types::terms::{
    Haircut, MarginModel, PortfolioTerms, SettlementTerms, StandardTerms, Underlying, VenueTerms,
};
use evenkeel_types::{Command, CurrencyId, InstrumentError, Money, SourceId, Symbol, UnderlyingId};

/// The rules with margin.
pub const MARGIN_RULES: u32 = 2;

/// The sources whose median makes a price.
pub const SOURCES: [SourceId; 3] = [SourceId(1), SourceId(2), SourceId(3)];

const MINUTE_MS: u64 = 60_000;

/// What the operator pays into the insurance fund.
const FUND: [(CurrencyId, Money); 2] =
    [(BTC, Money(20 * 100_000_000)), (ETH, Money(500 * 100_000_000))];

/// The underlyings by the code of their coin.
pub const UNDERLYINGS: [(&str, UnderlyingId, CurrencyId); 2] =
    [("BTC", UnderlyingId(1), BTC), ("ETH", UnderlyingId(2), ETH)];

/// The operator's commands that put margin into force, in order.
///
/// # Errors
/// None for the names above; the type asks.
pub fn margin_commands(plan: &MarketPlan) -> Result<Vec<Command>, InstrumentError> {
    let haircuts = vec![
        Haircut { currency: BTC, haircut: 50_000 },
        Haircut { currency: ETH, haircut: 80_000 },
    ];
    let terms = VenueTerms {
        grace: GraceTerms { grace_ms: MINUTE_MS / 2, ..GraceTerms::USUAL },
        ..VenueTerms::usual(USDC, haircuts)
    };
    let mut commands = vec![
        Command::Upgrade { rules: MARGIN_RULES },
        Command::SetVenueTerms { terms: Box::new(terms) },
    ];
    for (code, id, base) in UNDERLYINGS {
        let underlying = Box::new(underlying(code, id, base)?);
        commands.push(Command::SetUnderlying { underlying });
    }
    for account in plan.accounts.iter().filter(|account| account.is_maker) {
        let model = MarginModel::Portfolio;
        commands.push(Command::SetMarginModel { account: account.id, model });
    }
    for (currency, amount) in FUND {
        commands.push(Command::FundInsurance { currency, amount });
    }
    Ok(commands)
}

fn underlying(
    code: &str,
    id: UnderlyingId,
    base: CurrencyId,
) -> Result<Underlying, InstrumentError> {
    let symbol = Symbol::new(&format!("{code}-USDC"))?;
    let usual = Underlying::usual(id, symbol, (base, USDC), SOURCES.to_vec());
    let is_ether = base == ETH;
    Ok(Underlying {
        standard: if is_ether { StandardTerms::ETH } else { StandardTerms::BTC },
        portfolio: if is_ether { PortfolioTerms::ETH } else { PortfolioTerms::BTC },
        oracle: OracleRule { volatility_step: 20_000, ..usual.oracle },
        settlement: SettlementTerms {
            window_ms: MINUTE_MS / 2,
            sample_ms: 1_000,
            min_samples: 10,
            funding_interval_ms: 5 * MINUTE_MS,
            ..SettlementTerms::DERIBIT
        },
        breakers: BreakerTerms {
            volatility_rise: 100_000,
            volatility_window_ms: MINUTE_MS,
            cooldown_ms: MINUTE_MS / 4,
            step_ms: MINUTE_MS / 6,
            auction_ms: MINUTE_MS / 6,
            ..BreakerTerms::USUAL
        },
        ..usual
    })
}
