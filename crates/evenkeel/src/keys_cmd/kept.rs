//! Records of keys as the network's versions keep them: read strictly, held to hold no secret, and
//! taken apart for people.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_custody::bip39::{self, Mnemonic};
use evenkeel_custody::group::Sealed;
use evenkeel_custody::slip39::{Share, ShareError};
use serde_json::Value;
use zeroize::Zeroizing;

use super::group::record_text;
use super::{drills, input, record};
use crate::documents::{KeyFingerprintDocument, ShareDrillDocument, ShareDrillStatusDocument};
use crate::keyfile::hex;
use crate::report::Result;

/// No record is longer; what is longer is not looked through.
const RECORD_BYTES_MAX: usize = 256 << 10;
/// So many words in a row of a list of words are no prose: a shortest sentence of BIP-39.
const SENTENCE_WORDS: usize = 12;
/// A shortest card of SLIP-0039.
const CARD_WORDS: usize = 20;
/// Words that may be misspelt in what is still a sentence or a card.
const SLIPS: usize = 2;
/// What is no record is looked through so far, to say what it is.
const WORDS_MAX: usize = 400;
/// What people write of a holder or a place has no longer word.
const PLAIN_WORD_MAX: usize = 40;

/// The record of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KeptRecord {
    /// `fingerprint.json`: a key in cards, or whole.
    Fingerprint(Box<KeyFingerprintDocument>),
    /// `record.txt` of a group key.
    Group(Box<Sealed>),
}

/// Why a file is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// It holds something secret, of which nothing is repeated.
    Secret(&'static str),
    /// It is something else, or cannot be read.
    NoRecord(String),
}

/// What a record says: of the key (under an empty name), and of each holder.
pub(crate) type Facts = BTreeMap<String, BTreeMap<&'static str, String>>;

impl KeptRecord {
    /// Reads a file, and gives it as it is beside what it says.
    pub(crate) fn read(file: &Path) -> std::result::Result<(String, Self), NotKept> {
        let text = input::read_text(file, "the record of a key")
            .map_err(|report| NotKept::NoRecord(report.message().to_owned()))?;
        let record = Self::parse(&text)?;
        Ok((text.to_string(), record))
    }

