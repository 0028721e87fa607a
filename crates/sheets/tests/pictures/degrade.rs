//! What happens to paper and to photographs of it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels"
)]

use std::io::Write;
use std::process::{Command, Stdio};

use evenkeel_sheets::picture::Picture;

/// The same numbers for the same seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| {
            random.next();
        });
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound.max(1)
    }

    /// From 0 to 1.
    pub fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.part()
    }
}

fn light(picture: &Picture, x: f64, y: f64) -> f64 {
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let at = |x: f64, y: f64| {
        if x < 0.0 || y < 0.0 { 235.0 } else { f64::from(picture.at(x as usize, y as usize)) }
    };
    let (across, down) = (x - left, y - top);
    let above = at(left, top) * (1.0 - across) + at(left + 1.0, top) * across;
    let below = at(left, top + 1.0) * (1.0 - across) + at(left + 1.0, top + 1.0) * across;
    above * (1.0 - down) + below * down
}

fn map(picture: &Picture, width: usize, height: usize, of: impl Fn(f64, f64) -> f64) -> Picture {
    let _ = picture;
    let mut pixels = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            pixels.push(of(x as f64 + 0.5, y as f64 + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    Picture::new(width, height, pixels)
}

/// A part of a picture.
pub fn crop(picture: &Picture, left: usize, top: usize, width: usize, height: usize) -> Picture {
    map(picture, width, height, |x, y| f64::from(picture.at(left + x as usize, top + y as usize)))
}

/// An even square over a part of a picture.
pub fn patch(picture: &Picture, left: f64, top: f64, side: f64, level: u8) -> Picture {
    map(picture, picture.width(), picture.height(), |x, y| {
        let inside = x >= left && x < left + side && y >= top && y < top + side;
        if inside { f64::from(level) } else { f64::from(picture.at(x as usize, y as usize)) }
    })
}

/// Turned, with room for the corners.
pub fn turn(picture: &Picture, degrees: f64) -> Picture {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = (picture.width() as f64, picture.height() as f64);
    let across = (width * cosine.abs() + height * sine.abs()).ceil();
    let down = (width * sine.abs() + height * cosine.abs()).ceil();
    map(picture, across as usize, down as usize, |x, y| {
        let (x, y) = (x - across / 2.0, y - down / 2.0);
        light(picture, x * cosine + y * sine + width / 2.0, y * cosine - x * sine + height / 2.0)
    })
}

/// Seen from a side: `across` and `down` say how much nearer one edge is than the other.
pub fn slant(picture: &Picture, across: f64, down: f64) -> Picture {
    let (width, height) = (picture.width() as f64, picture.height() as f64);
    map(picture, picture.width(), picture.height(), |x, y| {
        let (x, y) = (x / width - 0.5, y / height - 0.5);
        let one = 1.0 + across * x + down * y;
        let shrink = 1.0 - (across.abs() + down.abs()) / 2.0;
        light(
            picture,
            (x / one * shrink.recip() + 0.5) * width,
            (y / one * shrink.recip() + 0.5) * height,
        )
    })
}

/// Folded once along a line at an angle, through a part of its height: the paper moves by up to
/// `shift` pixels beside the fold, and the fold itself is dark.
pub fn crease(picture: &Picture, at: f64, degrees: f64, shift: f64) -> Picture {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = (picture.width() as f64, picture.height() as f64);
    map(picture, picture.width(), picture.height(), |x, y| {
        let away = -(x - width / 2.0) * sine + (y - height * at) * cosine;
        let moved = shift * (-away.abs() / (0.15 * height)).exp() * away.signum();
        let seen = light(picture, x + moved * cosine, y + moved * sine);
        seen * (1.0 - 0.75 * (-(away / 1.5).powi(2)).exp())
    })
}

/// Lit from one corner, with the edge of a shadow across.
pub fn shade(picture: &Picture, darkest: f64, shadow: f64, edge: f64) -> Picture {
    let (width, height) = (picture.width() as f64, picture.height() as f64);
    map(picture, picture.width(), picture.height(), |x, y| {
        let slope = darkest + (1.0 - darkest) * (x / width + y / height) / 2.0;
        let beyond = (x / width * 0.7 + y / height * 0.3 - edge) * width / 12.0;
        let lit = shadow + (1.0 - shadow) / (1.0 + (-beyond).exp());
        light(picture, x, y) * slope * lit
    })
}

/// Out of focus: three means over a square come near a bell curve.
pub fn blur(picture: &Picture, radius: usize) -> Picture {
    let mut picture = picture.clone();
    for _ in 0..3 {
        picture = mean(&mean(&picture, radius, 0), 0, radius);
    }
    picture
}

fn mean(picture: &Picture, across: usize, down: usize) -> Picture {
    map(picture, picture.width(), picture.height(), |x, y| {
        let (x, y) = (x as usize, y as usize);
        let (mut sum, mut count) = (0.0, 0.0);
        for row in y.saturating_sub(down)..=(y + down).min(picture.height() - 1) {
            for column in x.saturating_sub(across)..=(x + across).min(picture.width() - 1) {
                sum += f64::from(picture.at(column, row));
                count += 1.0;
            }
        }
        sum / count
    })
}

/// Grain of so many levels.
pub fn noise(picture: &Picture, levels: f64, random: &mut Seeded) -> Picture {
    let grain: Vec<u8> = picture
        .pixels()
        .iter()
        .map(|light| {
            let bell: f64 = (0..4).map(|_| random.between(-1.0, 1.0)).sum();
            (f64::from(*light) + bell * levels * 0.87).clamp(0.0, 255.0) as u8
        })
        .collect();
    Picture::new(picture.width(), picture.height(), grain)
}

/// Through a JPEG file of this quality, by the program that most cameras' libraries come from.
pub fn jpeg(picture: &Picture, quality: u32) -> Picture {
    Picture::read(&jpeg_file(picture, quality)).expect("a picture")
}

pub fn jpeg_file(picture: &Picture, quality: u32) -> Vec<u8> {
    let mut encoder = Command::new("cjpeg")
        .args(["-quality", &quality.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cjpeg (package libjpeg-turbo-progs; cargo xtask setup installs it)");
    let mut file = format!("P5\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    file.extend(picture.pixels());
    let mut stdin = encoder.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || stdin.write_all(&file));
    let output = encoder.wait_with_output().expect("its output");
    writer.join().expect("a thread").expect("all written");
    assert!(output.status.success());
    output.stdout
}
