//! Keys in SoftHSM, from an empty token on, as people and scripts use them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli_support;
mod hsm_support;

use std::path::Path;
use std::process::Command;

use evenkeel_hsm::{Session, Uri};
use hsm_support::{SOFTHSM, Token, openssl_verifies, unhex};
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use sha2::Digest as _;

#[test]
fn keys_of_every_kind_are_born_in_a_token_proven_and_cannot_leave_it() {
    let token = Token::soft();
    for kind in ["p256", "secp256k1", "ed25519", "recipient", "aes256"] {
        let said = token.generate(kind, kind);
        assert_eq!(said.exit, 0, "{kind}: {}", said.err);
        let document = said.json();
        assert_eq!(document["message_type"], "hsm_key");
        assert_eq!(document["cannot_leave"], true);
        assert_eq!((&document["holder"], &document["place"]), (&"Ada".into(), &"safe".into()));
        assert_eq!(document["recipient"].is_string(), kind == "recipient");
        assert_eq!(document["ethereum_address"].is_string(), kind == "secp256k1");
        let checked = token.run(&format!("keys hsm check --key {kind}.key --json"));
        assert_eq!(checked.exit, 0, "{kind}: {}", checked.err);
        assert_eq!(checked.json()["public_hex"], document["public_hex"]);
        if kind != "aes256" {
            let shown = Command::new("openssl")
                .args(["pkey", "-pubin", "-noout", "-in"])
                .arg(token.bench.path(&format!("{kind}.pem")))
                .output()
                .unwrap();
            assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        }
    }
    let keys = token.run(&format!("keys hsm keys --token {} --json", token.uri())).json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 5);
    for key in keys["keys"].as_array().unwrap() {
        assert_eq!(key["faults"], serde_json::json!([]), "{key}");
        assert_eq!(key["kind"], key["label"]);
    }
    let again = token.generate("p256", "p256");
    assert_eq!(again.exit, 1, "{}", again.err);
    assert!(again.err.contains("no key was made"), "{}", again.err);
    std::fs::remove_file(token.bench.path("p256.key")).unwrap();
    std::fs::remove_file(token.bench.path("p256.pem")).unwrap();
    let twice = token.generate("p256", "p256");
    assert_eq!(twice.exit, 2, "{}", twice.err);
    assert!(twice.err.contains("label or id already"), "{}", twice.err);
}

#[test]
fn an_empty_token_is_prepared_once_and_never_overwritten() {
    let token = Token::soft();
    let said = token.run(&format!("keys hsm list --module {SOFTHSM} --json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    let tokens = said.json()["tokens"].as_array().unwrap().clone();
    let kinds =
        serde_json::json!(["p256", "secp256k1", "ed25519", "recipient", "aes256", "rsa2048"]);
    assert_eq!(tokens.iter().filter(|token| token["initialized"] == true).count(), 1);
    let desk = tokens.iter().find(|token| token["label"] == "desk").unwrap();
    assert_eq!(desk["kinds"], kinds);
    let init =
        format!("keys hsm init --module {SOFTHSM} --label desk --so-pin file:so --pin file:pin");
    let again = token.run(&init);
    assert_eq!(again.exit, 2, "{}", again.err);
    assert!(again.err.contains("there is a token `desk` already"), "{}", again.err);
    let none = token.run("keys hsm list --module /nonexistent.so");
    assert_eq!(none.exit, 1, "{}", none.err);
    let no_module = token.run("keys hsm list --module pin");
    assert_eq!(no_module.exit, 1, "{}", no_module.err);
    assert!(no_module.err.contains("could not be used"), "{}", no_module.err);
}

#[test]
fn two_hundred_signatures_of_each_curve_have_a_low_s_and_verify_elsewhere() {
    let token = Token::soft();
    for kind in ["secp256k1", "p256"] {
        let made = token.generate(kind, kind);
        assert_eq!(made.exit, 0, "{}", made.err);
        let point = unhex(made.json()["public_hex"].as_str().unwrap());
        let uri: Uri = format!("pkcs11:token=desk;object={kind}").parse().unwrap();
        let mut session = Session::open(&token.launch(), Path::new(SOFTHSM), &uri, false).unwrap();
        session.login(b"123456", false).unwrap();
        let key = session.find(&uri).unwrap();
        let public = key.public.clone().unwrap();
        let (mut normalised, mut by_openssl) = (0, 0);
        for number in 0..200u32 {
            let message = number.to_be_bytes();
            let digest: [u8; 32] = sha2::Sha256::digest(message).into();
            let done = session.sign(&key, &public, &digest).unwrap();
            normalised += u32::from(done.normalised);
            check_elsewhere(kind, &point, &digest, &done);
            let (signature, file) = (token.bench.path("signature"), token.bench.path("message"));
            std::fs::write(&signature, done.der.as_ref().unwrap()).unwrap();
            std::fs::write(&file, message).unwrap();
            let pem = token.bench.path(&format!("{kind}.pem"));
            by_openssl += u32::from(openssl_verifies(&pem, &signature, &file));
        }
        println!("{kind}: 200 signatures, {normalised} made low, {by_openssl} good to OpenSSL");
        assert_eq!(by_openssl, 200);
        // 200 fair coins: outside of this once in 10^12.
        assert!((50..150).contains(&normalised), "{normalised} of 200 were high");
    }
}

fn check_elsewhere(kind: &str, point: &[u8], digest: &[u8], done: &evenkeel_hsm::Finished) {
    if kind == "p256" {
        let signature = p256::ecdsa::Signature::from_slice(&done.bytes).unwrap();
        assert_eq!(signature.normalize_s(), signature, "high s");
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).unwrap();
        key.verify_prehash(digest, &signature).unwrap();
        return;
    }
    let signature = k256::ecdsa::Signature::from_slice(&done.bytes).unwrap();
    assert_eq!(signature.normalize_s(), signature, "high s");
    let id = k256::ecdsa::RecoveryId::from_byte(done.recovery_id.unwrap()).unwrap();
    let found = k256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, id).unwrap();
    assert_eq!(found.to_sec1_point(true).as_bytes(), point, "the signer is found again");
}

