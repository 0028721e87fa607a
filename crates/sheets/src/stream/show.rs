//! Frames on a screen: a page that shows the film by itself, pictures, and a terminal.

use std::fmt::Write;

use crate::qr::Grid;

/// White around a symbol, in modules, as the standard wants it.
const QUIET_MODULES: usize = 4;

/// The head of the page. It may load nothing, from anywhere.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline'\">\n<title>Frames</title>\n\
    <style>body{margin:0;background:#fff;color:#000;font:16px sans-serif;text-align:center}\
    canvas{width:min(94vw,90vh);image-rendering:pixelated}</style></head><body>\n\
    <canvas id=\"c\"></canvas><div id=\"n\"></div>\n<script>\n";

/// Draws the frames one after the other, for ever.
const SCRIPT: &str = "const canvas=document.getElementById('c'),all=side+2*quiet;\n\
    canvas.width=canvas.height=all;const pen=canvas.getContext('2d');let at=0;\n\
    function show(){const bits=frames[at];pen.fillStyle='#fff';pen.fillRect(0,0,all,all);\n\
    pen.fillStyle='#000';for(let i=0;i<side*side;i++)if(parseInt(bits[i>>2],16)>>(3-(i&3))&1)\n\
    pen.fillRect(quiet+i%side,quiet+Math.floor(i/side),1,1);\n\
    document.getElementById('n').textContent=(at+1)+' / '+frames.length;\n\
    at=(at+1)%frames.length}\nshow();setInterval(show,pause);\n</script></body></html>\n";

/// A page that shows the frames by itself, without a network: whatever shows web pages plays it.
#[must_use]
pub fn html(grids: &[Grid], pause_ms: u32) -> String {
    let side = grids.first().map_or(0, Grid::side);
    let mut out = String::with_capacity(2_048 + grids.len() * (side * side / 4 + 8));
    out.push_str(HEAD);
    let _ = writeln!(out, "const side={side},quiet={QUIET_MODULES},pause={pause_ms},frames=[");
    for grid in grids {
        out.push('"');
        hexadecimal(grid, &mut out);
        out.push_str("\",\n");
    }
    out.push_str("];\n");
    out.push_str(SCRIPT);
    out
}

fn hexadecimal(grid: &Grid, out: &mut String) {
    let side = grid.side();
    let modules: Vec<bool> =
        (0..side * side).map(|at| grid.is_dark(at % side, at / side)).collect();
    for four in modules.chunks(4) {
        let digit = (0..4).fold(0, |digit, at| digit << 1 | u32::from(four.get(at) == Some(&true)));
        out.extend(char::from_digit(digit, 16));
    }
}

/// One frame as SVG.
#[must_use]
pub fn svg(grid: &Grid) -> String {
    let (side, quiet) = (grid.side(), QUIET_MODULES);
    let all = side + 2 * quiet;
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
         version=\"1.1\" width=\"{px}\" height=\"{px}\" viewBox=\"0 0 {all} {all}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{all}\" height=\"{all}\" fill=\"#fff\"/>\
         <path d=\"",
        px = all * 8
    );
    for (x, y) in (0..side * side).map(|at| (at % side, at / side)) {
        if grid.is_dark(x, y) {
            let _ = write!(out, "M{} {}h1v1h-1z", x + quiet, y + quiet);
        }
    }
    out.push_str("\"/></svg>\n");
    out
}

/// One frame as lines of half blocks, two modules to a letter, black on white whatever the
/// terminal's colours are.
#[must_use]
pub fn terminal(grid: &Grid) -> String {
    let (side, quiet) = (grid.side(), QUIET_MODULES);
    let all = side + 2 * quiet;
    let dark = |x: usize, y: usize| {
        x.checked_sub(quiet).zip(y.checked_sub(quiet)).is_some_and(|(x, y)| grid.is_dark(x, y))
    };
    let mut out = String::with_capacity(all * all * 2);
    for y in (0..all).step_by(2) {
        out.push_str("\u{1b}[30;107m");
        for x in 0..all {
            out.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\u{1b}[0m\n");
    }
    out
}
