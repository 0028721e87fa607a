//! Reading what a simulation is asked: the shape of Deribit's `private/pme/simulate`.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_quant::portfolio::{EquitySide, NANO, PortfolioParameters};
use evenkeel_quant::scenarios::Settlement;
use serde_json::{Map, Value};

use super::instrument::Instrument;
use super::{MAX_COINS, MAX_PRICE, MAX_VOLATILITY, number};
use crate::report::{Exit, Report, Result};

/// A position of the simulated account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Its name.
    pub name: String,
    /// What the name says.
    pub instrument: Instrument,
    /// Base coins, parts of 10^18; negative: short.
    pub coins: i128,
    /// Mark price: options paid in coin parts of 10^18 of a coin, all others parts of 10^10.
    pub mark: Option<i128>,
    /// Volatility in billionths.
    pub volatility: Option<i128>,
    /// Forward price of an option's expiry, parts of 10^10.
    pub forward: Option<i128>,
}

/// Everything of one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexInput {
    /// Its name, such as `btc_usd`.
    pub name: String,
    /// Price, parts of 10^10.
    pub price: i128,
    /// Its parameters.
    pub parameters: PortfolioParameters,
    /// Its positions.
    pub positions: Vec<Position>,
    /// Reserved beside the risk matrix, parts of 10^18 of the settlement currency.
    pub spot: i128,
    /// For market-maker protection groups.
    pub market_maker: i128,
    /// For resting orders.
    pub open_orders: i128,
}

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// The moment, milliseconds.
    pub now_ms: u64,
    /// Each index with a position, by name.
    pub indices: Vec<IndexInput>,
}

/// A file's document and its name, for messages.
pub(super) struct Document<'a> {
    file: &'a Path,
    root: &'a Map<String, Value>,
}

impl<'a> Document<'a> {
    pub fn new(file: &'a Path, value: &'a Value) -> Result<Self> {
        let Some(root) = value.as_object() else {
            return Err(refusal(file, "is no JSON object", ""));
        };
        Ok(Self { file, root })
    }

    /// Reads all of it.
    pub fn input(&self) -> Result<Input> {
        let general = self.section("general")?;
        let general = Section { document: self, path: "model_params.general".into(), of: general };
        let now_ms = general.of.get("timestamp").and_then(Value::as_u64).ok_or_else(|| {
            self.wrong("model_params.general.timestamp", "milliseconds since 1970")
        })?;
        let mut by_index: BTreeMap<String, Vec<Position>> = BTreeMap::new();
        for (name, coins) in self.object("position")? {
            let position = self.position(name, coins)?;
            by_index.entry(position.instrument.index()).or_default().push(position);
        }
        let count = by_index.len();
        let indices = by_index
            .into_iter()
            .map(|(name, positions)| self.index(name, positions, &general, count));
        Ok(Input { now_ms, indices: indices.collect::<Result<_>>()? })
    }

    fn position(&self, name: &str, coins: &Value) -> Result<Position> {
        let path = format!("position.{name}");
        let Some(instrument) = Instrument::parse(name) else {
            let known = "BTC-PERPETUAL, BTC-28JUN24, BTC-28JUN24-60000-C or BTC_USDC-PERPETUAL";
            return Err(self.wrong(&path, &format!("an instrument such as {known}")));
        };
        let coins = number::parse(coins, 18).filter(|coins| coins.abs() <= MAX_COINS);
        let coins = coins.ok_or_else(|| self.wrong(&path, "a number of coins"))?;
        let is_coin_option =
            instrument.option.is_some() && instrument.settlement == Settlement::Coin;
        let mark_decimals = if is_coin_option { 18 } else { 10 };
        // Volatilities are given in percent, so these are billionths.
        let volatility = self.each("mark_iv", name, 7, MAX_VOLATILITY)?;
        let most = if is_coin_option { MAX_COINS } else { MAX_PRICE };
        let mark = self.each("mark_price", name, mark_decimals, most)?;
        let forward = match instrument.option {
            Some(_) => self.forward(name)?,
            None => None,
        };
        let name = name.to_owned();
        Ok(Position { name, instrument, coins, mark, volatility, forward })
    }

    /// The number that a map has for an instrument.
    fn each(&self, map: &str, name: &str, decimals: u32, most: i128) -> Result<Option<i128>> {
        let Some(value) = self.root.get(map).and_then(|of| of.get(name)) else { return Ok(None) };
        let found = number::parse(value, decimals).filter(|value| (0..=most).contains(value));
        found.map(Some).ok_or_else(|| self.wrong(&format!("{map}.{name}"), "a number, 0 or more"))
    }

