//! Standard margin: each position by its own formula (Deribit's, every rate a parameter).
//!
//! All results are parts of 10^18 of the settlement currency and rounded up, against the account.

use crate::black76::Right;
use crate::portfolio::{ATTO, NANO, PRICE_ONE};
use crate::ratio::{Rounding, mul_div};
use crate::scenarios::Settlement;

/// Rates of one index, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardParameters {
    /// Initial margin of futures at size zero.
    pub future_initial: i64,
    /// Maintenance margin of futures at size zero.
    pub future_maintenance: i64,
    /// Added to both per base coin of position.
    pub future_slope: i64,
    /// Highest initial rate of a short option, before what it is out of the money is taken off.
    pub option_initial: i64,
    /// Lowest initial rate of a short option.
    pub option_initial_floor: i64,
    /// Maintenance rate of a short option.
    pub option_maintenance: i64,
}

impl StandardParameters {
    /// Futures 2 % and 1 %, and 0.005 % per coin; options 15 %, 10 % and 7.5 %.
    pub const BTC: Self = Self {
        future_initial: 20_000_000,
        future_maintenance: 10_000_000,
        future_slope: 50_000,
        option_initial: 150_000_000,
        option_initial_floor: 100_000_000,
        option_maintenance: 75_000_000,
    };
    /// As for BTC, but 0.0004 % per coin.
    pub const ETH: Self = Self { future_slope: 4_000, ..Self::BTC };
    /// Futures 4 % and 2 %, and 0.0005 % per coin.
    pub const SOL: Self = Self {
        future_initial: 40_000_000,
        future_maintenance: 20_000_000,
        future_slope: 5_000,
        ..Self::BTC
    };
}

/// What a position needs, in parts of 10^18 of its settlement currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requirement {
    /// To open it.
    pub initial: i128,
    /// To keep it.
    pub maintenance: i128,
}

impl StandardParameters {
    /// Margin of a future or perpetual: `coins · (rate + slope · coins)`, of linear ones times the
    /// mark. `coins` is the position in base coin (either sign), parts of 10^18; `mark` parts of
    /// 10^10.
    #[must_use]
    pub fn future(&self, settlement: Settlement, coins: i128, mark: i128) -> Requirement {
        let coins = coins.saturating_abs();
        let value = match settlement {
            Settlement::Coin => coins,
            Settlement::Quote => mul_div(coins, mark, PRICE_ONE, Rounding::Ceiling),
        };
        let slope = mul_div(coins, self.future_slope.into(), ATTO, Rounding::Ceiling);
        let of = |rate: i64| {
            let rate = i128::from(rate).saturating_add(slope);
            mul_div(value, rate, NANO.into(), Rounding::Ceiling)
        };
        Requirement { initial: of(self.future_initial), maintenance: of(self.future_maintenance) }
    }

    /// Margin of an option position. A long one needs none: it was paid for, and can lose no more.
    ///
    /// Per coin short, with `U` the underlying's price and rates `r`: call `IM = max(0.15 −
    /// OTM/U, 0.1) + mark`, `MM = 0.075 + mark`; put `MM = max(0.075, 0.075 · mark) + mark`, `IM =
    /// max(max(0.15 − OTM/U, 0.1) + mark, MM)`. Linear options: the rates times `U`.
    #[must_use]
    pub fn option(&self, option: &OptionPosition) -> Requirement {
        if option.coins >= 0 || option.underlying <= 0 {
            return Requirement::default();
        }
        let per_coin = self.option_per_coin(option);
        let coins = option.coins.saturating_abs();
        let of = |one: i128| mul_div(one, coins, ATTO, Rounding::Ceiling);
        Requirement { initial: of(per_coin.initial), maintenance: of(per_coin.maintenance) }
    }

    fn option_per_coin(&self, option: &OptionPosition) -> Requirement {
        let underlying = option.underlying;
        let otm = match option.right {
            Right::Call => option.strike - underlying,
            Right::Put => underlying - option.strike,
        };
        // In settlement currency per coin: a share of the coin, or that share of its price.
        let of_rate = |rate: i64| match option.settlement {
            Settlement::Coin => i128::from(rate) * (ATTO / i128::from(NANO)),
            Settlement::Quote => {
                let to_atto = ATTO / PRICE_ONE;
                let rate = i128::from(rate) * to_atto;
                mul_div(underlying, rate, NANO.into(), Rounding::Ceiling)
            }
        };
        let otm = match option.settlement {
            Settlement::Coin => mul_div(otm.max(0), ATTO, underlying, Rounding::Floor),
            Settlement::Quote => otm.max(0).saturating_mul(ATTO / PRICE_ONE),
        };
        let floor = of_rate(self.option_initial_floor);
        let initial = of_rate(self.option_initial).saturating_sub(otm).max(floor);
        let mut kept = of_rate(self.option_maintenance);
        if option.right == Right::Put {
            let rate = i128::from(self.option_maintenance);
            kept = kept.max(mul_div(option.mark, rate, NANO.into(), Rounding::Ceiling));
        }
        let maintenance = kept.saturating_add(option.mark);
        let initial = initial.saturating_add(option.mark);
        // Only the put's formula says so, but no rate can make it wrong for a call.
        Requirement { initial: initial.max(maintenance), maintenance }
    }
}

