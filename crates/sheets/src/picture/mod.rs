//! Symbols in pictures: photographs and scans of sheets, screens and terminals.
//!
//! A common reader finds a symbol by its three finder patterns and gives up if one of them is
//! covered. Sheets therefore have twelve targets around every symbol; any four that are seen in
//! place say where every module is, and the finder patterns are not needed.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels and modules are small numbers; what falls outside of a picture is light"
)]

mod blobs;
mod light;
mod locate;
mod marks;
mod mesh;
mod projection;
mod read;
mod sample;
mod scan;

pub use light::{Picture, PictureError};
pub use scan::{Found, Way, scan};

/// Where targets are printed, in modules of their symbol.
pub(crate) mod targets {
    pub(crate) use super::marks::centres;
    pub(crate) use super::marks::shape::{DISC, DISTANCE, INNER, OUTER};
}
