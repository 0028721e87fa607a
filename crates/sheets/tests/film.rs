//! Messages as films of symbols: frames missed, doubled, mixed, spoiled; shown by a browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

use std::process::Command;

use evenkeel_sheets::picture::{Picture, scan};
use evenkeel_sheets::qr::Grid;
use evenkeel_sheets::stream::{
    Added, Frame, Receiving, SCREEN, StreamError, TERMINAL, frames, html, svg, terminal,
};

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

fn message(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 131 + at / 256 * 17 + seed) as u8).collect()
}

/// What a camera sees of a frame: eight pixels a module on a white screen.
fn shown(grid: &Grid) -> Picture {
    const PIXELS: usize = 4;
    let side = (grid.side() + 8) * PIXELS;
    let module = |at: usize| (at / PIXELS).checked_sub(4);
    let dark = |at: usize| {
        let (x, y) = (module(at % side), module(at / side));
        x.zip(y).is_some_and(|(x, y)| grid.is_dark(x, y))
    };
    Picture::new(side, side, (0..side * side).map(|at| if dark(at) { 20 } else { 240 }).collect())
}

fn seen(picture: &Picture) -> Vec<Frame> {
    let found = scan(picture, &[], &Frame::holds);
    found.iter().map(|found| Frame::read(&found.bytes).unwrap()).collect()
}

#[test]
fn a_message_comes_back_with_a_third_of_its_frames_missed_in_any_order() {
    let mut random = Seeded(0xf11f);
    for (bytes, version) in
        [(1, SCREEN), (700, SCREEN), (5_000, TERMINAL), (100_000, SCREEN), (262_144, SCREEN)]
    {
        let message = message(bytes, 1);
        let film = frames(&message, version).unwrap();
        let mut read: Vec<&Frame> = film.iter().collect();
        random.shuffle(&mut read);
        read.truncate((film.len() * 7).div_ceil(10));
        let doubled: Vec<&Frame> = read.iter().copied().step_by(3).collect();
        read.extend(doubled);
        random.shuffle(&mut read);
        let mut receiving = Receiving::default();
        let mut again = 0;
        for frame in read {
            let frame = Frame::read(&frame.payload()).unwrap();
            again += usize::from(receiving.add(&frame) == Added::Again);
        }
        let incoming = receiving.messages().next().unwrap();
        println!(
            "{bytes} bytes: {} of {} frames read, {} needed, {again} of them twice",
            incoming.read(),
            incoming.frames(),
            incoming.needed()
        );
        assert_eq!(*incoming.finish().unwrap(), message);
    }
}

#[test]
fn any_subset_that_is_large_enough_suffices_and_one_less_says_how_many_are_missing() {
    let mut random = Seeded(77);
    let message = message(9_000, 2);
    let film = frames(&message, SCREEN).unwrap();
    let needed = film.len() / 2;
    for _ in 0..200 {
        let mut order: Vec<&Frame> = film.iter().collect();
        random.shuffle(&mut order);
        let mut receiving = Receiving::default();
        order.iter().take(needed - 1).for_each(|frame| {
            receiving.add(frame);
        });
        let refused = receiving.messages().next().unwrap().finish().unwrap_err();
        assert_eq!(refused, StreamError::TooFew { read: needed - 1, needed, missing: 1 });
        receiving.add(order[needed]);
        assert_eq!(*receiving.messages().next().unwrap().finish().unwrap(), message);
    }
}

#[test]
fn frames_of_two_messages_are_told_apart_and_a_spoiled_frame_does_not_count() {
    let mut random = Seeded(5);
    let (ours, theirs) = (message(6_000, 3), message(6_000, 4));
    let mut mixed: Vec<Frame> = frames(&ours, SCREEN).unwrap();
    mixed.extend(frames(&theirs, SCREEN).unwrap());
    random.shuffle(&mut mixed);
    let mut receiving = Receiving::default();
    let mut spoiled = 0;
    for (at, frame) in mixed.iter().enumerate() {
        let mut payload = frame.payload();
        if at % 4 == 0 {
            let byte = random.below(payload.len());
            payload[byte] ^= 1 << random.below(8);
        }
        match Frame::read(&payload) {
            Some(frame) => assert_eq!(receiving.add(&frame), Added::New),
            None => spoiled += 1,
        }
    }
    assert_eq!(spoiled, mixed.len().div_ceil(4));
    let back: Vec<_> = receiving.messages().map(|own| own.finish().unwrap().to_vec()).collect();
    assert_eq!(back.len(), 2);
    assert!(back.contains(&ours) && back.contains(&theirs));
}