#[test]
fn an_ethereum_signature_leads_back_to_the_recorded_address() {
    let token = Token::soft();
    let record = token.generate("secp256k1", "payout").json();
    token.bench.write("tx", "a transaction");
    let said = token.run("keys hsm sign --key payout.key --message tx --hash keccak256 --json");
    assert_eq!(said.exit, 0, "{}", said.err);
    let document = said.json();
    let digest = unhex(document["digest_hex"].as_str().unwrap());
    let bytes = unhex(document["signature_hex"].as_str().unwrap());
    let signature = k256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let id = u8::try_from(document["recovery_id"].as_u64().unwrap()).unwrap();
    let id = k256::ecdsa::RecoveryId::from_byte(id).unwrap();
    let signer = k256::ecdsa::VerifyingKey::recover_from_prehash(&digest, &signature, id).unwrap();
    let point = signer.to_sec1_point(false);
    let address = evenkeel_custody::address::ethereum_of_point(point.as_bytes()).unwrap();
    assert_eq!(record["ethereum_address"], address);
    let text = token.bench.read("payout.key");
    assert!(text.contains(&format!("# address: {address}")), "{text}");
    assert!(text.contains("# holder: Ada") && text.contains("# place: safe"), "{text}");
}

#[test]
fn an_ed25519_signature_is_an_ordinary_one() {
    let token = Token::soft();
    assert_eq!(token.generate("ed25519", "writer").exit, 0);
    token.bench.write("grant", "a grant");
    let said = token.run("keys hsm sign --key writer.key --message grant --out grant.sig --json");
    assert_eq!(said.exit, 0, "{}", said.err);
    let said_again = token.run("keys hsm sign --key writer.key --digest 00");
    assert_eq!(said_again.exit, 2, "{}", said_again.err);
    let verified = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"])
        .arg(token.bench.path("writer.pem"))
        .arg("-sigfile")
        .arg(token.bench.path("grant.sig"))
        .arg("-in")
        .arg(token.bench.path("grant"))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_wrong_pin_is_tried_once_and_says_what_the_token_tells() {
    let token = Token::soft();
    let said = token.run(&format!("keys hsm keys --token {}", token.uri_with("wrong")));
    assert_eq!(said.exit, 12, "{}", said.err);
    assert!(said.err.contains("refused the PIN"), "{}", said.err);
    assert!(said.err.contains("tries are left"), "{}", said.err);
    assert!(!said.err.contains("000000"), "{}", said.err);
    std::fs::write(token.bench.path("open"), "123456").unwrap();
    let open = token.run(&format!("keys hsm keys --token {}", token.uri_with("open")));
    assert_eq!(open.exit, 12, "{}", open.err);
    assert!(open.err.contains("chmod 600"), "{}", open.err);
    let typed = token.run("keys hsm keys --token pkcs11:token=desk?pin-value=123456");
    assert_eq!(typed.exit, 2, "{}", typed.err);
    assert!(!typed.err.contains("123456"), "{}", typed.err);
}

#[test]
fn a_secret_wrapped_by_a_token_comes_back_and_a_changed_one_does_not() {
    let token = Token::soft();
    assert_eq!(token.generate("aes256", "wrapping").exit, 0);
    assert_eq!(token.generate("aes256", "other").exit, 0);
    for length in [1usize, 16, 31, 500] {
        let secret: String =
            (0..length).map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap())).collect();
        token.bench.write("secret", &secret);
        let files = [token.bench.path("wrapped"), token.bench.path("back")];
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        let wrap = token.run("keys hsm wrap --key wrapping.key --secret-file secret --out wrapped");
        assert_eq!(wrap.exit, 0, "{}", wrap.err);
        let wrapped = std::fs::read(&files[0]).unwrap();
        let frame = (length + 4).next_multiple_of(8).max(16);
        assert_eq!(wrapped.len(), frame + 8, "RFC 5649");
        let back = token.run("keys hsm unwrap --key wrapping.key --wrapped wrapped --out back");
        assert_eq!(back.exit, 0, "{}", back.err);
        assert_eq!(token.bench.read("back"), secret);
    }
    let mut wrapped = std::fs::read(token.bench.path("wrapped")).unwrap();
    let other = token.run("keys hsm unwrap --key other.key --wrapped wrapped --out none");
    assert_eq!(other.exit, 12, "{}", other.err);
    wrapped[20] ^= 1;
    std::fs::write(token.bench.path("wrapped"), wrapped).unwrap();
    let changed = token.run("keys hsm unwrap --key wrapping.key --wrapped wrapped --out none");
    assert_eq!(changed.exit, 12, "{}", changed.err);
    assert!(changed.err.contains("nothing was written"), "{}", changed.err);
    assert!(!token.bench.path("none").exists());
}

