//! A scripted IRC server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use openssl::ssl::{ErrorCode, SslAcceptor, SslStream};

use super::tls::{self, Certificate};
use super::{PATIENCE, accept, eventually};

/// The server's features in 005.
const ISUPPORT: &str = "CASEMAPPING=rfc1459 CHANTYPES=# NICKLEN=30 NETWORK=Test";

pub struct IrcServer {
    listener: TcpListener,
    acceptor: Option<SslAcceptor>,
}

impl IrcServer {
    pub fn plain() -> IrcServer {
        IrcServer { listener: TcpListener::bind("127.0.0.1:0").unwrap(), acceptor: None }
    }

    pub fn tls(certificate: &Certificate) -> IrcServer {
        IrcServer { acceptor: Some(tls::acceptor(certificate)), ..IrcServer::plain() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The lines of bot.conf for this server and #dev.
    pub fn conf(&self) -> String {
        let tls = if self.acceptor.is_some() { "yes" } else { "no" };
        format!("server = localhost:{}\ntls = {tls}\nchannels = #dev\nreconnect = 1\n", self.port())
    }

    /// The next connection; panics if its TLS handshake fails.
    pub fn accept(&self) -> Client {
        self.try_accept().unwrap_or_else(|why| panic!("TLS handshake: {why}"))
    }

    /// The next connection, without polling; waits without a timeout.
    pub fn accept_at_once(&self) -> Client {
        self.greet(self.listener.accept().unwrap().0).unwrap()
    }

    /// The next connection, or why its TLS handshake failed.
    pub fn try_accept(&self) -> Result<Client, String> {
        self.greet(accept(&self.listener))
    }

    /// The next connection; `None` if none came while `waiting` was true.
    pub fn accept_while(&self, mut waiting: impl FnMut() -> bool) -> Option<Client> {
        self.listener.set_nonblocking(true).unwrap();
        let tcp = eventually("a connection", || match self.listener.accept() {
            Ok((tcp, _)) => Some(Some(tcp)),
            Err(_) => (!waiting()).then_some(None),
        })?;
        tcp.set_nonblocking(false).unwrap();
        self.greet(tcp).ok()
    }

    fn greet(&self, tcp: TcpStream) -> Result<Client, String> {
        tcp.set_nodelay(true).unwrap();
        let stream = match &self.acceptor {
            None => Stream::Plain(tcp),
            // Without a timeout: with one, SIGCHLD from another thread's child ends the handshake.
            Some(acceptor) => Stream::Tls(acceptor.accept(tcp).map_err(|e| e.to_string())?),
        };
        stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        Ok(Client {
            stream,
            buffer: Vec::new(),
            received: Vec::new(),
            nick: "linkbot".to_owned(),
            pings: 0,
        })
    }

    /// The next connection, registered and in its channels.
    pub fn welcome(&self) -> Client {
        let mut client = self.accept();
        client.login();
        client
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(ssl) => ssl.get_ref(),
        }
    }
}

/// The server's end of one connection.
pub struct Client {
    stream: Stream,
    buffer: Vec<u8>,
    /// All received lines, for the message of a failed test.
    received: Vec<String>,
    /// The bot's nick.
    pub nick: String,
    pings: u32,
}

impl Client {
    /// The next line of the bot.
    pub fn line(&mut self) -> String {
        self.next_line().unwrap_or_else(|| {
            panic!("the bot closed the connection after:\n{}", self.received.join("\n"))
        })
    }

