use std::path::Path;

use super::environment::{Variable, known_keys};
use super::*;
use crate::report::{Exit, Report};

fn parse(text: &str) -> Result<Config, Report> {
    Config::parse(text, Path::new("/etc/evenkeel/evenkeel.toml"), &[])
}

fn with(name: &str, value: &str) -> Result<Config, Report> {
    let variable = Variable { name: name.to_owned(), value: value.to_owned() };
    Config::parse(REFERENCE, Path::new("/etc/evenkeel/evenkeel.toml"), &[variable])
}

/// The reference with its examples switched on.
fn examples() -> String {
    let example = |line: &str| {
        let rest = line.strip_prefix('#')?;
        rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()).then(|| rest.to_owned())
    };
    REFERENCE.lines().map(|line| example(line).unwrap_or(line.to_owned()) + "\n").collect()
}

#[test]
fn the_reference_file_says_the_defaults_and_nothing_else() {
    let reference: Config = toml::from_str(REFERENCE).unwrap();
    let defaults = Config::default();
    assert_eq!(reference.host, defaults.host);
    assert_eq!(reference.venue, defaults.venue);
    assert_eq!(reference.journal, defaults.journal);
    assert_eq!(reference.recovery, defaults.recovery);
    assert_eq!(reference.files, defaults.files);
    assert_eq!(reference.network, defaults.network);
    assert_eq!(reference.drill, defaults.drill);
    assert_eq!(reference.alerts, defaults.alerts);
    assert_eq!(reference.dashboard, defaults.dashboard);
    assert_eq!(reference.demo, defaults.demo);
    assert_eq!(reference.link, defaults.link);
    assert_eq!(reference.standby, defaults.standby);
    assert_eq!(reference.quorum, defaults.quorum);
    assert_eq!(reference.clients, defaults.clients);
    assert_eq!(reference.deletion, defaults.deletion);
    let state = reference.domains.state.unwrap();
    let default = DomainConfig::default();
    assert_eq!(state.data_shards, default.data_shards);
    assert_eq!(state.key_period_hours, default.key_period_hours);
    assert_eq!(state.sites.len(), reference.sites.len());
}

#[test]
fn the_reference_file_names_every_key_there_is() {
    let table: toml::Table = toml::from_str(&examples()).unwrap();
    for key in known_keys() {
        let mut at = Some(&toml::Value::Table(table.clone())).cloned();
        for part in key.path.split('.') {
            at = at.and_then(|value| match value {
                toml::Value::Array(items) => items.iter().find_map(|item| item.get(part)).cloned(),
                value => value.get(part).cloned(),
            });
        }
        let offline = key.path.starts_with("domains.keys.");
        assert!(at.is_some() || offline, "{} is missing in the reference", key.path);
    }
}

#[test]
fn the_examples_in_the_reference_are_a_configuration_too() {
    let config: Config = toml::from_str(&examples()).unwrap();
    assert!(config.domains.network.is_some() && config.domains.keys.is_some());
    assert!(config.dashboard.token_file.is_some());
}

