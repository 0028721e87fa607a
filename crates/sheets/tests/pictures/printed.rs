//! Real sheets: drawn by other people's programs, read back by ours, and the reverse.

use std::path::Path;
use std::process::Command;

use evenkeel_custody::Secret;
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::Share;
use evenkeel_sheets::page::{self, Page, Paper};
use evenkeel_sheets::picture::{Picture, scan};
use evenkeel_sheets::qr::Level;
use evenkeel_sheets::sheet::{
    Card, CardWords, Gathering, Label, Payload, SYMBOL_VERSIONS, Sealed, SealedSheet,
};

fn label() -> Label {
    Label {
        holder: "Zoë & <Ada>".to_owned(),
        place: "bank in Zürich".to_owned(),
        date: "2026-11-22".to_owned(),
    }
}

fn slip39() -> Card {
    let share = Share::parse(&dealt()).unwrap();
    Card { words: CardWords::Slip39(share), generation: 3, members: 5, label: label() }
}

fn dealt() -> String {
    let split = evenkeel_custody::slip39::split(
        &evenkeel_custody::slip39::Policy::parse("2of3,3of5", 2).unwrap(),
        &[0x5a; 32],
        b"",
        evenkeel_custody::slip39::SplitOptions {
            iteration_exponent: 0,
            extendable: true,
            identifier: Some(1_234),
        },
        &mut Counting(7),
    );
    split.unwrap()[1][2].mnemonic().to_string()
}

struct Counting(u8);

impl evenkeel_custody::Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), evenkeel_custody::RandomError> {
        bytes.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_mul(29).wrapping_add(11);
            *byte = self.0;
        });
        Ok(())
    }
}

fn sentence() -> Card {
    let words = Mnemonic::from_entropy(Secret::new(vec![0x5a; 32])).unwrap();
    Card { words: CardWords::Bip39(words), generation: 1, members: 0, label: label() }
}

fn sealed() -> Vec<SealedSheet> {
    let bytes = (0..2_500).map(|at| (at * 7 + at / 256) as u8).collect();
    let sealed = Sealed { generation: 2, label: label(), bytes: zeroize::Zeroizing::new(bytes) };
    sealed.sheets(None).unwrap()
}

fn payloads(picture: &Picture) -> Vec<Payload> {
    let found = scan(picture, &SYMBOL_VERSIONS, &Payload::holds);
    found.iter().map(|found| Payload::read(&found.bytes).unwrap()).collect()
}

fn drawn(program: &str, arguments: &[&str], folder: &Path) -> Vec<Picture> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|_| panic!("{program}: cargo xtask setup installs it"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "png"));
    files.sort();
    files.iter().map(|file| Picture::read(&std::fs::read(file).unwrap()).unwrap()).collect()
}

fn as_pdf(pages: &[Page]) -> Vec<Picture> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sheet.pdf"), &*page::pdf(pages).unwrap()).unwrap();
    drawn("pdftoppm", &["-r", "200", "-png", "sheet.pdf", "page"], folder.path())
}

fn as_svg(page: &Page) -> Picture {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sheet.svg"), &*page::svg(page)).unwrap();
    let arguments = ["-d", "200", "-p", "200", "-o", "page.png", "sheet.svg"];
    drawn("rsvg-convert", &arguments, folder.path()).pop().unwrap()
}

#[test]
fn what_other_programs_draw_of_our_cards_is_read() {
    for card in [slip39(), sentence()] {
        for paper in [Paper::A4, Paper::Letter] {
            let pages = card.pages(paper).unwrap();
            let last = pages.last().unwrap();
            for (way, picture) in [
                ("pdf", as_pdf(&pages).pop().unwrap()),
                ("svg", as_svg(last)),
                ("own pixels", page::raster(last, 8.0)),
            ] {
                let read = payloads(&picture);
                assert_eq!(read, [Payload::Card(card.clone())], "{paper:?} as {way}");
            }
        }
    }
}

#[test]
fn a_sheet_that_is_drawn_and_photographed_is_read() {
    let card = slip39();
    let page = as_pdf(&card.pages(Paper::A4).unwrap()).pop().unwrap();
    let mut random = crate::degrade::Seeded::new(5);
    let photograph = crate::degrade::turn(&page, 27.0);
    let photograph = crate::degrade::slant(&photograph, 0.2, 0.15);
    let photograph = crate::degrade::shade(&photograph, 0.5, 0.6, 0.4);
    let photograph = crate::degrade::blur(&photograph, 1);
    let photograph = crate::degrade::noise(&photograph, 8.0, &mut random);
    let photograph = crate::degrade::jpeg(&photograph, 60);
    assert_eq!(payloads(&photograph), [Payload::Card(card)]);
}

