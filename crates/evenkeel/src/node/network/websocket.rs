//! Messages of a WebSocket (RFC 6455), from the client's side.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::{Head, host_header};
use super::wire::Line;
use evenkeel_capture::network::Address;

/// What the server's answer to the key is made with (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MESSAGE_BYTES_MAX: u64 = 8 << 20;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Asks the server to speak WebSocket from now on.
pub(super) fn upgrade(
    line: &mut Line,
    address: &Address,
    path: &str,
    authorization: Option<&str>,
) -> io::Result<()> {
    let key = STANDARD.encode(random::<16>()?);
    let authorization =
        authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
    line.send(
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n",
            host_header(address)
        )
        .as_bytes(),
    )?;
    let head = Head::read(line)?;
    if head.status != 101 {
        return Err(broken(&format!("it answers {} instead of speaking WebSocket", head.status)));
    }
    let expected = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    if head.value("sec-websocket-accept") != Some(STANDARD.encode(expected).as_str()) {
        return Err(broken("it accepted another WebSocket than was asked for"));
    }
    Ok(())
}

/// Sends a message.
pub(super) fn send(line: &mut Line, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![FINAL | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(MASKED | length),
        (_, Ok(length)) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    let mask = random::<4>()?;
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    line.send(&frame)
}

/// Sends a text.
pub(super) fn send_text(line: &mut Line, text: &[u8]) -> io::Result<()> {
    send(line, TEXT, text)
}

/// The next message; pings are answered meanwhile.
pub(super) fn receive(line: &mut Line) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let head = line.take(2)?;
        let (first, second) = (head[0], head[1]);
        let length = match second & 0x7f {
            126 => {
                let bytes = line.take(2)?;
                u64::from(u16::from_be_bytes([bytes[0], bytes[1]]))
            }
            127 => {
                let bytes = line.take(8)?;
                u64::from_be_bytes(bytes.try_into().unwrap_or([0xff; 8]))
            }
            short => u64::from(short),
        };
        if length.saturating_add(message.len() as u64) > MESSAGE_BYTES_MAX || second & MASKED != 0 {
            return Err(broken("a message of the WebSocket is too long or masked"));
        }
        let payload = line.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        match first & 0x0f {
            PING => send(line, PONG, &payload)?,
            PONG => {}
            CLOSE => return Err(broken("it closed the WebSocket")),
            _ => {
                message.extend(payload);
                if first & FINAL != 0 {
                    return Ok(message);
                }
            }
        }
    }
}
