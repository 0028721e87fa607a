//! Options in the scenarios, against values worked out with 50 digits (mpmath) from the formulas.

mod margin_support;

use evenkeel_quant::black76::Right;
use evenkeel_quant::portfolio::{ATTO, PortfolioParameters};
use evenkeel_quant::scenarios::{FutureLot, Grid, OptionLot, Settlement};
use evenkeel_quant::{Fixed, black76};
use margin_support::{DAY_MS, atto, nano, price};
use proptest::prelude::*;

/// Parts of 10^18 of a coin, or of a price of thousands.
const COIN_TOLERANCE: i128 = 2;
const QUOTE_TOLERANCE: i128 = 5_000;

/// A tenth of a coin's call at 70,000, eleven days before expiry, paid in coin, parameters of BTC.
const NEAR_CALL: [&str; 35] = [
    "-0.002253707659588603",
    "-0.002204884586924127",
    "-0.001485035998229801",
    "-0.002244742833586453",
    "-0.002078459179596218",
    "-0.000897879293478012",
    "-0.002182299654228962",
    "-0.001758968477941141",
    "-0.000051358975603675",
    "-0.001915578551389295",
    "-0.001107412711599313",
    "0.001080733494824425",
    "-0.001164726949490287",
    "0.000000000000000000",
    "0.002500632985840553",
    "0.000328538998795073",
    "0.001615754986697175",
    "0.004186977539028247",
    "0.002578116475659663",
    "0.003695914335187247",
    "0.006099622202034259",
    "0.005334215249893458",
    "0.006120469138614101",
    "0.008186905622346556",
    "0.008277265256983180",
    "0.008740386160063945",
    "0.010393241138271211",
    "-0.000221217736545514",
    "-0.000864533264539329",
    "0.011804984601403488",
    "0.012633111943645714",
    "0.013057619117352694",
    "0.013199126814251355",
    "0.013269880662703480",
    "0.013312332971774755",
];

/// A coin's put at 2,500, ninety days before expiry, paid in quote, parameters of ETH.
const FAR_PUT: [&str; 35] = [
    "114.729619904625237540",
    "146.362997947535839119",
    "243.780897878196378773",
    "55.266183777337753050",
    "86.716573933861469588",
    "185.254788268625873849",
    "17.902512384919136543",
    "44.784050610720312138",
    "137.572892036867006117",
    "-3.065624426169535332",
    "17.150821251122726356",
    "99.447587200621333575",
    "-13.649671331898401209",
    "0.000000000000000000",
    "69.473889063398008068",
    "-18.497824099414091930",
    "-10.078771630958613052",
    "46.262037675076645449",
    "-20.532045647696928375",
    "-15.716767823005203942",
    "28.526461002425236653",
    "-21.321066542420068566",
    "-18.734440370339504693",
    "15.135491860535228878",
    "-21.606412834156734367",
    "-20.287314484507754140",
    "5.130543656412304427",
    "397.709102050639280075",
    "286.961481264207072814",
    "-6.935658374272609469",
    "-3.905587239906819246",
    "-1.957320465941245612",
    "-1.304881887366716698",
    "-0.978661416740306094",
    "-0.782929133394173491",
];

/// Of the four vectors below, and the deltas of the two options.
const GOLDEN: ([u64; 4], i128, i128) = (
    [0xbcfe_9388_c5af_446c, 0x3b6b_9939_710a_6d2a, 0xf847_93a7_7f7a_0be9, 0x4fd7_5041_296b_0775],
    36_275_109_960_338_209,
    -97_079_547_892_583_185,
);

fn near_call() -> OptionLot {
    OptionLot {
        settlement: Settlement::Coin,
        right: Right::Call,
        coins: ATTO / 10,
        forward: price("67371.75"),
        strike: price("70000"),
        volatility: Fixed::ratio(55, 100),
        left_ms: 958_740_099,
    }
}

fn far_put() -> OptionLot {
    OptionLot {
        settlement: Settlement::Quote,
        right: Right::Put,
        coins: ATTO,
        forward: price("3000"),
        strike: price("2500"),
        volatility: Fixed::ratio(30, 100),
        left_ms: 90 * DAY_MS,
    }
}

