//! `evenkeel keys qr …`: messages between machines without a network, as films of symbols.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keys qr …`
#[derive(Debug, Subcommand)]
pub enum QrCommand {
    /// Show a file as a film of QR symbols
    ///
    /// As many frames again are parity, so any half of them gives the file back: a camera may miss
    /// the others.
    #[command(
        after_help = "Example:\n  evenkeel keys qr send table/opening-1.txt --out film.html\n  \
        evenkeel keys qr send table/opening-1.txt --terminal\n\n\
        Exit codes: 0 written or shown, 1 the file is there already, 2 empty or longer than 256 KiB"
    )]
    Send(QrSendArgs),

    /// Bring a file back from pictures of such a film
    ///
    /// In any order; frames of other films, frames seen twice and pictures without a frame do no
    /// harm.
    #[command(
        after_help = "Example:\n  evenkeel keys qr receive shots/*.png --out opening-1.txt\n\n\
        Exit codes: 0 received, 2 frames of several files: say which with --id, 10 no frame was \
        read, 20 a frame was forged, 22 too few different frames"
    )]
    Receive(QrReceiveArgs),
}

/// Arguments of `keys qr send`.
#[derive(Debug, Clone, Args)]
pub struct QrSendArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// New web page that shows the film by itself, without a network
    #[arg(long, value_name = "FILE", required_unless_present_any = ["frames", "terminal"])]
    pub out: Option<PathBuf>,

    /// Folder for the frames as SVG, one file each
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,

    /// Show the film in this terminal, until it is interrupted; it takes 65 columns and 33 lines
    #[arg(long, conflicts_with_all = ["out", "frames", "json"])]
    pub terminal: bool,

    /// Show the film in the terminal so many times [default: until interrupted]
    #[arg(long, value_name = "N", requires = "terminal")]
    pub rounds: Option<u32>,

    /// How long each frame is shown
    #[arg(long, value_name = "MS", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(20..=10_000))]
    pub pause_ms: u32,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys qr receive`.
#[derive(Debug, Clone, Args)]
pub struct QrReceiveArgs {
    /// Pictures of the film, PNG or JPEG, each with one frame or more
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// Which film, by the first digits of its id, if there are several
    #[arg(long, value_name = "HEX")]
    pub id: Option<String>,

    /// New file for what was received
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
