//! Parts of sealed payloads back into payloads.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::sealed::{Part, SYMBOLS_PER_SHEET, Sealed, sum};

/// Parts of one payload, as they come.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    /// By sheet and symbol.
    parts: BTreeMap<(u8, u8), Part>,
}

/// A payload that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// It.
    pub sealed: Sealed,
    /// Sheets of which something had to be computed from the others, from 1.
    pub rebuilt: Vec<LostSheet>,
}

/// A sheet that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostSheet {
    /// Which, from 1.
    pub sheet: u8,
    /// Symbols of it that were not read.
    pub symbols: usize,
}

/// Why there is no payload yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Not one part.
    #[error("no part of a sealed payload was read")]
    Everything,
    /// Two parts of one row: parity gives back one.
    #[error("{}", sheets(.0))]
    Parts(Vec<LostSheet>),
    /// All parts hold by themselves, and are not of one payload.
    #[error("all parts are there and are not those of one payload: one of them was forged")]
    Forged,
}

fn sheets(lost: &[LostSheet]) -> String {
    let told: Vec<String> = lost
        .iter()
        .map(|lost| match lost.symbols {
            SYMBOLS_PER_SHEET => format!("sheet {}", lost.sheet),
            symbols => format!("{symbols} symbols of sheet {}", lost.sheet),
        })
        .collect();
    format!("not read: {}; one sheet of a payload can be computed, not two", told.join(", "))
}

impl Gathering {
    /// Adds a part if it is of the same payload as those before it; says whether it is.
    pub fn add(&mut self, part: &Part) -> bool {
        let alike = self.parts.values().next().is_none_or(|known| {
            (known.id, known.generation, known.body_bytes, known.data_sheets)
                == (part.id, part.generation, part.body_bytes, part.data_sheets)
        });
        if alike {
            self.parts.entry((part.sheet, part.symbol)).or_insert_with(|| part.clone());
        }
        alike
    }

    /// A part that says what all say.
    #[must_use]
    pub fn sample(&self) -> Option<&Part> {
        self.parts.values().next()
    }

    /// Sheets of which not all symbols were read.
    #[must_use]
    pub fn lost(&self) -> Vec<LostSheet> {
        let sheets = self.sample().map_or(0, Part::sheets);
        let read = |sheet| self.parts.range((sheet, 0)..=(sheet, u8::MAX)).count();
        (0..sheets)
            .map(|sheet| LostSheet { sheet: sheet + 1, symbols: SYMBOLS_PER_SHEET - read(sheet) })
            .filter(|lost| lost.symbols > 0)
            .collect()
    }

    /// The payload, if no two parts of one row are missing.
    ///
    /// # Errors
    /// What is missing, by sheet.
    pub fn finish(&self) -> Result<Gathered, Missing> {
        let sample = self.sample().ok_or(Missing::Everything)?;
        let mut body = Zeroizing::new(Vec::with_capacity(8_192 + 512));
        let lost = self.lost();
        for sheet in 0..sample.data_sheets {
            for symbol in 0..SYMBOLS_PER_SHEET {
                let symbol = u8::try_from(symbol).unwrap_or(u8::MAX);
                let content = self
                    .content(sample, sheet, symbol)
                    .ok_or_else(|| Missing::Parts(lost.clone()))?;
                body.extend(content.iter());
            }
        }
        body.truncate(usize::try_from(sample.body_bytes).unwrap_or(usize::MAX));
        let sealed =
            Sealed::from_body(sample.generation, sample.id, &body).ok_or(Missing::Forged)?;
        Ok(Gathered { sealed, rebuilt: lost })
    }