    /// Reads a record that holds nothing else.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, NotKept> {
        let other = |why: &str| NotKept::NoRecord(why.to_owned());
        if text.len() > RECORD_BYTES_MAX {
            return Err(other("it is longer than any record"));
        }
        if let Some(what) = marked_secret(text) {
            return Err(NotKept::Secret(what));
        }
        if text.contains(Sealed::ARMOR.0) {
            return Self::group(text);
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Err(match words_in(text) {
                Some(what) => NotKept::Secret(what),
                None => other("it is neither a fingerprint record nor a group's record"),
            });
        };
        if let Some(what) = secret_string(&value) {
            return Err(NotKept::Secret(what));
        }
        if value.get("message_type").and_then(Value::as_str) != Some("key_fingerprint") {
            return Err(other("its message_type is not key_fingerprint"));
        }
        let document: KeyFingerprintDocument =
            serde_json::from_value(value.clone()).map_err(|error| other(&error.to_string()))?;
        let known = serde_json::to_value(&document).unwrap_or_default();
        if !is_within(&value, &known) {
            return Err(other("it says more than a fingerprint record does"));
        }
        let cards = document.set.iter().flat_map(|set| &set.cards);
        let told = cards.flat_map(|card| [&card.holder, &card.place]).flatten();
        if told.chain(&document.warnings).any(|text| is_odd(text)) {
            return Err(NotKept::Secret(
                "what looks like a key where a person or a place is named",
            ));
        }
        Ok(Self::Fingerprint(Box::new(document)))
    }

    fn group(text: &str) -> std::result::Result<Self, NotKept> {
        let other = |why: String| NotKept::NoRecord(why);
        let bytes = Sealed::ARMOR.read(text).map_err(|error| other(error.to_string()))?;
        let sealed = Sealed::from_bytes(&bytes).map_err(|error| other(error.to_string()))?;
        if text.trim_end() != record_text(&sealed).trim_end() {
            return Err(other("it says more than a group's record does".to_owned()));
        }
        for holder in &sealed.record().holders {
            for text in [&holder.name, &holder.place] {
                if let Some(what) = words_in(text) {
                    return Err(NotKept::Secret(what));
                }
            }
        }
        Ok(Self::Group(Box::new(sealed)))
    }

    /// What kind of record it is, one word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Fingerprint(_) => "fingerprint",
            Self::Group(_) => "group",
        }
    }

    /// How its file's name ends.
    pub(crate) fn extension(&self) -> &'static str {
        match self {
            Self::Fingerprint(_) => "json",
            Self::Group(_) => "txt",
        }
    }

    /// Which split, or which generation of a group.
    pub(crate) fn generation(&self) -> u32 {
        match self {
            Self::Fingerprint(record) => record.generation,
            Self::Group(sealed) => sealed.record().generation,
        }
    }

    /// What it says, for a comparison in words.
    pub(crate) fn facts(&self) -> Facts {
        match self {
            Self::Fingerprint(record) => fingerprint_facts(record),
            Self::Group(sealed) => group_facts(sealed),
        }
    }

    /// When each card was last proven; none of a key that is in no cards. The moment when the
    /// record was made stands for what was never drilled: every card was read back then.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(crate) fn cards(&self, log: Option<&Path>, stale_days: u64) -> Result<Vec<CardDrill>> {
        let Self::Fingerprint(record) = self else { return Ok(Vec::new()) };
        let Some(set) = &record.set else { return Ok(Vec::new()) };
        let log = log.unwrap_or(Path::new(""));
        let standing = drills::standing(record, set, log, stale_days)?;
        let made_ns = crate::cli::parse_time_ns(&record.made).unwrap_or_default();
        let of = |card: ShareDrillStatusDocument| {
            let last_ns =
                card.last_drill.as_deref().and_then(|it| crate::cli::parse_time_ns(it).ok());
            CardDrill { age_ns: record::now_ns().saturating_sub(last_ns.unwrap_or(made_ns)), card }
        };
        Ok(standing.cards.into_iter().map(of).collect())
    }

    /// The lines of a log of drills that prove something of this record; the others are left out.
    pub(crate) fn proofs(&self, log: &str) -> String {
        let Self::Fingerprint(record) = self else { return String::new() };
        let proves = |line: &&str| {
            let read: Option<ShareDrillDocument> = serde_json::from_str(line).ok();
            let known = read.as_ref().and_then(|read| serde_json::to_value(read).ok());
            let value: Option<Value> = serde_json::from_str(line).ok();
            let whole = value.zip(known).is_some_and(|(value, known)| is_within(&value, &known));
            whole && read.is_some_and(|mut read| drills::is_proof(record, &mut read))
        };
        log.lines().filter(proves).map(|line| format!("{line}\n")).collect()
    }
}

/// A card and how long ago it was proven.
#[derive(Debug, Clone)]
pub(crate) struct CardDrill {
    pub(crate) card: ShareDrillStatusDocument,
    pub(crate) age_ns: u64,
}

fn fingerprint_facts(record: &KeyFingerprintDocument) -> Facts {
    let mut facts = Facts::new();
    let key = facts.entry(String::new()).or_default();
    key.insert("generation", record.generation.to_string());
    if let Some(recipient) = &record.recipient {
        key.insert("recipient", recipient.clone());
    } else {
        key.insert("master fingerprint", record.master_fingerprint.clone());
        key.insert("first address", record::first_address(record));
    }
    let Some(set) = &record.set else { return facts };
    key.insert("set", format!("{:05}", set.set));
    let groups = set.groups.iter();
    let groups: Vec<String> =
        groups.map(|one| format!("{} of {}", one.member_threshold, one.member_count)).collect();
    let of = set.group_count;
    key.insert("quorum", format!("{} of {of} groups: {}", set.group_threshold, groups.join(", ")));
    for card in &set.cards {
        let number = format!("{}.{}", card.group, card.member);
        let name = card.holder.clone().unwrap_or_else(|| format!("of card {number}"));
        let place = card.place.clone().unwrap_or_else(|| "not said".to_owned());
        let holder = facts.entry(name).or_default();
        for (what, value) in [("cards", number), ("place", place)] {
            let said = holder.entry(what).or_default();
            if !said.is_empty() {
                said.push_str(", ");
            }
            said.push_str(&value);
        }
    }
    facts
}

