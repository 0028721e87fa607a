//! Pictures: any bytes are refused or are pixels, and any pixels may be looked at.
#![no_main]

use evenkeel_sheets::picture::{Picture, scan};
use evenkeel_sheets::sheet::{Payload, SYMBOL_VERSIONS};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = Picture::read(bytes)
        && picture.width() * picture.height() < 1 << 20
    {
        let _ = scan(&picture, &SYMBOL_VERSIONS, &Payload::holds);
    }
    // As pixels too: files that decode are rare.
    if let Some((side, pixels)) = bytes.split_first() {
        let side = usize::from(*side).clamp(24, 120);
        let picture =
            Picture::new(side, side, pixels.iter().copied().cycle().take(side * side).collect());
        let _ = scan(&picture, &SYMBOL_VERSIONS, &Payload::holds);
    }
});