/// An option position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionPosition {
    /// What it is paid in.
    pub settlement: Settlement,
    /// Call or put.
    pub right: Right,
    /// Position in base coin, parts of 10^18; negative: short.
    pub coins: i128,
    /// Price of the underlying, parts of 10^10.
    pub underlying: i128,
    /// Strike, parts of 10^10.
    pub strike: i128,
    /// Mark price of one coin's option in settlement currency, parts of 10^18.
    pub mark: i128,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COIN: i128 = ATTO;
    const DOLLAR: i128 = PRICE_ONE;

    fn parts(text: &str) -> i128 {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{rest:0<18}").parse().expect("a decimal")
    }

    fn short(right: Right, strike: i128, mark: &str) -> OptionPosition {
        OptionPosition {
            settlement: Settlement::Coin,
            right,
            coins: -COIN,
            underlying: 50_000 * DOLLAR,
            strike: strike * DOLLAR,
            mark: parts(mark),
        }
    }

    fn needs(position: &OptionPosition) -> (i128, i128) {
        let needed = StandardParameters::BTC.option(position);
        (needed.initial, needed.maintenance)
    }

    #[test]
    fn a_short_call_needs_less_the_further_it_is_out_of_the_money_but_never_below_a_tenth() {
        assert_eq!(needs(&short(Right::Call, 50_000, "0.04")), (parts("0.19"), parts("0.115")));
        assert_eq!(needs(&short(Right::Call, 51_000, "0.04")), (parts("0.17"), parts("0.115")));
        assert_eq!(needs(&short(Right::Call, 80_000, "0.01")), (parts("0.11"), parts("0.085")));
        assert_eq!(needs(&short(Right::Call, 40_000, "0.22")), (parts("0.37"), parts("0.295")));
    }

    #[test]
    fn a_short_put_keeps_a_share_of_its_mark_once_that_exceeds_a_coin() {
        assert_eq!(needs(&short(Right::Put, 45_000, "0.02")), (parts("0.12"), parts("0.095")));
        // A mark of 3 coins: 7.5 % of it are 0.225, and the initial margin is lifted to that.
        assert_eq!(needs(&short(Right::Put, 200_000, "3")), (parts("3.225"), parts("3.225")));
    }

    #[test]
    fn a_linear_option_needs_the_same_shares_of_the_price() {
        let call =
            OptionPosition { settlement: Settlement::Quote, ..short(Right::Call, 51_000, "2000") };
        assert_eq!(needs(&call), (parts("8500"), parts("5750")));
    }

    #[test]
    fn a_long_option_needs_nothing() {
        let long = OptionPosition { coins: COIN, ..short(Right::Call, 50_000, "0.04") };
        assert_eq!(needs(&long), (0, 0));
    }

    #[test]
    fn a_future_needs_more_per_coin_the_more_coins_it_has() {
        let btc = StandardParameters::BTC;
        let inverse = |size| btc.future(Settlement::Coin, size, 0);
        // 100 coins: 2 % + 0.5 % and 1 % + 0.5 %.
        let expected = Requirement { initial: parts("2.5"), maintenance: parts("1.5") };
        assert_eq!(inverse(100 * COIN), expected);
        assert_eq!(inverse(-100 * COIN), expected);
        let linear = btc.future(Settlement::Quote, 100 * COIN, 50_000 * DOLLAR);
        assert_eq!(linear.initial, parts("125000"));
        let sol = StandardParameters::SOL.future(Settlement::Coin, 1_000 * COIN, 0);
        assert_eq!(sol, Requirement { initial: parts("45"), maintenance: parts("25") });
        let eth = StandardParameters::ETH.future(Settlement::Coin, 1_000 * COIN, 0);
        assert_eq!(eth, Requirement { initial: parts("24"), maintenance: parts("14") });
    }
}