fn grid(parameters: &PortfolioParameters) -> Grid {
    Grid::new(parameters).expect("valid parameters")
}

fn assert_near(ours: &[i128], theirs: &[&str], tolerance: i128) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let off = (ours - atto(theirs)).abs();
        assert!(off <= tolerance, "scenario {at}: {ours} is not {theirs}, off by {off}");
    }
}

#[test]
fn each_scenario_of_an_option_is_the_formula_to_the_last_digits() {
    let (call, _) = grid(&PortfolioParameters::BTC).option(&near_call());
    assert_near(&call, &NEAR_CALL, COIN_TOLERANCE);
    let (put, _) = grid(&PortfolioParameters::ETH).option(&far_put());
    assert_near(&put, &FAR_PUT, QUOTE_TOLERANCE);
}

/// A number that changes with any bit of a vector (FNV-1a over its bytes).
fn bits(vector: &[i128]) -> u64 {
    let bytes = vector.iter().flat_map(|value| value.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn every_bit_is_what_it_was() {
    let btc = grid(&PortfolioParameters::BTC);
    let (call, call_delta) = btc.option(&near_call());
    let (put, put_delta) = grid(&PortfolioParameters::ETH).option(&far_put());
    let coin = FutureLot { settlement: Settlement::Coin, coins: atto("0.314538364"), price: 0 };
    let quote = FutureLot { settlement: Settlement::Quote, price: price("67371.75"), ..coin };
    let found = [bits(&call), bits(&put), bits(&btc.future(&coin)), bits(&btc.future(&quote))];
    assert_eq!((found, call_delta, put_delta), GOLDEN);
}

#[test]
fn nothing_moved_is_nothing_gained() {
    let (vector, _) = grid(&PortfolioParameters::BTC).option(&near_call());
    assert_eq!(vector[13], 0);
    assert!(vector[12] < 0 && vector[14] > 0, "volatility down, then unchanged, then up");
}

#[test]
fn an_option_without_time_is_worth_what_it_would_pay() {
    let (vector, delta) =
        grid(&PortfolioParameters::BTC).option(&OptionLot { left_ms: 0, ..near_call() });
    // At +16 % the call pays 1 − 70,000 / 78,151.23 of a coin, whatever the volatility.
    assert_eq!(vector[24..27], [atto("0.010430072565716496"); 3]);
    assert_eq!(delta, 0);
    assert!(vector[..12].iter().all(|result| *result == 0));
}

#[test]
fn the_least_volatility_holds_only_upward() {
    let calm = OptionLot { volatility: Fixed::ratio(10, 100), ..near_call() };
    let vector = |floor: &str| {
        let set = PortfolioParameters {
            min_volatility_for_shock_up: nano(floor),
            ..PortfolioParameters::BTC
        };
        grid(&set).option(&calm).0
    };
    let (low, high) = (vector("0"), vector("0.5"));
    for scenario in 0..27 {
        let is_up = scenario % 3 == 2;
        assert_eq!(low[scenario] != high[scenario], is_up, "scenario {scenario}");
    }
    assert!(high[14] > low[14]);
}

#[test]
fn a_fall_of_volatility_beyond_all_of_it_leaves_the_intrinsic_value() {
    let set =
        PortfolioParameters { volatility_range_down: nano("0.9"), ..PortfolioParameters::BTC };
    let soon = OptionLot { left_ms: DAY_MS, ..near_call() };
    let total = black76::total_volatility(
        soon.volatility,
        Fixed::ratio(i128::from(DAY_MS), 365 * 86_400_000),
    );
    let worth = black76::unit_price(
        soon.right,
        evenkeel_quant::Moneyness::new(soon.forward, soon.strike),
        total,
    );
    // Out of the money all of its value is gone.
    assert!(worth > 0);
    assert_eq!(grid(&set).option(&soon).0[12], -((worth + 5) / 10));
}

#[test]
fn five_columns_lie_half_way_between_the_three() {
    let set = PortfolioParameters { vol_scenarios_count: 5, ..PortfolioParameters::BTC };
    let (five, _) = grid(&set).option(&near_call());
    let (three, _) = grid(&PortfolioParameters::BTC).option(&near_call());
    assert_eq!(five.len(), 9 * 5 + 8);
    for bucket in 0..9 {
        let (wide, narrow) = (&five[5 * bucket..][..5], &three[3 * bucket..][..3]);
        assert_eq!([wide[0], wide[2], wide[4]], narrow);
        assert!(wide.is_sorted());
    }
    assert_eq!(five[45..], three[27..]);
}

fn any_option() -> impl Strategy<Value = OptionLot> {
    let prices = (20_000i128..120_000, 50i128..200);
    let terms = (1i128..300, 1u64..800, 1i128..50);
    (prices, terms).prop_map(|((forward, percent), (volatility, days, tenths))| OptionLot {
        settlement: Settlement::Coin,
        right: Right::Call,
        coins: tenths * ATTO / 10,
        forward: forward * evenkeel_quant::portfolio::PRICE_ONE,
        strike: forward * percent * evenkeel_quant::portfolio::PRICE_ONE / 100,
        volatility: Fixed::ratio(volatility, 100),
        left_ms: days * DAY_MS,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_call_less_a_put_is_a_future_in_every_scenario(call in any_option()) {
        let grid = grid(&PortfolioParameters::BTC);
        for settlement in [Settlement::Coin, Settlement::Quote] {
            let call = OptionLot { settlement, ..call };
            let put = OptionLot { right: Right::Put, ..call };
            // In coin the pair is worth 1 − K/F: it gains K/F of what a coin-settled future gains.
            let coins = match settlement {
                Settlement::Coin => Fixed::ratio(call.strike, call.forward).times(call.coins),
                Settlement::Quote => call.coins,
            };
            let future = grid.future(&FutureLot { settlement, coins, price: call.forward });
            let ((calls, call_delta), (puts, put_delta)) = (grid.option(&call), grid.option(&put));
            let tolerance = match settlement {
                Settlement::Coin => 500,
                Settlement::Quote => 50_000_000,
            };
            for at in 0..35 {
                let off = calls[at] - puts[at] - future[at];
                prop_assert!(off.abs() <= tolerance, "{settlement:?} scenario {at}: {off}");
            }
            prop_assert!((call_delta - put_delta - call.coins).abs() <= 2);
        }
    }

    #[test]
    fn results_are_convex_in_the_price_and_rise_with_volatility(call in any_option()) {
        let grid = grid(&PortfolioParameters::BTC);
        let linear = OptionLot { settlement: Settlement::Quote, ..call };
        let (vector, _) = grid.option(&linear);
        // Rounding of a price in the tens of thousands.
        let slack = 10_000_000;
        for column in 0..3 {
            for bucket in 1..8 {
                let at = |bucket: usize| vector[3 * bucket + column];
                prop_assert!(at(bucket - 1) + at(bucket + 1) + slack >= 2 * at(bucket));
            }
        }
        for bucket in 0..9 {
            let row = &vector[3 * bucket..][..3];
            prop_assert!(row[0] <= row[1] + slack && row[1] <= row[2] + slack);
        }
    }

    #[test]
    fn the_owner_of_an_option_can_lose_what_it_is_worth_and_no_more(call in any_option()) {
        let grid = grid(&PortfolioParameters::BTC);
        let at = evenkeel_quant::Moneyness::new(call.forward, call.strike);
        let years = Fixed::ratio(call.left_ms.into(), 365 * i128::from(DAY_MS));
        for right in [Right::Call, Right::Put] {
            let total = black76::total_volatility(call.volatility, years);
            let worth = Fixed::ratio(black76::unit_price(right, at, total), ATTO).times(call.coins);
            let (vector, _) = grid.option(&OptionLot { right, ..call });
            prop_assert!(vector[..27].iter().all(|result| *result >= -worth - 1));
        }
    }
}
