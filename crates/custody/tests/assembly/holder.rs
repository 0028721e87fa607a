//! One holder, or the target of a decryption, in a process of its own: it is told what to do line
//! by line and answers each with a line that begins with `>`.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::marker::PhantomData;

use evenkeel_custody::group::decrypt::{self, Purpose, Stanza, TargetKey};
use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{
    Ceremony, Ed25519, HolderKey, KeyShare, Message, Pending, Plan, Recipient, Sealed, Secp256k1,
    Seed, Step, Suite,
};

use crate::support::Seeded;

/// `CURVE NAME SEED` of the holder that a process is.
pub const VARIABLE: &str = "EVENKEEL_TEST_HOLDER";
pub const NOW_S: u64 = 1_800_000_000;
pub const MASK: u8 = 0x5a;

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Lives until its input ends, if this process is a holder.
pub fn live() {
    let Ok(said) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = said.split(' ').collect();
    let (name, seed) = (words[1], words[2].parse().unwrap());
    match words[0] {
        "ed25519" => Holder::<Ed25519>::new(name, seed).serve(),
        "secp256k1" => Holder::<Secp256k1>::new(name, seed).serve(),
        _ => Holder::<Recipient>::new(name, seed).serve(),
    }
}

struct Holder<C> {
    name: String,
    random: Seeded,
    key: HolderKey,
    share: Option<KeyShare>,
    sealed: Option<Sealed>,
    plan: Option<(Plan, Seed)>,
    pending: Option<Pending>,
    target: Option<(TargetKey, decrypt::Request)>,
    /// Never read: it is there to be found.
    planted: Vec<Vec<u8>>,
    curve: PhantomData<C>,
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).unwrap();
    (read > 0).then(|| line.trim_end().to_owned())
}

fn say(word: &str, bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // The harness may have left its own line unfinished.
    writeln!(out, "\n>{word} {}", hex(bytes)).unwrap();
    out.flush().unwrap();
}

fn messages(words: &[String]) -> Vec<Message> {
    words.iter().map(|text| Message::from_bytes(&unhex(text)).unwrap()).collect()
}

impl<C: Suite> Holder<C> {
    fn new(name: &str, seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let key = HolderKey::generate(&mut random).unwrap();
        Self {
            name: name.to_owned(),
            random,
            key,
            share: None,
            sealed: None,
            plan: None,
            pending: None,
            target: None,
            planted: Vec::new(),
            curve: PhantomData,
        }
    }

    fn serve(mut self) {
        while let Some(line) = read_line() {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let (command, rest) = words.split_first().unwrap();
            self.one(command, rest);
        }
    }

    fn one(&mut self, command: &str, rest: &[String]) {
        match command {
            "enrol" => {
                let place = format!("the safe of {}", self.name);
                say("enrolment", &self.key.enrol(&self.name, &place).to_bytes());
            }
            "know" => {
                self.sealed = Some(Sealed::from_bytes(&unhex(&rest[0])).unwrap());
                say("ok", &[]);
            }
            "plan" => {
                let plan = Plan::from_bytes(&unhex(&rest[0])).unwrap();
                let seed = Seed::generate(&plan, &mut self.random).unwrap();
                self.plan = Some((plan, seed));
                say("ok", &[]);
            }
            "step" => self.step(rest),
            "ask-test" => {
                let record = &self.pending.as_ref().unwrap().record;
                let request = Request::test(record, &numbers(rest), &mut self.random).unwrap();
                say("request", &request.to_bytes());
            }
            "ask" => {
                let sealed = self.sealed.as_ref().unwrap();
                let (message, signers) = (b"no assembly", numbers(rest));
                let request = Request::new(sealed, message, &signers, &mut self.random).unwrap();
                say("request", &request.to_bytes());
            }
            "sign" => self.sign(&rest[0]),
            "adopt" => self.adopt(&rest[0]),
            "answer" => self.answer(&rest[0]),
            "want" => self.want(&rest[0], &rest[1]),
            "open" => self.open(rest),
            "reveal" => {
                let bytes = self.share.as_ref().unwrap().to_bytes();
                say("share", &bytes[bytes.len() - 32..]);
            }
            "plant" => {
                let masked = unhex(&rest[0]);
                self.planted.push(masked.iter().map(|byte| byte ^ MASK).collect());
                say("ok", &[]);
            }
            other => panic!("{other}"),
        }
    }