#[test]
fn a_token_that_goes_away_under_a_session_is_named_and_leaves_nothing_half_written() {
    let token = Token::soft();
    assert_eq!(token.generate("p256", "desk").exit, 0);
    let uri: Uri = "pkcs11:token=desk;object=desk".parse().unwrap();
    let mut session = Session::open(&token.launch(), Path::new(SOFTHSM), &uri, true).unwrap();
    session.login(b"123456", false).unwrap();
    let key = session.find(&uri).unwrap();
    let public = key.public.clone().unwrap();
    session.sign(&key, &public, &[1; 32]).unwrap();
    std::fs::remove_dir_all(token.bench.path("tokens")).unwrap();
    let lost = session.generate(evenkeel_hsm::Kind::P256, "new", &[9]).unwrap_err();
    println!("a token whose folder is gone: {lost}");
    assert!(lost.is_loss(), "{lost}");
    assert!(lost.to_string().contains("token desk"), "{lost}");
    assert!(lost.to_string().contains("went away during making a key"), "{lost}");
    std::fs::create_dir(token.bench.path("tokens")).unwrap();
    token.bench.write("message", "x");
    let said = token.run("keys hsm sign --key desk.key --message message --out signature");
    assert_eq!(said.exit, 1, "{}", said.err);
    assert!(said.err.contains("there is no token `desk"), "{}", said.err);
    assert!(said.err.contains("no PIN was tried"), "{}", said.err);
    assert!(!token.bench.path("signature").exists());
}

