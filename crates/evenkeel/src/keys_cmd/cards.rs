//! Cards in files: one a line, with the line remembered for messages.

use std::path::Path;

use evenkeel_custody::Secret;
use evenkeel_custody::slip39::{RecoverError, Recovered, Share, ShareError, recover};

use super::input;
use crate::report::{Exit, Report, Result};

/// Cards as they were read.
pub(super) struct Cards {
    pub(super) shares: Vec<Share>,
    /// The line of each, from 1.
    lines: Vec<usize>,
    file: String,
}

impl Cards {
    /// Reads every card of a file, or says everything that is wrong with any of them.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = input::read_text(file, "the cards")?;
        let mut cards =
            Self { shares: Vec::new(), lines: Vec::new(), file: file.display().to_string() };
        let mut faults = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Share::parse(line) {
                Ok(share) => {
                    cards.shares.push(share);
                    cards.lines.push(number);
                }
                Err(error) => faults.push((number, error)),
            }
        }
        if faults.is_empty() { Ok(cards) } else { Err(cards.unreadable(&faults)) }
    }

    /// The secret of these cards, or what is wrong with them and where.
    pub(super) fn recover(&self, passphrase: &Secret) -> Result<Recovered> {
        recover(&self.shares, passphrase.reveal()).map_err(|error| self.report(&error))
    }

    fn unreadable(&self, faults: &[(usize, ShareError)]) -> Report {
        let typing = faults.iter().any(|(_, error)| matches!(error, ShareError::UnknownWords(_)));
        let exit = if typing { Exit::Usage } else { Exit::Integrity };
        let total = faults.len() + self.shares.len();
        let message = format!("{} of {total} cards cannot be read", faults.len());
        let report = Report::new(exit, message)
            .at(self.file.clone())
            .safe("nothing was recovered, and nothing is ever corrected by itself");
        faults
            .iter()
            .fold(report, |report, (line, error)| report.detail(format!("line {line}: {error}")))
            .next("compare these lines with the cards, mend them, and repeat the command")
    }

    /// A card, as people find it.
    fn find(&self, card: usize) -> String {
        let line = self.lines.get(card).copied().unwrap_or_default();
        let name = self.shares.get(card).map(Share::name).unwrap_or_default();
        format!("card {} is line {line}: {name}", card + 1)
    }

    /// What is wrong with readable cards together, and where they are.
    fn report(&self, error: &RecoverError) -> Report {
        let exit = match error {
            RecoverError::NotEnough { .. } | RecoverError::Nothing => Exit::NotEnoughShares,
            _ => Exit::Integrity,
        };
        let report = Report::new(exit, error.to_string())
            .at(self.file.clone())
            .safe("nothing was recovered; the cards are as they were");
        let concerned = concerned(error);
        let report = concerned.iter().fold(report, |report, card| report.detail(self.find(*card)));
        next_steps(error).iter().fold(report, |report, next| report.next(*next))
    }
}

fn concerned(error: &RecoverError) -> Vec<usize> {
    match error {
        RecoverError::Mixed(sets) => sets.iter().flat_map(|set| set.cards.clone()).collect(),
        RecoverError::Conflict { cards: (first, second), .. } => vec![*first, *second],
        RecoverError::OneOfMany { card, .. } => vec![*card],
        RecoverError::MemberThresholds { cards, .. }
        | RecoverError::Lengths(cards)
        | RecoverError::Forged(cards)
        | RecoverError::Damaged { cards, .. }
        | RecoverError::Ambiguous { cards, .. } => cards.clone(),
        _ => Vec::new(),
    }
}

fn next_steps(error: &RecoverError) -> &'static [&'static str] {
    match error {
        RecoverError::Nothing => &["put the words of one card on each line of the file"],
        RecoverError::NotEnough { .. } => {
            &["bring the cards that are missing, add their lines, and repeat the command"]
        }
        RecoverError::Mixed(_) => &[
            "keep the lines of one set and repeat the command; the set is also printed beside the \
             words",
        ],
        RecoverError::Forged(_) => &[
            "put # before these lines and repeat the command with the others",
            "keep the cards as evidence: find out whether they were mistyped, and who held them",
        ],
        RecoverError::Damaged { .. } => &[
            "add one more card of that group: then the wrong one is named",
            "without one: compare each line with its card, word by word",
        ],
        RecoverError::Ambiguous { .. } => {
            &["compare the candidates with the recorded fingerprint; find out who held these cards"]
        }
        RecoverError::OneOfMany { .. } => {
            &["recover with the tool that made these cards, then split anew with 2ofN"]
        }
        _ => &["compare these lines with the cards"],
    }
}