    /// The next line of the bot; `None` if it has closed the connection.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n").expect("every line ends in CR LF");
                assert!(!line.contains(&b'\r') && !line.contains(&0), "CR or NUL inside a line");
                let line = String::from_utf8(line.to_vec()).expect("the bot speaks UTF-8");
                self.received.push(line.clone());
                return Some(line);
            }
            let mut bytes = [0; 4096];
            match self.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => self.buffer.extend(&bytes[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the bot sends nothing after:\n{}", self.received.join("\n"))
                }
                // SIGCHLD from another thread's child. A read with a timeout is not restarted
                // automatically.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(bytes),
            Stream::Tls(ssl) => match ssl.ssl_read(bytes) {
                Err(e) if e.code() == ErrorCode::ZERO_RETURN => Ok(0),
                result => {
                    result.map_err(|e| e.into_io_error().unwrap_or_else(std::io::Error::other))
                }
            },
        }
    }

    /// The next line, which must start with `beginning`.
    pub fn expect(&mut self, beginning: &str) -> String {
        let line = self.line();
        assert!(
            line.starts_with(beginning),
            "expected {beginning:?} but received:\n{}",
            self.received.join("\n")
        );
        line
    }

    /// The next line that starts with `beginning`; skips others.
    pub fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Sends a line; CR LF is added.
    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\r\n").as_bytes());
    }

    /// Sends bytes as they are, under TLS in one record. Ignores a closed connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(ssl) => ssl.write_all(bytes),
        };
    }

    /// Someone says something in a channel, or to the bot.
    pub fn say(&mut self, nick: &str, target: &str, text: impl AsRef<[u8]>) {
        let mut line = format!(":{nick}!{nick}@host.example PRIVMSG {target} :").into_bytes();
        line.extend(text.as_ref());
        line.extend(b"\r\n");
        self.send_bytes(&line);
    }

    /// Registers the bot and lets it into #dev.
    pub fn login(&mut self) {
        self.login_to(&["#dev"]);
    }

    /// Registers the bot and lets it into its channels, in the order of bot.conf.
    pub fn login_to(&mut self, channels: &[&str]) {
        self.register("server-time message-tags account-tag");
        for channel in channels {
            self.expect(&format!("JOIN {channel}"));
            self.let_in(channel);
        }
        self.barrier();
    }

    /// Answers the bot's first lines and sends the welcome; JOIN comes next.
    pub fn register(&mut self, capabilities: &str) {
        loop {
            let line = self.line();
            let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
            match line.split(' ').next().unwrap() {
                "PASS" | "USER" => {}
                "NICK" => self.nick = rest.trim_start_matches(':').to_owned(),
                "CAP" if rest.starts_with("LS") => {
                    self.send(&format!(":irc.test CAP * LS :{capabilities}"))
                }
                "CAP" if rest.starts_with("REQ") => {
                    let wanted = rest.trim_start_matches("REQ ").trim_start_matches(':').to_owned();
                    self.send(&format!(":irc.test CAP * ACK :{wanted}"));
                }
                "CAP" if rest == "END" => break,
                _ => panic!("not a line of registration: {line}"),
            }
        }
        self.numeric("001", ":Welcome");
        self.numeric("005", &format!("{ISUPPORT} :are supported by this server"));
        self.numeric("376", ":End of /MOTD command.");
    }

    /// Lets the bot into a channel.
    pub fn let_in(&mut self, channel: &str) {
        self.send(&format!(":{}!~linkbot@127.0.0.1 JOIN {channel}", self.nick));
        self.numeric("366", &format!("{channel} :End of /NAMES list."));
    }

    /// A numeric reply to the bot.
    pub fn numeric(&mut self, number: &str, rest: &str) {
        self.send(&format!(":irc.test {number} {} {rest}", self.nick));
    }

    /// Waits until the bot has handled and published everything sent before. Asserts that it sends
    /// no reply.
    ///
    /// One PONG is not enough: it is sent before the replies of its batch.
    pub fn barrier(&mut self) {
        for _ in 0..2 {
            self.pings += 1;
            let token = format!("barrier-{}", self.pings);
            self.send(&format!("PING :{token}"));
            let line = self.expect("PONG ");
            assert!(line.ends_with(&token), "{line}");
        }
    }

    /// Closes the connection without an ERROR.
    pub fn close(self) {
        let _ = self.stream.tcp().shutdown(Shutdown::Both);
    }
}
