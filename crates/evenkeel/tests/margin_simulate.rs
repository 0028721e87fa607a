//! `evenkeel margin simulate`, as it is typed.

mod cli_support;
mod replay_support;

use cli_support::{Bench, Said};
use serde_json::{Value, json};

/// Two instruments of the documented example's shape, with rounder numbers.
fn account() -> Value {
    json!({
        "model_params": {
            "btc_usd": {
                "extended_table_factor": 1, "m_inc": 0.00005, "min_volatility_for_shock_up": 0.5,
                "max_delta_shock": 0.1, "delta_total_liq_shock_threshold": 20_000_000,
                "volatility_range_down": 0.25, "volatility_range_up": 0.5,
                "long_term_vega_power": 0.13, "short_term_vega_power": 0.3, "price_range": 0.16
            },
            "btc": {
                "max_offsetable_pnl": 0, "annualised_move_risk": 0.075, "haircut": 0,
                "extended_dampener": 100_000, "min_annualised_move": 0.01,
                "equity_side_impact": "both", "pnl_offset": 0, "correlation_set": false
            },
            "general": {
                "mm_factor": 0.8, "buckets_count": 4, "vol_scenarios_count": 3,
                "timestamp": 1_718_619_740_501_u64
            }
        },
        "position": {"BTC-PERPETUAL": 21},
        "index_price": 50_000,
        "mark_price": {"BTC-PERPETUAL": 50_010.5},
        "something_else": [1, 2, 3]
    })
}

fn simulate(input: &Value) -> Said {
    let bench = Bench::new();
    bench.write("account.json", &input.to_string());
    bench.run("margin simulate --input account.json --json")
}

fn simulated(input: &Value) -> Value {
    let said = simulate(input);
    assert_eq!(said.exit, 0, "{}", said.err);
    said.json()
}

/// The account after a change, simulated.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut input = account();
    change(&mut input);
    simulated(&input)
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().expect("a decimal")
}

fn near(ours: &Value, theirs: &Value, what: &str) {
    let (ours, theirs) = (number(ours), theirs.as_f64().expect("a number"));
    assert!((ours - theirs).abs() <= 1e-9, "{what}: {ours} is not {theirs}");
}

fn all_near(ours: &Value, theirs: &Value, what: &str) {
    let (ours, theirs) = (ours.as_array().expect("ours"), theirs.as_array().expect("theirs"));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        near(ours, theirs, what);
    }
}

#[test]
fn the_documented_example_comes_out_of_its_own_file_to_a_billionth() {
    let Some(file) = replay_support::recorded("deribit_pme_simulate_docs_btc.json") else { return };
    let example: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("readable")).expect("JSON");
    let said = Bench::new().run(&format!("margin simulate --json --input {}", file.display()));
    assert_eq!(said.exit, 0, "{}", said.err);
    let ours = said.json();
    let vectors =
        &example["initial_risk_vectors_by_price_bucket_each_repeated_for_3_vol_scenarios"];
    for (name, theirs) in vectors.as_object().expect("vectors") {
        all_near(&ours["standard_by_bucket"][name], theirs, name);
    }
    for (name, theirs) in example["initial_risk_vectors_extended"].as_object().expect("vectors") {
        all_near(&ours["extended"][name], theirs, name);
    }
    for name in ["aggregated_standard", "aggregated_extended"] {
        all_near(&ours[name], &example[name], name);
    }
    let margins = &example["margins"];
    for (name, theirs) in margins.as_object().expect("margins") {
        if name != "worst_case_index" {
            near(&ours[name], theirs, name);
        }
    }
    assert_eq!(ours["worst_case_index"], margins["worst_case_index"]);
}

