use std::fs;
use std::path::PathBuf;

use evenkeel_vault::{Identity, OsRandom, RecoveryIdentity};

use super::*;
use crate::config::{
    DashboardBind, DomainConfig, DrillLevel, FollowMode, GatewayConfig, SiteConfig, SlashingConfig,
};
use crate::init::{InitOptions, init_home};

struct Home {
    _folder: tempfile::TempDir,
    path: PathBuf,
    config: Config,
}

/// A laid-out home with domain `state`.
fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    let config = init_home(&path, &InitOptions::default()).unwrap();
    Home { _folder: folder, path, config }
}

/// The same with a second domain `network` that shares nothing with the first.
fn two_domains() -> Home {
    let mut home = home();
    let keys = home.path.join("host/keys/network");
    fs::create_dir(&keys).unwrap();
    let file = |name: &str| {
        let file = keys.join(name);
        fs::write(&file, format!("network {name}")).unwrap();
        file
    };
    let recovery = RecoveryIdentity::generate("network", &mut OsRandom).unwrap();
    home.config.domains.network = Some(DomainConfig {
        sites: vec!["net-a".into(), "net-b".into(), "net-c".into()],
        data_shards: 2,
        recipients: vec![recovery.recipient().to_string()],
        root_public_key: recovery.root_public().to_string(),
        writer_key_file: file("writer.key"),
        writer_certificate_file: file("writer.certificate"),
        chunk_id_key_file: file("chunk-id.key"),
        key_period_hours: 12,
        holders: Vec::new(),
    });
    for name in ["net-a", "net-b", "net-c"] {
        let path = home.path.join("network-sites").join(name);
        home.config.sites.push(SiteConfig { name: name.into(), path, ..SiteConfig::default() });
    }
    home
}

fn network(home: &mut Home) -> &mut DomainConfig {
    home.config.domains.network.as_mut().unwrap()
}

fn state(home: &mut Home) -> &mut DomainConfig {
    home.config.domains.state.as_mut().unwrap()
}

/// The start is refused with exit 2, by this rule, naming all of these.
fn assert_refused(home: &Home, rule: &str, named: &[&str]) {
    let report = home.config.refuse().unwrap_err();
    assert_eq!(report.exit(), Exit::Usage);
    let found: Vec<Finding> = home
        .config
        .check()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Refused && finding.rule == rule)
        .collect();
    let names_all = |finding: &Finding| named.iter().all(|name| finding.message.contains(name));
    assert!(found.iter().any(names_all), "{rule} {named:?}\n{report}");
    assert!(named.iter().all(|name| report.to_string().contains(name)), "{report}");
}

fn assert_warned(home: &Home, rule: &str, named: &[&str]) {
    let warnings = home.config.refuse().unwrap();
    let names_all = |finding: &&Finding| {
        finding.rule == rule && named.iter().all(|name| finding.message.contains(name))
    };
    assert!(warnings.iter().any(|finding| names_all(&finding)), "{rule} {named:?} {warnings:?}");
}

#[test]
fn two_domains_that_share_nothing_are_accepted() {
    two_domains().config.refuse().unwrap();
}

#[test]
fn a_shared_recipient_refuses_and_names_both_domains() {
    let mut home = two_domains();
    let shared = state(&mut home).recipients[1].clone();
    network(&mut home).recipients.push(shared.clone());
    assert_refused(&home, "shared-key", &["`state`", "`network`", "recipients", &shared[..16]]);
}

#[test]
fn a_shared_root_key_refuses_even_in_capitals() {
    let mut home = two_domains();
    let shared = state(&mut home).root_public_key.to_uppercase();
    network(&mut home).root_public_key = shared;
    assert_refused(&home, "shared-key", &["`state`", "`network`", "root_public_key"]);
}

#[test]
fn every_key_file_shared_by_value_refuses_under_whatever_name() {
    let files: [fn(&mut DomainConfig) -> &mut PathBuf; 3] = [
        |domain| &mut domain.writer_key_file,
        |domain| &mut domain.writer_certificate_file,
        |domain| &mut domain.chunk_id_key_file,
    ];
    for file in files {
        let mut home = two_domains();
        let original = file(state(&mut home)).clone();
        let copy = file(network(&mut home)).clone();
        let mut content = fs::read(&original).unwrap();
        content.push(b'\n');
        fs::write(copy, content).unwrap();
        assert_refused(&home, "shared-key", &["`state`", "`network`", "_file"]);
    }
}

#[test]
fn a_key_used_for_two_purposes_by_two_domains_refuses() {
    let mut home = two_domains();
    let key = state(&mut home).writer_key_file.clone();
    network(&mut home).chunk_id_key_file = key;
    assert_refused(&home, "shared-key", &["state.writer_key_file", "network.chunk_id_key_file"]);
}

