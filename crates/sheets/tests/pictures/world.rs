//! A symbol as it is printed, and everything that may happen to it.

use evenkeel_sheets::page::{self, Page, Paper, SYMBOL_MARGIN_MODULES};
use evenkeel_sheets::picture::{Picture, Way, scan};
use evenkeel_sheets::qr::{Level, Version, write};
use evenkeel_sheets::sheet::{MODULE_MM, SYMBOL_VERSIONS};

use crate::degrade::{self, Seeded};

const PIXELS_PER_MM: f64 = 8.0;

/// A symbol as it is printed, with a border of paper, and the pixels of its modules.
pub struct Printed {
    pub picture: Picture,
    content: Vec<u8>,
    pub version: Version,
    pub module: f64,
    begin: f64,
}

pub fn printed(version: Version, random: &mut Seeded) -> Printed {
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
    pub fn is_read(&self, picture: &Picture) -> Option<Way> {
        let found = scan(picture, &SYMBOL_VERSIONS, &|bytes| bytes == self.content);
        found.first().map(|found| found.way)
    }

    /// A patch over this part of the symbol's area, anywhere on it.
    pub fn covered(&self, part: f64, level: u8, random: &mut Seeded) -> Picture {
        let symbol = self.version.side() as f64 * self.module;
        let side = symbol * part.sqrt();
        let left = self.begin + random.between(0.0, symbol - side);
        let top = self.begin + random.between(0.0, symbol - side);
        degrade::patch(&self.picture, left, top, side, level)
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    pub read: usize,
    pub of: usize,
    pub finders: usize,
    pub targets: usize,
    pub mesh: usize,
}

impl Tally {
    pub fn add(&mut self, way: Option<Way>) {
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

/// Everything that happens to paper at once, more of it with every step of `hardship`.
pub fn spoiled(printed: &Printed, hardship: f64, random: &mut Seeded) -> Picture {
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
