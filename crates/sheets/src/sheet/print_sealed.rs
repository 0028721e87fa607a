//! Sealed payloads on paper.

use super::MODULE_MM;
use super::print::{MARGIN_MM, count};
use super::sealed::{Part, SYMBOLS_PER_SHEET, SealedError, SealedSheet};
use crate::page::{self, Font, Page, Paper};

/// Symbols side by side.
const SYMBOLS_ACROSS: usize = 2;

impl SealedSheet {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> String {
        self.parts.first().map(Part::name).unwrap_or_default()
    }

    /// The sheet.
    ///
    /// # Errors
    /// [`SealedError::Symbol`], which does not happen for sheets that were laid out here.
    pub fn page(&self, paper: Paper) -> Result<Page, SealedError> {
        let mut page = Page::new(paper);
        page.text((MARGIN_MM, 20.0), 6.5, Font::Bold, "Sealed sheet");
        page.text((MARGIN_MM, 26.5), 4.0, Font::Plain, self.name());
        let label = &self.label;
        let who =
            format!("Holder: {}   Place: {}   Date: {}", label.holder, label.place, label.date);
        page.text((MARGIN_MM, 32.0), 3.6, Font::Bold, who);
        let mut below = 34.0;
        for (at, part) in self.parts.iter().enumerate() {
            let grid = part.grid()?;
            let side = page::symbol_side_mm(grid.side(), MODULE_MM);
            let x = MARGIN_MM + side * count(at % SYMBOLS_ACROSS);
            let y = 34.0 + side * count(at / SYMBOLS_ACROSS);
            page.shapes.extend(page::symbol(&grid, x, y, MODULE_MM));
            below = y + side;
        }
        for (at, line) in self.reading().iter().enumerate() {
            let font = if line.ends_with(':') { Font::Bold } else { Font::Plain };
            page.text((MARGIN_MM, below + 4.5 + 4.2 * count(at)), 3.3, font, line.as_str());
        }
        Ok(page)
    }

    fn reading(&self) -> Vec<String> {
        let sheets = self.parts.first().map_or(1, Part::sheets);
        let parity = self.parts.first().is_some_and(Part::is_parity);
        let which = match (sheets, parity) {
            (1, _) => "It is the only one.".to_owned(),
            (sheets, false) => format!("There are {sheets}; any {} of them suffice.", sheets - 1),
            (sheets, true) => {
                format!("It is parity: it stands in for any one of the other {}.", sheets - 1)
            }
        };
        [
            "What this is:",
            "Encrypted bytes of one holder, for machines. This sheet alone reveals nothing without",
            &format!("the key or passphrase that opens them. {which}"),
            "If it is not yours: put it back, or call ______________________________________",
            "To get the bytes back: scan or photograph every sheet, then",
            "  evenkeel keys sheet scan IMAGE... --out FILE",
            "Dirt and folds over a part of each symbol do no harm. Keep the round targets too.",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

impl Part {
    /// The sheet it is of, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let id = self.id.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
        format!(
            "sheet {} of {} of payload {id}, generation {}{}",
            self.sheet + 1,
            self.sheets(),
            self.generation,
            if self.is_parity() { " (parity)" } else { "" }
        )
    }

    /// Which of the sheet's symbols it is, from 1.
    #[must_use]
    pub fn symbol_number(&self) -> usize {
        usize::from(self.symbol).min(SYMBOLS_PER_SHEET - 1) + 1
    }
}
