//! Flipped bits in a copy of a journal, one at a time, and what `journal verify` says of each.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::{Rig, copy_tree};

const FRAME: &[u8] = b"evenkeel journal frame docs/formats.md\r\n";
/// First frame of a segment.
const FRAMES_AT: usize = 512;
const SECTOR: usize = 512;
const HEADER: usize = 160;

/// Where a frame lies.
#[derive(Debug, Clone)]
pub struct Frame {
    pub file: PathBuf,
    pub offset: u64,
    pub length_bytes: u64,
    /// 0 for a seal.
    pub entries: u64,
}

/// Segments of a journal in order.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.len() == 20 && name.ends_with(".seg")
        })
        .collect();
    all.sort();
    all
}

/// Frames of a journal in order, found as `docs/formats/journal.md` draws them.
pub fn frames(dir: &Path) -> Vec<Frame> {
    segments(dir).iter().flat_map(|file| frames_of(file)).collect()
}

fn frames_of(file: &Path) -> Vec<Frame> {
    let bytes = fs::read(file).unwrap();
    let mut at = FRAMES_AT;
    let mut found = Vec::new();
    while bytes.get(at..at + FRAME.len()) == Some(FRAME) {
        let number = |from: usize| {
            let field = bytes[at + from..at + from + 4].try_into().unwrap();
            u32::from_le_bytes(field) as usize
        };
        let (entries, body_bytes) = (number(48), number(52));
        let sectors = (HEADER + body_bytes).div_ceil(SECTOR - 1);
        found.push(Frame {
            file: file.to_owned(),
            offset: at as u64,
            length_bytes: (sectors * SECTOR) as u64,
            entries: entries as u64,
        });
        at += sectors * SECTOR;
    }
    found
}

/// What became of the flips.
#[derive(Debug, Default)]
pub struct Tally {
    /// Inside a frame, or in a segment's header: all detected.
    pub in_frames: u64,
    /// Inside a frame, but behind its body: all reported as harmless.
    pub padding: u64,
    /// In space that no frame uses: all reported as harmless.
    pub unused: u64,
    /// In the journal's `meta`, which has two copies.
    pub meta: u64,
}

/// Flips single bits of a copy of the home's journal, each in turn, and reads the copy.
///
/// # Errors
/// The first flip that was not told right.
pub fn run(rig: &Rig, flips: u64, random: &mut Random) -> Result<Tally, String> {
    let copy = rig.beside("journal-copy");
    copy_tree(&rig.journal(), &copy);
    for unneeded in ["reserve.seg", "spare.seg", "LOCK"] {
        let _ = fs::remove_file(copy.join(unneeded));
    }
    let intact = rig.run(&format!("journal hashes --dir {}", copy.display()));
    assert_eq!(intact.exit, 0, "{intact:?}");
    let all = frames(&copy);
    let files = segments(&copy);
    let mut tally = Tally::default();
    for number in 0..flips {
        let (file, at) = place(&all, &files, &copy, number, random);
        let bit = 1 << random.below(8);
        flip(&file, at, bit);
        let told = tell(rig, &copy, &all, &file, at, &intact.out, &mut tally);
        flip(&file, at, bit);
        told.map_err(|why| {
            format!("flip {number}, {}, byte {at}, bit {bit}: {why}", file.display())
        })?;
    }
    Ok(tally)
}

/// Half of the places lie in frames, the others anywhere; a few in `meta`.
fn place(
    all: &[Frame],
    files: &[PathBuf],
    copy: &Path,
    number: u64,
    random: &mut Random,
) -> (PathBuf, u64) {
    if number % 20 == 19 {
        let meta = copy.join("meta");
        let length = fs::metadata(&meta).unwrap().len();
        return (meta, random.below(length));
    }
    if number.is_multiple_of(2) {
        let frame = random.pick(all);
        return (frame.file.clone(), frame.offset + random.below(frame.length_bytes));
    }
    let file = random.pick(files);
    let length = fs::metadata(file).unwrap().len();
    (file.clone(), random.below(length))
}

fn flip(file: &Path, at: u64, bit: u8) {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ bit], at).unwrap();
}

/// Compares what `journal verify` and `journal hashes` say with what they have to say.
fn tell(
    rig: &Rig,
    copy: &Path,
    all: &[Frame],
    file: &Path,
    at: u64,
    intact: &str,
    tally: &mut Tally,
) -> Result<(), String> {
    let inside = all.iter().find(|frame| {
        frame.file == file && (frame.offset..frame.offset + frame.length_bytes).contains(&at)
    });
    let verified = rig.run(&format!("journal verify --dir {} --json", copy.display()));
    let hashes = rig.run(&format!("journal hashes --dir {}", copy.display()));
    // Never another history, and never a shorter one without a word.
    if !intact.starts_with(&hashes.out) || (hashes.exit == 0 && hashes.out != intact) {
        return Err("another history was read".to_owned());
    }
    let problems = verified.json()["problems"].as_array().map_or(0, Vec::len);
    let name = file.file_name().unwrap();
    match (verified.exit, problems) {
        (_, 0) => return Err("nothing was reported".to_owned()),
        (20, _) if inside.is_some() || at < FRAMES_AT as u64 => tally.in_frames += 1,
        (0, _) if name == "meta" => tally.meta += 1,
        // A header's flip in a copy that has a second one, or the padding behind a body.
        (0, _) if inside.is_some() && is_padding(inside.unwrap(), at) => tally.padding += 1,
        (0, _) if at < FRAMES_AT as u64 && at >= 148 => tally.padding += 1,
        (0, _) if inside.is_none() && at >= FRAMES_AT as u64 => tally.unused += 1,
        (exit, _) => return Err(format!("exit {exit}: {}", verified.out)),
    }
    Ok(())
}

/// Whether the byte lies behind the frame's body; the tag at the end of each sector does not.
fn is_padding(frame: &Frame, at: u64) -> bool {
    let bytes = fs::read(&frame.file).unwrap();
    let start = frame.offset as usize;
    let body = u32::from_le_bytes(bytes[start + 52..start + 56].try_into().unwrap()) as usize;
    let inside = at as usize - start;
    let logical = inside / SECTOR * (SECTOR - 1) + inside % SECTOR;
    inside % SECTOR != SECTOR - 1 && logical >= HEADER + body
}
