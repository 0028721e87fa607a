//! Tokens that lock, fill up, hang, crash and lie: what people see, and that nothing leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli_support;
mod hsm_support;

use std::time::{Duration, Instant};

use hsm_support::Token;

/// PINs that reached the token.
fn tried(token: &Token) -> usize {
    let log = std::fs::read_to_string(token.bench.path("state/logins")).unwrap_or_default();
    log.lines().count()
}

fn signs(token: &Token, words: &str) -> cli_support::Said {
    let file = token.bench.path("signature");
    let _ = std::fs::remove_file(&file);
    token.bench.write("message", "m");
    let line = "keys hsm sign --key k.key --message message --out signature --deadline-seconds 2";
    let said = token.run_told(words, &format!("{line} --json"));
    assert_eq!(file.exists(), said.exit == 0, "half a signature\n{}", said.err);
    said
}

#[test]
fn a_pin_is_tried_once_the_last_try_only_when_asked_for_and_a_locked_token_not_at_all() {
    let token = Token::fake();
    assert_eq!(token.generate("p256", "k").exit, 0);
    let list = format!("keys hsm list --module {} --json", token.module.display());
    let state = || token.run(&list).json()["tokens"][0]["pin"].clone();
    let wrong = format!("keys hsm keys --token {}", token.uri_with("wrong"));
    assert_eq!(state(), "good");
    let before = tried(&token);

    let first = token.run(&wrong);
    assert_eq!((first.exit, tried(&token) - before), (12, 1), "{}", first.err);
    assert!(first.err.contains("few tries are left"), "{}", first.err);
    assert_eq!(state(), "low");

    let second = token.run(&wrong);
    assert_eq!((second.exit, tried(&token) - before), (12, 2), "{}", second.err);
    assert!(second.err.contains("one try is left before it locks"), "{}", second.err);
    assert_eq!(state(), "final_try");

    for pin in ["wrong", "pin"] {
        let held = token.run(&format!("keys hsm keys --token {}", token.uri_with(pin)));
        assert_eq!((held.exit, tried(&token) - before), (12, 2), "{}", held.err);
        assert!(held.err.contains("no PIN was tried"), "{}", held.err);
        assert!(held.err.contains("--final-try"), "{}", held.err);
    }
    let right = token.run(&format!("keys hsm keys --token {} --final-try", token.uri()));
    assert_eq!((right.exit, tried(&token) - before), (0, 3), "{}", right.err);
    assert_eq!(state(), "good");

    for _ in 0..2 {
        assert_eq!(token.run(&wrong).exit, 12);
    }
    let last = token.run(&format!("{wrong} --final-try"));
    assert_eq!(last.exit, 12, "{}", last.err);
    assert!(last.err.contains("it is locked now"), "{}", last.err);
    assert_eq!(state(), "locked");
    let count = tried(&token);
    let locked = token.run("keys hsm check --key k.key --final-try");
    assert_eq!((locked.exit, tried(&token)), (12, count), "{}", locked.err);
    assert!(locked.err.contains("is locked") && locked.err.contains("security officer"));
}

#[test]
fn a_full_token_says_so_and_no_key_file_is_written() {
    let token = Token::fake();
    let said = token.run_told(
        "full",
        &format!("keys hsm generate --token {} --kind p256 --label k --out k.key", token.uri()),
    );
    assert_eq!(said.exit, 1, "{}", said.err);
    assert!(said.err.contains("is full") && said.err.contains("DeviceMemory"), "{}", said.err);
    assert!(!token.bench.path("k.key").exists());
}

#[test]
fn a_key_whose_attributes_lie_is_refused_and_removed_again() {
    let token = Token::fake();
    let generate =
        format!("keys hsm generate --token {} --kind p256 --label k --out k.key", token.uri());
    for (words, what) in [
        ("gives-value", "it gave 32 bytes of the secret"),
        ("extractable", "CKA_EXTRACTABLE is true"),
        ("silent", "CKA_NEVER_EXTRACTABLE is not told"),
        ("other-key", "does not verify with the public key"),
        ("short", "it has 63 bytes"),
    ] {
        let said = token.run_told(words, &generate);
        assert_eq!(said.exit, 20, "{words}: {}", said.err);
        assert!(said.err.contains(what), "{words}: {}", said.err);
        assert!(said.err.contains("the key was removed again"), "{words}: {}", said.err);
        assert!(!token.bench.path("k.key").exists(), "{words}");
        assert!(!token.bench.path("state/key").exists(), "{words}");
    }
    assert_eq!(token.run(&generate).exit, 0);
    let late = token.run_told("gives-value", "keys hsm check --key k.key");
    assert_eq!(late.exit, 20, "{}", late.err);
    assert!(late.err.contains("it could leave"), "{}", late.err);
}

#[test]
fn a_signature_by_another_key_or_cut_short_never_leaves_and_a_high_s_is_made_low() {
    let token = Token::fake();
    assert_eq!(token.generate("p256", "k").exit, 0);
    for (words, what) in [("other-key", "does not verify"), ("short", "63 bytes")] {
        let said = signs(&token, words);
        assert_eq!(said.exit, 20, "{words}: {}", said.err);
        assert!(said.err.contains(what), "{words}: {}", said.err);
        assert!(said.out.is_empty());
    }
    let (low, high) = (signs(&token, ""), signs(&token, "high-s"));
    assert_eq!((low.exit, high.exit), (0, 0), "{}{}", low.err, high.err);
    let (low, high) = (low.json(), high.json());
    assert_eq!((&low["normalised"], &high["normalised"]), (&false.into(), &true.into()));
    assert_eq!(low["signature_hex"], high["signature_hex"]);
}

#[test]
fn a_token_that_is_lost_mid_operation_is_named_with_what_is_safe() {
    let token = Token::fake();
    assert_eq!(token.generate("p256", "k").exit, 0);
    for (words, what) in [
        ("removed", "DeviceRemoved"),
        ("session-lost", "SessionHandleInvalid"),
        ("device-error", "DeviceError"),
        ("crash", "the module's process ended"),
    ] {
        let said = signs(&token, words);
        assert_eq!(said.exit, 1, "{words}: {}", said.err);
        assert!(said.err.contains("token fake 0042 went away during signing"), "{}", said.err);
        assert!(said.err.contains(what), "{words}: {}", said.err);
        assert!(said.err.contains("the keys in the token are untouched"), "{}", said.err);
    }
    assert_eq!(signs(&token, "").exit, 0, "afterwards it is as good as before");
}

#[test]
fn a_module_that_hangs_is_ended_at_the_deadline_wherever_it_hangs() {
    let token = Token::fake();
    assert_eq!(token.generate("p256", "k").exit, 0);
    for words in ["hang-start", "hang-login", "hang-sign"] {
        let begun = Instant::now();
        let said = signs(&token, words);
        assert_eq!(said.exit, 1, "{words}: {}", said.err);
        assert!(said.err.contains("within 2 s; the module was ended"), "{words}: {}", said.err);
        assert!(begun.elapsed() < Duration::from_secs(60), "{words}");
    }
    let slow_end = signs(&token, "hang-end");
    assert_eq!(slow_end.exit, 0, "what was signed is good: {}", slow_end.err);
}

#[test]
fn a_module_that_prints_does_not_get_into_the_answer() {
    let token = Token::fake();
    assert_eq!(token.generate("p256", "k").exit, 0);
    let said = signs(&token, "prints");
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.json()["message_type"], "hsm_signature");
}
