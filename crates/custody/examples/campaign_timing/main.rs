//! Whether the time of a calculation tells something of the secret: each path is timed with one
//! secret and with random ones, in random order, and the two are compared (dudect). Two planted
//! leaks show what the comparison sees.
//!
//! `cargo xtask campaign timing [--samples N] [--seed N]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a campaign that cannot go on fails"
)]

mod statistics;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../../tests/slip39/support.rs"]
mod support;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../../tests/group/world.rs"]
mod world;

use std::hint::black_box;
use std::process::ExitCode;

use evenkeel_custody::bip32::{ExtendedPrivate, Path};
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::group::sign::{Request, Session};
use evenkeel_custody::group::{Ed25519, KeyShare, Plan, Secp256k1, Suite};
use evenkeel_custody::slip39::{Policy, Share, SplitOptions, recover, split};
use evenkeel_custody::{Secret, drill, same_bytes};

use statistics::{Timings, time};
use support::Seeded;
use world::{Person, enrolments, people, switch};

/// A real difference grows with the number of samples, chance does not.
const T_LIMIT: f64 = 10.0;
/// Calculations of milliseconds are timed less often, by this factor.
const SLOW: usize = 16;
const FIXED: [u8; 32] = [0; 32];

fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args();
    let found = words.by_ref().find(|word| word == name).and_then(|_| words.next());
    found.map_or(default, |word| word.parse().expect("a number"))
}

struct Verdicts {
    random: Seeded,
    samples: usize,
    wrong: Vec<&'static str>,
}

impl Verdicts {
    fn path<I>(
        &mut self,
        name: &'static str,
        slow: usize,
        make: impl FnMut(bool, &mut Seeded) -> I,
        run: impl FnMut(I),
    ) {
        let timings = time(self.samples / slow, &mut self.random, make, run);
        self.say(name, &timings, false);
    }

    fn planted<I>(
        &mut self,
        name: &'static str,
        make: impl FnMut(bool, &mut Seeded) -> I,
        run: impl FnMut(I),
    ) {
        let timings = time(self.samples, &mut self.random, make, run);
        self.say(name, &timings, true);
    }

    fn say(&mut self, name: &'static str, timings: &Timings, planted: bool) {
        let t = timings.t_max();
        let flagged = t >= T_LIMIT;
        let word = if flagged { "LEAKS" } else { "even" };
        println!(
            "{name:<44} {:>8} samples  median {:>9.2} us  |t| {t:>8.2}  {word}",
            timings.count(),
            timings.median_us()
        );
        if flagged != planted {
            self.wrong.push(name);
        }
    }
}

fn secret(fixed: bool, random: &mut Seeded) -> Vec<u8> {
    if fixed { FIXED.to_vec() } else { random.bytes(FIXED.len()) }
}

fn main() -> ExitCode {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut verdicts = Verdicts {
        random: Seeded::new(argument("--seed", seed)),
        samples: usize::try_from(argument("--samples", 40_000)).expect("a count"),
        wrong: Vec::new(),
    };
    planted(&mut verdicts);
    comparison(&mut verdicts);
    cards(&mut verdicts);
    sentences(&mut verdicts);
    shares::<Ed25519>(&mut verdicts, ["share on ed25519: check", "share on ed25519: sign"]);
    shares::<Secp256k1>(&mut verdicts, ["share on secp256k1: check", "share on secp256k1: sign"]);
    if verdicts.wrong.is_empty() {
        println!("every planted leak was seen, and |t| < {T_LIMIT} on every other path");
        return ExitCode::SUCCESS;
    }
    println!("NOT AS IT SHOULD BE: {}", verdicts.wrong.join(", "));
    ExitCode::FAILURE
}

/// Two ways in which such code often leaks.
fn planted(verdicts: &mut Verdicts) {
    let good = |fixed: bool, random: &mut Seeded| (FIXED.to_vec(), secret(fixed, random));
    verdicts.planted("planted: a comparison that ends early", good, |(left, right)| {
        let differs = left.iter().zip(&right).any(|(a, b)| black_box(a) != black_box(b));
        black_box(differs);
    });
    verdicts.planted("planted: a product as long as its factor", secret, |bytes| {
        let product = bytes.iter().fold(1_u8, |left, right| {
            let (mut left, mut right, mut product) = (left | 1, *right, 0_u8);
            while right != 0 {
                if right & 1 == 1 {
                    product ^= left;
                }
                left = (left << 1) ^ (if left & 0x80 == 0 { 0 } else { 0x1b });
                right >>= 1;
            }
            black_box(product)
        });
        black_box(product);
    });
}

fn comparison(verdicts: &mut Verdicts) {
    let make = |fixed: bool, random: &mut Seeded| (FIXED.to_vec(), secret(fixed, random));
    verdicts.path("two secrets compared", 1, make, |(left, right)| {
        black_box(same_bytes(&left, &right));
    });
}

/// Both cards of a secret.
fn dealt(secret: &[u8], random: &mut Seeded) -> Vec<Share> {
    let policy = Policy::parse("2of2", 1).unwrap();
    let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
    split(&policy, secret, b"", options, random).unwrap().remove(0)
}

