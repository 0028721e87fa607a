//! Symbols that are covered, turned, slanted, creased, badly lit, blurred and grainy.

use evenkeel_sheets::page::{self, Page, Paper, SYMBOL_MARGIN_MODULES};
use evenkeel_sheets::picture::{Picture, Way, scan};
use evenkeel_sheets::qr::{Level, Version, write};
use evenkeel_sheets::sheet::{MODULE_MM, SYMBOL_VERSIONS};

use crate::degrade::{self, Seeded};

const PIXELS_PER_MM: f64 = 8.0;

/// A symbol as it is printed, with a border of paper, and the pixels of its modules.
struct Printed {
    picture: Picture,
    content: Vec<u8>,
    version: Version,
    module: f64,
    begin: f64,
}

fn printed(version: Version, random: &mut Seeded) -> Printed {
    let count = version.capacity_bytes(Level::High);
    let content: Vec<u8> = (0..count).map(|_| random.below(256) as u8).collect();
    let grid = write(version, Level::High, &content).unwrap();
    let mut sheet = Page::new(Paper::A4);
    sheet.shapes = page::symbol(&grid, 10.0, 10.0, MODULE_MM);
    let side = page::symbol_side_mm(grid.side(), MODULE_MM) + 12.0;
    let all = page::raster(&sheet, PIXELS_PER_MM);
    let (from, pixels) = (4.0 * PIXELS_PER_MM, side * PIXELS_PER_MM);
    let picture =
        degrade::crop(&all, from as usize, from as usize, pixels as usize, pixels as usize);
    let module = MODULE_MM * PIXELS_PER_MM;
    let begin = 6.0 * PIXELS_PER_MM + SYMBOL_MARGIN_MODULES * module;
    Printed { picture, content, version, module, begin }
}

impl Printed {
    fn is_read(&self, picture: &Picture) -> Option<Way> {
        let found = scan(picture, &SYMBOL_VERSIONS, &|bytes| bytes == self.content);
        found.first().map(|found| found.way)
    }

    /// A patch over this part of the symbol's area, anywhere on it.
    fn covered(&self, part: f64, level: u8, random: &mut Seeded) -> Picture {
        let symbol = self.version.side() as f64 * self.module;
        let side = symbol * part.sqrt();
        let left = self.begin + random.between(0.0, symbol - side);
        let top = self.begin + random.between(0.0, symbol - side);
        degrade::patch(&self.picture, left, top, side, level)
    }
}

#[derive(Debug, Default)]
struct Tally {
    read: usize,
    of: usize,
    finders: usize,
    targets: usize,
    mesh: usize,
}

impl Tally {
    fn add(&mut self, way: Option<Way>) {
        self.of += 1;
        self.read += usize::from(way.is_some());
        match way {
            Some(Way::Finders) => self.finders += 1,
            Some(Way::Targets) => self.targets += 1,
            Some(Way::Mesh) => self.mesh += 1,
            None => {}
        }
    }
}

#[test]
fn an_eighth_of_a_symbol_covered_anywhere_and_turned_is_read() {
    let mut random = Seeded::new(1);
    let mut tally = Tally::default();
    for version in SYMBOL_VERSIONS {
        let printed = printed(version, &mut random);
        for (place, level) in (0..10).zip([0, 255, 128].into_iter().cycle()) {
            let covered = printed.covered(0.125, level, &mut random);
            for degrees in [0.0, 10.0, 20.0, 30.0] {
                let way = printed.is_read(&degrade::turn(&covered, degrees));
                tally.add(way);
                if way.is_none() {
                    println!("{version:?}, place {place}, level {level}, {degrees}° is not read");
                }
            }
        }
    }
    println!("12.5 % covered: {tally:?}");
    assert_eq!(tally.read, tally.of);
}

/// Everything that happens to paper at once, more of it with every step of `hardship`.
fn spoiled(printed: &Printed, hardship: f64, random: &mut Seeded) -> Picture {
    let part = 0.10 * hardship;
    let level = [0, 255, 128][random.below(3)];
    let picture = printed.covered(part, level, random);
    let module = printed.module;
    let at = random.between(0.25, 0.75);
    let angle = random.between(-60.0, 60.0);
    let picture = degrade::crease(&picture, at, angle, hardship * module);
    let (across, down) = (random.between(-0.25, 0.25), random.between(-0.25, 0.25));
    let picture = degrade::slant(&picture, across * hardship, down * hardship);
    let picture = degrade::turn(&picture, random.between(-180.0, 180.0));
    let edge = random.between(0.2, 0.8);
    let picture = degrade::shade(&picture, 1.0 - 0.4 * hardship, 1.0 - 0.5 * hardship, edge);
    let picture = degrade::blur(&picture, 1);
    degrade::noise(&picture, 8.0 * hardship, random)
}

#[test]
fn each_hardship_alone_is_read() {
    let mut random = Seeded::new(2);
    let mut unread = Vec::new();
    for version in SYMBOL_VERSIONS {
        let printed = printed(version, &mut random);
        let clean = &printed.picture;
        let module = printed.module;
        let mut grain = Seeded::new(3);
        let cases: [(&str, Picture); 12] = [
            ("plain", clean.clone()),
            ("upside down", degrade::turn(clean, 180.0)),
            ("turned by 45°", degrade::turn(clean, 45.0)),
            ("turned by 100°", degrade::turn(clean, 100.0)),
            ("slanted across", degrade::slant(clean, 0.5, 0.0)),
            ("slanted both ways", degrade::slant(clean, 0.3, -0.3)),
            ("creased", degrade::crease(clean, 0.5, 10.0, 0.7 * module)),
            ("creased steeply", degrade::crease(clean, 0.5, 50.0, 0.7 * module)),
            ("badly lit", degrade::shade(clean, 0.35, 0.4, 0.5)),
            ("out of focus", degrade::blur(clean, 2)),
            ("grainy", degrade::noise(clean, 30.0, &mut grain)),
            ("JPEG of quality 25", degrade::jpeg(clean, 25)),
        ];
        for (name, picture) in cases {
            let way = printed.is_read(&picture);
            println!("version {}, {name}: {way:?}", version.number());
            if way.is_none() {
                unread.push(format!("version {}, {name}", version.number()));
            }
        }
    }
    assert_eq!(unread, Vec::<String>::new());
}

#[test]
fn all_hardships_at_once_are_read_and_twice_as_much_mostly() {
    let mut random = Seeded::new(4);
    for hardship in [0.5, 1.0] {
        let mut tally = Tally::default();
        for version in SYMBOL_VERSIONS {
            let printed = printed(version, &mut random);
            for _ in 0..6 {
                tally.add(printed.is_read(&spoiled(&printed, hardship, &mut random)));
            }
        }
        println!("hardship {hardship}: {tally:?}");
        // What is asked is read always; twice as much of everything, mostly.
        let enough = if hardship < 1.0 { tally.of } else { tally.of / 2 };
        assert!(tally.read >= enough, "{tally:?}");
    }
}