#[test]
fn the_keys_domain_shares_no_recipient_either() {
    let mut home = two_domains();
    let recipients = network(&mut home).recipients.clone();
    home.config.domains.keys = Some(DomainConfig {
        recipients,
        root_public_key: "ab".repeat(32),
        ..DomainConfig::default()
    });
    assert_refused(&home, "shared-key", &["`network`", "`keys`"]);
}

#[test]
fn a_shared_credential_refuses_and_names_both_domains_and_sites() {
    let mut home = two_domains();
    for (name, site) in [("one", 0), ("two", 5)] {
        let file = home.path.join(name);
        fs::write(&file, "token 1").unwrap();
        home.config.sites[site].credential_file = Some(file);
    }
    let named = ["`state`", "`network`", "`site-a`", "`net-a`"];
    assert_refused(&home, "shared-credential", &named);
}

#[test]
fn a_site_written_by_two_domains_refuses() {
    let mut home = two_domains();
    network(&mut home).sites[0] = "site-a".to_owned();
    assert_refused(&home, "shared-credential", &["`state`", "`network`", "`site-a`"]);
}

#[test]
fn one_sites_folder_inside_anothers_refuses_also_behind_a_link() {
    let mut home = two_domains();
    let inside = home.config.sites[0].path.join("state");
    home.config.sites[5].path = inside;
    let named = ["`site-a`", "`net-a`", "`state`", "`network`"];
    assert_refused(&home, "shared-prefix", &named);
    let link = home.path.join("link");
    std::os::unix::fs::symlink(&home.config.sites[1].path, &link).unwrap();
    home.config.sites[5].path = link;
    assert_refused(&home, "shared-prefix", &["`site-b`", "`net-a`"]);
}

#[test]
fn a_site_inside_the_protected_machines_folder_refuses() {
    let mut home = home();
    home.config.sites[0].path = home.config.host.data.join("backup");
    assert_refused(&home, "shared-prefix", &["host.data", "`site-a`"]);
}

#[test]
fn keys_on_an_online_site_refuse_naming_both() {
    let mut home = two_domains();
    home.config.domains.keys = Some(DomainConfig {
        sites: vec!["site-a".to_owned()],
        recipients: vec![Identity::generate().recipient().to_string()],
        root_public_key: "ab".repeat(32),
        ..DomainConfig::default()
    });
    assert_refused(&home, "keys-online", &["`keys`", "`site-a`"]);
    home.config.domains.keys.as_mut().unwrap().sites.clear();
    home.config.refuse().unwrap();
}

#[test]
fn a_misspelt_site_and_a_site_named_twice_refuse() {
    let mut home = home();
    state(&mut home).sites[0] = "site-B".to_owned();
    assert_refused(&home, "site", &["`site-B`"]);
    assert!(home.config.refuse().unwrap_err().to_string().contains("did you mean `site-b`?"));
    state(&mut home).sites[0] = "site-b".to_owned();
    assert_refused(&home, "site", &["`site-b` twice"]);
}

#[test]
fn layouts_that_cannot_be_refuse_and_one_without_spare_warns() {
    let mut home = home();
    for (data_shards, refused) in [(0, true), (6, true), (5, false)] {
        state(&mut home).data_shards = data_shards;
        match refused {
            true => assert_refused(&home, "layout", &["data_shards"]),
            false => assert_warned(&home, "layout", &["all 5 sites are needed"]),
        }
    }
}

#[test]
fn values_beyond_their_limits_refuse() {
    let mut home = home();
    state(&mut home).key_period_hours = 25;
    assert_refused(&home, "limit", &["state.key_period_hours = 25"]);
    state(&mut home).key_period_hours = 24;
    home.config.journal.batch_max_entries = 0;
    assert_refused(&home, "limit", &["journal.batch_max_entries = 0"]);
    home.config.journal.batch_max_entries = 1;
    state(&mut home).recipients[0].push('q');
    assert_refused(&home, "limit", &["domains.state.recipients"]);
}

#[test]
fn a_dashboard_that_others_can_reach_needs_a_token() {
    let mut home = home();
    home.config.dashboard.bind = DashboardBind(Some("0.0.0.0:7171".parse().unwrap()));
    assert_refused(&home, "dashboard", &["0.0.0.0:7171"]);
    let token = home.path.join("token");
    home.config.dashboard.token_file = Some(token.clone());
    assert_refused(&home, "missing", &["dashboard.token_file"]);
    fs::write(&token, "secret").unwrap();
    home.config.refuse().unwrap();
}

#[test]
fn what_is_missing_is_named() {
    let mut home = home();
    let key = state(&mut home).writer_key_file.clone();
    fs::remove_file(key).unwrap();
    assert_refused(&home, "missing", &["domains.state.writer_key_file"]);
    state(&mut home).recipients.clear();
    assert_refused(&home, "missing", &["domains.state.recipients"]);
}

#[test]
fn a_key_kept_only_inside_what_it_opens_is_a_circle() {
    let mut home = home();
    let inside = home.config.sites[2].path.join("drill-identity.txt");
    fs::rename(&home.config.drill.identity_file, &inside).unwrap();
    home.config.drill.identity_file = inside;
    assert_refused(&home, "circle", &["drill.identity_file", "`site-c`"]);
}

