//! Files to pixels.

use zeroize::Zeroizing;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::light::{PIXELS_MAX, Picture, PictureError};

/// No side of a picture is longer.
const SIDE_PIXELS_MAX: usize = 30_000;

fn damaged(error: impl std::fmt::Debug) -> PictureError {
    let mut text = format!("{error:?}");
    text.truncate(text.char_indices().nth(120).map_or(text.len(), |(at, _)| at));
    PictureError::Damaged(text)
}

fn check(width: usize, height: usize) -> Result<(), PictureError> {
    let fits = width.checked_mul(height).is_some_and(|pixels| pixels <= PIXELS_MAX);
    if fits && width.max(height) <= SIDE_PIXELS_MAX {
        Ok(())
    } else {
        Err(PictureError::TooLarge { width, height })
    }
}

pub(super) fn png(file: &[u8]) -> Result<Picture, PictureError> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check(width, height)?;
    let room = reader.output_buffer_size().ok_or(PictureError::TooLarge { width, height })?;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let frame = reader.next_frame(&mut bytes).map_err(damaged)?;
    let channels = frame.color_type.samples();
    let light = bytes.chunks_exact(channels.max(1)).take(width * height).map(lightness);
    Ok(Picture::new(width, height, light.collect()))
}

/// How light a pixel of one to four channels is (Rec. 601), on white paper where it is clear.
fn lightness(pixel: &[u8]) -> u8 {
    let (light, opaque) = match *pixel {
        [grey] => (u32::from(grey), 255),
        [grey, alpha] => (u32::from(grey), u32::from(alpha)),
        [red, green, blue] => (mixed(red, green, blue), 255),
        [red, green, blue, alpha] => (mixed(red, green, blue), u32::from(alpha)),
        _ => (255, 255),
    };
    ((light * opaque + 255 * (255 - opaque)) / 255) as u8
}

fn mixed(red: u8, green: u8, blue: u8) -> u32 {
    (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) / 1_000
}

pub(super) fn jpeg(file: &[u8]) -> Result<Picture, PictureError> {
    let options = DecoderOptions::default()
        .set_max_width(SIDE_PIXELS_MAX)
        .set_max_height(SIDE_PIXELS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("no size"))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    check(width, height)?;
    let light = decoder.decode().map_err(damaged)?;
    let channels = light.len().checked_div(width * height).unwrap_or(1).max(1);
    let light = Zeroizing::new(light);
    let pixels = light.chunks_exact(channels).take(width * height).map(lightness);
    Ok(Picture::new(width, height, pixels.collect()))
}