/// Whoever shows frames of their own with our message's number gets nothing accepted.
#[test]
fn forged_frames_give_an_error_and_never_another_message() {
    let film = frames(&message(3_000, 5), SCREEN).unwrap();
    let forged = frames(&message(3_000, 6), SCREEN).unwrap();
    let mut receiving = Receiving::default();
    for (own, other) in film.iter().zip(&forged).skip(1) {
        let mut frame = if own.number == 2 { other.clone() } else { own.clone() };
        frame.id = own.id;
        receiving.add(&frame);
    }
    assert_eq!(receiving.messages().next().unwrap().finish(), Err(StreamError::Forged));
    assert_eq!(receiving.add(&film[2]), Added::Contradicts);
}

#[test]
fn frames_are_read_off_pictures_of_a_screen() {
    let message = message(4_000, 7);
    for version in [SCREEN, TERMINAL] {
        let film = frames(&message, version).unwrap();
        let mut receiving = Receiving::default();
        for frame in film.iter().skip(1).step_by(2).chain(film.iter().take(2)) {
            for seen in seen(&shown(&frame.grid(version).unwrap())) {
                receiving.add(&seen);
            }
        }
        assert_eq!(*receiving.messages().next().unwrap().finish().unwrap(), message);
    }
}

#[test]
fn a_browser_shows_the_page_without_loading_anything_and_its_picture_is_read() {
    let film = frames(&message(2_000, 8), SCREEN).unwrap();
    let grids: Vec<Grid> = film.iter().map(|frame| frame.grid(SCREEN).unwrap()).collect();
    let page = html(&grids, 200);
    for word in ["http", "src=", "href", "import", "fetch"] {
        assert!(!page.replace("http-equiv", "").contains(word), "{word}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, picture) = (folder.path().join("film.html"), folder.path().join("film.png"));
    std::fs::write(&file, page).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,1000"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("chromium (cargo xtask setup installs it)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = Picture::read(&std::fs::read(&picture).unwrap()).unwrap();
    let seen = seen(&picture);
    assert_eq!(seen.len(), 1);
    assert!(film.contains(&seen[0]));
}

#[test]
fn a_frame_as_svg_is_drawn_by_others_and_read() {
    let film = frames(&message(500, 9), SCREEN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("frame.svg"), svg(&film[0].grid(SCREEN).unwrap())).unwrap();
    let status = Command::new("rsvg-convert")
        .args(["-o", "frame.png", "frame.svg"])
        .current_dir(folder.path())
        .status()
        .expect("rsvg-convert (package librsvg2-bin; cargo xtask setup installs it)");
    assert!(status.success());
    let picture = std::fs::read(folder.path().join("frame.png")).unwrap();
    assert_eq!(seen(&Picture::read(&picture).unwrap()), film[..1]);
}

#[test]
fn half_blocks_are_the_modules_of_the_frame() {
    let film = frames(&message(150, 10), TERMINAL).unwrap();
    let grid = film[0].grid(TERMINAL).unwrap();
    let text = terminal(&grid);
    let lines: Vec<Vec<char>> = text
        .lines()
        .map(|line| {
            let line = line.strip_prefix("\u{1b}[30;107m").unwrap();
            line.strip_suffix("\u{1b}[0m").unwrap().chars().collect()
        })
        .collect();
    assert_eq!(lines.len(), (grid.side() + 8).div_ceil(2));
    for (x, y) in (0..grid.side() * grid.side()).map(|at| (at % grid.side(), at / grid.side())) {
        let upper = (y + 4) % 2 == 0;
        let dark =
            matches!((lines[(y + 4) / 2][x + 4], upper), ('█', _) | ('▀', true) | ('▄', false));
        assert_eq!(dark, grid.is_dark(x, y), "{x}, {y}");
    }
}

#[test]
fn any_bytes_are_refused_or_are_a_frame() {
    let whole = frames(&message(100, 11), SCREEN).unwrap()[1].payload();
    for at in 0..whole.len() {
        assert_eq!(Frame::read(&whole[..at]), None, "{at} bytes");
    }
    assert!(frames(&[], SCREEN).is_err());
    assert!(frames(&message(262_145, 0), SCREEN).is_err());
}
