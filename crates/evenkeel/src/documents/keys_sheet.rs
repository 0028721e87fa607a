//! Sheets of paper.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `keys sheet print --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "sheet_print")]
pub struct SheetPrintDocument {
    /// The sheets, in order.
    pub sheets: Vec<SheetDocument>,
}

/// One sheet and its files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SheetDocument {
    /// What people call it.
    pub name: String,
    /// Who holds it; empty if nobody was named.
    pub holder: String,
    /// Where it lies; empty if no place was named.
    pub place: String,
    /// Its files.
    pub files: Vec<PathBuf>,
}

/// `keys sheet scan --json` and `keys sheet verify --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "sheet_scan")]
pub struct SheetScanDocument {
    /// Pictures that were looked at.
    pub pictures: usize,
    /// Symbols that were read.
    pub symbols: Vec<SheetSymbolDocument>,
    /// Cards that were read, from symbols or typed words.
    pub cards: Vec<SheetCardDocument>,
    /// Sealed payloads of which something was read.
    pub payloads: Vec<SheetPayloadDocument>,
    /// The file that was written; `null` without `--out`.
    pub written: Option<PathBuf>,
}

/// One symbol in a picture.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SheetSymbolDocument {
    /// The picture.
    pub picture: PathBuf,
    /// What it is of.
    pub name: String,
    /// Which of its sheet's symbols it is, from 1.
    pub symbol: usize,
    /// Codewords that were wrong or covered and are right now.
    pub corrected: usize,
    /// Codewords there are.
    pub codewords: usize,
    /// How it was found: `finders`, `targets` or `mesh`.
    pub found_by: String,
}

/// One card that was read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SheetCardDocument {
    /// What people call it.
    pub name: String,
    /// Which split of the key it is, from 1.
    pub generation: u32,
    /// Who holds it, as its symbol says; empty for typed words.
    pub holder: String,
    /// Where it lies.
    pub place: String,
    /// When it was made, as the maker wrote it.
    pub date: String,
    /// What vouches for the words: `symbol`, `check_words`, `both` or `checksum`.
    pub vouched_by: String,
    /// Whether it is the card or key of the record; `null` if it was not compared.
    pub verified: Option<bool>,
    /// Its words; `null` unless `--reveal` was given.
    pub words: Option<String>,
}

/// One sealed payload of which something was read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SheetPayloadDocument {
    /// What tells it from others, 8 bytes.
    pub id_hex: String,
    /// Which generation it belongs to.
    pub generation: u32,
    /// Sheets there are, that of parity counted.
    pub sheets: u8,
    /// Whether all of it is there.
    pub complete: bool,
    /// Sheets that were not read whole, from 1; computed from the others if `complete`.
    pub sheets_lost: Vec<u8>,
    /// Its length; `null` unless `complete`.
    pub bytes: Option<usize>,
    /// Who holds it; empty unless `complete`.
    pub holder: String,
}

/// `keys qr send --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "qr_send")]
pub struct QrSendDocument {
    /// What tells the film from others, 8 bytes.
    pub id_hex: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// Frames of the film.
    pub frames: usize,
    /// Frames that suffice, any of them.
    pub frames_needed: usize,
    /// Files that were written.
    pub written: Vec<PathBuf>,
}

/// `keys qr receive --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "qr_receive")]
pub struct QrReceiveDocument {
    /// Pictures that were looked at.
    pub pictures: usize,
    /// Pictures without a whole frame.
    pub pictures_without: usize,
    /// Films of which a frame was read.
    pub films: Vec<QrFilmDocument>,
    /// The file that was written.
    pub written: Option<PathBuf>,
}

/// One film of which a frame was read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QrFilmDocument {
    /// What tells it from others, 8 bytes.
    pub id_hex: String,
    /// Different frames that were read.
    pub frames_read: usize,
    /// Frames that suffice, any of them.
    pub frames_needed: usize,
    /// Frames of the film.
    pub frames: usize,
}
