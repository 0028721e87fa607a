//! A card on paper and on metal.

use zeroize::Zeroizing;

use super::card::{Card, CardError, CardWords};
use super::{MODULE_MM, WORDS_PER_LINE};
use crate::page::{self, Font, Page, Paper};

/// White around everything.
pub(super) const MARGIN_MM: f64 = 15.0;
/// From one line of words to the next.
const LINE_MM: f64 = 8.6;
/// What is read by a stranger, and the room between its lines.
const READING_MM: f64 = 3.4;
const READING_LINE_MM: f64 = 4.5;
/// Width of a column of words.
const COLUMN_MM: f64 = 45.0;
/// What the line of check words is.
const CHECK_WORDS_NOTE: &str = "= check words: they vouch for the words above and are as secret; \
                                they are not part of the key.";
/// Words on a line of the table for metal.
const METAL_PER_LINE: usize = 3;

impl Card {
    /// The sheet, one page or two.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn pages(&self, paper: Paper) -> Result<Vec<Page>, CardError> {
        let grid = self.symbol()?;
        let mut page = Page::new(paper);
        let mut y = self.head(&mut page);
        y = self.words_down(&mut page, y);
        let symbol_mm = page::symbol_side_mm(grid.side(), MODULE_MM);
        let reading = self.reading();
        let beside = symbol_mm.max(10.0 + READING_LINE_MM * count(reading.len()));
        let (_, height) = paper.millimetres();
        let mut pages = Vec::new();
        if y + beside > height - MARGIN_MM {
            pages.push(page);
            page = Page::new(paper);
            y = self.head(&mut page);
        }
        page.shapes.extend(page::symbol(&grid, MARGIN_MM - 2.0, y, MODULE_MM));
        let x = MARGIN_MM + symbol_mm + 2.0;
        for (at, line) in reading.iter().enumerate() {
            let font = if line.ends_with(':') { Font::Bold } else { Font::Plain };
            page.text((x, y + 5.0 + READING_LINE_MM * count(at)), READING_MM, font, line.as_str());
        }
        pages.push(page);
        Ok(pages)
    }

    /// Who and what, down to where the words may begin.
    fn head(&self, page: &mut Page) -> f64 {
        let (width, _) = page.paper.millimetres();
        let title = match self.words {
            CardWords::Slip39(_) => "Key card (SLIP-39)",
            CardWords::Bip39(_) => "Key sentence (BIP-39)",
        };
        page.text((MARGIN_MM, 21.0), 7.0, Font::Bold, title);
        let mut y = 28.0;
        for line in [self.title(), self.alone(), self.needed()] {
            if !line.is_empty() {
                page.text((MARGIN_MM, y), 4.0, Font::Plain, line);
                y += 5.4;
            }
        }
        let blank = |text: &str| match text {
            "" => "______________________".to_owned(),
            text => text.to_owned(),
        };
        let label = &self.label;
        page.text((MARGIN_MM, y), 4.0, Font::Bold, format!("Holder: {}", blank(&label.holder)));
        y += 5.4;
        let place = format!("Place: {}   Date: {}", blank(&label.place), blank(&label.date));
        page.text((MARGIN_MM, y), 4.0, Font::Plain, place);
        page.rule(MARGIN_MM, y + 2.5, width - 2.0 * MARGIN_MM);
        y + 4.0
    }

    /// The words with their numbers and the check words; gives where they end.
    fn words_down(&self, page: &mut Page, top: f64) -> f64 {
        let (width, _) = page.paper.millimetres();
        let text = self.text();
        let mut y = top;
        for (line, words) in
            text.split_whitespace().collect::<Vec<_>>().chunks(WORDS_PER_LINE).enumerate()
        {
            y += LINE_MM;
            for (at, word) in words.iter().enumerate() {
                let x = MARGIN_MM + COLUMN_MM * count(at);
                let number = (line * WORDS_PER_LINE + at + 1).to_string();
                page.text((x, y), 3.2, Font::Plain, number);
                page.text((x + 7.0, y), 6.0, Font::Fixed, *word);
            }
        }
        y += LINE_MM;
        page.text((MARGIN_MM, y), 6.0, Font::Bold, "=");
        for (at, word) in self.check_words().iter().enumerate() {
            page.text((MARGIN_MM + 7.0 + 34.5 * count(at), y), 5.4, Font::Fixed, word.as_str());
        }
        y += 5.0;
        page.text((MARGIN_MM, y), 3.0, Font::Plain, CHECK_WORDS_NOTE);
        page.rule(MARGIN_MM, y + 2.0, width - 2.0 * MARGIN_MM);
        y + 3.5
    }

    fn title(&self) -> String {
        match &self.words {
            CardWords::Slip39(share) => format!(
                "Set {:05}, generation {}: group {} of {}, member {}{}",
                share.set.identifier,
                self.generation,
                share.group_index + 1,
                share.set.group_count,
                share.member_index + 1,
                if self.members == 0 { String::new() } else { format!(" of {}", self.members) },
            ),
            CardWords::Bip39(_) => format!("Generation {}", self.generation),
        }
    }

    /// What this sheet is worth by itself.
    fn alone(&self) -> String {
        let CardWords::Slip39(share) = &self.words else {
            return "THIS SHEET ALONE IS THE WHOLE KEY: whoever reads it has everything."
                .to_owned();
        };
        if share.member_threshold > 1 || share.set.group_threshold > 1 {
            "This sheet alone reveals nothing of the key.".to_owned()
        } else {
            "THIS SHEET ALONE IS THE WHOLE KEY: whoever reads it has everything.".to_owned()
        }
    }

    fn needed(&self) -> String {
        let CardWords::Slip39(share) = &self.words else {
            return String::new();
        };
        let of = if self.members == 0 { String::new() } else { format!(" of {}", self.members) };
        let cards =
            format!("{}{of} cards of group {}", share.member_threshold, share.group_index + 1);
        match (share.set.group_threshold, share.set.group_count) {
            (_, 1) => format!("Needed: {cards}."),
            (needed, groups) => format!("Needed: {cards}, and {needed} of {groups} groups in all."),
        }
    }

    /// For whoever finds it.
    fn reading(&self) -> Vec<String> {
        let lines: &[&str] = match self.words {
            CardWords::Slip39(_) => &[
                "What this is:",
                "One of several cards that together are a key",
                "to other people's or a firm's money.",
                "",
                "If it is not yours:",
                "Do not photograph it, type it into a web page,",
                "send it, or tell anybody a word of it, whoever asks.",
                "Put it back, or call:",
                "",
                "______________________________________",
                "",
                "To get the key back:",
                "Bring together as many cards as are needed, on a",
                "computer that is on no network and is wiped after.",
                "Scan or photograph there, or type the words:",
                "  evenkeel keys sheet scan IMAGE... --out FILE",
                "  evenkeel keys slip39 recover --shares FILE",
                "Without this program: every tool for SLIP-39",
                "reads the numbered words in their order.",
            ],
            CardWords::Bip39(_) => &[
                "What this is:",
                "The words of a wallet, all of them, in order.",
                "",
                "If it is not yours:",
                "Do not photograph it, type it into a web page,",
                "send it, or tell anybody a word of it, whoever asks.",
                "Put it back, or call:",
                "",
                "______________________________________",
                "",
                "To get the key back:",
                "On a computer that is on no network, or on a",
                "hardware wallet, type the numbered words.",
                "To check the words first:",
                "  evenkeel keys sheet scan IMAGE...",
                "There may be a passphrase that is not here.",
            ],
        };
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    /// The words for metal: four letters tell each from all others.
    #[must_use]
    pub fn metal_text(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(2_048));
        out.push_str(&format!("# {}\n# {}\n", self.title(), self.needed()));
        out.push_str("# first four letters of each word; = check words\n");
        let words = self.text();
        let words: Vec<&str> = words.split_whitespace().collect();
        for (line, words) in words.chunks(WORDS_PER_LINE).enumerate() {
            for (at, word) in words.iter().enumerate() {
                out.push_str(&format!("{:>3} ", line * WORDS_PER_LINE + at + 1));
                let letters = four_letters(word);
                out.push_str(&letters);
                (letters.chars().count()..4).for_each(|_| out.push(' '));
            }
            out.push('\n');
        }
        out.push('=');
        for word in self.check_words() {
            out.push(' ');
            out.push_str(&four_letters(&word));
        }
        out.push('\n');
        out
    }

    /// The same as a table of cells, one letter each, to be laid over a plate and punched.
    #[must_use]
    pub fn metal_page(&self, paper: Paper) -> Page {
        const CELL: f64 = 7.0;
        let mut page = Page::new(paper);
        page.text((MARGIN_MM, 21.0), 6.0, Font::Bold, "For metal: four letters of each word");
        page.text((MARGIN_MM, 27.5), 4.0, Font::Plain, self.title());
        page.text((MARGIN_MM, 33.0), 4.0, Font::Plain, self.needed());
        let text = self.text();
        let mut rows: Vec<(String, Zeroizing<String>)> = text
            .split_whitespace()
            .enumerate()
            .map(|(at, word)| ((at + 1).to_string(), four_letters(word)))
            .collect();
        let check = self.check_words();
        rows.extend(check.iter().map(|word| ("=".to_owned(), four_letters(word))));
        // Down the columns, as plates are punched.
        let per_column = rows.len().div_ceil(METAL_PER_LINE);
        for (at, (number, letters)) in rows.iter().enumerate() {
            let x = MARGIN_MM + 60.0 * count(at / per_column);
            let y = 38.0 + (CELL + 1.5) * count(at % per_column);
            page.text((x, y + 5.2), 4.0, Font::Plain, number.as_str());
            for cell in 0..4 {
                frame(&mut page, x + 9.0 + CELL * count(cell), y, CELL);
            }
            for (cell, letter) in letters.chars().enumerate() {
                let at = (x + 10.8 + CELL * count(cell), y + 5.3);
                page.text(at, 5.6, Font::Fixed, letter.to_string());
            }
        }
        page
    }
}

fn frame(page: &mut Page, x: f64, y: f64, side: f64) {
    for (x, y, width, height) in [
        (x, y, side, 0.15),
        (x, y + side, side, 0.15),
        (x, y, 0.15, side),
        (x + side, y, 0.15, side),
    ] {
        page.shapes.push(page::Shape::Bar { x, y, width, height });
    }
}

fn four_letters(word: &str) -> Zeroizing<String> {
    Zeroizing::new(word.chars().take(4).flat_map(char::to_uppercase).collect())
}

pub(super) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}