#[test]
fn sealed_sheets_come_back_from_what_other_programs_draw_with_one_of_them_lost() {
    let sheets = sealed();
    assert_eq!(sheets.len(), 4);
    let pages: Vec<Page> = sheets.iter().map(|sheet| sheet.page(Paper::Letter).unwrap()).collect();
    let mut gathering = Gathering::default();
    for picture in as_pdf(&pages).iter().skip(1) {
        let read = payloads(picture);
        assert_eq!(read.len(), 4);
        for payload in read {
            let Payload::Part(part) = payload else { panic!("another kind") };
            assert!(gathering.add(&part));
        }
    }
    let back = gathering.finish().unwrap();
    assert_eq!(back.rebuilt.iter().map(|lost| lost.sheet).collect::<Vec<_>>(), [1]);
    assert_eq!(back.sealed.bytes.len(), 2_500);
    assert_eq!(back.sealed.sheets(None).unwrap(), sheets);
}

/// Somebody else's reader, for whoever has not ours.
#[test]
fn another_reader_reads_our_symbols() {
    let folder = tempfile::tempdir().unwrap();
    for card in [slip39(), sentence()] {
        let pages = card.pages(Paper::A4).unwrap();
        std::fs::write(folder.path().join("sheet.svg"), &*page::svg(&pages[0])).unwrap();
        drawn(
            "rsvg-convert",
            &["-d", "200", "-p", "200", "-o", "page.png", "sheet.svg"],
            folder.path(),
        );
        let output = Command::new("zbarimg")
            .args(["--quiet", "--raw", "--oneshot", "-Sbinary", "page.png"])
            .current_dir(folder.path())
            .output()
            .expect("zbarimg (package zbar-tools; cargo xtask setup installs it)");
        let read = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
        let expected = card.payload().unwrap();
        assert!(output.stdout == *expected || read == expected.as_slice());
    }
}

#[test]
fn the_same_sheet_gives_the_same_bytes_and_no_metadata() {
    let pages = || slip39().pages(Paper::A4).unwrap();
    let (first, second) = (page::pdf(&pages()).unwrap(), page::pdf(&pages()).unwrap());
    assert_eq!(*first, *second);
    let text = String::from_utf8_lossy(&first);
    for word in ["/Info", "/Metadata", "/CreationDate", "/Producer", "/Author", "/Title", "/ID"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(*page::svg(&pages()[0]), *page::svg(&pages()[0]));
    let svg = page::svg(&pages()[0]);
    assert!(svg.contains("Zoë &amp; &lt;Ada&gt;"), "escaped");
    assert!(!svg.contains("href"), "nothing from elsewhere");
}

#[test]
fn letters_that_the_fonts_of_pdf_lack_are_refused_and_svg_has_them() {
    let mut card = slip39();
    card.label.holder = "Жанна".to_owned();
    let pages = card.pages(Paper::A4).unwrap();
    assert!(page::pdf(&pages).unwrap_err().to_string().contains("SVG has every letter"));
    assert!(page::svg(&pages[0]).contains("Жанна"));
}

#[test]
fn every_size_of_card_fits_both_papers() {
    for bytes in [16, 32, 64] {
        let policy = evenkeel_custody::slip39::Policy::parse("2of3", 1).unwrap();
        let options = evenkeel_custody::slip39::SplitOptions {
            iteration_exponent: 0,
            extendable: true,
            identifier: None,
        };
        let secret = vec![3; bytes];
        let groups =
            evenkeel_custody::slip39::split(&policy, &secret, b"", options, &mut Counting(1));
        let share = groups.unwrap()[0][0].clone();
        let long = "x".repeat(40);
        let label = Label { holder: long.clone(), place: long.clone(), date: long };
        let card = Card { words: CardWords::Slip39(share), generation: 1, members: 3, label };
        for paper in [Paper::A4, Paper::Letter] {
            let (width, height) = paper.millimetres();
            let mut pages = card.pages(paper).unwrap();
            assert_eq!(payloads(&page::raster(pages.last().unwrap(), 7.0)).len(), 1);
            pages.push(card.metal_page(paper));
            for shape in pages.iter().flat_map(|page| &page.shapes) {
                let (right, bottom) = match shape {
                    page::Shape::Bar { x, y, width, height } => (x + width, y + height),
                    page::Shape::Ring { x, y, outer, .. } => (x + outer, y + outer),
                    page::Shape::Text { x, y, .. } => (*x, *y),
                };
                assert!(right < width - 3.0 && bottom < height - 3.0, "{bytes} bytes, {shape:?}");
            }
        }
    }
    assert_eq!(SYMBOL_VERSIONS[3].capacity_bytes(Level::High), 310);
}
