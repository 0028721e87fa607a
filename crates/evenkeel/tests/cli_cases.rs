//! The command line as data: what is typed, how it exits, what is said and where.

mod cli_support;

use std::io::Read;
use std::process::Stdio;

use cli_support::{Bench, Said, contents};

/// What is typed in a folder with a home `h`, and what must come of it.
struct Case {
    typed: &'static str,
    environment: &'static [(&'static str, &'static str)],
    exit: i32,
    /// All of these on stdout; nothing at all if empty and the exit is not 0.
    out: &'static [&'static str],
    /// All of these on stderr.
    err: &'static [&'static str],
}

const CASE: Case = Case { typed: "", environment: &[], exit: 0, out: &[], err: &[] };

const CASES: &[Case] = &[
    Case { typed: "--version", out: &["evenkeel 0."], ..CASE },
    Case { typed: "", exit: 2, err: &["Usage: evenkeel <COMMAND>", "doctor"], ..CASE },
    Case { typed: "--help", out: &["10  nothing there yet", "130  interrupted"], ..CASE },
    Case {
        typed: "confg show",
        exit: 2,
        err: &["unrecognized subcommand 'confg'", "similar", "'config'"],
        ..CASE
    },
    Case { typed: "doctor --hom h", exit: 2, err: &["'--hom'", "'--home'"], ..CASE },
    Case {
        typed: "config show --home h --config h/evenkeel.toml",
        exit: 2,
        err: &["cannot be used with"],
        ..CASE
    },
    Case {
        typed: "config show --home nowhere",
        exit: 10,
        err: &["no configuration yet", "nowhere/evenkeel.toml", "evenkeel up --home nowhere"],
        ..CASE
    },
    Case {
        typed: "config show --config h",
        exit: 2,
        err: &["no configuration file", "--config DIR/evenkeel.toml"],
        ..CASE
    },
    Case { typed: "config show --home h", out: &["[host]", "bind = \"off\""], ..CASE },
    Case {
        typed: "config show",
        environment: &[("EVENKEEL_HOME", "h")],
        out: &["[journal]"],
        ..CASE
    },
    Case {
        typed: "config show",
        environment: &[("EVENKEEL_CONFIG", "h/evenkeel.toml"), ("EVENKEEL_HOME", "nowhere")],
        out: &["[journal]"],
        ..CASE
    },
    Case {
        typed: "config show --home h",
        environment: &[("EVENKEEL_CONFIG", "nowhere"), ("EVENKEEL_VENUE_SEED", "77")],
        out: &["seed = 77"],
        ..CASE
    },
    Case {
        typed: "config show --home h",
        environment: &[("EVENKEEL_DASHBORD_BIND", "off")],
        exit: 2,
        err: &["EVENKEEL_DASHBORD_BIND", "did you mean EVENKEEL_DASHBOARD_BIND?"],
        ..CASE
    },
    Case { typed: "config show --reference", out: &["# How many reports stay."], ..CASE },
    Case {
        typed: "config show --environment",
        out: &["EVENKEEL_DASHBOARD_BIND", "dashboard.bind"],
        ..CASE
    },
    Case {
        typed: "config check --home h",
        out: &["not-theft-proof", "recovery-identity", "ok: 0 refused"],
        ..CASE
    },
    Case {
        typed: "init --home h",
        exit: 1,
        err: &["not empty", "recovery-identity.txt", "left untouched", "evenkeel up --home h"],
        ..CASE
    },
    Case {
        typed: "init --home h/evenkeel.toml",
        exit: 1,
        err: &["cannot make the folder", "h/evenkeel.toml"],
        ..CASE
    },
    Case {
        typed: "init --home /proc/evenkeel",
        exit: 1,
        err: &["cannot make the folder", "/proc/evenkeel"],
        ..CASE
    },
    Case { typed: "status --home nowhere", exit: 10, err: &["no configuration yet"], ..CASE },
    Case {
        typed: "up --config nowhere/evenkeel.toml",
        exit: 10,
        err: &["no configuration yet"],
        ..CASE
    },
    Case {
        typed: "up --home h --rate 0",
        exit: 2,
        err: &["invalid value '0' for '--rate <N>'"],
        ..CASE
    },
    Case {
        typed: "up --home h --dashboard localhost",
        exit: 2,
        err: &["`localhost` is neither an address", "127.0.0.1:7171"],
        ..CASE
    },
    Case {
        typed: "drill --home h --level D9",
        exit: 2,
        err: &["invalid value 'D9'", "D1, D2, D3, D4"],
        ..CASE
    },
    Case { typed: "restore --home h --to new", exit: 2, err: &["--identity <FILE>"], ..CASE },
    Case {
        typed: "restore --home h --to new --identity i --at-time yesterday",
        exit: 2,
        err: &["`yesterday` is no time such as 2026-02-03T07:00:00Z"],
        ..CASE
    },
    Case {
        typed: "restore --to n --identity i --at-time 2026-02-03T07:00:00Z --at-position 4",
        exit: 2,
        err: &["cannot be used with"],
        ..CASE
    },
    Case {
        typed: "replay nowhere.csv --format orderflow-csv",
        exit: 1,
        err: &["nowhere.csv", "nothing was applied"],
        ..CASE
    },
    Case {
        typed: "journal verify --home h",
        exit: 10,
        err: &["no journal here yet", "h/host/journal", "evenkeel restore"],
        ..CASE
    },
    Case { typed: "journal hashes --dir h/sites", exit: 10, err: &["no journal"], ..CASE },
    Case {
        typed: "journal hashes --home h --from 5 --to 4",
        exit: 2,
        err: &["--from is behind --to"],
        ..CASE
    },
    Case { typed: "journal hashes --from x", exit: 2, err: &["invalid value 'x'"], ..CASE },
    Case { typed: "sites list --home h", out: &["site-e", "mutable", "unknown"], ..CASE },
    Case { typed: "sites probe --home h", out: &["site-e", "kept", "also replace"], ..CASE },
    Case { typed: "completions bash", out: &["complete -F _evenkeel"], ..CASE },
    Case { typed: "completions fish", out: &["complete -c evenkeel"], ..CASE },
    Case { typed: "completions cobol", exit: 2, err: &["invalid value 'cobol'"], ..CASE },
    Case { typed: "man", out: &[".TH", "evenkeel"], ..CASE },
];

