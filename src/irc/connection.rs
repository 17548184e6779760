//! Bytes in and out over TCP or TLS, with timeouts, and the wait before the next connection. Takes
//! a host and how far to trust it; returns a connection, or why there is none. Knows nothing of
//! IRC.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use native_tls::{Identity, TlsConnector, TlsStream};

use crate::log;

/// A server that does not accept the connection, finish the TLS handshake, or accept bytes within
/// this time is dead.
const TIMEOUT: Duration = Duration::from_secs(15);
pub const MINUTE: Duration = Duration::from_secs(60);

/// Where the server is, and how far it is trusted.
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

/// How soon to connect again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Retry {
    /// After `reconnect` seconds, doubling.
    Soon,
    /// The credentials were refused: soon, the first three times after a login that worked;
    /// otherwise after 15 min.
    Refused,
    /// After 15 min: a nick, a password or a certificate that only a person can fix.
    Slow,
    /// After 30 min: the network has banned us.
    Banned,
}

/// When to connect again, and why the connection ended or failed, for the operator.
pub struct End(pub Retry, pub String);

/// The wait before the next connection: doubles up to 10 min; a connection that was registered for
/// 5 min resets it.
pub struct Backoff {
    first: Duration,
    next: Duration,
    /// How many more refused logins to retry soon. A login that works sets it to 3, because
    /// services that are starting up may refuse everyone.
    soon_refusals: u32,
}

impl Backoff {
    pub fn new(first: Duration) -> Backoff {
        Backoff { first, next: first, soon_refusals: 0 }
    }

    /// Returns the wait after a connection that was `registered` for this long; `None`: it never
    /// was. `random` is any number.
    pub fn wait(&mut self, retry: Retry, registered: Option<Duration>, random: u64) -> Duration {
        if registered.is_some() {
            self.soon_refusals = 3;
        }
        if registered >= Some(5 * MINUTE) {
            self.next = self.first;
        }
        match retry {
            Retry::Banned => return 30 * MINUTE,
            Retry::Refused if self.soon_refusals > 0 => self.soon_refusals -= 1,
            Retry::Refused | Retry::Slow => return 15 * MINUTE,
            Retry::Soon => {}
        }
        // ±25 % jitter, to keep a network's bots from reconnecting in the same second.
        let wait = self.next * (750 + random as u32 % 501) / 1000;
        self.next = (self.next * 2).min(10 * MINUTE);
        wait
    }
}

pub type Addresses = std::vec::IntoIter<SocketAddr>;

/// Plain or TLS. Cannot be used again after a write error.
pub trait Connection: Read + Write {
    fn socket(&mut self) -> &mut Socket;

    /// Waits for bytes, until `until` at the latest, and returns their number: 0 if none came. The
    /// end of the stream is an error.
    fn receive(&mut self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        self.socket().until = until;
        match self.read(buffer) {
            Ok(0) => Err(io::Error::other("the server closed the connection")),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }
}

impl Connection for Socket {
    fn socket(&mut self) -> &mut Socket {
        self
    }
}

impl Connection for TlsStream<Socket> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut()
    }
}

/// A TCP socket whose reads have a deadline. A read that gets nothing by then fails with
/// `WouldBlock`, as TLS expects. A signal does not interrupt a read: `^Z` and `fg` must not drop
/// the connection.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    until: Instant,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            // A zero timeout is an error in std, and the shortest one lasts 4 ms.
            self.tcp.set_nonblocking(left.is_zero())?;
            self.tcp.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            match self.tcp.read(buffer) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_nonblocking(false)?;
        self.tcp.set_write_timeout(Some(TIMEOUT))?;
        // `write_all` continues after a signal.
        self.tcp.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects to the first address that accepts, and under TLS checks who the server is. `addresses`
/// are those that no attempt has used yet: the next attempt continues with them, and looks up the
/// host again once none is left.
pub fn open(settings: &Settings, addresses: &mut Addresses) -> Result<Box<dyn Connection>, End> {
    let Settings { host, port, tls, .. } = settings;
    if addresses.len() == 0 {
        *addresses = (host.as_str(), *port)
            .to_socket_addrs()
            .map_err(|e| End(Retry::Soon, format!("cannot find {host}: {}", log::os_error(e))))?;
    }
    let mut connected = Err(ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        log!("connecting to {host} at {address}");
        connected = TcpStream::connect_timeout(&address, TIMEOUT);
        if connected.is_ok() {
            break;
        }
    }
    let tcp = connected.map_err(|e| {
        End(Retry::Soon, format!("cannot connect to {host}, port {port}: {}", log::os_error(e)))
    })?;
    // A reply must not wait until the server has acknowledged the one before.
    let _ = tcp.set_nodelay(true);
    let socket = Socket { tcp, until: Instant::now() + TIMEOUT };
    if *tls { handshake(settings, socket) } else { Ok(Box::new(socket)) }
}

fn handshake(settings: &Settings, socket: Socket) -> Result<Box<dyn Connection>, End> {
    let Settings { host, pin, identity, .. } = settings;
    let mut builder = TlsConnector::builder();
    if let Some(identity) = identity {
        builder.identity(identity.clone());
    }
    // A pin replaces the authorities: name, dates and issuer add nothing to it.
    let is_pinned = pin.is_some();
    builder.danger_accept_invalid_certs(is_pinned).danger_accept_invalid_hostnames(is_pinned);
    let connector = builder.build().map_err(|e| End(Retry::Slow, format!("TLS: {e}")))?;

    let stream = connector.connect(host, socket).map_err(|e| {
        let openssl = log::os_error(e);
        // Words in OpenSSL's messages, which are all that native-tls passes on, and what they mean.
        let (_, what) = [
            ("has expired", "the certificate has expired; ask the network to renew it"),
            ("not yet valid", "the certificate is not yet valid; check this machine's clock"),
            ("mismatch", "the certificate was issued for another name; check server in bot.conf"),
            (
                "verify failed",
                "the certificate is self-signed or from an unknown issuer; see tls_pin",
            ),
            ("wrong version", "this port does not speak TLS; try 6697, or set tls = no"),
            ("", "the TLS handshake failed; does this port speak TLS?"),
        ]
        .into_iter()
        .find(|(words, _)| openssl.contains(words))
        .unwrap_or_default();
        // OpenSSL's message has these words whenever the certificate is the problem.
        let retry = if openssl.contains("verify failed") { Retry::Slow } else { Retry::Soon };
        End(retry, format!("{host}: {what} ({openssl})"))
    })?;
    // The handshake has proved that the server holds this certificate's key.
    let shown = stream.peer_certificate().ok().flatten().and_then(|c| c.to_der().ok());
    if is_pinned && shown != *pin {
        let mut why = format!("{host} presented a different certificate from the one in tls_pin");
        // SHA-256, unless the certificate's signature uses a longer hash, or none, as with Ed25519
        // (RFC 5929, tls-server-end-point).
        if let Ok(Some(hash)) = stream.tls_server_end_point() {
            // As `openssl x509 -fingerprint` writes it.
            let hex = format!("{hash:02X?}").replace(", ", ":");
            why += &format!(": SHA-{} {}", hash.len() * 8, hex.trim_matches(['[', ']']));
        }
        why += "; if the server has a new one, fetch it as bot.conf shows";
        return Err(End(Retry::Slow, why));
    }
    Ok(Box::new(stream))
}
