//! The reference implementation beside ours: the same policies, split by one and recovered by the
//! other.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use evenkeel_custody::slip39::{GroupPolicy, Policy, Share, SplitOptions, recover, split};
use serde_json::{Value, json};

use crate::support::Seeded;

/// A running Python with the package.
pub struct Reference {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What came of trials.
#[derive(Debug, Default)]
pub struct Tally {
    pub ours_by_them: u32,
    pub theirs_by_us: u32,
    pub cards: u64,
    pub disagreements: Vec<String>,
}

impl Reference {
    /// Unpacks the published wheel into `folder` and starts Python on it.
    pub fn start(wheel: &Path, folder: &Path) -> Result<Self, String> {
        let unpacked = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([wheel, folder])
            .status()
            .map_err(|error| format!("python3 could not be started: {error}"))?;
        if !unpacked.success() {
            return Err(format!("{} was not unpacked: {unpacked}", wheel.display()));
        }
        let mut child = Command::new("python3")
            .args(["-c", include_str!("reference.py")])
            .env("PYTHONPATH", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3 could not be started: {error}"))?;
        let requests = child.stdin.take();
        let answers = child.stdout.take().map(BufReader::new).ok_or("no pipe")?;
        Ok(Self { child, requests, answers })
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let requests = self.requests.as_mut().ok_or("the reference is gone")?;
        writeln!(requests, "{request}").map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }

    /// One random policy both ways. Which exponent is the caller's to choose.
    pub fn try_one(
        &mut self,
        random: &mut Seeded,
        iteration_exponent: u8,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let policy = policy(random);
        let secret_bytes = [16, 16, 32, 32, 20, 64][usize::from(random.between(0, 5))];
        let secret = random.bytes(secret_bytes);
        let passphrase_bytes = usize::from(random.between(0, 24));
        let passphrase: Vec<u8> = (0..passphrase_bytes).map(|_| random.between(32, 126)).collect();
        let extendable = random.between(0, 1) == 1;
        let options = SplitOptions { iteration_exponent, extendable, identifier: None };
        let label = format!("{policy}, {options:?}, {secret_bytes} bytes");
        tally.cards += 2 * u64::try_from(policy.card_count()).unwrap_or_default();

        let cards = split(&policy, &secret, &passphrase, options, random)
            .map_err(|error| format!("{label}: {error}"))?;
        let ours: Vec<Vec<String>> = cards
            .iter()
            .map(|group| group.iter().map(|card| card.mnemonic().to_string()).collect())
            .collect();
        let answer = self.ask(&json!({
            "do": "recover",
            "mnemonics": quorum(&policy, &ours, random),
            "passphrase_hex": hex(&passphrase),
        }))?;
        if answer["secret_hex"] == hex(&secret) {
            tally.ours_by_them += 1;
        } else {
            tally.disagreements.push(format!("split here, recovered there: {label}: {answer}"));
        }

        let groups: Vec<[u8; 2]> =
            policy.groups.iter().map(|group| [group.threshold, group.count]).collect();
        let answer = self.ask(&json!({
            "do": "split",
            "group_threshold": policy.group_threshold,
            "groups": groups,
            "secret_hex": hex(&secret),
            "passphrase_hex": hex(&passphrase),
            "extendable": extendable,
            "iteration_exponent": iteration_exponent,
        }))?;
        match theirs_by_us(&answer, &policy, &passphrase, random) {
            Ok(recovered) if recovered == hex(&secret) => tally.theirs_by_us += 1,
            other => {
                let said = format!("split there, recovered here: {label}: {other:?}");
                tally.disagreements.push(said);
            }
        }
        Ok(())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It ends when there is nothing more to read.
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}

fn theirs_by_us(
    answer: &Value,
    policy: &Policy,
    passphrase: &[u8],
    random: &mut Seeded,
) -> Result<String, String> {
    let groups: Vec<Vec<String>> =
        serde_json::from_value(answer["groups"].clone()).map_err(|_| answer.to_string())?;
    // The cards needed, and sometimes all of them.
    let chosen =
        if random.between(0, 3) == 0 { groups.concat() } else { quorum(policy, &groups, random) };
    let cards: Result<Vec<Share>, _> = chosen.iter().map(|text| Share::parse(text)).collect();
    let cards = cards.map_err(|error| error.to_string())?;
    let recovered = recover(&cards, passphrase).map_err(|error| error.to_string())?;
    Ok(hex(recovered.secret.reveal()))
}

/// Any policy that both accept.
fn policy(random: &mut Seeded) -> Policy {
    let most = if random.between(0, 9) == 0 { 16 } else { 4 };
    let group_count = random.between(1, most);
    let group_threshold = random.between(1, group_count);
    let groups = (0..group_count)
        .map(|_| {
            if group_threshold > 1 && random.between(0, 4) == 0 {
                return GroupPolicy { threshold: 1, count: 1 };
            }
            let most = if random.between(0, 9) == 0 { 16 } else { 6 };
            let count = random.between(2, most);
            GroupPolicy { threshold: random.between(2, count), count }
        })
        .collect();
    Policy { group_threshold, groups }
}

/// Just enough cards, any of them, in any order.
fn quorum(policy: &Policy, groups: &[Vec<String>], random: &mut Seeded) -> Vec<String> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    shuffle(&mut order, random);
    let mut chosen = Vec::new();
    for group in order.into_iter().take(usize::from(policy.group_threshold)) {
        let mut members = groups[group].clone();
        shuffle(&mut members, random);
        members.truncate(usize::from(policy.groups[group].threshold));
        chosen.extend(members);
    }
    shuffle(&mut chosen, random);
    chosen
}

fn shuffle<T>(items: &mut [T], random: &mut Seeded) {
    for last in (1..items.len()).rev() {
        let other = random.next() % (u64::try_from(last).unwrap_or_default() + 1);
        items.swap(last, usize::try_from(other).unwrap_or_default());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
