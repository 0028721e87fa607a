//! Keys of a kit brought back by their holders' cards, for a drill: compared with the record and
//! proven to sign or open, in memory alone.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use evenkeel_custody::slip39::Share;
use evenkeel_custody::{Random as _, Secret, age, proof};
use zeroize::Zeroizing;

use super::input::{self, OsRandom};
use super::kit::{KeyOfKit, KeysKit};
use super::record;
use super::recover::{Table, prompt};
use crate::documents::{KeyFingerprintDocument, KeyScheme};
use crate::output;
use crate::report::{Exit, Report, Result};

/// What the holders brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brought {
    /// Files of cards, one a line; `-` is standard input.
    pub(crate) shares: Vec<PathBuf>,
    /// Passphrases of the cards: the record says which one fits.
    pub(crate) passphrase_files: Vec<PathBuf>,
    /// Passphrases of BIP-39 sentences, likewise.
    pub(crate) bip39_passphrase_files: Vec<PathBuf>,
    /// Whether people are there to be asked.
    pub(crate) ask: bool,
}

impl Brought {
    fn is_nothing(&self) -> bool {
        self.shares.is_empty() && !self.asks()
    }

    fn asks(&self) -> bool {
        self.ask && std::io::stdin().is_terminal()
    }
}

/// What became of one key.
pub(crate) struct KeyBack {
    pub(crate) name: String,
    pub(crate) record: KeyFingerprintDocument,
    /// The cards that were taken, as GROUP.MEMBER with the holder.
    pub(crate) cards: Vec<String>,
    /// Who brought them.
    pub(crate) people: Vec<String>,
    /// How long the machine took.
    pub(crate) elapsed: Duration,
    /// `None` if nobody brought anything.
    pub(crate) result: Option<Result<Proven>>,
}

/// A key that came back, and was the recorded one.
pub(crate) struct Proven {
    /// What was shown.
    pub(crate) detail: String,
    /// The identity that it is, to open what comes next.
    pub(crate) identity: Option<Zeroizing<String>>,
}

/// Brings every key of a kit back; and how long people were waited for.
///
/// # Errors
/// What was brought cannot be read at all.
pub(crate) fn bring_back(kit: &KeysKit, brought: &Brought) -> Result<(Vec<KeyBack>, Duration)> {
    let mut waited = Duration::ZERO;
    let tables = kit.keys.iter().map(|key| Table::new(Some(key.record.clone())));
    let mut tables: Vec<Table> = tables.collect();
    for file in &brought.shares {
        let begun = Instant::now();
        let text = input::read_text(file, "the cards")?;
        if file.as_os_str() == "-" {
            waited += begun.elapsed();
        }
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{}:{number}: ", file.display());
            deal(kit, &mut tables, line, &place);
        }
    }
    let mut all = Vec::new();
    for (key, mut table) in kit.keys.iter().zip(tables) {
        let asks = brought.asks() && key.record.set.is_some() && !table.is_enough();
        if asks {
            output::note(&format!("key `{}`:", key.name));
            let begun = Instant::now();
            table.ask()?;
            waited += begun.elapsed();
        }
        all.push(one(key, &table, brought, &mut waited));
    }
    Ok((all, waited))
}

/// Gives a line to the table of the key whose set it is of; what is of none is told.
fn deal(kit: &KeysKit, tables: &mut [Table], line: &str, place: &str) {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return;
    }
    let set = Share::parse(line).ok().map(|share| share.set.identifier);
    let of = |key: &KeyOfKit| {
        key.record.set.as_ref().is_some_and(|known| set.is_none_or(|set| known.set == set))
    };
    match kit.keys.iter().position(of) {
        // A line that is no card at all is told, and counted, by the first that has cards.
        Some(at) => tables.iter_mut().skip(at).take(1).for_each(|table| table.take(line, place)),
        None => output::note(&format!("{place}NOT taken: a card of a set that no key here has")),
    }
}

