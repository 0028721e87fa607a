//! A way to a member that loses what it is told to lose.
#![allow(clippy::unwrap_used, missing_docs, dead_code, reason = "a helper of tests")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    Both,
    /// Questions arrive, answers are lost.
    Questions,
    /// Nothing arrives.
    Nothing,
}

pub struct Proxy {
    pub address: String,
    way: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let proxy = Self { address, way: Arc::default(), open: Arc::default() };
        let (way, open) = (Arc::clone(&proxy.way), Arc::clone(&proxy.open));
        let target = target.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                for one in [&client, &server] {
                    one.set_nodelay(true).unwrap();
                    open.lock().unwrap().push(one.try_clone().unwrap());
                }
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                carry(from, to, &way, Way::Nothing);
                carry(server, client, &way, Way::Questions);
            }
        });
        proxy
    }

    pub fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }

    /// Cuts every connection that is open.
    pub fn cut(&self) {
        for one in self.open.lock().unwrap().drain(..) {
            let _ = one.shutdown(Shutdown::Both);
        }
    }
}

/// Carries bytes until either end hangs up; loses them from the given way on.
fn carry(mut from: TcpStream, mut to: TcpStream, way: &Arc<AtomicU8>, lost_from: Way) {
    let way = Arc::clone(way);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let lost = way.load(Ordering::SeqCst) >= lost_from as u8;
            if !lost && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