fn group_facts(sealed: &Sealed) -> Facts {
    let record = sealed.record();
    let mut facts = Facts::new();
    let key = facts.entry(String::new()).or_default();
    key.insert("generation", record.generation.to_string());
    key.insert("group key", hex(&record.group_key));
    key.insert("quorum", format!("{} of {}", record.threshold, record.holders.len()));
    for holder in &record.holders {
        let told = facts.entry(holder.name.clone()).or_default();
        told.insert("share", holder.number.to_string());
        told.insert("place", holder.place.clone());
    }
    facts
}

/// What names itself a secret.
fn marked_secret(text: &str) -> Option<&'static str> {
    let upper = Zeroizing::new(text.to_ascii_uppercase());
    let marks = [
        ("AGE-SECRET-KEY-", "an identity"),
        ("PRIVATE KEY-----", "a private key"),
        ("ROOT-KEY-1-", "a root key"),
        ("EVENKEEL-GROUP-SHARE-", "a share of a group key"),
        ("EVENKEEL-GROUP-HOLDER-KEY-", "a holder's key"),
        ("EVENKEEL-GROUP-CEREMONY-SEED-", "the seed of a ceremony"),
        ("EVENKEEL-GROUP-TARGET-KEY-", "the key of a request"),
    ];
    let marked = marks.into_iter().find(|(mark, _)| upper.contains(mark)).map(|(_, what)| what);
    let extended = |word: &str| word.len() > 100 && word.get(1..4) == Some("prv");
    let tokens = || text.split(|c: char| !c.is_ascii_alphanumeric());
    marked.or_else(|| tokens().any(extended).then_some("an extended private key"))
}

/// Words in any string of a document; those of a list are one text.
fn secret_string(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => words_in(text),
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            words_in(&texts.join(" ")).or_else(|| items.iter().find_map(secret_string))
        }
        Value::Object(fields) => fields.values().find_map(secret_string),
        _ => None,
    }
}

/// Whether a sentence of BIP-39 or a card of SLIP-0039 stands in a text, also with a slip or two.
fn words_in(text: &str) -> Option<&'static str> {
    let lower = Zeroizing::new(text.to_lowercase());
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .collect();
    let joined = |words: &[&str]| Zeroizing::new(words.join(" "));
    let is_sentence = |words: &[&str]| match Mnemonic::parse(&joined(words)) {
        Ok(_) | Err(bip39::Error::Checksum { .. }) => true,
        Err(bip39::Error::UnknownWords { positions, .. }) => positions.len() <= SLIPS,
        Err(_) => false,
    };
    let is_card = |words: &[&str]| match Share::parse(&joined(words)) {
        Err(ShareError::UnknownWords(unknown)) => unknown.len() <= SLIPS,
        Err(ShareError::WordCount { .. }) => false,
        _ => true,
    };
    if words.windows(CARD_WORDS).any(is_card) {
        return Some("the words of a card");
    }
    words.windows(SENTENCE_WORDS).any(is_sentence).then_some("the words of a sentence")
}

/// Whether a word in what a person wrote is too long to be one: a key in digits or letters.
fn is_odd(text: &str) -> bool {
    text.split_whitespace().any(|word| word.len() > PLAIN_WORD_MAX)
}

