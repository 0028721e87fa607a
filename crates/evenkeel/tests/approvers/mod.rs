//! Three approvers as they come: a key in a file, a group that signs by a threshold, a wallet.
#![allow(dead_code, reason = "each test program uses its share of this")]

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use evenkeel_custody::wallet::{personal_hash, signer};
use k256::ecdsa::SigningKey;
use serde_json::Value;

use crate::common::power_loss::build_from;
use crate::common::{Rig, Said};

/// Holders of the group.
pub const PEOPLE: [&str; 3] = ["ada", "bob", "cem"];
const WALLET: [u8; 32] = [0x42; 32];

/// A home `h` of files with approvers, and a clock that tests can set.
pub struct Desk {
    pub rig: Rig,
    pub file: String,
    pub group: String,
    pub wallet: String,
    signed: Cell<u32>,
    /// Which domain the words are about, as the command line says it.
    pub domain: Cell<&'static str>,
}

/// Steps a ceremony until its key is in force.
pub fn found_group(rig: &Rig, curve: &str, people: [&str; 3], table: &str) {
    for who in people {
        rig.ok(&format!("keys group enroll --name {who} --place {who}-safe --holder {who}"));
    }
    let enrolments: String =
        people.iter().map(|who| format!(" --enrolment {who}/enrolment.txt")).collect();
    rig.ok(&format!("keys group plan --table {table} --curve {curve} --threshold 2{enrolments}"));
    for _ in 0..6 {
        for who in people {
            rig.run(&format!("keys group step --table {table} --holder {who}"));
        }
    }
    both_sign(rig, table, [people[0], people[1]]);
    for who in people {
        rig.ok(&format!("keys group step --table {table} --holder {who}"));
    }
}

