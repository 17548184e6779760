//! Real IRC servers and services, each a child process in its own directory, and a person on them.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::fs::{MetadataExt, chown},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::tls::{self, Certificate};
use super::{PATIENCE, eventually};

/// `nobody` and `nogroup` on Debian: these servers refuse to run as root.
const NOBODY: u32 = 65534;

/// A running IRC server, with plain text and TLS.
pub struct Ircd {
    server: Daemon,
    /// InspIRCd's services.
    services: Option<Daemon>,
    pub port: u16,
    pub tls_port: u16,
    /// The server's self-signed certificate.
    pub certificate: Certificate,
}

impl Ircd {
    pub fn ngircd() -> Ircd {
        let (port, tls_port, certificate, directory) = new_directory_and_ports();
        let path = directory.path().display();
        let conf = format!(
            "[Global]
             Name = ngircd.test
             Info = a test
             AdminInfo1 = a test
             Listen = 127.0.0.1
             Ports = {port}
             MotdPhrase = hello
             [Limits]
             MaxConnectionsIP = 0
             MaxNickLength = 20
             [Options]
             DNS = no
             Ident = no
             PAM = no
             [SSL]
             CertFile = {path}/cert.pem
             KeyFile = {path}/key.pem
             Ports = {tls_port}\n"
        );
        let arguments = ["-n", "-f", &write(&directory, "ngircd.conf", &conf)];
        let server = Daemon::start(program("ngircd"), &arguments, directory, Some(port));
        Ircd { server, services: None, port, tls_port, certificate }
    }

