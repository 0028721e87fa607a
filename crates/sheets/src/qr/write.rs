//! Bytes to symbols.

use qrcode::bits::Bits;
use qrcode::types::{Color, EcLevel};
use qrcode::{QrCode, Version as QrVersion};

use super::grid::Grid;
use super::version::{Level, Version};

/// Why bytes do not become a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More than the version holds.
    #[error("{bytes} bytes do not fit a symbol that holds {capacity_bytes}")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// How many fit.
        capacity_bytes: usize,
    },
    /// The encoder refused, which it does not for these versions.
    #[error("the symbol could not be written")]
    Encoder,
}

/// A symbol of exactly this version and level with one segment of bytes.
///
/// # Errors
/// [`WriteError::TooLong`].
pub fn write(version: Version, level: Level, bytes: &[u8]) -> Result<Grid, WriteError> {
    let capacity_bytes = version.capacity_bytes(level);
    if bytes.len() > capacity_bytes {
        return Err(WriteError::TooLong { bytes: bytes.len(), capacity_bytes });
    }
    let level = match level {
        Level::Low => EcLevel::L,
        Level::Medium => EcLevel::M,
        Level::Quartile => EcLevel::Q,
        Level::High => EcLevel::H,
    };
    let mut bits = Bits::new(QrVersion::Normal(i16::from(version.number())));
    bits.push_byte_data(bytes)
        .and_then(|()| bits.push_terminator(level))
        .map_err(|_| WriteError::Encoder)?;
    let symbol = QrCode::with_bits(bits, level).map_err(|_| WriteError::Encoder)?;
    let side = symbol.width();
    let mut grid = Grid::new(side);
    for (at, colour) in symbol.to_colors().into_iter().enumerate() {
        grid.set(at % side, at / side, colour == Color::Dark);
    }
    Ok(grid)
}