#[test]
fn every_case_exits_and_speaks_as_written() {
    let bench = Bench::with_home();
    for case in CASES {
        let said = bench.run_with(case.typed, case.environment);
        let shown =
            format!("evenkeel {}\n--- out\n{}\n--- err\n{}", case.typed, said.out, said.err);
        assert_eq!(said.exit, case.exit, "{shown}");
        for words in case.out {
            assert!(said.out.contains(words), "{words:?} is not on stdout\n{shown}");
        }
        for words in case.err {
            assert!(said.err.contains(words), "{words:?} is not on stderr\n{shown}");
        }
        if case.exit != 0 {
            assert!(said.out.is_empty(), "a failure has no result\n{shown}");
        }
    }
}

#[test]
fn with_json_every_failure_is_one_line_of_json_on_stderr() {
    let bench = Bench::with_home();
    for (typed, exit) in [
        ("config show --home nowhere --json", 10),
        ("init --home h --json", 1),
        ("journal inspect --home h --json", 10),
        ("frobnicate --json", 2),
    ] {
        let said = bench.run(typed);
        assert_eq!((said.exit, said.out.as_str()), (exit, ""), "{typed}");
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        let document: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(document["message_type"], "error");
        assert_eq!(document["exit_code"], exit);
        for field in ["message", "safe", "next"] {
            assert!(document[field].is_string(), "{typed}: {field}");
        }
        assert_ne!(document["next"], "", "{typed}");
    }
}

#[test]
fn with_json_every_result_is_one_document_with_its_type() {
    let bench = Bench::with_home();
    for (typed, kind) in [
        ("init --home other --json", "init"),
        ("config show --home h --json", "config"),
        ("config check --home h --json", "config_check"),
        ("sites list --home h --json", "sites"),
        ("sites probe --home h --json", "sites"),
        ("doctor --home h --json", "doctor"),
    ] {
        let said = bench.run(typed);
        assert_eq!(said.json()["message_type"], kind, "{typed}");
    }
}

/// Changes the home's configuration and gives what `config check` then says.
fn check_with(bench: &Bench, change: impl Fn(&str) -> String) -> Said {
    let text = bench.read("h/evenkeel.toml");
    bench.write("h/changed.toml", &change(&text));
    bench.run("config check --config h/changed.toml")
}

#[test]
fn an_unknown_key_names_file_line_column_and_the_nearest_name() {
    let bench = Bench::with_home();
    let said = check_with(&bench, |text| text.replace("segment_bytes", "segment_byte"));
    assert_eq!(said.exit, 2);
    let line = bench.read("h/changed.toml").lines().position(|l| l.starts_with("segment_byte "));
    let place = format!("h/changed.toml:{}:1", line.unwrap() + 1);
    for words in ["unknown key `segment_byte` in [journal]", &place, "`segment_bytes`?"] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
}