#[test]
fn a_key_in_a_token_approves_a_restore_beside_a_key_in_a_file() {
    let token = Token::soft();
    let made = token.generate("ed25519", "approver").json();
    let in_token = made["public_hex"].as_str().unwrap().to_owned();
    let ok = |line: &str| {
        let said = token.run(line);
        assert_eq!(said.exit, 0, "evenkeel {line}: {}", said.err);
        said
    };
    let in_file = ok("prune key --out ada.key").out.trim().to_owned();
    ok("init --home h --dashboard off");
    let mut config = token.bench.read("h/evenkeel.toml");
    config.push_str(&format!(
        "\n[approvals.export]\napprovers = [\"{in_token}\", \"{in_file}\"]\nneeded = 2\n\
         delay_hours = 24\n"
    ));
    token.bench.write("h/evenkeel.toml", &config);
    ok("approvals publish --home h --identity h/recovery-identity.txt");
    let restore = "restore --home h --identity h/recovery-identity.txt --to r";
    let proposed = ok(&format!("{restore} --propose lost --json")).json();
    let id = proposed["actions"][0]["id"].as_str().unwrap().to_owned();
    let asked = format!("approvals message --home h --action {id} --approver {in_token} --json");
    let message = ok(&format!("{asked} --out text")).json();
    let time = message["message_time"].as_str().unwrap();
    ok("keys hsm sign --key approver.key --message text --out text.sig");
    let say = format!("approvals approve --home h --action {id} --json");
    let signed = format!("{say} --approver {in_token} --time {time}");
    let one = ok(&format!("{signed} --signature text.sig")).json();
    assert_eq!(one["actions"][0]["standing"], "waiting", "{one}");
    let both = ok(&format!("{say} --key ada.key")).json();
    assert_eq!(both["actions"][0]["standing"], "delayed", "{both}");
    assert_eq!(both["actions"][0]["said"].as_array().unwrap().len(), 2);
    let early = token.run(restore);
    assert_eq!(early.exit, 11, "{}", early.err);
    // What the token signed for this action is no word about another.
    let other = ok(&format!("{restore}2 --propose lost --json")).json();
    let other = other["actions"][0]["id"].as_str().unwrap().to_owned();
    let replayed = token.run(&format!(
        "approvals approve --home h --action {other} --approver {in_token} --time {time} \
         --signature text.sig"
    ));
    assert_eq!(replayed.exit, 12, "{}", replayed.err);
}

/// A folder with something to protect.
fn with_data(token: &Token) {
    std::fs::create_dir(token.bench.path("data")).unwrap();
    token.bench.write("data/orders.csv", "1,buy,2\n2,sell,3\n");
}

fn restored(token: &Token, to: &str) -> String {
    let folder = token.bench.path(to);
    let found = cli_support::contents(&folder);
    let file = found.iter().find(|(path, _)| path.ends_with("orders.csv"));
    String::from_utf8(file.expect("the file came back").1.clone()).unwrap()
}

/// In a drill of everything a token is proven by what it opens.
fn everything(token: &Token) {
    let kit = token.run("kit make --home h --out kit.txt");
    assert_eq!(kit.exit, 0, "{}", kit.err);
    let line = "drill everything --kit kit.txt --identity vault.key --without network --home whole";
    let whole = token.run(line);
    assert_eq!(whole.exit, 0, "{}{}", whole.err, whole.out);
    assert!(whole.out.contains("; it opened the state"), "{}", whole.out);
}

#[test]
fn a_token_is_a_recipient_of_the_vault_and_restores_and_drills_with_its_secret_inside() {
    let token = Token::soft();
    let record = token.generate("recipient", "vault").json();
    let recipient = record["recipient"].as_str().unwrap().to_owned();
    assert!(recipient.starts_with("age1tag1"), "{recipient}");
    with_data(&token);
    let home = token.run("init --home h --dashboard off");
    assert_eq!(home.exit, 0, "{}", home.err);
    let add = token.run(&format!(
        "recipients add {recipient} --label vault --role holder --kept-at safe --home h"
    ));
    assert_eq!(add.exit, 0, "{}", add.err);
    let point = token.run("backup data --home h");
    assert_eq!(point.exit, 0, "{}", point.err);
    let verify = token.run("verify --home h --identity vault.key --json");
    assert_eq!(verify.exit, 0, "{}{}", verify.err, verify.out);
    let back = token.run("restore --home h --identity vault.key --to back");
    assert_eq!(back.exit, 0, "{}", back.err);
    assert_eq!(restored(&token, "back"), token.bench.read("data/orders.csv"));

    let drill = token.run("drill --level D3 --identity vault.key --home h --json");
    assert_eq!(drill.exit, 0, "{}{}", drill.err, drill.out);
    assert!(drill.out.contains("\"result\": \"ok\""), "{}", drill.out);
    everything(&token);

    let other = token.generate("recipient", "other");
    assert_eq!(other.exit, 0, "{}", other.err);
    let wrong = token.run("restore --home h --identity other.key --to none");
    assert_eq!(wrong.exit, 12, "{}", wrong.err);
    assert!(wrong.err.contains("wrong identity"), "{}", wrong.err);

    let named = token.bench.read("vault.key");
    token.bench.write("badpin.key", &named.replace("/pin", "/wrong"));
    let refused = token.run("restore --home h --identity badpin.key --to none");
    assert_eq!(refused.exit, 12, "{}", refused.err);
    assert!(refused.err.contains("refused the PIN"), "{}", refused.err);
    token.bench.write("away.key", &named.replace("token=desk", "token=away"));
    let away = token.run("restore --home h --identity away.key --to none");
    assert_eq!(away.exit, 1, "{}", away.err);
    assert!(away.err.contains("there is no token `away"), "{}", away.err);
}

