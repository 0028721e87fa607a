//! Pages as SVG 1.1: shapes and generic fonts, no script, nothing from elsewhere.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::{Font, Page, Shape};

/// A page as a file.
#[must_use]
pub fn svg(page: &Page) -> Zeroizing<String> {
    let (width, height) = page.paper.millimetres();
    // Room for all, so that no copy of words is left behind by growing.
    let room = 512 + page.shapes.iter().map(room).sum::<usize>();
    let mut out = Zeroizing::new(String::with_capacity(room));
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
         version=\"1.1\" width=\"{width}mm\" height=\"{height}mm\" viewBox=\"0 0 {width} \
         {height}\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    page.shapes.iter().for_each(|shape| draw(shape, &mut out));
    out.push_str("</svg>\n");
    out
}

fn room(shape: &Shape) -> usize {
    match shape {
        Shape::Text { text, .. } => 160 + 6 * text.len(),
        _ => 160,
    }
}

fn draw(shape: &Shape, out: &mut String) {
    let _ = match shape {
        Shape::Bar { x, y, width, height } => writeln!(
            out,
            "<rect x=\"{x:.3}\" y=\"{y:.3}\" width=\"{width:.3}\" height=\"{height:.3}\" \
             shape-rendering=\"crispEdges\"/>"
        ),
        Shape::Ring { x, y, outer, inner } if *inner == 0.0 => {
            writeln!(out, "<circle cx=\"{x:.3}\" cy=\"{y:.3}\" r=\"{outer:.3}\"/>")
        }
        Shape::Ring { x, y, outer, inner } => writeln!(
            out,
            "<circle cx=\"{x:.3}\" cy=\"{y:.3}\" r=\"{:.3}\" fill=\"none\" stroke=\"#000\" \
             stroke-width=\"{:.3}\"/>",
            (outer + inner) / 2.0,
            outer - inner
        ),
        Shape::Text { x, y, height, font, text } => {
            let font = match font {
                Font::Plain => "font-family=\"Helvetica, Arial, sans-serif\"",
                Font::Bold => "font-family=\"Helvetica, Arial, sans-serif\" font-weight=\"bold\"",
                Font::Fixed => "font-family=\"Courier, monospace\" font-weight=\"bold\"",
            };
            let _ = write!(
                out,
                "<text x=\"{x:.3}\" y=\"{y:.3}\" font-size=\"{height:.3}\" {font} \
                 xml:space=\"preserve\">"
            );
            text.chars().for_each(|letter| escape(letter, out));
            writeln!(out, "</text>")
        }
    };
}

/// Text stays text, whatever a holder is called.
fn escape(letter: char, out: &mut String) {
    match letter {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push(' '),
        letter => out.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Paper;
    use super::*;

    #[test]
    fn what_a_holder_is_called_stays_text() {
        let mut page = Page::new(Paper::A4);
        page.text((10.0, 10.0), 4.0, Font::Plain, "<script>\"&\u{1}</script>");
        let text = svg(&page);
        assert!(text.contains("&lt;script&gt;&quot;&amp; &lt;/script&gt;"), "{}", *text);
        assert!(text.len() < 512 + 160 + 6 * 24);
    }
}
