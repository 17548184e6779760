//! What the integration tests share: the real binary in a folder of its own, a scripted IRC server and a
//! scripted bookmark service, all on loopback and on ports that the system picks.
//!
//! Events are awaited, with [`PATIENCE`] as the limit that only a failing test meets.

// Every file of tests/ is a crate of its own and uses its own part of this.
#![allow(dead_code)]

pub mod bookmarks;
pub mod bot;
pub mod irc;
pub mod servers;
pub mod tls;

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what has no event of its own, a file for one.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection that comes in within [`PATIENCE`]; std cannot limit `accept`.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let stream = eventually("a connection", || listener.accept().ok()).0;
    stream.set_nonblocking(false).unwrap();
    stream
}

/// A port of loopback that refuses connections for as long as this lives: it is the near end of one.
pub struct Refusing {
    listener: TcpListener,
    stream: TcpStream,
}

impl Refusing {
    pub fn new() -> Refusing {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Refusing { listener, stream }
    }

    pub fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }
}