/// Cards with as many letters as the fixed one: see `sentences`.
fn of_one_length(random: &mut Seeded) -> Vec<Share> {
    const CARDS: usize = 48;
    let length = dealt(&FIXED[..16], &mut Seeded::new(5))[0].mnemonic().len();
    let drawn = std::iter::repeat_with(|| dealt(&random.bytes(16), random).remove(0));
    drawn.filter(|card| card.mnemonic().len() == length).take(CARDS).collect()
}

fn cards(verdicts: &mut Verdicts) {
    let policy = Policy::parse("2of3", 1).unwrap();
    let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
    verdicts.path("cards: split a secret", SLOW, secret, |secret| {
        let mut random = Seeded::new(9);
        black_box(split(&policy, &secret, b"", options, &mut random).unwrap());
    });
    let both = |fixed: bool, random: &mut Seeded| {
        let secret = secret(fixed, random);
        dealt(&secret, random)
    };
    verdicts.path("cards: recover a secret", SLOW, both, |cards| {
        black_box(recover(&cards, b"").unwrap());
    });
    let others = of_one_length(&mut verdicts.random);
    let of_fixed = dealt(&FIXED[..16], &mut Seeded::new(5)).remove(0);
    // As many copies of the fixed card as there are others.
    let copies = vec![of_fixed; others.len()];
    let one = |fixed: bool, random: &mut Seeded| {
        let cards = if fixed { &copies } else { &others };
        cards[usize::try_from(random.next()).unwrap() % cards.len()].clone()
    };
    verdicts.path("cards: words of a card", 1, one, |card| {
        black_box(card.mnemonic());
    });
    verdicts.path("cards: a drill's answer", 1, one, |card| {
        black_box(drill::answer(&card, &[7; 32]).unwrap());
    });
}

fn sentences(verdicts: &mut Verdicts) {
    // Sentences of one length: how long one is shows wherever it is written or typed.
    let letters = |secret: &[u8]| {
        Mnemonic::from_entropy(Secret::new(secret.to_vec())).unwrap().sentence().len()
    };
    let of_all = Seeded::new(77).bytes(32);
    let length = letters(&of_all);
    let even = |fixed: bool, random: &mut Seeded| loop {
        let secret = if fixed { of_all.clone() } else { random.bytes(32) };
        if letters(&secret) == length {
            return secret;
        }
    };
    verdicts.path("sentence: words of a secret", 8, even, |secret| {
        black_box(Mnemonic::from_entropy(Secret::new(secret)).unwrap().sentence());
    });
    let typed = |fixed: bool, random: &mut Seeded| {
        Mnemonic::from_entropy(Secret::new(even(fixed, random))).unwrap().sentence()
    };
    verdicts.path("sentence: read", 8, typed, |typed| {
        black_box(Mnemonic::parse(&typed).unwrap());
    });
    let seed = |fixed: bool, random: &mut Seeded| {
        let mut seed = secret(fixed, random);
        seed.extend_from_within(..);
        seed
    };
    let path: Path = "m/44'/60'/0'/0/0".parse().unwrap();
    verdicts.path("wallet: a key of the tree", 4, seed, |seed| {
        black_box(ExtendedPrivate::master(&seed).unwrap().derive(&path).unwrap());
    });
}

fn shares<C: Suite>(verdicts: &mut Verdicts, names: [&'static str; 2]) {
    const GROUPS: u64 = 48;
    let group = |seed: u64| {
        let mut random = Seeded::new(seed);
        let mut all = people(2, &mut random);
        let plan = Plan::found(C::CURVE, 2, &enrolments(&all), &mut random).unwrap();
        let mut holders: Vec<&mut Person> = all.iter_mut().collect();
        let sealed = switch::<C>(&plan, None, &mut holders, &mut random);
        (sealed, all.remove(0))
    };
    // As many copies of one group as there are others.
    let fixed: Vec<_> = (0..GROUPS).map(|_| group(1)).collect();
    let others: Vec<_> = (0..GROUPS).map(|number| group(100 + number)).collect();
    let pick = |is_fixed: bool, random: &mut Seeded| {
        let of = if is_fixed { &fixed } else { &others };
        &of[usize::try_from(random.next() % GROUPS).unwrap()]
    };
    verdicts.path(names[0], 4, pick, |(sealed, person)| {
        let share: &KeyShare = person.share.as_ref().unwrap();
        share.check(sealed.record()).unwrap();
    });
    let asked = |is_fixed: bool, random: &mut Seeded| {
        let (sealed, person) = pick(is_fixed, random);
        let both = [1, 2].into_iter().collect();
        let request = Request::new(sealed, b"message", &both, random).unwrap();
        (sealed, person, request)
    };
    verdicts.path(names[1], 8, asked, |(sealed, person, request)| {
        let share = person.share.as_ref().unwrap();
        let mut random = Seeded::new(3);
        let key = &person.key;
        black_box(Session::<C>::begin(&request, sealed, share, key, &mut random).unwrap());
    });
}