/// Whether a document has no field that the known one has not.
fn is_within(value: &Value, known: &Value) -> bool {
    match (value, known) {
        (Value::Object(fields), Value::Object(known)) => fields
            .iter()
            .all(|(key, value)| known.get(key).is_some_and(|known| is_within(value, known))),
        (Value::Array(items), Value::Array(known)) => {
            items.len() == known.len()
                && items.iter().zip(known).all(|(item, known)| is_within(item, known))
        }
        (value, known) => value == known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{KeyCardDocument, KeySetDocument};

    const SENTENCE: &str = "legal winner thank year wave sausage worth useful legal winner thank \
                            yellow";
    /// A card of the test vectors of SLIP-0039.
    const CARD: &str = "duckling enlarge academic academic agency result length solution fridge \
                        kidney coal piece deal husband erode duke ajar critical decision keyboard";

    fn document() -> KeyFingerprintDocument {
        let card = |member, holder: &str, place: &str| KeyCardDocument {
            group: 1,
            member,
            member_threshold: 2,
            holder: Some(holder.to_owned()),
            place: Some(place.to_owned()),
            drill_public_key: "ab".repeat(32),
        };
        let cards = vec![card(1, "Ada", "the safe in Zurich"), card(2, "Eve", "a bank in Oslo")];
        let set = KeySetDocument { set: 7, group_threshold: 1, cards, ..Default::default() };
        KeyFingerprintDocument { generation: 3, set: Some(set), ..Default::default() }
    }

    fn parse(document: &KeyFingerprintDocument) -> std::result::Result<KeptRecord, NotKept> {
        KeptRecord::parse(&serde_json::to_string_pretty(document).unwrap())
    }

    #[test]
    fn a_record_is_kept_and_says_who_holds_what() {
        let kept = parse(&document()).unwrap();
        let facts = kept.facts();
        assert_eq!((kept.generation(), facts[""]["set"].as_str()), (3, "00007"));
        assert_eq!(facts["Eve"]["place"], "a bank in Oslo");
        assert_eq!(kept.extension(), "json");
    }

    #[test]
    fn words_cards_and_keys_are_refused_wherever_they_stand_and_never_repeated() {
        let mut hidden = Vec::new();
        for secret in [SENTENCE, CARD, &SENTENCE.to_uppercase(), &SENTENCE.replace("wave", "wavve")]
        {
            let mut document = document();
            document.set.as_mut().unwrap().cards[0].place = Some(format!("at home: {secret}"));
            hidden.push(parse(&document));
            let mut document = self::document();
            document.warnings = secret.split(' ').map(str::to_owned).collect();
            hidden.push(parse(&document));
            hidden.push(KeptRecord::parse(&format!("{secret}\n")));
        }
        let mut digits = document();
        digits.set.as_mut().unwrap().cards[0].holder = Some("5f".repeat(32));
        hidden.push(parse(&digits));
        hidden.push(KeptRecord::parse(&format!("xprv{}", "9".repeat(107))));
        hidden.push(KeptRecord::parse("# a comment\nAGE-SECRET-KEY-1QQQ\n"));
        hidden.push(KeptRecord::parse("EVENKEEL-GROUP-SHARE-1\n00\nEND\n"));
        for found in hidden {
            assert!(matches!(found, Err(NotKept::Secret(_))), "{found:?}");
        }
        let more = serde_json::to_string(&document()).unwrap().replacen('{', "{\"more\":1,", 1);
        assert!(matches!(KeptRecord::parse(&more), Err(NotKept::NoRecord(_))));
        assert!(matches!(KeptRecord::parse(&"5f".repeat(32)), Err(NotKept::NoRecord(_))));
    }

    #[test]
    fn what_people_write_of_places_is_no_sentence() {
        let mut document = document();
        let place = "the left drawer of the old desk in the office on the second floor of the \
                     house behind the church, under the box with letters of my mother";
        document.set.as_mut().unwrap().cards[0].place = Some(place.to_owned());
        assert!(parse(&document).is_ok());
    }
}