    /// A part's content, read or computed from the others of its row.
    fn content(&self, sample: &Part, sheet: u8, symbol: u8) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(part) = self.parts.get(&(sheet, symbol)) {
            return Some(part.content.clone());
        }
        if sample.sheets() == 1 {
            return None;
        }
        let others: Option<Vec<&Zeroizing<Vec<u8>>>> = (0..sample.sheets())
            .filter(|other| *other != sheet)
            .map(|other| self.parts.get(&(other, symbol)).map(|part| &part.content))
            .collect();
        Some(sum(others?.into_iter(), sample.content.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Label, Payload};
    use super::*;

    fn sealed(bytes: usize) -> Sealed {
        let label = Label { holder: "Ada".into(), place: "bank".into(), date: "2026-01-02".into() };
        let bytes = Zeroizing::new((0..bytes).map(|at| (at * 7 + at / 256) as u8).collect());
        Sealed { generation: 3, label, bytes }
    }

    fn gather<'a>(parts: impl Iterator<Item = &'a Part>) -> Result<Gathered, Missing> {
        let mut gathering = Gathering::default();
        for part in parts {
            let Payload::Part(read) = Payload::read(&part.payload()).unwrap() else {
                panic!("another kind");
            };
            assert!(gathering.add(&read));
        }
        gathering.finish()
    }

    #[test]
    fn one_of_four_sheets_may_be_lost_and_which_one_is_said() {
        let sealed = sealed(3_000);
        let sheets = sealed.sheets(None).unwrap();
        assert_eq!(sheets.len(), 4);
        for lost in 0..4 {
            let parts = sheets.iter().enumerate().filter(|(at, _)| *at != lost);
            let back = gather(parts.flat_map(|(_, sheet)| &sheet.parts)).unwrap();
            assert_eq!(back.sealed, sealed);
            let said = LostSheet { sheet: lost as u8 + 1, symbols: 4 };
            assert_eq!(back.rebuilt, [said]);
        }
    }

    #[test]
    fn two_lost_sheets_are_named() {
        let sheets = sealed(3_000).sheets(None).unwrap();
        let missing = gather(sheets.iter().skip(2).flat_map(|sheet| &sheet.parts)).unwrap_err();
        let text = missing.to_string();
        assert!(text.starts_with("not read: sheet 1, sheet 2;"), "{text}");
    }

    #[test]
    fn a_symbol_of_every_sheet_may_be_lost_if_no_two_stand_in_the_same_place() {
        let sealed = sealed(3_000);
        let sheets = sealed.sheets(None).unwrap();
        let parts = sheets.iter().flat_map(|sheet| &sheet.parts);
        let back = gather(parts.filter(|part| part.sheet != part.symbol)).unwrap();
        assert_eq!(back.sealed, sealed);
        assert_eq!(back.rebuilt.len(), 4);
    }

    #[test]
    fn every_length_comes_back() {
        for bytes in [1, 2, 100, 1_000, 1_108, 1_109, 4_096, 8_192] {
            let sealed = sealed(bytes);
            for count in [None, Some(15)] {
                let sheets = sealed.sheets(count).unwrap();
                let back = gather(sheets.iter().flat_map(|sheet| &sheet.parts)).unwrap();
                assert_eq!(back.sealed, sealed, "{bytes} bytes");
            }
        }
        assert_eq!(sealed(8_193).sheets(None), Err(super::super::SealedError::Length(8_193)));
        assert!(sealed(3_000).sheets(Some(2)).is_err());
    }

    #[test]
    fn parts_of_another_payload_are_not_added() {
        let ours = sealed(50).sheets(None).unwrap();
        let theirs = sealed(51).sheets(None).unwrap();
        let mut gathering = Gathering::default();
        assert!(gathering.add(&ours[0].parts[0]));
        assert!(!gathering.add(&theirs[0].parts[1]));
    }

    #[test]
    fn a_forged_part_gives_nothing() {
        let sheets = sealed(50).sheets(None).unwrap();
        let mut parts: Vec<Part> = sheets[0].parts.clone();
        parts[1].content[0] ^= 1;
        assert_eq!(gather(parts.iter()), Err(Missing::Forged));
    }
}
