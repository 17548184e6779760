//! Shared by the integration tests: the real program in a temporary directory, a scripted IRC
//! server and a scripted bookmark service, all on loopback and on ports that the system picks.
//!
//! Tests wait for events; only a failing test waits as long as [`PATIENCE`].

// Every file in tests/ is a separate crate and uses only a part of this.
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

pub const PATIENCE: Duration = Duration::from_secs(180);

/// Polls for something without an event, such as a file.
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

/// The next connection, within [`PATIENCE`]. In std, `accept` has no timeout.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let stream = eventually("a connection", || listener.accept().ok()).0;
    stream.set_nonblocking(false).unwrap();
    stream
}

/// A loopback port that refuses connections while this exists: it is the local port of an open
/// connection.
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
