//! Bytes in and out: TCP or TLS, their deadlines, and when to connect again. Knows no protocol.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use native_tls::{Identity, TlsConnector, TlsStream};

const CONNECT: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(30);
/// A server that takes nothing for so long is dead.
const WRITE: Duration = Duration::from_secs(30);

/// Where the server is, and how far it is trusted.
#[derive(Clone, Default)]
pub struct Settings {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// The one certificate that is accepted, in DER.
    pub pin: Option<Vec<u8>>,
    /// The bot's own certificate and key.
    pub identity: Option<Identity>,
}

/// How soon a lost connection is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After `reconnect` seconds, doubling.
    Soon,
    /// After 15 min: a login, a nick or a certificate that only a person can mend.
    Slow,
    /// After 30 min: the network does not want us just now.
    Banned,
}

/// Why a connection is over or never was, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub why: String,
    pub retry: Retry,
}

impl End {
    pub fn new(retry: Retry, why: impl Display) -> End {
        End { why: why.to_string(), retry }
    }
}

/// The wait between two connections: doubles up to 10 min, and is short again only after 5 min registered.
pub struct Backoff {
    pub first: Duration,
    pub next: Duration,
}

impl Backoff {
    /// How long to wait now. `registered`: for how long the lost connection was; `random`: any number.
    pub fn wait(&mut self, retry: Retry, registered: Duration, random: u64) -> Duration {
        if registered >= Duration::from_secs(5 * 60) {
            self.next = self.first;
        }
        match retry {
            Retry::Soon => {
                // ±25 %, so that a whole network's bots do not come back in the same second.
                let wait = self.next * (750 + (random % 501) as u32) / 1000;
                self.next = (self.next * 2).min(Duration::from_secs(10 * 60));
                wait
            }
            Retry::Slow => Duration::from_secs(15 * 60),
            Retry::Banned => Duration::from_secs(30 * 60),
        }
    }
}

pub enum Connection {
    Plain(Socket),
    Tls(TlsStream<Socket>),
}

/// A TCP socket whose reads end at a moment. "Nothing came" is always `WouldBlock`, as TLS wants it:
/// time is up, or a signal came (`^Z` and `fg` must not drop the connection).
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    until: Option<Instant>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        self.tcp.set_nonblocking(left == Some(Duration::ZERO))?;
        // A zero timeout is an error in std.
        self.tcp.set_read_timeout(left.filter(|left| !left.is_zero()))?;
        self.tcp.read(buffer).map_err(|e| match e.kind() {
            ErrorKind::TimedOut | ErrorKind::Interrupted => ErrorKind::WouldBlock.into(),
            _ => e,
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_nonblocking(false)?;
        // All of it, also after a signal.
        self.tcp.write_all(bytes).map(|()| bytes.len()).map_err(|e| match e.kind() {
            ErrorKind::WouldBlock => io::Error::other("the server has taken nothing for 30 s"),
            _ => e,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection {
    /// Connects to the first of the server's addresses that answers, and proves who it is.
    pub fn open(settings: &Settings) -> Result<Connection, End> {
        let socket = Socket { tcp: connect(&settings.host, settings.port)?, until: None };
        if settings.tls {
            handshake(settings, socket).map(Connection::Tls)
        } else {
            Ok(Connection::Plain(socket))
        }
    }

    /// Waits for bytes until `until` at most. `None`: nothing came. An end of the stream is an error.
    pub fn read(&mut self, buffer: &mut [u8], until: Option<Instant>) -> io::Result<Option<usize>> {
        let result = match self {
            Connection::Plain(socket) => {
                socket.until = until;
                socket.read(buffer)
            }
            Connection::Tls(stream) => {
                stream.get_mut().until = until;
                stream.read(buffer)
            }
        };
        match result {
            Ok(0) => Err(io::Error::other("the server closed the connection")),
            Ok(n) => Ok(Some(n)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes all of it, or the connection is dead.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Connection::Plain(socket) => socket.write_all(bytes),
            Connection::Tls(stream) => stream.write_all(bytes),
        }
    }
}

fn connect(host: &str, port: u16) -> Result<TcpStream, End> {
    let addresses = (host, port).to_socket_addrs().map_err(|e| {
        End::new(Retry::Soon, format_args!("cannot find {host}: {}", crate::log::os_error(&e)))
    })?;
    let mut why = format!("{host} has no address");
    for address in addresses {
        let connected = TcpStream::connect_timeout(&address, CONNECT).and_then(|tcp| {
            tcp.set_nodelay(true)?;
            tcp.set_write_timeout(Some(WRITE)).map(|()| tcp)
        });
        match connected {
            Ok(tcp) => return Ok(tcp),
            Err(e) => why = format!("cannot connect to {address}: {}", crate::log::os_error(&e)),
        }
    }
    Err(End::new(Retry::Soon, why))
}

fn handshake(settings: &Settings, mut socket: Socket) -> Result<TlsStream<Socket>, End> {
    let Settings { host, pin, identity, .. } = settings;
    let mut builder = TlsConnector::builder();
    if let Some(identity) = identity {
        builder.identity(identity.clone());
    }
    // The pin below takes the place of the authorities: name, date and issuer say nothing more.
    let is_pinned = pin.is_some();
    builder.danger_accept_invalid_certs(is_pinned).danger_accept_invalid_hostnames(is_pinned);
    let connector = builder.build().map_err(|e| End::new(Retry::Slow, format_args!("TLS: {e}")))?;

    socket.until = Some(Instant::now() + HANDSHAKE);
    let stream = connector.connect(host, socket).map_err(|e| match e.to_string() {
        // native-tls tells a bad certificate from a broken handshake in OpenSSL's words only.
        e if e.contains("certificate verify failed") => End::new(
            Retry::Slow,
            format_args!("{host} is not trusted: {e}; for a self-signed certificate see tls_pin"),
        ),
        e => End::new(Retry::Soon, format_args!("TLS handshake with {host} failed: {e}")),
    })?;
    // The handshake has proved that the server holds this certificate's key.
    let shown = stream.peer_certificate().ok().flatten().and_then(|c| c.to_der().ok());
    if is_pinned && shown != *pin {
        return Err(End::new(
            Retry::Slow,
            format_args!("{host} shows another certificate than the one in tls_pin"),
        ));
    }
    Ok(stream)
}

#[cfg(test)]
#[path = "../../tests/unit/connection.rs"]
mod tests;
