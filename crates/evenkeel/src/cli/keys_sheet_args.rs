//! `evenkeel keys sheet …`: cards and sealed bytes on paper, and back.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `keys sheet …`
#[derive(Debug, Subcommand)]
pub enum SheetCommand {
    /// Print one holder's words or sealed bytes on sheets for decades
    ///
    /// One file for each card: words in large type with check words, a symbol that survives dirt
    /// and folds, and what a stranger has to know. Sealed bytes that one sheet does not hold are
    /// laid over several with parity; always those of one holder.
    #[command(after_help = "Example:\n  evenkeel keys sheet print cards/set-01234-group-01-\
        member-02.txt --fingerprint cards/fingerprint.json --out sheets --paper letter\n  \
        evenkeel keys sheet print --sealed share.age --holder Ada --out sheets\n\n\
        Exit codes: 0 printed, 1 a file is there already, 2 what is given cannot be printed, 20 a \
        card is damaged")]
    Print(SheetPrintArgs),

    /// Read sheets back from scans and photographs, and check words typed off them
    ///
    /// Prints nothing secret without --reveal; --out writes a file that `keys slip39 recover
    /// --shares` takes. Typed words are checked by their place on the sheet and never corrected.
    #[command(after_help = "Example:\n  evenkeel keys sheet scan photo1.jpg photo2.jpg --out \
        words.txt\n  evenkeel keys sheet scan --words typed.txt --generation 3\n\n\
        Exit codes: 0 read, 2 a typed word is not in the list, 3 nothing vouches for the typed \
        words but the card's own checksum, 10 no symbol was read, 20 words, check words or \
        symbol differ, 22 not enough sheets of a sealed payload")]
    Scan(SheetScanArgs),

    /// Compare sheets, scanned, with the record of the key
    #[command(after_help = "Example:\n  evenkeel keys sheet verify photo.jpg --fingerprint \
        fingerprint.json\n\n\
        Exit codes: 0 these are the cards that were dealt, 10 no symbol was read, 12 another \
        key's sentence, 20 not the cards of the record")]
    Verify(SheetVerifyArgs),
}

/// A kind of file to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SheetFormat {
    /// One file for all pages; Western European letters only.
    Pdf,
    /// One file for each page; every letter.
    Svg,
}

/// Paper to print on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SheetPaper {
    /// 210 × 297 mm.
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

/// Which list typed words are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SheetWords {
    /// A card of a split.
    Slip39,
    /// A wallet's sentence.
    Bip39,
}

/// Arguments of `keys sheet print`.
#[derive(Debug, Clone, Args)]
pub struct SheetPrintArgs {
    /// Files with cards, as `keys slip39 split` writes them
    #[arg(value_name = "CARD", required_unless_present_any = ["mnemonic_file", "sealed"])]
    pub cards: Vec<PathBuf>,

    /// Print a BIP-39 sentence instead: the whole key on one sheet
    #[arg(long, value_name = "FILE", conflicts_with = "cards")]
    pub mnemonic_file: Option<PathBuf>,

    /// Print bytes that are sealed already, of one holder, such as an encrypted share
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cards", "mnemonic_file"])]
    pub sealed: Option<PathBuf>,

    /// Lay the sealed bytes over so many sheets, and one of parity [default: as few as hold them]
    #[arg(long, value_name = "N", requires = "sealed")]
    pub data_sheets: Option<usize>,

    /// Record of the key: generation, members, holders and places are taken from it
    #[arg(long, value_name = "FILE")]
    pub fingerprint: Option<PathBuf>,

    /// Who holds it, if the record does not say
    #[arg(long, value_name = "NAME", default_value = "")]
    pub holder: String,

    /// Where it lies, if the record does not say
    #[arg(long, value_name = "PLACE", default_value = "")]
    pub place: String,

    /// Date to print; none is taken from the clock
    #[arg(long, value_name = "DATE", default_value = "")]
    pub date: String,

    /// Which split of the key it is, if the record does not say
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub generation: u32,

    /// Kind of file
    #[arg(long, value_name = "pdf|svg", default_value = "pdf")]
    pub format: SheetFormat,

    /// Paper
    #[arg(long, value_name = "a4|letter", default_value = "a4")]
    pub paper: SheetPaper,

    /// Add the table for metal: four letters of each word, as a page and as text
    #[arg(long, conflicts_with = "sealed")]
    pub metal: bool,

    /// Folder for the sheets; files are readable by the owner alone
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys sheet scan`.
#[derive(Debug, Clone, Args)]
pub struct SheetScanArgs {
    /// Pictures: PNG or JPEG, from a scanner or a camera, turned any way
    #[arg(value_name = "IMAGE", required_unless_present = "words")]
    pub images: Vec<PathBuf>,

    /// File with words typed off one sheet, line by line, and the line of check words that begins
    /// with =; four letters of each word suffice
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,

    /// Which list the typed words are from
    #[arg(long, value_name = "slip39|bip39", default_value = "slip39", requires = "words")]
    pub scheme: SheetWords,

    /// The generation that the sheet with the typed words says
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub generation: u32,

    /// New file for the words, a card a line, or for the sealed bytes
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print the words to stdout
    #[arg(long)]
    pub reveal: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys sheet verify`.
#[derive(Debug, Clone, Args)]
pub struct SheetVerifyArgs {
    /// Pictures of sheets
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// Record of the key
    #[arg(long, value_name = "FILE")]
    pub fingerprint: PathBuf,

    /// Passphrase of a BIP-39 sentence, for the fingerprint
    #[arg(long, value_name = "FILE")]
    pub bip39_passphrase_file: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