    /// The forward of an option's expiry: as given for the option, else the mark of that future.
    fn forward(&self, option: &str) -> Result<Option<i128>> {
        let given = self.each("underlying_price", option, 10, MAX_PRICE)?;
        let future: Vec<&str> = option.splitn(3, '-').take(2).collect();
        let of_future = self.each("mark_price", &future.join("-"), 10, MAX_PRICE)?;
        let forward = given.or(of_future);
        if forward == Some(0) {
            return Err(self.wrong(&format!("underlying_price.{option}"), "above 0"));
        }
        Ok(forward)
    }

    fn index(
        &self,
        name: String,
        positions: Vec<Position>,
        general: &Section<'_>,
        count: usize,
    ) -> Result<IndexInput> {
        let path = "index_price";
        let price = self.root.get(path).ok_or_else(|| self.missing(path))?;
        let price = price.as_object().map_or(Some(price), |of| of.get(&name));
        let price = price.and_then(|value| number::parse(value, 10));
        let price = price.filter(|price| (1..=MAX_PRICE).contains(price));
        let price = price.ok_or_else(|| self.wrong(&format!("index_price ({name})"), "a price"))?;
        if count > 1 && !self.root[path].is_object() {
            let wanted = "an object with a price for each index of the position";
            return Err(self.wrong(path, wanted));
        }
        let (base, quote) = name.split_once('_').unwrap_or((&name, ""));
        let pair = self.section(&name)?;
        let pair = Section { document: self, path: format!("model_params.{name}"), of: pair };
        let currency = self.section(base).or_else(|_| self.section(quote))?;
        let currency =
            Section { document: self, path: format!("model_params.{base}"), of: currency };
        let parameters = parameters(&pair, &currency, general)?;
        if let Err(error) = parameters.check() {
            return Err(refusal(self.file, &error.to_string(), &format!("index {name}")));
        }
        let is_coin =
            positions.first().is_some_and(|of| of.instrument.settlement == Settlement::Coin);
        let paid = if is_coin { base } else { quote };
        let spot = self.reserve("spot_margin", &name, paid, count)?;
        let spot = spot.saturating_add(self.haircut(&parameters, paid)?);
        let market_maker = self.reserve("mmp_margin", &name, paid, count)?;
        let open_orders = self.reserve("open_orders_margin", &name, paid, count)?;
        Ok(IndexInput { name, price, parameters, positions, spot, market_maker, open_orders })
    }

    /// What is reserved: one number, or an object by index or currency; none is 0. A recorded
    /// answer has it among its `margins`.
    fn reserve(&self, key: &str, index: &str, currency: &str, count: usize) -> Result<i128> {
        let recorded = || self.root.get("margins").and_then(|of| of.get(key));
        let Some(value) = self.root.get(key).or_else(recorded) else { return Ok(0) };
        let value = match value.as_object() {
            Some(of) => match of.get(index).or_else(|| of.get(currency)) {
                Some(value) => value,
                None => return Ok(0),
            },
            None if count > 1 => {
                return Err(self.wrong(key, "an object with an amount for each index or currency"));
            }
            None => value,
        };
        let amount = number::parse(value, 18).filter(|amount| (0..=MAX_COINS).contains(amount));
        amount.ok_or_else(|| self.wrong(key, "an amount of 0 or more"))
    }

    /// `haircut` of the equity in the currency, on the side that bears it.
    fn haircut(&self, parameters: &PortfolioParameters, currency: &str) -> Result<i128> {
        let Some(value) = self.root.get("equity").and_then(|of| of.get(currency)) else {
            return Ok(0);
        };
        let equity = number::parse(value, 18).filter(|amount| amount.abs() <= MAX_COINS);
        let equity = equity.ok_or_else(|| self.wrong(&format!("equity.{currency}"), "a number"))?;
        let borne = match parameters.equity_side_impact {
            EquitySide::None => 0,
            EquitySide::Long => equity.max(0),
            EquitySide::Short => (-equity).max(0),
            EquitySide::Both => equity.abs(),
        };
        let one = i128::from(NANO);
        Ok((borne / one) * i128::from(parameters.haircut)
            + ((borne % one) * i128::from(parameters.haircut) + one - 1) / one)
    }

    fn object(&self, key: &str) -> Result<&'a Map<String, Value>> {
        let value = self.root.get(key).ok_or_else(|| self.missing(key))?;
        value.as_object().ok_or_else(|| self.wrong(key, "an object"))
    }

    /// A part of `model_params`, directly in it or, as the API has it, in one of its groups.
    fn section(&self, name: &str) -> Result<&'a Map<String, Value>> {
        let model = self.object("model_params")?;
        let grouped =
            || ["currency_pair", "currency"].iter().find_map(|g| model.get(*g)?.get(name));
        let path = format!("model_params.{name}");
        let value = model.get(name).or_else(grouped).ok_or_else(|| self.missing(&path))?;
        value.as_object().ok_or_else(|| self.wrong(&path, "an object"))
    }

    fn missing(&self, path: &str) -> Report {
        refusal(self.file, &format!("{path} is missing"), "")
    }

    fn wrong(&self, path: &str, wanted: &str) -> Report {
        refusal(self.file, &format!("{path} must be {wanted}"), "")
    }
}