fn one(key: &KeyOfKit, table: &Table, brought: &Brought, waited: &mut Duration) -> KeyBack {
    let begun = Instant::now();
    let before = *waited;
    let named = |share: &Share| {
        format!("{}.{}{}", share.group_index + 1, share.member_index + 1, table.who(share))
    };
    let mut people: Vec<String> = Vec::new();
    for card in table.shares.iter().filter_map(|share| table.card(share)) {
        let person = card.holder.clone();
        let person = person.unwrap_or_else(|| format!("{}.{}", card.group, card.member));
        if !people.contains(&person) {
            people.push(person);
        }
    }
    let nothing = table.shares.is_empty() && table.refused == 0;
    let nobody = brought.is_nothing() || (nothing && key.record.set.is_none());
    let result = (!nobody).then(|| {
        if !table.is_enough() {
            return Err(table.not_enough());
        }
        let secret = open(&key.record, table, brought, waited)?;
        prove(&key.record, &secret)
    });
    KeyBack {
        name: key.name.clone(),
        record: key.record.clone(),
        cards: table.shares.iter().map(named).collect(),
        people,
        elapsed: begun.elapsed().saturating_sub(waited.saturating_sub(before)),
        result,
    }
}

/// A secret that the record vouches for, with the passphrase of its sentence.
struct Opened {
    secret: Secret,
    bip39_passphrase: Secret,
}

/// Tries what was given, then no passphrase; a record tells which fits.
fn open(
    record: &KeyFingerprintDocument,
    table: &Table,
    brought: &Brought,
    waited: &mut Duration,
) -> Result<Opened> {
    let read = |files: &[PathBuf]| -> Result<Vec<Secret>> {
        let given = files.iter().map(|file| input::passphrase(Some(file)));
        given.chain([Ok(Secret::new(Vec::new()))]).collect()
    };
    let mut passphrases = read(&brought.passphrase_files)?;
    let sentences = read(&brought.bip39_passphrase_files)?;
    if brought.passphrase_files.is_empty() && brought.asks() {
        let begun = Instant::now();
        passphrases.insert(0, prompt()?);
        *waited += begun.elapsed();
    }
    let mut refused = None;
    for passphrase in &passphrases {
        let secret = table.recover(passphrase)?.secret;
        for sentence in &sentences {
            match record::compare(record, &secret, sentence) {
                Ok(()) => return Ok(Opened { secret, bip39_passphrase: sentence.clone() }),
                Err(report) => refused = refused.or(Some(report)),
            }
        }
    }
    Err(refused.unwrap_or_else(|| Report::new(Exit::WrongKey, "no passphrase was tried")))
}

fn draw() -> Result<[u8; 32]> {
    let mut drawn = [0; 32];
    let failed = |error| Report::new(Exit::Failed, format!("{error}"));
    OsRandom.fill(&mut drawn).map_err(failed)?;
    Ok(drawn)
}

/// That the key at hand signs, or opens, as the record says: with a challenge drawn now.
fn prove(record: &KeyFingerprintDocument, opened: &Opened) -> Result<Proven> {
    if record.scheme == KeyScheme::Age {
        let identity = record::identity(&opened.secret)?;
        return proven_identity(&identity, record.recipient.as_deref().unwrap_or_default());
    }
    let seed = record::seed(record.scheme, &opened.secret, &opened.bip39_passphrase)?;
    let challenge = draw()?;
    for account in &record.accounts {
        let signs = account
            .path
            .parse()
            .and_then(|path| proof::signs(seed.reveal(), &path, &account.xpub, &challenge));
        if signs != Ok(true) {
            let what = format!("what came back does not sign as the {} account", account.name);
            return Err(Report::new(Exit::WrongKey, what)
                .safe("nothing was exported")
                .next("compare the record with another copy of the kit"));
        }
    }
    let detail = format!(
        "it is the recorded key: {}; each of its {} accounts signed a challenge drawn now, and the \
         recorded public key verified it; wiped",
        record::name(record),
        record.accounts.len()
    );
    Ok(Proven { detail, identity: None })
}

/// That an identity opens what is encrypted to a recipient.
///
/// # Errors
/// [`Exit::WrongKey`]
pub(crate) fn proven_identity(identity: &age::Identity, recipient: &str) -> Result<Proven> {
    if !identity.opens(recipient, &draw()?) {
        return Err(Report::new(
            Exit::WrongKey,
            format!("this identity does not open what is encrypted to {recipient}"),
        )
        .safe("nothing was opened"));
    }
    let detail = format!(
        "it opens what is encrypted to {recipient}: both sides of a key agreement drawn now came \
         to the same; in memory alone, and gone when the drill ends"
    );
    Ok(Proven { detail, identity: Some(identity.to_text()) })
}