    fn step(&mut self, rest: &[String]) {
        let (plan, seed) = self.plan.as_ref().unwrap();
        let (previous, share) = (self.sealed.as_ref(), self.share.as_ref());
        let ceremony = Ceremony::<C>::new(plan, previous, &self.key, seed, share).unwrap();
        let table = Ceremony::<C>::table(plan, messages(rest));
        match ceremony.next(&table).unwrap() {
            Step::Send(message) => say("send", &message.to_bytes()),
            Step::Wait { .. } => say("wait", &[]),
            Step::Ready(pending) => {
                self.pending = Some(pending);
                say("ready", &[]);
            }
        }
    }

    /// Both rounds: the nonces live in this process in between.
    fn sign(&mut self, request: &str) {
        let request = Request::from_bytes(&unhex(request)).unwrap();
        let (record, share) = match &self.pending {
            Some(pending) => (&pending.record, pending.share.as_ref().unwrap()),
            None => (self.sealed.as_ref().unwrap().record(), self.share.as_ref().unwrap()),
        };
        let random = &mut self.random;
        let begun = if self.pending.is_some() {
            Session::<C>::begin_test(&request, record, share, &self.key, random)
        } else {
            let sealed = self.sealed.as_ref().unwrap();
            Session::<C>::begin(&request, sealed, share, &self.key, random)
        };
        let (session, commitment) = begun.unwrap();
        say("commitment", &commitment.to_bytes());
        let line = read_line().unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let signed = session.sign(&request.table(record, messages(&words))).unwrap();
        say("share", &signed.to_bytes());
        let line = read_line().unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let table = request.table(record, messages(&words));
        let signature = aggregate::<C>(&request, record, &table).unwrap();
        match &self.pending {
            Some(pending) => {
                let sealed = Sealed::new(pending.record.clone(), signature).unwrap();
                say("sealed", &sealed.to_bytes());
            }
            None => say("signature", &signature),
        }
    }

    fn adopt(&mut self, sealed: &str) {
        self.sealed = Some(Sealed::from_bytes(&unhex(sealed)).unwrap());
        self.share = self.pending.take().and_then(|pending| pending.share);
        self.plan = None;
        say("ok", &[]);
    }

    fn answer(&mut self, request: &str) {
        let request = decrypt::Request::from_bytes(&unhex(request)).unwrap();
        let vouched: BTreeSet<Stanza> = request.stanzas.iter().copied().collect();
        let sealed = self.sealed.as_ref().unwrap();
        let own = (self.share.as_ref().unwrap(), &self.key);
        let said = decrypt::answer(&request, sealed, own, &vouched, NOW_S, &mut self.random);
        say("partial", &said.unwrap().to_bytes());
    }

    /// The target: asks for one stanza, share and body.
    fn want(&mut self, sealed: &str, stanza: &str) {
        let sealed = Sealed::from_bytes(&unhex(sealed)).unwrap();
        let target = TargetKey::generate(&mut self.random).unwrap();
        let bytes = unhex(stanza);
        let (share, body) = bytes.split_at(32);
        let stanza = Stanza { share: share.try_into().unwrap(), body: body.try_into().unwrap() };
        let why = (Purpose::Drill, "the drill host");
        let until = (b"evidence".to_vec(), NOW_S + 600);
        let request =
            decrypt::Request::new(&sealed, why, &target, &[stanza], until, &mut self.random);
        let request = request.unwrap();
        say("request", &request.to_bytes());
        self.sealed = Some(sealed);
        self.target = Some((target, request));
    }

    fn open(&mut self, rest: &[String]) {
        let (target, request) = self.target.take().unwrap();
        let sealed = self.sealed.as_ref().unwrap();
        let table = request.table(sealed.record(), messages(rest));
        let (_, opened) = decrypt::open(&request, sealed, &target, &table).unwrap();
        say("file-key", opened.unwrap().keys.values().next().unwrap().as_slice());
    }
}

fn numbers(words: &[String]) -> BTreeSet<u16> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}