#[test]
fn what_is_written_is_signed_by_a_key_in_a_token_and_verify_knows_no_difference() {
    let token = Token::soft();
    assert_eq!(token.generate("ed25519", "writer").exit, 0);
    with_data(&token);
    let home = token.run("init --home h --dashboard off --writer-key writer.key");
    assert_eq!(home.exit, 0, "{}", home.err);
    for name in ["writer.key", "files.key", "live.key"] {
        let text = token.bench.read(&format!("h/host/keys/state/{name}"));
        assert!(text.contains("pkcs11:token=desk"), "{text}");
        assert!(!text.contains("EVENKEEL-WRITER-KEY"), "{text}");
    }
    let doctor = token.run("doctor --home h --json");
    assert!(doctor.out.contains("answers with the recorded key"), "{}{}", doctor.out, doctor.err);
    let point = token.run("backup data --home h");
    assert_eq!(point.exit, 0, "{}", point.err);
    let verify = token.run("verify --home h --identity h/recovery-identity.txt");
    assert_eq!(verify.exit, 0, "{}{}", verify.err, verify.out);
    let back = token.run("restore --home h --identity h/recovery-identity.txt --to back");
    assert_eq!(back.exit, 0, "{}", back.err);
    assert_eq!(restored(&token, "back"), token.bench.read("data/orders.csv"));

    // Without the token nothing is written, and what was is still good.
    std::fs::rename(token.bench.path("tokens"), token.bench.path("away")).unwrap();
    std::fs::create_dir(token.bench.path("tokens")).unwrap();
    token.bench.write("data/orders.csv", "3,buy,4\n");
    let lost = token.run("backup data --home h");
    assert_ne!(lost.exit, 0, "{}", lost.err);
    assert!(lost.err.contains("there is no token `desk"), "{}", lost.err);
    let doctor = token.run("doctor --home h");
    assert!(doctor.out.contains("there is no token `desk"), "{}{}", doctor.out, doctor.err);
    assert_eq!(token.run("verify --home h").exit, 0);
    std::fs::remove_dir_all(token.bench.path("tokens")).unwrap();
    std::fs::rename(token.bench.path("away"), token.bench.path("tokens")).unwrap();
    let again = token.run("backup data --home h");
    assert_eq!(again.exit, 0, "{}", again.err);
}

#[test]
fn a_key_in_a_token_is_the_root_of_a_domain() {
    let token = Token::soft();
    let made = token.generate("ed25519", "root").json();
    let root = made["public_hex"].as_str().unwrap().to_owned();
    with_data(&token);
    let ok = |line: &str| {
        let said = token.run(line);
        assert_eq!(said.exit, 0, "evenkeel {line}: {}", said.err);
        said
    };
    ok(&format!("init --home h --dashboard off --root-public-key {root}"));
    let early = token.run("backup data --home h");
    assert_eq!(early.exit, 10, "{}", early.err);
    ok("root request --home h --out request");
    ok("root sign request --key root.key --out signatures");
    ok("root accept request --home h --signatures signatures");
    ok("backup data --home h");
    ok("verify --home h --identity h/recovery-identity.txt");
    ok("restore --home h --identity h/recovery-identity.txt --to back");
    assert_eq!(restored(&token, "back"), token.bench.read("data/orders.csv"));
}