#[test]
fn domains_that_share_a_key_or_put_keys_online_are_refused_by_name() {
    let bench = Bench::with_home();
    let said = check_with(&bench, |text| {
        let state: toml::Table = toml::from_str(text).unwrap();
        let recipient = state["domains"]["state"]["recipients"][0].as_str().unwrap();
        format!("{text}\n[domains.keys]\nsites = [\"site-b\"]\nrecipients = [\"{recipient}\"]\n")
    });
    assert_eq!(said.exit, 2, "{}", said.err);
    for words in ["domains `state` and `keys` share a key", "names the online site `site-b`"] {
        assert!(said.out.contains(words), "{words}\n{}", said.out);
    }
    assert!(said.out.trim_end().ends_with("warnings"), "{}", said.out);
}

#[test]
fn a_second_init_changes_no_byte() {
    let bench = Bench::with_home();
    let before = contents(&bench.path("h"));
    assert_eq!(bench.run("init --home h").exit, 1);
    assert_eq!(contents(&bench.path("h")), before);
}

#[test]
fn reading_commands_change_no_byte_of_a_home() {
    let bench = Bench::with_home();
    let before = contents(&bench.path("h"));
    for typed in ["config show", "config check", "sites list", "sites probe", "doctor"] {
        bench.run(&format!("{typed} --home h"));
    }
    assert_eq!(contents(&bench.path("h")), before);
}

#[test]
fn no_secret_is_ever_printed() {
    let bench = Bench::with_home();
    let secrets: Vec<String> = contents(&bench.path("h"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_none_or(|kind| kind != "toml"))
        .flat_map(|(_, content)| {
            let text = String::from_utf8(content).unwrap();
            let secret = |line: &&str| !line.starts_with('#') && line.len() > 40;
            text.lines().filter(secret).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(secrets.len(), 11, "two in the recovery file, one in each of nine others");
    for typed in ["config show", "config show --json", "config check", "doctor", "sites list"] {
        let said = bench.run(&format!("{typed} --home h"));
        for secret in &secrets {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{typed}");
        }
    }
}

#[test]
fn lost_sites_are_counted_against_k() {
    let bench = Bench::with_home();
    for (gone, exit) in [("site-a", 3), ("site-c", 3), ("site-e", 21)] {
        std::fs::remove_dir_all(bench.path("h/sites").join(gone)).unwrap();
        for command in ["list", "probe"] {
            let said = bench.run(&format!("sites {command} --home h --json"));
            assert_eq!(said.exit, exit, "{gone} {command}");
            let site = said.json()["sites"][usize::from(gone.as_bytes()[5] - b'a')].clone();
            assert_eq!(site["name"], gone);
            assert_eq!(site["state"], "down");
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let bench = Bench::with_home();
    for typed in ["config show --reference", "completions zsh", "config check --home h", "--help"] {
        let mut child =
            bench.command(typed).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = child.wait().unwrap();
        assert!(!err.contains("panicked") && !err.contains("mistake"), "{typed}: {err}");
        assert_eq!(status.code(), Some(0), "{typed}: {err}");
    }
}

#[test]
fn a_closed_stderr_changes_neither_result_nor_exit_code() {
    let bench = Bench::with_home();
    for (typed, exit) in [("config show --home nowhere", 10), ("init --home new", 0)] {
        let mut child =
            bench.command(typed).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(exit), "{typed}");
    }
}

#[test]
fn a_full_device_under_the_result_is_an_error_and_not_silence() {
    let bench = Bench::with_home();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bench.command("config show --home h").stdout(full).output().unwrap();
    let said = Said::of(&output);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("standard output"), "{}", said.err);
}

#[test]
fn every_command_has_a_manual_page_with_an_example_and_its_exit_codes() {
    let bench = Bench::new();
    assert_eq!(bench.run("man --out pages").exit, 0);
    let mut pages = 0;
    for (path, page) in contents(&bench.path("pages")) {
        let page = String::from_utf8(page).unwrap();
        let group = page.contains("SUBCOMMAND") || page.contains("Exit codes of every command");
        assert!(group || page.contains("Example:"), "{}", path.display());
        assert!(group || page.contains("Exit codes:"), "{}", path.display());
        pages += 1;
    }
    assert!(pages > 12, "{pages}");
}

#[test]
fn the_documentation_lists_every_exit_code_variable_and_command() {
    let text = include_str!("../../../docs/cli.md");
    for (exit, meaning) in evenkeel::report::Exit::ALL {
        let line = format!("| {} | {meaning} |", exit.code());
        assert!(text.contains(&line), "docs/cli.md lacks: {line}");
    }
    for (variable, key) in evenkeel::config::environment_keys() {
        let line = format!("| `{variable}` | `{key}` |");
        assert!(text.contains(&line), "docs/cli.md lacks: {line}");
    }
    for command in evenkeel::cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(text.contains(&format!("evenkeel {name}")), "docs/cli.md lacks: {name}");
    }
}
