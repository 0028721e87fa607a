//! Pages: what is on them and where, and three ways of putting them out.
//!
//! A page is a list of shapes in millimetres from the top left corner. SVG, PDF and pixels are made
//! of the same list, so what a test scans is what a printer prints. The same page gives the same
//! bytes always: nothing of clock, machine or program version goes in.

mod pdf;
mod raster;
mod svg;
mod symbol;

pub use pdf::{PdfError, pdf};
pub use raster::raster;
pub use svg::svg;
pub use symbol::{SYMBOL_MARGIN_MODULES, symbol, symbol_side_mm};

/// Paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// 210 × 297 mm (ISO 216).
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

impl Paper {
    /// Across and down.
    #[must_use]
    pub fn millimetres(self) -> (f64, f64) {
        match self {
            Self::A4 => (210.0, 297.0),
            Self::Letter => (215.9, 279.4),
        }
    }
}

/// A kind of letters that every printer and viewer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// For reading.
    Plain,
    /// For headings.
    Bold,
    /// For words and commands: every letter equally wide.
    Fixed,
}

/// Something on a page; millimetres.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A black rectangle.
    Bar {
        /// Left edge.
        x: f64,
        /// Upper edge.
        y: f64,
        /// Across.
        width: f64,
        /// Down.
        height: f64,
    },
    /// A black disc, or a ring.
    Ring {
        /// Centre.
        x: f64,
        /// Centre.
        y: f64,
        /// Outer radius.
        outer: f64,
        /// Inner radius; zero for a disc.
        inner: f64,
    },
    /// A line of text on its baseline.
    Text {
        /// Where it begins.
        x: f64,
        /// The baseline.
        y: f64,
        /// Height of the letters, in millimetres from one line to the next set tight.
        height: f64,
        /// The kind of letters.
        font: Font,
        /// The text. It may be a secret.
        text: zeroize::Zeroizing<String>,
    },
}

/// One side of paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its paper.
    pub paper: Paper,
    /// What is on it.
    pub shapes: Vec<Shape>,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(paper: Paper) -> Self {
        Self { paper, shapes: Vec::new() }
    }

    /// Puts a line of text down.
    pub fn text(&mut self, at: (f64, f64), height: f64, font: Font, text: impl Into<String>) {
        let text = zeroize::Zeroizing::new(text.into());
        self.shapes.push(Shape::Text { x: at.0, y: at.1, height, font, text });
    }

    /// Puts a thin line across.
    pub fn rule(&mut self, x: f64, y: f64, width: f64) {
        self.shapes.push(Shape::Bar { x, y, width, height: 0.2 });
    }
}