#[test]
fn every_parameter_takes_effect() {
    let plain = simulated(&account());
    assert_eq!(plain["worst_case"], "4");
    assert_eq!(plain["risk_matrix_margin"], "4.21");
    assert_eq!(plain["maintenance_margin"], "3.368");
    let pair =
        |key: &str, value: Value| changed(|input| input["model_params"]["btc_usd"][key] = value);
    let currency =
        |key: &str, value: Value| changed(|input| input["model_params"]["btc"][key] = value);
    let general =
        |key: &str, value: Value| changed(|input| input["model_params"]["general"][key] = value);
    assert_eq!(pair("price_range", json!(0.3))["worst_case"], "9");
    assert_eq!(pair("extended_table_factor", json!(0.5))["extended"]["BTC-PERPETUAL"][0], "-2");
    // 21 coins at 50,000 are 50,000 above a threshold of 1,000,000: a coin of excess.
    let shocked = |key: &str, value: f64| {
        changed(|input| {
            input["model_params"]["btc_usd"]["delta_total_liq_shock_threshold"] = json!(1_000_000);
            input["model_params"]["btc_usd"][key] = json!(value);
        })["delta_shock"]
            .clone()
    };
    assert_eq!(shocked("m_inc", 0.0002), "0.0042");
    assert_eq!(shocked("max_delta_shock", 0.00001), "0.00021");
    assert_eq!(currency("min_annualised_move", json!(0.02))["roll_shock"], "0.42");
    let dated = changed(|input| {
        input["model_params"]["btc"]["annualised_move_risk"] = json!(1.0);
        input["position"] = json!({"BTC-17JUN25": 1});
    });
    assert!((number(&dated["roll_shock"]) - 0.9997).abs() < 0.0001, "{}", dated["roll_shock"]);
    let undamped = currency("extended_dampener", json!(0));
    assert_eq!(undamped["aggregated_extended"][0], "-4");
    let offset = currency("pnl_offset", json!(0.5));
    assert_eq!(offset["aggregated_standard"][8], "1.448275862068965517");
    let bounded = changed(|input| {
        input["model_params"]["btc"]["pnl_offset"] = json!(0.5);
        input["model_params"]["btc"]["max_offsetable_pnl"] = json!(50_000);
    });
    assert_eq!(bounded["aggregated_standard"][8], "1");
    assert_eq!(general("mm_factor", json!(0.5))["maintenance_margin"], "2.105");
    let coarse = general("buckets_count", json!(2));
    assert_eq!(coarse["standard_by_bucket"]["BTC-PERPETUAL"].as_array().map(Vec::len), Some(5));
    let single = general("vol_scenarios_count", json!(1));
    assert_eq!(single["worst_case_index"], 0);
    let charged = changed(|input| {
        input["model_params"]["btc"]["haircut"] = json!(0.1);
        input["equity"] = json!({"btc": -3});
    });
    assert_eq!(charged["spot_margin"], "0.3");
}

#[test]
fn options_answer_to_the_volatility_parameters_and_add_up_in_every_scenario() {
    let account = |key: &str, value: f64| {
        changed(|input| {
            input["position"] = json!({
                "BTC-PERPETUAL": 1, "BTC-28JUN24-60000-C": -2, "BTC-27DEC24-40000-P": 1.5,
            });
            input["mark_iv"] = json!({"BTC-28JUN24-60000-C": 55.5, "BTC-27DEC24-40000-P": 62});
            input["model_params"]["btc_usd"][key] = json!(value);
        })
    };
    let plain = account("volatility_range_up", 0.5);
    let vectors = plain["initial_risk_vectors"].as_object().expect("vectors");
    for (part, count) in [("standard", 27), ("extended", 8)] {
        for at in 0..count {
            let sum: f64 = vectors.values().map(|of| number(&of[part][at])).sum();
            let total = number(&plain["pre_aggregated_risk_vectors"][part][at]);
            assert!((sum - total).abs() < 1e-12, "{part} {at}");
        }
    }
    for (key, value) in [
        ("volatility_range_up", 0.9),
        ("volatility_range_down", 0.5),
        ("short_term_vega_power", 0.5),
        ("long_term_vega_power", 0.3),
        ("min_volatility_for_shock_up", 1.5),
    ] {
        let other = account(key, value);
        assert_ne!(other["initial_risk_vectors"], plain["initial_risk_vectors"], "{key}");
    }
}

#[test]
fn a_mark_price_stands_in_for_a_volatility_and_a_future_for_the_forward() {
    let by = |change: &dyn Fn(&mut Value)| {
        changed(|input| {
            input["position"] = json!({"BTC-28JUN24-60000-C": 1});
            change(input);
        })["initial_risk_vectors"]["BTC-28JUN24-60000-C"]
            .clone()
    };
    let by_volatility = by(&|input| {
        input["mark_iv"] = json!({"BTC-28JUN24-60000-C": 60});
        input["underlying_price"] = json!({"BTC-28JUN24-60000-C": 50_500});
    });
    let by_future = by(&|input| {
        input["mark_iv"] = json!({"BTC-28JUN24-60000-C": 60});
        input["mark_price"]["BTC-28JUN24"] = json!(50_500);
    });
    assert_eq!(by_volatility, by_future);
    let by_mark = by(&|input| {
        input["mark_price"]["BTC-28JUN24"] = json!(50_500);
        input["mark_price"]["BTC-28JUN24-60000-C"] = json!("0.0022620030272611302879");
    });
    let off = number(&by_mark["standard"][26]) - number(&by_volatility["standard"][26]);
    assert!(off.abs() < 1e-12, "{off}");
}

