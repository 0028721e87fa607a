//! The offline program has no network: not in its tree, not in its file, not when it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Packages through which programs of this language reach a network.
const NETWORK: [&str; 23] = [
    "async-std",
    "axum",
    "curl",
    "etcd-client",
    "h2",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "nix",
    "object_store",
    "openssl",
    "quinn",
    "reqwest",
    "rustls",
    "s3s",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tonic",
    "tungstenite",
    "ureq",
];
/// Calls of the system's library through which any program does.
const CALLS: [&str; 9] = [
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "getaddrinfo",
    "sendto",
];

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_evenkeel-offline"))
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    output.unwrap_or_else(|error| panic!("{program} ({error}): cargo xtask setup installs it"))
}

fn tree(package: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-p"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = run(&cargo, &[&arguments[..], &[package]].concat(), folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn of_network(tree: &[String]) -> Vec<&String> {
    tree.iter().filter(|name| NETWORK.contains(&name.as_str())).collect()
}

#[test]
fn no_package_of_its_tree_reaches_a_network() {
    let offline = tree("evenkeel-offline");
    assert!(offline.len() > 30, "{offline:?}");
    assert_eq!(of_network(&offline), Vec::<&String>::new());
    // The whole program's tree has them: the list is of names that are in use.
    assert!(of_network(&tree("evenkeel")).len() > 3);
}

#[test]
fn its_file_asks_the_system_for_no_call_of_a_network() {
    let file = program();
    let output = run("nm", &["-D", "--undefined-only", file.to_str().unwrap()], Path::new("."));
    let text = String::from_utf8(output.stdout).unwrap();
    let calls: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(|name| name.split('@').next().unwrap_or(name))
        .collect();
    assert!(calls.contains(&"open64") || calls.contains(&"open"), "{calls:?}");
    let found: Vec<&&str> = calls.iter().filter(|call| CALLS.contains(call)).collect();
    assert_eq!(found, Vec::<&&str>::new());
}

/// Runs a command under a trace of calls of the network; gives those calls.
fn traced(program: &str, arguments: &[&str], folder: &Path) -> (Output, Vec<String>) {
    let log = folder.join("trace");
    let head = ["-f", "-qq", "-e", "trace=%network", "-e", "signal=none", "-o"];
    let log_name = log.to_str().unwrap();
    let all = [&head[..], &[log_name, program], arguments].concat();
    let output = run("strace", &all, folder);
    let calls = std::fs::read_to_string(&log).unwrap();
    (output, calls.lines().map(str::to_owned).collect())
}

#[test]
fn no_call_of_a_network_is_made_from_the_split_to_the_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let file = program();
    let own = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (output, calls) = traced(file.to_str().unwrap(), &words, folder.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {said}");
        assert_eq!(calls, Vec::<String>::new(), "{line}");
    };
    own("keys slip39 split --groups 2of2 --generate 128 --iteration-exponent 0 --out cards");
    let cards = std::fs::read_dir(folder.path().join("cards")).unwrap();
    let mut cards: Vec<String> = cards
        .map(|entry| format!("cards/{}", entry.unwrap().file_name().into_string().unwrap()))
        .filter(|name| name.ends_with(".txt"))
        .collect();
    cards.sort();
    own(&format!(
        "keys sheet print {} --fingerprint cards/fingerprint.json --format svg --out sheets",
        cards.join(" ")
    ));
    let sheets = std::fs::read_dir(folder.path().join("sheets")).unwrap();
    let mut pictures = Vec::new();
    for (at, sheet) in sheets.enumerate() {
        let picture = format!("{at}.png");
        let sheet = sheet.unwrap().path();
        let drawn = ["-d", "150", "-p", "150", "-o", &picture, sheet.to_str().unwrap()];
        assert!(run("rsvg-convert", &drawn, folder.path()).status.success());
        pictures.push(picture);
    }
    let pictures = pictures.join(" ");
    own(&format!("keys sheet verify {pictures} --fingerprint cards/fingerprint.json"));
    own(&format!("keys sheet scan {pictures} --out words"));
    own("keys slip39 recover --shares words --fingerprint cards/fingerprint.json");
    own("keys qr send words --out film.html");
    // The trace does see such calls where they are made.
    let control = ["-c", "import socket; socket.socket()"];
    let (_, calls) = traced("python3", &control, folder.path());
    assert!(!calls.is_empty());
}

#[test]
fn it_works_where_there_is_no_network_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = program();
    let words = ["-r", "-n", file.to_str().unwrap(), "keys", "generate", "--reveal"];
    let output = run("unshare", &words, folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).split_whitespace().count(), 24);
}
