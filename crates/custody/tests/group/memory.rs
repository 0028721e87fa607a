//! Searching the memory of stopped processes for a secret in the forms it could have there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_custody::group::Curve;
use num_bigint::BigUint;

use crate::holder_child::{CHILD, CURVE};

/// A secret in every form that the arithmetic of these curves gives it.
pub struct Forms {
    whole: Vec<(String, Vec<u8>)>,
    /// Halves of each, so that a part that was not overwritten is found too.
    halves: Vec<(String, Vec<u8>)>,
    /// Which two bytes any of them begins with.
    starts: Vec<bool>,
}

fn limbs(value: &BigUint, bits: u32, count: u32) -> Vec<u8> {
    let mask = (BigUint::from(1_u8) << bits) - 1_u8;
    let limb = |at: u32| {
        let limb = (value >> (bits * at)) & &mask;
        limb.to_u64_digits().first().copied().unwrap_or(0).to_le_bytes()
    };
    (0..count).flat_map(limb).collect()
}

fn padded(value: &BigUint) -> Vec<u8> {
    let mut bytes = value.to_bytes_le();
    bytes.resize(32, 0);
    bytes
}

/// Signed digits of radix 16, as multiplications of curve25519-dalek take them.
fn radix_16(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<i8> = bytes
        .iter()
        .flat_map(|byte| [byte & 15, byte >> 4])
        .map(|digit| i8::try_from(digit).unwrap())
        .collect();
    for at in 0..digits.len() - 1 {
        let carry = (digits[at] + 8) >> 4;
        digits[at] -= carry << 4;
        digits[at + 1] += carry;
    }
    digits.into_iter().map(i8::cast_unsigned).collect()
}

fn number(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).unwrap()
}

impl Forms {
    /// Of a secret as the suite writes it: little-endian on Ed25519's curve, else big-endian.
    pub fn of(secret: &[u8], curve: Curve) -> Self {
        let (value, order) = if curve == Curve::Secp256k1 {
            let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
            (BigUint::from_bytes_be(secret), number(order))
        } else {
            let order = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
            (BigUint::from_bytes_le(secret), number(order))
        };
        let mut whole = Vec::new();
        for (sign, value) in [("", value.clone()), ("negated ", &order - &value)] {
            let mut add = |name: &str, bytes| whole.push((format!("{sign}{name}"), bytes));
            let little = padded(&value);
            // Four limbs of 64 bits, low one first, are the little-endian bytes on this machine.
            add("little-endian, 4 x 64", little.clone());
            add("big-endian", little.iter().rev().copied().collect());
            add("4 x 64, high limb first", little.rchunks(8).flatten().copied().collect());
            add("8 x 32, high limb first", little.rchunks(4).flatten().copied().collect());
            add("5 x 52", limbs(&value, 52, 5));
            add("5 x 51", limbs(&value, 51, 5));
            let shifted = (&value << 256_u32) % &order;
            add("montgomery, 4 x 64", padded(&shifted));
            let shifted = (&value << 260_u32) % &order;
            add("montgomery, 5 x 52", limbs(&shifted, 52, 5));
            let mut clamped = little.clone();
            clamped[0] &= 248;
            clamped[31] = clamped[31] & 127 | 64;
            add("clamped", clamped);
            if curve != Curve::Secp256k1 {
                add("radix 16", radix_16(&little));
            }
            let hex = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
            };
            add("hexadecimal digits", hex(&little));
            let big: Vec<u8> = little.into_iter().rev().collect();
            add("hexadecimal digits, big-endian", hex(&big));
        }
        Self::over(whole)
    }

    fn over(whole: Vec<(String, Vec<u8>)>) -> Self {
        let mut halves = Vec::new();
        let mut starts = vec![false; 1 << 16];
        for (name, bytes) in &whole {
            let (low, high) = bytes.split_at(bytes.len() / 2);
            for (half, bytes) in [("first half", low), ("second half", high)] {
                starts[usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))] = true;
                halves.push((format!("{name}: {half}"), bytes.to_vec()));
            }
        }
        Self { whole, halves, starts }
    }

    pub fn count(&self) -> usize {
        self.whole.len()
    }

    /// Each form, by name.
    pub fn planted(&self) -> Vec<(String, Vec<u8>)> {
        self.whole.clone()
    }

    fn found_in(&self, bytes: &[u8], found: &mut Vec<String>) {
        for at in 0..bytes.len().saturating_sub(1) {
            if !self.starts[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let here = self.halves.iter().filter(|(_, half)| bytes[at..].starts_with(half));
            found.extend(here.map(|(name, _)| name.clone()));
        }
    }
}

/// What a search saw.
#[derive(Default)]
pub struct Seen {
    pub found: Vec<String>,
    pub bytes: u64,
    pub heap: bool,
    pub stack: bool,
}

/// A process of a holder.
pub struct Holder {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// The step at which it waits.
    pub at: String,
    within: u64,
}

impl Holder {
    pub fn start(own: &Path, curve: Curve) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "no_assembly::holder_process", "--nocapture", "--test-threads=1"])
            .env(CHILD, own)
            .env(CURVE, curve.word())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut holder =
            Self { child, to, from: BufReader::new(from), at: String::new(), within: 1 };
        assert_eq!(holder.step(), "idle");
        holder
    }

    pub fn say(&mut self, order: &str) {
        writeln!(self.to, "{order}").unwrap();
    }

    /// Waits for it to say where it is.
    pub fn step(&mut self) -> &str {
        loop {
            let mut line = String::new();
            let read = self.from.read_line(&mut line).unwrap();
            assert!(read > 0, "the holder's process ended");
            if let Some(at) = line.trim_end().strip_prefix("@ ") {
                at.clone_into(&mut self.at);
                return &self.at;
            }
        }
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    fn stop(&self) {
        self.signal("STOP");
        let until = Instant::now() + Duration::from_secs(10);
        while !self.is_stopped() {
            assert!(Instant::now() < until, "the process does not stop");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// Stops it, searches every mapping that can be read, lets it go on.
    pub fn search(&mut self, forms: &Forms) -> Seen {
        self.stop();
        let seen = self.look(forms);
        self.signal("CONT");
        seen
    }

    /// The same somewhere within a step, at another moment each time.
    pub fn search_within(&mut self, forms: &Forms) -> Seen {
        self.within = self.within.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((self.within >> 33) % 3_000));
        self.search(forms)
    }

    fn look(&self, forms: &Forms) -> Seen {
        let folder = format!("/proc/{}", self.child.id());
        let maps = std::fs::read_to_string(format!("{folder}/maps")).unwrap();
        let memory = std::fs::File::open(format!("{folder}/mem")).unwrap();
        let mut seen = Seen::default();
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (from, to) = fields[0].split_once('-').unwrap();
            let (from, to) =
                (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
            let name = fields.get(5).copied().unwrap_or_default();
            // The kernel's own pages, which /proc/PID/mem does not give.
            let kernels = ["[vvar]", "[vvar_vclock]", "[vsyscall]"].contains(&name);
            if !fields[1].starts_with('r') || kernels {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            memory.read_exact_at(&mut bytes, from).unwrap_or_else(|why| panic!("{line}: {why}"));
            forms.found_in(&bytes, &mut seen.found);
            seen.bytes += to - from;
            seen.heap |= name == "[heap]";
            seen.stack |= name == "[stack]";
        }
        seen
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
