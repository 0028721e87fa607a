//! Pages as PDF 1.7 with the fonts that every viewer brings, uncompressed and without metadata.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};
use zeroize::Zeroizing;

use super::{Font, Page, Shape};

/// Points of a millimetre.
const POINTS: f64 = 72.0 / 25.4;
/// Control points of a quarter circle drawn as a Bézier curve.
const ROUND: f64 = 0.552_284_75;

/// Why pages do not become a PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// The fonts of every viewer have Western European letters only.
    #[error("PDF here has Western European letters only, and there is “{0}”; SVG has every letter")]
    Letter(char),
}

/// Pages as one file.
///
/// # Errors
/// [`PdfError::Letter`].
pub fn pdf(pages: &[Page]) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let mut pdf = Pdf::new();
    let (catalog, tree) = (Ref::new(1), Ref::new(2));
    let fonts = [Ref::new(3), Ref::new(4), Ref::new(5)];
    let refs: Vec<(Ref, Ref)> =
        (0..).step_by(2).zip(pages).map(|(at, _)| (Ref::new(6 + at), Ref::new(7 + at))).collect();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(refs.iter().map(|(page, _)| *page)).count(count);
    for (font, name) in fonts.iter().zip(["Helvetica", "Helvetica-Bold", "Courier-Bold"]) {
        let mut font = pdf.type1_font(*font);
        font.base_font(Name(name.as_bytes()));
        font.encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for ((page_ref, content_ref), page) in refs.iter().zip(pages) {
        let (width, height) = page.paper.millimetres();
        let mut node = pdf.page(*page_ref);
        node.media_box(Rect::new(0.0, 0.0, points(width), points(height)));
        node.parent(tree).contents(*content_ref);
        let mut resources = node.resources();
        let mut dictionary = resources.fonts();
        for (font, name) in fonts.iter().zip([b"F0", b"F1", b"F2"]) {
            dictionary.pair(Name(name), *font);
        }
        dictionary.finish();
        resources.finish();
        node.finish();
        let content = content(page, height)?;
        pdf.stream(*content_ref, &content);
    }
    Ok(Zeroizing::new(pdf.finish()))
}

#[expect(clippy::cast_possible_truncation, reason = "a hundredth of a hair's breadth")]
fn points(millimetres: f64) -> f32 {
    // Rounded, so that the file says the same on every machine.
    ((millimetres * POINTS * 1_000.0).round() / 1_000.0) as f32
}

fn content(page: &Page, height_mm: f64) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let mut content = Content::new();
    for shape in &page.shapes {
        match shape {
            Shape::Bar { x, y, width, height } => {
                let bottom = height_mm - y - height;
                content.rect(points(*x), points(bottom), points(*width), points(*height));
                content.fill_nonzero();
            }
            Shape::Ring { x, y, outer, inner } => {
                circle(&mut content, *x, height_mm - y, *outer);
                if *inner > 0.0 {
                    circle(&mut content, *x, height_mm - y, *inner);
                }
                content.fill_even_odd();
            }
            Shape::Text { x, y, height, font, text } => {
                let letters = letters(text)?;
                let name: &[u8] = match font {
                    Font::Plain => b"F0",
                    Font::Bold => b"F1",
                    Font::Fixed => b"F2",
                };
                content.begin_text().set_font(Name(name), points(*height));
                content.next_line(points(*x), points(height_mm - y));
                content.show(Str(&letters)).end_text();
            }
        }
    }
    Ok(Zeroizing::new(content.finish().to_vec()))
}

fn circle(content: &mut Content, x: f64, y: f64, radius: f64) {
    let (near, far) = (radius * ROUND, radius);
    content.move_to(points(x + far), points(y));
    let quarters = [
        [(far, near), (near, far), (0.0, far)],
        [(-near, far), (-far, near), (-far, 0.0)],
        [(-far, -near), (-near, -far), (0.0, -far)],
        [(near, -far), (far, -near), (far, 0.0)],
    ];
    for [first, second, end] in quarters {
        let at = |(dx, dy): (f64, f64)| (points(x + dx), points(y + dy));
        let (first, second, end) = (at(first), at(second), at(end));
        content.cubic_to(first.0, first.1, second.0, second.1, end.0, end.1);
    }
    content.close_path();
}

/// Text in the encoding of Windows for Western Europe.
fn letters(text: &str) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for letter in text.chars() {
        bytes.push(match letter {
            ' '..='~' | '\u{a0}'..='\u{ff}' => {
                u8::try_from(u32::from(letter)).map_err(|_| PdfError::Letter(letter))?
            }
            '€' => 0x80,
            '“' => 0x93,
            '”' => 0x94,
            '–' => 0x96,
            '—' => 0x97,
            '’' => 0x92,
            'Š' => 0x8a,
            'š' => 0x9a,
            'Ž' => 0x8e,
            'ž' => 0x9e,
            'Œ' => 0x8c,
            'œ' => 0x9c,
            _ => return Err(PdfError::Letter(letter)),
        });
    }
    Ok(bytes)
}