/// Two sign at the same time, each in a process of its own.
pub fn both_sign(rig: &Rig, table: &str, signers: [&str; 2]) {
    let spawn = |who: &str| {
        let mut command = rig.command(&format!("keys group sign --table {table} --holder {who}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in signers.map(spawn) {
        let said = Said::of(&child.wait_with_output().unwrap());
        assert_eq!(said.exit, 0, "{said:?}");
    }
}

/// A wallet's signature of a personal message, as wallets print it.
pub fn wallet_signs(text: &str) -> String {
    let key = SigningKey::from_slice(&WALLET).unwrap();
    let (signature, id) = key.sign_prehash_recoverable(&personal_hash(text.as_bytes()));
    let digits: String = signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}{:02x}", 27 + id.to_byte())
}

/// The same key through a library of others: ethereumjs, which comes with the EVM nodes of the
/// network's tests (`cargo xtask setup`).
pub fn ethereumjs_signs(text: &str) -> String {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap();
    let library = cache.join("evenkeel-tools/hardhat/node_modules/@ethereumjs/util");
    assert!(library.exists(), "cargo xtask setup installs {}", library.display());
    let program = "const u = require(process.argv[1]); \
        const hash = u.hashPersonalMessage(Buffer.from(process.argv[2])); \
        const s = u.ecsign(hash, Buffer.from('42'.repeat(32), 'hex')); \
        console.log(u.toRPCSig ? u.toRPCSig(s.v, s.r, s.s) : u.toRpcSig(s.v, s.r, s.s));";
    let mut node = Command::new("node");
    let said = node.args(["-e", program]).arg(library).arg(text).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn wallet_address() -> String {
    let signature = wallet_signs("who");
    let bytes: Vec<u8> = (2..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
        .collect();
    signer(&personal_hash(b"who"), &bytes.try_into().unwrap()).unwrap().to_string()
}

impl Desk {
    /// All three of them are needed, and there is a day to object.
    pub fn new(kinds: &[&str]) -> Self {
        let rig = Rig::new();
        let library = build_from("common/clock.c", &rig.beside("."));
        let clock = rig.beside("clock").display().to_string();
        let rig = rig
            .with("LD_PRELOAD", &library.display().to_string())
            .with("EVENKEEL_CLOCK_FILE", &clock);
        fs::write(&clock, "0").unwrap();
        found_group(&rig, "ed25519", PEOPLE, "founding");
        let group = rig.ok("keys group verify --holder ada --json").json();
        let desk = Self {
            file: rig.ok("prune key --out file.key").out.trim().to_owned(),
            group: group["group_key_hex"].as_str().unwrap().to_owned(),
            wallet: wallet_address(),
            rig,
            signed: Cell::new(0),
            domain: Cell::new(""),
        };
        desk.rig.ok("init --home h");
        desk.with_rules(kinds);
        desk
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.rig.path("h/evenkeel.toml")).unwrap()
    }

    pub fn set_config(&self, text: &str) {
        fs::write(self.rig.path("h/evenkeel.toml"), text).unwrap();
    }

    pub fn list(&self) -> String {
        format!("[\"{}\", \"{}\", \"{}\"]", self.file, self.group, self.wallet)
    }

    fn with_rules(&self, kinds: &[&str]) {
        let named = format!("approvers = {}", self.list());
        let mut text = self.config().replace("approvers = []", &named);
        for kind in kinds {
            text.push_str(&format!(
                "\n[approvals.{kind}]\napprovers = {}\nneeded = 3\ndelay_hours = 24\n\
                 expires_hours = 96\n",
                self.list()
            ));
        }
        self.set_config(&text);
    }

    pub fn publish(&self) {
        self.rig.ok("approvals publish --home h --identity h/recovery-identity.txt");
    }

    /// Hours later than now.
    pub fn later(&self, hours: u32) {
        fs::write(self.rig.beside("clock"), format!("{}", u64::from(hours) * 3600)).unwrap();
    }

    /// What `command` asks a wallet, a token or a group to sign; and when that is.
    fn message(&self, command: &str, id: &str, approver: &str, cancel: bool) -> (String, String) {
        let option = if command == "prune" { "plan" } else { "action" };
        let cancel = if cancel { " --cancel" } else { "" };
        let said = self.rig.ok(&format!(
            "{command} message --home h{} --{option} {id} --approver {approver}{cancel} --json",
            self.domain.get()
        ));
        let document: Value = said.json();
        let text = document["message"].as_str().unwrap().to_owned();
        assert!(text.contains(id) && text.ends_with('\n'), "{text}");
        (text, document["message_time"].as_str().unwrap().to_owned())
    }

    fn say(&self, command: &str, word: &str, id: &str, how: &str) -> Value {
        let option = if command == "prune" { "plan" } else { "action" };
        let domain = self.domain.get();
        let line = format!("{command} {word} --home h{domain} --{option} {id} {how} --json");
        let said = self.rig.ok(&line);
        said.json()
    }

    pub fn by_file(&self, command: &str, word: &str, id: &str) -> Value {
        self.say(command, word, id, "--key file.key")
    }

    pub fn by_wallet(&self, command: &str, word: &str, id: &str) -> Value {
        self.by_wallet_with(wallet_signs, (command, word, id))
    }

    /// The wallet signs by other means.
    pub fn by_wallet_with(
        &self,
        sign: fn(&str) -> String,
        (command, word, id): (&str, &str, &str),
    ) -> Value {
        let (text, time) = self.message(command, id, &self.wallet, word == "cancel");
        let signature = sign(&text);
        let how = format!("--approver {} --time {time} --signature {signature}", self.wallet);
        self.say(command, word, id, &how)
    }

    pub fn by_group(&self, command: &str, word: &str, id: &str) -> Value {
        let (text, time) = self.message(command, id, &self.group, word == "cancel");
        let number = self.signed.get();
        self.signed.set(number + 1);
        let (file, table) = (format!("text-{number}"), format!("signing-{number}"));
        fs::write(self.rig.path(&file), text).unwrap();
        self.rig.ok(&format!(
            "keys group request --table {table} --record ada/record.txt --message {file} \
             --signers 2,3"
        ));
        both_sign(&self.rig, &table, ["bob", "cem"]);
        let how =
            format!("--approver {} --time {time} --signature {table}/signature.txt", self.group);
        self.say(command, word, id, &how)
    }

    /// All three of them.
    pub fn all_approve(&self, command: &str, id: &str) -> Value {
        self.by_file(command, "approve", id);
        self.by_group(command, "approve", id);
        self.by_wallet(command, "approve", id)
    }

    /// Proposes what `line` does; gives the action's name.
    pub fn propose(&self, line: &str) -> String {
        let said = self.rig.ok(&format!("{line} --propose the-host-died --json"));
        let action = said.json()["actions"][0].clone();
        assert_eq!(action["why"], "the-host-died", "{action}");
        action["id"].as_str().unwrap().to_owned()
    }
}