#[test]
fn each_index_has_margins_of_its_own_and_a_set_of_them_one_more() {
    let input = |correlated: bool| {
        let mut input = account();
        let model = &mut input["model_params"];
        model["btc"]["correlation_set"] = json!(correlated);
        model["btc"]["pnl_offset"] = json!(1);
        model["eth_usd"] = model["btc_usd"].clone();
        model["eth"] = model["btc"].clone();
        model["btc_usdc"] = model["btc_usd"].clone();
        input["position"] =
            json!({"BTC-PERPETUAL": 21, "ETH-PERPETUAL": -420, "BTC_USDC-PERPETUAL": 1});
        input["index_price"] = json!({"btc_usd": 50_000, "eth_usd": 2_500, "btc_usdc": 50_000});
        input["mark_price"]["BTC_USDC-PERPETUAL"] = json!(50_000);
        input["mmp_margin"] = json!({"btc": 0.5, "eth_usd": 2});
        input
    };
    let apart = simulated(&input(false));
    assert_eq!(apart["worst_case"], Value::Null);
    assert_eq!(apart["correlation"], Value::Null);
    assert_eq!(apart["indices"]["btc_usd"]["worst_case"], "4");
    assert_eq!(apart["indices"]["btc_usd"]["initial_margin"], "4.71");
    assert_eq!(apart["indices"]["eth_usd"]["mmp_margin"], "2");
    assert_eq!(apart["indices"]["btc_usdc"]["worst_case"], "8000");
    assert_eq!(apart["indices"]["btc_usdc"]["mmp_margin"], "0");
    let together = simulated(&input(true));
    let set = &together["correlation"];
    assert_eq!(set["indices"], json!(["btc_usd", "btc_usdc", "eth_usd"]));
    assert!(number(&set["worst_case"]) < number(&set["separate_worst_case"]) / 10.0);
}

#[test]
fn the_grouping_of_the_exchange_itself_and_numbers_in_strings_are_understood() {
    let grouped = changed(|input| {
        let model = input["model_params"].clone();
        input["model_params"] = json!({
            "currency_pair": {"btc_usd": model["btc_usd"]},
            "currency": {"btc": model["btc"]},
            "general": model["general"],
        });
        input["index_price"] = json!({"btc_usd": "50000"});
        input["position"]["BTC-PERPETUAL"] = json!("2.1e1");
    });
    assert_eq!(grouped, simulated(&account()));
}

#[test]
fn what_is_missing_or_malformed_is_named_and_nothing_is_computed() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut input = account();
        change(&mut input);
        let said = simulate(&input);
        assert_eq!((said.exit, said.out.as_str()), (2, ""), "{}", said.err);
        said.err
    };
    let without = |section: &str, key: &str| {
        refused(&|input| {
            input["model_params"][section].as_object_mut().expect("a section").remove(key);
        })
    };
    assert!(
        without("btc_usd", "price_range").contains("model_params.btc_usd.price_range is missing")
    );
    assert!(without("btc", "pnl_offset").contains("model_params.btc.pnl_offset is missing"));
    assert!(without("general", "timestamp").contains("model_params.general.timestamp"));
    let cases: [(&str, &str, Value); 8] = [
        ("/position", "position must be an object", json!(3)),
        ("/position/BTC-PERPETUAL", "position.BTC-PERPETUAL", json!("many")),
        ("/index_price", "index_price", json!(-1)),
        ("/mark_price/BTC-PERPETUAL", "mark_price.BTC-PERPETUAL", json!([])),
        ("/model_params/btc_usd/price_range", "price_range must lie from", json!(1)),
        ("/model_params/general/buckets_count", "buckets_count", json!(2.5)),
        ("/model_params/general/vol_scenarios_count", "vol_scenarios_count (odd)", json!(2)),
        ("/model_params/btc/equity_side_impact", "none, long, short or both", json!("up")),
    ];
    for (pointer, words, value) in cases {
        let said = refused(&|input| *input.pointer_mut(pointer).expect(pointer) = value.clone());
        assert!(said.contains(words), "{pointer}: {said}");
        assert!(said.contains("nothing was computed"), "{said}");
    }
    let unknown = refused(&|input| input["position"] = json!({"BTC-TOMORROW": 1}));
    assert!(unknown.contains("BTC-28JUN24-60000-C"), "{unknown}");
    let unpriced = refused(&|input| input["position"] = json!({"BTC-28JUN24-60000-C": 1}));
    assert!(unpriced.contains("mark_iv") && unpriced.contains("is missing"), "{unpriced}");
    let bench = Bench::new();
    bench.write("broken.json", "{\"position\":");
    let said = bench.run("margin simulate --input broken.json");
    assert!(said.exit == 2 && said.err.contains("broken.json:1:"), "{}", said.err);
    let said = bench.run("margin simulate --input nowhere.json");
    assert!(said.exit == 2 && said.err.contains("no such file"), "{}", said.err);
}

#[test]
fn people_read_each_leg_and_each_part() {
    let bench = Bench::new();
    bench.write("account.json", &account().to_string());
    let said = bench.run("margin simulate --input account.json");
    assert_eq!(said.exit, 0, "{}", said.err);
    for words in ["btc_usd: worst in scenario 1", "BTC-PERPETUAL", "maintenance margin", "3.368"] {
        assert!(said.out.contains(words), "{}", said.out);
    }
    let empty = {
        let mut input = account();
        input["position"] = json!({});
        bench.write("empty.json", &input.to_string());
        bench.run("margin simulate --input empty.json")
    };
    assert!(empty.exit == 0 && empty.out.contains("no position, no margin"), "{}", empty.out);
}
