//! `keys recover`: a key comes back card by card, and whoever types hears at once what is wrong.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::{GroupState, Recovered, Share, missing, recover};
use evenkeel_custody::{Secret, drill};
use zeroize::Zeroizing;

use super::{evidence, input, record, slip39_recover};
use crate::cli::{KeysRecoverArgs, Slip39RecoverArgs, format_time_ns};
use crate::documents::{KeyCardDocument, KeyFingerprintDocument, KeyRecoveryDocument, KeyScheme};
use crate::keyfile::{hex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Passphrases that are asked for before it ends.
const PASSPHRASES_MAX: usize = 5;

pub(super) fn run(args: &KeysRecoverArgs) -> Result<Exit> {
    let begun_ns = record::now_ns();
    let record = args.fingerprint.as_deref().map(record::read).transpose()?;
    let mut table = Table::new(record);
    for file in &args.shares {
        let text = input::read_text(file, "the cards")?;
        for (number, line) in (1..).zip(text.lines()) {
            table.take(line, &format!("{}:{number}: ", file.display()));
        }
    }
    let typed = args.shares.is_empty() || (!table.is_enough() && std::io::stdin().is_terminal());
    if typed {
        table.ask()?;
    }
    if !table.is_enough() {
        return Err(table.not_enough());
    }
    let asked = args.passphrase_file.is_none() && std::io::stdin().is_terminal();
    let mut refused = 0;
    loop {
        let passphrase =
            if asked { prompt()? } else { input::passphrase(args.passphrase_file.as_deref())? };
        match table.finish(&passphrase, args) {
            Ok(recovered) => {
                table.leave_evidence(&recovered, begun_ns, refused, args)?;
                return Ok(Exit::Ok);
            }
            Err(report) => {
                refused += 1;
                if !asked || report.exit() != Exit::WrongKey || refused == PASSPHRASES_MAX {
                    return Err(report);
                }
                output::note(&format!("{report}"));
            }
        }
    }
}

pub(super) fn prompt() -> Result<Secret> {
    let typed = rpassword::prompt_password("passphrase of the cards (empty if there is none): ");
    let typed = typed.map_err(|error| {
        Report::new(Exit::Failed, format!("the passphrase could not be read: {error}"))
            .safe("nothing was recovered")
            .next("give it in a file: --passphrase-file FILE")
    })?;
    Ok(Secret::new(typed.into_bytes()))
}

/// The cards that lie on the table so far.
pub(super) struct Table {
    record: Option<KeyFingerprintDocument>,
    pub(super) shares: Vec<Share>,
    /// Lines that are no card of this set.
    pub(super) refused: usize,
    /// One of them was damaged, forged or of another set.
    suspicious: bool,
}

impl Table {
    /// An empty one, for the key of a record.
    pub(super) fn new(record: Option<KeyFingerprintDocument>) -> Self {
        Self { record, shares: Vec::new(), refused: 0, suspicious: false }
    }

    /// Reads cards from standard input until there are enough and the rest was typed.
    pub(super) fn ask(&mut self) -> Result<()> {
        let people = std::io::stdin().is_terminal();
        if people {
            output::note(
                "Type the words of one card a line. They show on this screen: let nobody look, and \
                 clear it\nafterwards. An empty line ends, once there are enough.",
            );
        }
        if let Some(missing) = self.missing() {
            output::note(&missing);
        }
        for line in std::io::stdin().lock().lines() {
            let line = Zeroizing::new(line.map_err(|error| {
                Report::new(Exit::Failed, format!("standard input could not be read: {error}"))
                    .safe("nothing was recovered; the cards are as they were")
            })?);
            if line.trim().is_empty() && self.is_enough() {
                return Ok(());
            }
            self.take(&line, "");
            match self.missing() {
                Some(missing) => output::note(&missing),
                None if people => output::note("enough; more cards are checked against these"),
                None => {}
            }
        }
        Ok(())
    }

    /// One line: a card that joins the others, or what is wrong with it.
    pub(super) fn take(&mut self, line: &str, place: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        match Share::parse(line) {
            Err(error) => {
                self.refuse(false, &format!("{place}{error}; type this card again"));
            }
            Ok(share) => match self.wrong_with(&share) {
                Some((suspicious, why)) => self.refuse(suspicious, &format!("{place}{why}")),
                None => {
                    output::note(&format!("{place}card  {}{}", share.name(), self.who(&share)));
                    self.shares.push(share);
                }
            },
        }
    }

    fn refuse(&mut self, suspicious: bool, why: &str) {
        output::note(&format!("NOT taken: {why}"));
        self.refused += 1;
        self.suspicious |= suspicious;
    }

    /// Why a card does not belong to the others.
    fn wrong_with(&self, share: &Share) -> Option<(bool, String)> {
        let set = self.record.as_ref().and_then(|record| record.set.as_ref());
        if let (Some(set), Some(record)) = (set, &self.record)
            && set.set != share.set.identifier
        {
            return Some((
                true,
                format!(
                    "this card is of set {:05}, and the record is of set {:05} (generation {}): an \
                     earlier or later split, or another key; put it aside",
                    share.set.identifier, set.set, record.generation
                ),
            ));
        }
        if let Some(first) = self.shares.first().filter(|first| first.set != share.set) {
            return Some((
                true,
                format!(
                    "this card is of set {}, and the first one of set {}: put one of them aside",
                    share.set, first.set
                ),
            ));
        }
        if self.shares.contains(share) {
            return Some((false, "this card was typed already".to_owned()));
        }
        let known = self.card(share)?;
        let key = drill::public_key(share).map(|key| hex(&key)).unwrap_or_default();
        (key != known.drill_public_key).then(|| {
            let who = self.who(share);
            let why = "its words are not those that were dealt: forged, or of a bad copy";
            (true, format!("{}{who}: {why}; keep it as evidence", share.name()))
        })
    }

    pub(super) fn card(&self, share: &Share) -> Option<&KeyCardDocument> {
        let set = self.record.as_ref()?.set.as_ref()?;
        let place = (share.group_index + 1, share.member_index + 1);
        set.cards.iter().find(|card| (card.group, card.member) == place)
    }

    pub(super) fn who(&self, share: &Share) -> String {
        self.card(share).map_or_else(String::new, |card| holder(card, " of "))
    }

    pub(super) fn is_enough(&self) -> bool {
        missing(&self.shares).is_none() && !self.shares.is_empty()
    }

    /// Who is still missing, for people.
    fn missing(&self) -> Option<String> {
        let Some((needed, groups)) = missing(&self.shares) else {
            return self.shares.is_empty().then(|| self.nobody_yet());
        };
        let lacks = |group: &GroupState| {
            let threshold = group.member_threshold.or_else(|| self.threshold(group.group_index));
            threshold.map(|of| usize::from(of).saturating_sub(group.present))
        };
        let complete = groups.iter().filter(|group| lacks(group) == Some(0)).count();
        let mut lines = vec![format!("still needed: {complete} of {needed} groups are complete")];
        for group in groups.iter().filter(|group| lacks(group) != Some(0)) {
            let number = group.group_index + 1;
            let count = lacks(group).map_or("cards".to_owned(), |count| count.to_string());
            lines.push(format!("  group {number}: {count} more{}", self.candidates(number)));
        }
        Some(lines.join("\n"))
    }

    fn nobody_yet(&self) -> String {
        let set = self.record.as_ref().and_then(|record| record.set.as_ref());
        set.map_or_else(
            || "the first card says how many are needed".to_owned(),
            |set| {
                let groups = set.group_count;
                format!("set {:05}: {} of {groups} groups are needed", set.set, set.group_threshold)
            },
        )
    }

    fn threshold(&self, group_index: u8) -> Option<u8> {
        let set = self.record.as_ref()?.set.as_ref()?;
        set.groups.get(usize::from(group_index)).map(|group| group.member_threshold)
    }

    /// Who has cards of a group that are not here.
    fn candidates(&self, group: u8) -> String {
        let set = self.record.as_ref().and_then(|record| record.set.as_ref());
        let here = |card: &KeyCardDocument| {
            let mut shares = self.shares.iter();
            shares.any(|it| (it.group_index + 1, it.member_index + 1) == (card.group, card.member))
        };
        let of_group = set.map(|set| set.cards.as_slice()).unwrap_or_default().iter();
        let absent: Vec<String> = of_group
            .filter(|card| card.group == group && !here(card))
            .map(|card| format!("member {}{}", card.member, holder(card, ", ")))
            .collect();
        if absent.is_empty() { String::new() } else { format!(" of {}", absent.join("; ")) }
    }

    pub(super) fn not_enough(&self) -> Report {
        let refused = format!("{} lines were not taken; each is named above", self.refused);
        let exit = if self.suspicious { Exit::Integrity } else { Exit::NotEnoughShares };
        let message = format!("not enough cards: {} good ones", self.shares.len());
        let report = Report::new(exit, message);
        let report = match self.missing() {
            Some(missing) => missing.lines().fold(report, |report, line| report.detail(line)),
            None => report,
        };
        let report = if self.refused > 0 { report.detail(refused) } else { report };
        report
            .safe("nothing was recovered; the cards are as they were")
            .next("bring the cards that are named, and repeat the command with all of them")
            .next("if they cannot be brought, what this key controls is out of reach for ever")
    }

    /// The secret of the cards, whatever passphrase was given.
    pub(super) fn recover(&self, passphrase: &Secret) -> Result<Recovered> {
        recover(&self.shares, passphrase.reveal()).map_err(|error| {
            Report::new(Exit::Integrity, error.to_string())
                .safe("nothing was recovered; the cards are as they were")
                .next("bring one more card: with one to spare, the wrong one is named")
        })
    }

    fn finish(&self, passphrase: &Secret, args: &KeysRecoverArgs) -> Result<Recovered> {
        let recovered = self.recover(passphrase)?;
        let as_before = Slip39RecoverArgs {
            shares: PathBuf::from("-"),
            passphrase_file: args.passphrase_file.clone(),
            fingerprint: args.fingerprint.clone(),
            bip39: args.bip39,
            age: args.age,
            bip39_passphrase_file: args.bip39_passphrase_file.clone(),
            reveal: args.reveal,
            json: args.json,
        };
        slip39_recover::finish(&recovered, self.shares.len(), &as_before)?;
        if let Some(file) = &args.out {
            self.export(&recovered, file, record::scheme(args.bip39, args.age))?;
        }
        Ok(recovered)
    }

    fn leave_evidence(
        &self,
        recovered: &Recovered,
        begun_ns: u64,
        passphrases_refused: usize,
        args: &KeysRecoverArgs,
    ) -> Result<()> {
        let (Some(file), Some(key)) = (&args.evidence, &args.report_key) else {
            return Ok(());
        };
        let ended_ns = record::now_ns();
        let elapsed_ms = ended_ns.saturating_sub(begun_ns) / 1_000_000;
        let card = |share: &Share| {
            format!("{}.{}{}", share.group_index + 1, share.member_index + 1, self.who(share))
        };
        let known = self.record.as_ref();
        let said = KeyRecoveryDocument {
            set: recovered.set.identifier,
            generation: known.map_or(0, |record| record.generation),
            cards: self.shares.iter().map(card).collect(),
            cards_refused: self.refused,
            passphrases_refused,
            verified: known.is_some(),
            master_fingerprint: known.map(|it| it.master_fingerprint.clone()).unwrap_or_default(),
            recipient: known.and_then(|it| it.recipient.clone()),
            begun: format_time_ns(begun_ns),
            ended: format_time_ns(ended_ns),
            elapsed_seconds: format!("{}.{:03}", elapsed_ms / 1_000, elapsed_ms % 1_000),
            ..KeyRecoveryDocument::default()
        };
        evidence::write(file, key, said)
    }

    /// Only after it was compared with the record.
    fn export(&self, recovered: &Recovered, file: &Path, said: KeyScheme) -> Result<()> {
        let scheme = self.record.as_ref().map_or(said, |record| record.scheme);
        let text = match scheme {
            KeyScheme::Bip39 => {
                let sentence = Mnemonic::from_entropy(recovered.secret.clone())
                    .map_err(|error| Report::new(Exit::Usage, error.to_string()))?;
                sentence.sentence()
            }
            KeyScheme::Age => {
                let identity = record::identity(&recovered.secret)?;
                let (recipient, text) = (identity.recipient(), identity.to_text());
                Zeroizing::new(format!("# recipient: {recipient}\n{}", text.as_str()))
            }
            KeyScheme::Seed => Zeroizing::new(hex(recovered.secret.reveal())),
        };
        write_new(file, Zeroizing::new(format!("{}\n", text.as_str())).as_bytes())?;
        output::note(&format!("wrote the secret to {}: destroy it after use", file.display()));
        Ok(())
    }
}

fn holder(card: &KeyCardDocument, before: &str) -> String {
    match (&card.holder, &card.place) {
        (Some(person), Some(place)) => format!("{before}{person} at {place}"),
        (Some(person), None) => format!("{before}{person}"),
        _ => String::new(),
    }
}