    pub fn hybrid() -> Ircd {
        let (port, tls_port, certificate, directory) = new_directory_and_ports();
        let path = directory.path().display();
        let modules = "/usr/lib/ircd-hybrid/modules";
        let conf = format!(
            r#"serverinfo {{
                name = "hybrid.test"; description = "a test"; network_name = "Test"; sid = "0HY"; hub = no;
                max_nick_length = 15;
                rsa_private_key_file = "{path}/key.pem"; tls_certificate_file = "{path}/cert.pem";
            }};
            admin {{ name = "a test"; }};
            class {{
                name = "users"; ping_time = 90 seconds; number_per_ip_local = 100; number_per_ip_global = 100;
                max_number = 100; sendq = 100 kbytes; recvq = 2560 bytes;
            }};
            auth {{ user = "*@*"; class = "users"; }};
            listen {{ host = "127.0.0.1"; port = {port}; flags = tls; port = {tls_port}; }};
            channel {{ default_join_flood_count = 0; invite_delay_channel = 0 seconds; }};
            general {{ disable_auth = yes; throttle_count = 100; throttle_time = 1 second; }};
            modules {{ path = "{modules}"; path = "{modules}/autoload"; }};
            "#
        );
        assert!(
            Path::new(modules).exists(),
            "ircd-hybrid's modules are missing: .ci/run unpacks them"
        );
        let conf = write(&directory, "ircd.conf", &conf);
        let mut arguments = vec!["-foreground".to_owned(), "-configfile".to_owned(), conf];
        for file in ["logfile", "pidfile", "klinefile", "dlinefile", "xlinefile", "resvfile"] {
            arguments.extend([format!("-{file}"), format!("{path}/{file}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = Daemon::start(program("ircd-hybrid"), &arguments, directory, Some(port));
        Ircd { server, services: None, port, tls_port, certificate }
    }

    /// Ergo, which keeps history (draft/chathistory) and has its services built in.
    pub fn ergo() -> Ircd {
        Ircd::ergo_with("ascii")
    }

    fn ergo_with(casemapping: &str) -> Ircd {
        let (port, tls_port, certificate, directory) = new_directory_and_ports();
        let path = directory.path().display();
        let conf = format!(
            r#"
            network: {{ name: Test }}
            server:
                name: ergo.test
                listeners:
                    "127.0.0.1:{port}": {{}}
                    "127.0.0.1:{tls_port}": {{ tls: {{ cert: "{path}/cert.pem", key: "{path}/key.pem" }} }}
                casemapping: {casemapping}
                max-sendq: 96k
                lookup-hostnames: false
                relaymsg: {{ enabled: true, separators: "/", available-to-chanops: true }}
            accounts:
                authentication-enabled: true
                registration: {{ enabled: true, bcrypt-cost: 4 }}
            datastore: {{ path: "{path}/ircd.db" }}
            logging: [{{ method: stderr, type: "*", level: info }}]
            limits: {{ nicklen: 32, identlen: 20, channellen: 64, awaylen: 390, kicklen: 390, topiclen: 390 }}
            history: {{ enabled: true, channel-length: 1024, client-length: 64, chathistory-maxmessages: 100 }}
            "#
        );
        let arguments = ["run", "--conf", &write(&directory, "ircd.yaml", &conf)];
        let server = Daemon::start(program("ergochat"), &arguments, directory, Some(port));
        Ircd { server, services: None, port, tls_port, certificate }
    }

    /// Ergo, with channel names in any language.
    pub fn ergo_precis() -> Ircd {
        Ircd::ergo_with("precis")
    }

    /// InspIRCd, linked to Atheme services.
    pub fn inspircd() -> Ircd {
        let link = free_port();
        let mut ircd = Ircd::inspircd_with(&[], link);
        let directory = directory();
        let modules = [
            "protocol/inspircd",
            "backend/opensex",
            "crypto/pbkdf2v2",
            "nickserv/main",
            "nickserv/cert",
            "nickserv/register",
            "saslserv/main",
            "saslserv/plain",
            "saslserv/external",
        ];
        let modules = modules.map(|module| format!("loadmodule \"modules/{module}\";\n")).concat();
        let conf = format!(
            r#"{modules}
            serverinfo {{
                name = "services.test"; desc = "a test"; numeric = "00A"; recontime = 1; netname = "Test";
                hidehostsuffix = "users.test"; adminname = "a"; adminemail = "a@test"; registeremail = "a@test";
                mta = "/bin/true"; auth = none; loglevel = {{ error; info; network; }};
                maxlogins = 20; maxusers = 0; emaillimit = 100; emailtime = 1; casemapping = rfc1459;
            }};
            uplink "inspircd.test" {{
                host = "127.0.0.1"; port = {link}; send_password = "link"; receive_password = "link";
            }};
            nickserv {{ nick = "NickServ"; user = "services"; host = "services.test"; real = "a test"; }};
            saslserv {{ nick = "SaslServ"; user = "services"; host = "services.test"; real = "a test"; }};
            "#
        );
        let conf = write(&directory, "atheme.conf", &conf);
        let path = directory.path().to_str().unwrap().to_owned();
        let (log_path, pid) = (format!("{path}/log"), format!("{path}/pid"));
        let arguments = ["-n", "-c", &conf, "-D", &path, "-l", &log_path, "-p", &pid];
        ircd.services =
            Some(Daemon::start(program("atheme-services"), &arguments, directory, None));
        ircd.await_services();
        ircd
    }

    fn await_services(&self) {
        let log = self.services.as_ref().unwrap().directory.path().join("log");
        eventually("the services to be linked", || {
            fs::read_to_string(&log).ok().filter(|log| log.contains("finished synching"))
        });
    }

    /// Sends SIGTERM, so they write their accounts to disk.
    pub fn stop_services(&mut self) {
        let services = self.services.as_mut().unwrap();
        let mut child = services.child.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        child.wait().unwrap();
        fs::remove_file(services.directory.path().join("log")).unwrap();
    }

    pub fn start_services_again(&mut self) {
        self.services.as_mut().unwrap().spawn();
        self.await_services();
    }

    /// InspIRCd without services, with a clock that is off by `offset`, such as `-6m`.
    pub fn inspircd_off_by(offset: &str) -> Ircd {
        let faketime =
            format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
        assert!(Path::new(&faketime).exists(), "{faketime} is missing: .ci/run installs it");
        Ircd::inspircd_with(&[("LD_PRELOAD", &faketime), ("FAKETIME", offset)], free_port())
    }

    fn inspircd_with(environment: &[(&str, &str)], link: u16) -> Ircd {
        let (port, tls_port, certificate, directory) = new_directory_and_ports();
        let path = directory.path().display();
        let modules = [
            "botmode",
            "cap",
            "chanhistory",
            "ircv3",
            "ircv3_accounttag",
            "ircv3_batch",
            "ircv3_ctctags",
            "ircv3_servertime",
            "sasl",
            "services_account",
            "spanningtree",
            "ssl_gnutls",
            "sslinfo",
        ];
        let modules = modules.map(|module| format!("<module name=\"{module}\">\n")).concat();
        let conf = format!(
            r#"{modules}
            <server name="inspircd.test" description="a test" network="Test" id="1IN">
            <admin name="a" nick="a" email="a@test">
            <sslprofile name="tls" provider="gnutls" certfile="{path}/cert.pem" keyfile="{path}/key.pem"
                        hash="sha256" requestclientcert="yes">
            <bind address="127.0.0.1" port="{port}" type="clients">
            <bind address="127.0.0.1" port="{tls_port}" type="clients" sslprofile="tls">
            <bind address="127.0.0.1" port="{link}" type="servers">
            <sasl target="services.test">
            <uline server="services.test" silent="yes">
            <link name="services.test" ipaddr="127.0.0.1" port="{link}" allowmask="127.0.0.1"
                  sendpass="link" recvpass="link">
            <connect allow="*" timeout="60" pingfreq="120" localmax="100" globalmax="100"
                     resolvehostnames="no" useident="no">
            <dns server="127.0.0.1" timeout="1">
            <pid file="{path}/pid">
            <chanhistory maxlines="50">
            <files motd="{path}/inspircd.conf">
            <path configdir="{path}" datadir="{path}" logdir="{path}">
            "#
        );
        let arguments = ["--nofork", "--config", &write(&directory, "inspircd.conf", &conf)];
        let mut command = program("inspircd");
        command.envs(environment.iter().copied());
        let server = Daemon::start(command, &arguments, directory, Some(port));
        Ircd { server, services: None, port, tls_port, certificate }
    }

    /// The lines of bot.conf for this server in plain text, and for #dev.
    pub fn conf(&self) -> String {
        format!("server = 127.0.0.1:{}\ntls = no\nchannels = #dev\nreconnect = 1\n", self.port)
    }

    /// The same with TLS. The certificate is self-signed, so it is refused without `tls_pin`.
    pub fn tls_conf(&self) -> String {
        format!("server = 127.0.0.1:{}\nchannels = #dev\nreconnect = 1\n", self.tls_port)
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Runs the killed server again, on the same ports.
    pub fn start_again(&mut self) {
        self.server.spawn();
    }
}

/// ZNC, connected to a server as linkbot in #dev, #private and #other.
pub struct Znc {
    _daemon: Daemon,
    port: u16,
}

impl Znc {
    pub fn on(ircd: &Ircd) -> Znc {
        let (directory, port) = (directory(), free_port());
        let conf = format!(
            "Version = 1.8.2
             ConnectDelay = 0
             <Listener plain>
               Host = 127.0.0.1
               Port = {port}
               IPv6 = false
               SSL = false
             </Listener>
             <User person>
               Pass = plain#5ecre7
               Nick = linkbot
               <Network test>
                 Server = 127.0.0.1 {}
                 JoinDelay = 0
                 <Chan #dev>
                 </Chan>
                 <Chan #private>
                 </Chan>
                 <Chan #other>
                 </Chan>
               </Network>
             </User>\n",
            ircd.port
        );
        let configs = directory.path().join("configs");
        fs::create_dir(&configs).unwrap();
        hand_over(&configs);
        write(&directory, "configs/znc.conf", &conf);
        let path = directory.path().to_str().unwrap().to_owned();
        let arguments = ["--foreground", "--datadir", &path];
        let daemon = Daemon::start(program("znc"), &arguments, directory, Some(port));
        Znc { _daemon: daemon, port }
    }

    /// The lines of bot.conf for this bouncer and #dev.
    pub fn conf(&self) -> String {
        let server = format!("server = 127.0.0.1:{}\ntls = no\nreconnect = 1\n", self.port);
        format!("{server}server_password = person/test:5ecre7\nchannels = #dev\n")
    }
}

/// A child process that ends with its owner.
struct Daemon {
    command: Command,
    child: Option<Child>,
    directory: TempDir,
    /// The port on which it accepts connections once it runs.
    port: Option<u16>,
}

impl Daemon {
    fn start(
        mut command: Command,
        arguments: &[&str],
        directory: TempDir,
        port: Option<u16>,
    ) -> Daemon {
        command.args(arguments).current_dir(directory.path()).stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut daemon = Daemon { command, child: None, directory, port };
        daemon.spawn();
        daemon
    }

    /// Runs it, and waits until it accepts connections.
    fn spawn(&mut self) {
        let output = self.directory.path().join("output");
        let file = fs::File::create(&output).unwrap();
        self.command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command));
        if let Some(port) = self.port {
            eventually("the server to accept", || {
                let ended = child.try_wait().unwrap();
                assert!(
                    ended.is_none(),
                    "{:?}: {}",
                    self.command,
                    fs::read_to_string(&output).unwrap()
                );
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where Debian installs a server, or where `.ci/run` unpacks those that conflict.
fn program(name: &str) -> Command {
    let unpacked = format!("/opt/{name}");
    let places = [("", "sbin"), ("", "bin"), (&unpacked[..], "sbin"), (&unpacked, "bin")];
    let mut places =
        places.iter().map(|(root, bin)| Path::new(&format!("{root}/usr/{bin}")).join(name));
    let found = places.find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing: .ci/run installs it")))
}

/// Two free ports, a certificate, and a directory with it as cert.pem and key.pem.
fn new_directory_and_ports() -> (u16, u16, Certificate, TempDir) {
    let (directory, certificate) = (directory(), tls::self_signed());
    write(&directory, "cert.pem", &certificate.pem);
    write(&directory, "key.pem", &certificate.key);
    (free_port(), free_port(), certificate, directory)
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    hand_over(directory.path());
    directory
}

/// Writes a file that the server may read. Returns its path.
fn write(directory: &TempDir, name: &str, content: &str) -> String {
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    hand_over(&path);
    path.into_os_string().into_string().unwrap()
}

fn hand_over(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// True if root runs this.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A free port below the ephemeral range, so it is still free when the server restarts. Does not
/// bind it: a child forked by another test would inherit the socket until it execs.
fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 10_000;
    loop {
        let port = 20_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
}

/// A person on the server, in plain text.
pub struct Person {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// All received lines, for the message of a failed test.
    received: Vec<String>,
}

impl Person {
    /// Connects and registers.
    pub fn connect(ircd: &Ircd, nick: &str) -> Person {
        let stream = TcpStream::connect(("127.0.0.1", ircd.port)).unwrap();
        let mut person = Person { stream, buffer: Vec::new(), received: Vec::new() };
        person.send(&format!("NICK {nick}\r\nUSER {nick} 0 * :a person"));
        person.hears("the end of the welcome", |line| {
            line.contains(" 376 ") || line.contains(" 422 ")
        });
        person
    }

    /// Connects and enters #dev; the first one there becomes its operator.
    pub fn enter(ircd: &Ircd, nick: &str) -> Person {
        let mut person = Person::connect(ircd, nick);
        person.send("JOIN #dev");
        person.hears("the list of names", |line| line.contains(" 366 "));
        person
    }

    /// Sends a line; CR LF is added.
    pub fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// Sends `text` to #dev.
    pub fn says(&mut self, text: &str) {
        self.send(&format!("PRIVMSG #dev :{text}"));
    }

    /// Waits for the bot to send exactly this to #dev.
    pub fn gets_reply(&mut self, text: &str) {
        let said = format!(" PRIVMSG #dev :{text}");
        self.hears(text, |line| line.starts_with(":linkbot") && line.ends_with(&said));
    }

    /// True if the server has said that it keeps history.
    pub fn server_keeps_history(&self) -> bool {
        self.received.iter().any(|line| line.contains("CHATHISTORY="))
    }

    /// The next line that is `wanted`.
    pub fn hears(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.hears_within(PATIENCE, what, wanted)
    }

    pub fn hears_within(
        &mut self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let until = Instant::now() + limit;
        loop {
            let line = self.line(until).unwrap_or_else(|| {
                panic!("{what} did not come; received:\n{}", self.received.join("\n"))
            });
            if wanted(&line) {
                return line;
            }
        }
    }

    /// The next line; answers a PING.
    fn line(&mut self, until: Instant) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if let Some(token) = line.strip_prefix("PING ") {
                    self.send(&format!("PONG {token}"));
                }
                self.received.push(line.clone());
                return Some(line);
            }
            let left =
                until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 4096];
            let n = match self.stream.read(&mut bytes) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                read => read.ok().filter(|&n| n > 0)?,
            };
            self.buffer.extend(&bytes[..n]);
        }
    }

    /// Registers this person's nick as an account and logs in.
    pub fn register_account(&mut self, password: &str) {
        self.send(&format!("PRIVMSG NickServ :REGISTER {password} someone@example.org"));
        let words = ["is now registered", "You're now logged in as"];
        self.hears("the account", |line| {
            line.contains(" NOTICE ") && words.iter().any(|w| line.contains(w))
        });
    }

    /// Lets the holder of this certificate log in to this person's account.
    pub fn add_certificate(&mut self, certificate: &Certificate) {
        let x509 = openssl::x509::X509::from_pem(certificate.pem.as_bytes()).unwrap();
        let digest = x509.digest(openssl::hash::MessageDigest::sha256()).unwrap();
        let fingerprint: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.send(&format!("PRIVMSG NickServ :CERT ADD {fingerprint}"));
        self.hears("the fingerprint", |line| {
            line.contains("Added fingerprint") || line.contains("successfully added")
        });
    }

    /// Leaves, and waits until the server has seen it.
    pub fn quit(mut self) {
        self.send("QUIT :bye");
        while self.line(Instant::now() + PATIENCE).is_some() {}
    }
}