#[test]
fn an_unknown_key_is_refused_with_file_line_column_and_the_nearest_name() {
    let cases = [
        ("[journal]\nsegmnt_bytes = 1\n", ":2:1", "did you mean `segment_bytes`?"),
        ("\n\n[dashbord]\nbind = \"off\"\n", ":3:2", "did you mean `dashboard`?"),
        ("[recovery]\n  tail_interval = 5\n", ":2:3", "did you mean `tail_interval_ms`?"),
        ("[journal]\nbind = \"off\"\n", ":2:1", "`bind` belongs to [dashboard]"),
        ("[[sites]]\nname=\"a\"\npath=\"b\"\noperater=\"c\"\n", ":4:1", "did you mean `operator`?"),
        ("[domains.stat]\n", ":1:10", "did you mean `state`?"),
        ("[domains.state]\nroot_key = \"x\"\n", ":2:1", "did you mean `root_public_key`?"),
        ("[drill]\nlevel = \"D5\"\n", ":2:9", "possible here: D1, D2, D3, D4"),
        ("[[sites]]\nname=\"a\"\npath=\"b\"\nclass = \"mutabel\"\n", ":4:9", "`mutable`?"),
    ];
    for (text, place, words) in cases {
        let report = parse(text).unwrap_err();
        assert_eq!(report.exit(), Exit::Usage);
        let shown = report.to_string();
        assert!(shown.contains(&format!("evenkeel.toml{place}")), "{text}\n{shown}");
        assert!(shown.contains(words), "{text}\n{shown}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused_where_they_stand() {
    for (text, place) in [
        ("[venue]\nseed = \"one\"\n", ":2:8"),
        ("[venue]\nseed = -1\n", ":2:8"),
        ("[dashboard]\nbind = \"localhost\"\n", ":2:8"),
        ("[venue\nseed = 1\n", ":1:7"),
        ("[venue]\nseed = 1\nseed = 2\n", ":3:1"),
        ("[[sites]]\npath = \"x\"\n", ":1:1"),
    ] {
        let shown = parse(text).unwrap_err().to_string();
        assert!(shown.contains(&format!("evenkeel.toml{place}")), "{text}\n{shown}");
    }
}

#[test]
fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
    let text = "[host]\n# AGE-SECRET-KEY-1QQQQQQQ\n";
    let shown = parse(text).unwrap_err().to_string();
    assert!(shown.contains("evenkeel.toml:2"), "{shown}");
    assert!(!shown.contains("QQQQ"), "{shown}");
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parse(REFERENCE).unwrap();
    assert_eq!(config.host.data, Path::new("/etc/evenkeel/host"));
    assert_eq!(config.sites[1].path, Path::new("/etc/evenkeel/sites/site-b"));
    assert_eq!(config.journal_dir(), Path::new("/etc/evenkeel/host/journal"));
    let absolute = parse("[host]\ndata = \"/var/lib/evenkeel\"\n").unwrap();
    assert_eq!(absolute.host.data, Path::new("/var/lib/evenkeel"));
}

#[test]
fn the_environment_overrides_the_file() {
    assert_eq!(with("EVENKEEL_VENUE_SEED", "7").unwrap().venue.seed, 7);
    let off = with("EVENKEEL_DASHBOARD_BIND", "off").unwrap();
    assert_eq!(off.dashboard.bind, DashboardBind(None));
    let data = with("EVENKEEL_HOST_DATA", "elsewhere").unwrap().host.data;
    assert_eq!(data, Path::new("/etc/evenkeel/elsewhere"));
    let sites = with("EVENKEEL_DOMAINS_STATE_SITES", "site-a, site-b,site-c").unwrap();
    assert_eq!(sites.domains.state.unwrap().sites, ["site-a", "site-b", "site-c"]);
}

#[test]
fn a_bad_value_or_a_misspelt_variable_in_the_environment_is_named() {
    for (name, value, words) in [
        ("EVENKEEL_VENUE_SEED", "seven", "a whole number"),
        ("EVENKEEL_DASHBOARD_BIND", "7171", "127.0.0.1:7171"),
        ("EVENKEEL_DASHBOARD_BNID", "off", "did you mean EVENKEEL_DASHBOARD_BIND?"),
        ("EVENKEEL_VENU_SEED", "1", "did you mean EVENKEEL_VENUE_SEED?"),
        ("EVENKEEL_DOMAINS_NETWORK_DATA_SHARDS", "2", "no [domains.network]"),
    ] {
        let shown = with(name, value).unwrap_err().to_string();
        assert!(shown.contains(name) && shown.contains(words), "{shown}");
    }
    with("EVENKEEL_TEST_WITHOUT_SYNC", "1").unwrap();
}

#[test]
fn what_config_show_prints_reads_back_as_the_same_configuration() {
    let config = parse(&examples()).unwrap();
    let again = parse(&config.to_toml().unwrap()).unwrap();
    assert_eq!(again, config);
    let json = config.to_json().unwrap();
    assert_eq!(json["message_type"], "config");
    assert_eq!(json["dashboard"]["bind"], "127.0.0.1:7171");
}

#[test]
fn an_empty_file_is_all_defaults_and_protects_nothing() {
    let config = parse("").unwrap();
    assert_eq!(config.venue, VenueConfig::default());
    let findings = config.check();
    assert!(findings.iter().any(|finding| {
        finding.severity == Severity::Refused && finding.message.contains("nothing would be")
    }));
}
