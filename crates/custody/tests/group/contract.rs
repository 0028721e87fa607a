//! What a group on secp256k1 signs is good in a contract: forge runs the contract's own tests on
//! its local EVM, over signatures of real ceremonies and the official vector.

use std::path::{Path, PathBuf};
use std::process::Command;

use evenkeel_custody::group::{ContractForm, Plan, Record, Secp256k1, Suite as _};
use serde_json::{Value, json};

use crate::support::{Seeded, vectors};
use crate::world::{Person, enrolments, honest, people, sign, switch};

/// Where `cargo xtask setup` puts forge and solc.
fn tools() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let folder = cache.join("evenkeel-tools/forge");
    forge(&folder).exists().then_some(folder)
}

fn forge(tools: &Path) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    tools.join(format!("node_modules/@foundry-rs/forge-linux-{machine}/bin/forge"))
}

fn word(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{}", digits.concat())
}

fn case(record: &Record, message: &[u8], signature: &[u8]) -> Value {
    let form = ContractForm::new(record, message, signature).unwrap().unwrap();
    json!({
        "key_x": word(&form.key_x),
        "key_parity": form.key_parity,
        "message": word(message),
        "r_x": word(&form.r_x),
        "r_y": word(&form.r_y),
        "z": word(&form.z),
    })
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The official vector's key in a record of ours, which only lends it the form.
fn official(record: &Record) -> Option<Value> {
    let path = vectors("rfc9591-frost/secp256k1/vectors.json")?;
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let group_key = unhex(&all["inputs"]["verifying_key_key"]);
    let record = Record { group_key, ..record.clone() };
    let signature = unhex(&all["final_output"]["sig"]);
    Some(case(&record, &unhex(&all["inputs"]["message"]), &signature))
}

fn signatures() -> Vec<Value> {
    let mut random = Seeded::new(0xC0_27);
    let mut cases = Vec::new();
    for group in 0..8_u8 {
        let mut all = people(3, &mut random);
        let plan = Plan::found(Secp256k1::CURVE, 2, &enrolments(&all), &mut random).unwrap();
        let mut holders: Vec<&mut Person> = all.iter_mut().collect();
        let sealed = switch::<Secp256k1>(&plan, None, &mut holders, &mut random);
        if group == 0 {
            cases.extend(official(sealed.record()));
        }
        for number in 0..6_u8 {
            let message = [group.wrapping_mul(16) + number; 32];
            let signers: Vec<&Person> = all.iter().skip(usize::from(number % 2)).take(2).collect();
            let signed = sign::<Secp256k1>(&sealed, &message, &signers, &mut random, &mut honest);
            cases.push(case(sealed.record(), &message, &signed.unwrap()));
        }
    }
    let parities: Vec<u64> = cases.iter().filter_map(|case| case["key_parity"].as_u64()).collect();
    assert!(parities.contains(&0) && parities.contains(&1), "keys of both parities");
    cases
}

#[test]
fn a_contract_verifies_what_a_group_signs_for_at_most_6000_gas_and_nothing_else() {
    let Some(tools) = tools() else {
        eprintln!("SKIPPED: forge is not there; `cargo xtask setup` brings it");
        assert!(std::env::var_os("CI").is_none(), "CI verifies in the contract");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signatures.json");
    let cases = signatures();
    let all = json!({ "count": cases.len(), "signatures": cases });
    std::fs::write(&file, all.to_string()).unwrap();
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
    let output = Command::new(forge(&tools))
        .args(["test", "--offline", "-vv", "--use", "./solc.js"])
        .current_dir(&contracts)
        .env("EVENKEEL_SIGNATURES", &file)
        .env("EVENKEEL_SOLC", &tools)
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("7 tests passed, 0 failed"), "{said}");
    let gas = said.lines().find(|line| line.trim().starts_with("gas:")).unwrap_or_default();
    println!("{} signatures, the dearest {}", cases.len(), gas.trim());
}