#[test]
fn the_drill_hosts_identity_in_the_protected_folder_refuses() {
    let mut home = home();
    home.config.drill.identity_file = home.config.host.data.join("drill-identity.txt");
    assert_refused(&home, "drill-identity", &["drill.identity_file", "host.data"]);
}

#[test]
fn a_scheduled_drill_with_the_recovery_identity_refuses() {
    let mut home = home();
    home.config.drill.level = DrillLevel::D4;
    assert_refused(&home, "drill", &["D4"]);
}

#[test]
fn a_fresh_home_is_told_plainly_what_it_does_not_protect_from() {
    let home = home();
    assert_warned(&home, "not-theft-proof", &["0 of 5 sites", "3 are needed"]);
    assert_warned(&home, "falls-together", &["operator `this machine`", "site-e", "only 2"]);
    assert_warned(&home, "falls-together", &["jurisdiction `here`"]);
    assert_warned(&home, "falls-together", &["filesystem"]);
    assert_warned(&home, "recovery-identity", &["recovery-identity.txt"]);
    assert_warned(&home, "drill-identity", &["drill-identity.txt"]);
    fs::remove_file(home.config.recovery_identity_file()).unwrap();
    let warnings = home.config.refuse().unwrap();
    assert!(warnings.iter().all(|finding| finding.rule != "recovery-identity"), "{warnings:?}");
}

#[test]
fn a_key_file_that_others_can_read_and_a_slow_tail_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let mut home = home();
    let key = state(&mut home).writer_key_file.clone();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_warned(&home, "permissions", &["writer_key_file"]);
    home.config.recovery.tail_interval_ms = 5_000;
    assert_warned(&home, "rpo", &["5000"]);
}

#[test]
fn a_door_for_other_machines_has_to_let_somebody_in_and_to_be_found() {
    let gateway = |name: &str, digit: &str| GatewayConfig {
        name: name.to_owned(),
        certificate_sha256: digit.repeat(64),
        operates: false,
    };
    let mut home = home();
    home.config.clients.gateways = vec![gateway("desk", "a")];
    assert_warned(&home, "clients", &["clients.listen is not set"]);
    home.config.clients.listen = Some(([127, 0, 0, 1], 7173).into());
    home.config.refuse().unwrap();
    home.config.clients.gateways.push(gateway("desk", "b"));
    assert_refused(&home, "clients", &["\"desk\"", "there twice"]);
    home.config.clients.gateways[1] = gateway("office", "A");
    assert_refused(&home, "clients", &["\"office\"", "certificate of another client"]);
    home.config.clients.gateways[1] = gateway("office", "x");
    assert_refused(&home, "clients", &["\"office\"", "no SHA-256"]);
    home.config.clients.gateways.clear();
    assert_refused(&home, "clients", &["127.0.0.1:7173", "lets nobody in"]);
    home.config.clients.gateways = vec![gateway("desk", "a")];
    home.config.standby.mode = FollowMode::Quorum;
    home.config.clients.listen = Some(([127, 0, 0, 1], 0).into());
    assert_refused(&home, "clients", &["clients.advertise", "is not HOST:PORT"]);
    assert_refused(&home, "clients", &["no fixed port"]);
    home.config.clients.advertise = format!("{}:1", "h".repeat(300));
    assert_refused(&home, "clients", &["too long for the shared log"]);
}

#[test]
fn a_signing_history_needs_a_plain_name_and_one_source() {
    let mut home = home();
    let one = |name: &str| SlashingConfig {
        name: name.to_owned(),
        file: Some("/srv/interchange.json".into()),
        ..SlashingConfig::default()
    };
    home.config.slashing = vec![one("validators")];
    home.config.refuse().unwrap();
    home.config.slashing.push(one("validators"));
    assert_refused(&home, "slashing", &["two [[slashing]]", "`validators`"]);
    home.config.slashing = vec![one("../validators")];
    assert_refused(&home, "slashing", &["`../validators`"]);
    home.config.slashing = vec![SlashingConfig { command: vec!["x".into()], ..one("both") }];
    assert_refused(&home, "slashing", &["`both`", "either file or command"]);
    home.config.slashing = vec![SlashingConfig { epoch_seconds: 0, ..one("odd") }];
    assert_refused(&home, "slashing", &["`odd`", "cannot be"]);
}

#[test]
fn a_document_of_the_network_without_a_domain_is_probed_and_not_protected() {
    let mut home = home();
    home.config.network.document = "/srv/network.toml".into();
    assert_warned(&home, "network", &["probed and not protected"]);
    let mut home = two_domains();
    home.config.network.document = "/srv/network.toml".into();
    home.config.network.timeout_seconds = 0;
    assert_refused(&home, "timeout", &["network.timeout_seconds = 0"]);
}