pub(super) fn refusal(file: &Path, what: &str, detail: &str) -> Report {
    let report = Report::new(Exit::Usage, what.to_owned()).at(file.display().to_string());
    let report = if detail.is_empty() { report } else { report.detail(detail) };
    report.safe("nothing was computed").next("see its shape: evenkeel margin simulate --help")
}

/// A part of `model_params`.
struct Section<'a> {
    document: &'a Document<'a>,
    path: String,
    of: &'a Map<String, Value>,
}

impl Section<'_> {
    fn number(&self, key: &str) -> Result<i128> {
        let path = || format!("{}.{key}", self.path);
        let value = self.of.get(key).ok_or_else(|| self.document.missing(&path()))?;
        number::parse(value, 9).ok_or_else(|| self.document.wrong(&path(), "a number"))
    }

    fn number_or(&self, key: &str, default: i128) -> Result<i128> {
        if self.of.contains_key(key) { self.number(key) } else { Ok(default) }
    }

    fn rate(&self, key: &str) -> Result<i64> {
        self.narrow(key, self.number(key)?)
    }

    fn rate_or(&self, key: &str, default: i64) -> Result<i64> {
        self.narrow(key, self.number_or(key, default.into())?)
    }

    fn narrow(&self, key: &str, value: i128) -> Result<i64> {
        let path = || format!("{}.{key}", self.path);
        i64::try_from(value).map_err(|_| self.document.wrong(&path(), "a smaller number"))
    }

    fn count_or(&self, key: &str, default: u64) -> Result<u32> {
        let path = || format!("{}.{key}", self.path);
        let value = self.of.get(key).map_or(Some(default), Value::as_u64);
        let value = value.and_then(|value| u32::try_from(value).ok());
        value.ok_or_else(|| self.document.wrong(&path(), "a whole number"))
    }

    fn side(&self, key: &str) -> Result<EquitySide> {
        let path = || format!("{}.{key}", self.path);
        match self.of.get(key).map(|value| value.as_str().unwrap_or("?")) {
            None | Some("none") => Ok(EquitySide::None),
            Some("long" | "positive") => Ok(EquitySide::Long),
            Some("short" | "negative") => Ok(EquitySide::Short),
            Some("both") => Ok(EquitySide::Both),
            Some(_) => Err(self.document.wrong(&path(), "none, long, short or both")),
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let path = || format!("{}.{key}", self.path);
        let value = self.of.get(key).map_or(Some(false), Value::as_bool);
        value.ok_or_else(|| self.document.wrong(&path(), "true or false"))
    }
}

fn parameters(
    pair: &Section<'_>,
    currency: &Section<'_>,
    general: &Section<'_>,
) -> Result<PortfolioParameters> {
    let published = PortfolioParameters::BTC;
    Ok(PortfolioParameters {
        price_range: pair.rate("price_range")?,
        volatility_range_up: pair.rate("volatility_range_up")?,
        volatility_range_down: pair.rate("volatility_range_down")?,
        short_term_vega_power: pair.rate("short_term_vega_power")?,
        long_term_vega_power: pair.rate("long_term_vega_power")?,
        min_volatility_for_shock_up: pair.rate("min_volatility_for_shock_up")?,
        extended_table_factor: pair.rate_or("extended_table_factor", NANO)?,
        m_inc: pair.rate_or("m_inc", published.m_inc)?,
        max_delta_shock: pair.rate("max_delta_shock")?,
        delta_total_liq_shock_threshold: pair.number("delta_total_liq_shock_threshold")?,
        annualised_move_risk: currency.rate("annualised_move_risk")?,
        min_annualised_move: currency.rate("min_annualised_move")?,
        extended_dampener: currency.number("extended_dampener")?,
        pnl_offset: currency.rate("pnl_offset")?,
        max_offsetable_pnl: currency.number_or("max_offsetable_pnl", 0)?,
        haircut: currency.rate_or("haircut", 0)?,
        equity_side_impact: currency.side("equity_side_impact")?,
        correlation_set: currency.flag("correlation_set")?,
        mm_factor: general.rate("mm_factor")?,
        buckets_count: general.count_or("buckets_count", 4)?,
        vol_scenarios_count: general.count_or("vol_scenarios_count", 3)?,
    })
}
