//! bot.conf: `key = value` lines.
//!
//! What is asked for here is what there is: a key that nothing asks for is unknown. Everything is read and
//! checked first; then the fault of the earliest line is told.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use native_tls::{Certificate, Identity, TlsConnector};
use time::UtcOffset;
use url::{Host, Url};

use crate::delicious::Login;
use crate::file::beside;
use crate::irc::names::CaseMapping;
use crate::irc::{Channel, Reply, Sasl, connection};
use crate::link::{LogUrl, Zone, percent_encode, with_channel};
use crate::{delicious, feed, irc, log};

const TLS_KEYS: [&str; 3] = ["tls_pin", "tls_cert", "tls_key"];
const LOGIN_KEYS: [&str; 4] = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];

/// bot.conf, read and found good.
pub struct Config {
    pub server: connection::Settings,
    pub irc: irc::Settings,
    /// Before the first new try of a lost connection.
    pub reconnect: Duration,
    pub journal: PathBuf,
    pub feeds: Vec<feed::Feed>,
    pub log_url: Option<LogUrl>,
    pub account: Option<delicious::Settings>,
    /// What no log line may show.
    pub secrets: Vec<String>,
    /// What the operator should hear once at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads bot.conf and the PEM files that it names.
    ///
    /// An error is one line, `bot.conf:12: key: what is wrong, what would be right`. No value is quoted in it,
    /// so no secret is.
    pub fn read(path: &Path) -> Result<Config, String> {
        let (bytes, mode) = read(path)?;
        let text = str::from_utf8(&bytes).map_err(|e| {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            format!("{}:{line}: not UTF-8; save the file in that encoding", path.display())
        })?;
        parse(path, text, mode)
    }
}

/// Reads `text`, the content of `path`; `mode` is that file's.
fn parse(path: &Path, text: &str, mode: u32) -> Result<Config, String> {
    let conf = &mut Conf::new(path, text);
    conf.require("server", "irc.libera.chat:6697");
    conf.require("channels", "#linkbot");
    let server = server(conf);
    let irc = irc(conf);
    let zone = conf.get("timezone", "utc", zone);
    let log_url = conf.option("log_url", |value| log_url(value, zone));
    let folder = conf.folder;
    let journal = conf.get("journal", "links.tsv", |value| file(folder, value));
    let reconnect = conf.get("reconnect", "20", |value| number(value, 1..=600));
    let feeds = feeds(conf, &server, &irc.channels, log_url.as_ref());
    let account = account(conf, &irc.owner);
    check_secrecy(conf, &server, &irc, mode);
    check_files(conf, &journal, &feeds);
    conf.check_unknown();
    let secrets = secrets(&irc, account.as_ref().map(|account| &account.login));
    match conf.first_fault() {
        Some(fault) => Err(fault),
        None => Ok(Config {
            server,
            irc,
            reconnect: Duration::from_secs(reconnect),
            journal,
            feeds,
            log_url,
            account,
            secrets,
            warnings: std::mem::take(&mut conf.warnings),
        }),
    }
}

/// The lines of bot.conf, and what was found wrong with them.
struct Conf<'a> {
    path: &'a Path,
    /// What paths in bot.conf are relative to.
    folder: &'a Path,
    lines: Vec<Line<'a>>,
    /// The number of the line after the last one.
    end: usize,
    asked: Vec<&'static str>,
    /// With their line numbers.
    faults: Vec<(usize, String)>,
    warnings: Vec<String>,
}

struct Line<'a> {
    number: usize,
    key: &'a str,
    value: &'a str,
}

impl<'a> Conf<'a> {
    fn new(path: &'a Path, text: &'a str) -> Conf<'a> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let (lines, asked, faults, warnings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut conf = Conf { path, folder, lines, end: text.lines().count() + 1, asked, faults, warnings };
        // Some editors begin a file with a byte-order mark.
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
        for (number, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').map_or(("", ""), |(k, v)| (k.trim_end(), v.trim_start()));
            // Else it might be a piece of a password, so it is not named.
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-')) {
                conf.faults.push((number, "not a line like key = value; a comment begins with #".into()));
            } else if value.contains(|c: char| c.is_control() && c != '\t') {
                conf.faults.push((number, format!("{key}: holds a control character; remove it")));
            } else if conf.lines.iter().any(|l| l.key == key) && !matches!(key, "on_connect" | "ignore") {
                conf.faults.push((number, format!("{key}: was given above already; leave one of the two")));
            } else {
                conf.lines.push(Line { number, key, value });
            }
        }
        conf
    }

    /// The value of `key`; an empty one is as none.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.lines.iter().find(|line| line.key == key).map(|line| line.value).filter(|value| !value.is_empty())
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    fn number(&self, key: &str) -> usize {
        self.lines.iter().find(|line| line.key == key).map_or(self.end, |line| line.number)
    }

    fn fault(&mut self, key: &str, what: &str) {
        self.faults.push((self.number(key), format!("{key}: {what}")));
    }

    fn require(&mut self, key: &str, example: &str) {
        if !self.has(key) {
            self.fault(key, &format!("is missing; add for example {key} = {example}"));
        }
    }

    /// The value of `key`, or `default` where it is not given or bad, which is noted.
    fn get<T>(&mut self, key: &'static str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.asked.push(key);
        let given = self.lines.iter().find(|line| line.key == key).map(|line| parse(line.value));
        given.unwrap_or_else(|| parse(default)).unwrap_or_else(|what| {
            self.fault(key, &what);
            parse(default).expect("every default is good")
        })
    }

    /// The value of a key that has no default; `None` also where it is bad, which is noted.
    fn option<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.asked.push(key);
        parse(self.value(key)?).map_err(|what| self.fault(key, &what)).ok()
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        self.option(key, |value| Ok(value.to_owned()))
    }

    /// The values of a key that may be given more than once.
    fn all(&mut self, key: &'static str, is_good: impl Fn(&str) -> bool, right: &str) -> Vec<String> {
        self.asked.push(key);
        let (good, bad): (Vec<_>, Vec<_>) =
            self.lines.iter().filter(|line| line.key == key).partition(|line| is_good(line.value));
        self.faults.extend(bad.iter().map(|line| (line.number, format!("{key}: {right}"))));
        good.iter().map(|line| line.value.to_owned()).collect()
    }

    /// To be called when everything was asked for.
    fn check_unknown(&mut self) {
        for Line { number, key, .. } in self.lines.iter().filter(|line| !self.asked.contains(&line.key)) {
            let near = self.asked.iter().map(|known| (distance(key, known), known)).min();
            let hint = match near {
                Some((distance, known)) if distance <= 2 => format!("; did you mean {known}?"),
                _ => String::new(),
            };
            self.faults.push((*number, format!("{key}: unknown key{hint}")));
        }
    }

    /// The one of the earliest line; of two in a line the one that was found first.
    fn first_fault(&self) -> Option<String> {
        let (line, what) = self.faults.iter().min_by_key(|(line, _)| line)?;
        Some(format!("{}:{line}: {what}", self.path.display()))
    }
}

/// How many letters must be changed, inserted or removed to get from `a` to `b` (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn server(conf: &mut Conf) -> connection::Settings {
    let folder = conf.folder;
    let (host, port) = conf.get("server", "localhost:6667", host_and_port);
    let tls = conf.get("tls", "yes", yes_or_no);
    let pin = conf.option("tls_pin", |value| pin(&folder.join(value)));
    let key = conf.option("tls_key", |value| key(&folder.join(value)));
    let identity = if conf.has("tls_key") && key.is_none() {
        // What is wrong with the one must not be told of the other.
        conf.asked.push("tls_cert");
        None
    } else {
        conf.option("tls_cert", |value| identity(&folder.join(value), key))
    };
    if conf.has("tls_key") && !conf.has("tls_cert") {
        conf.fault("tls_key", "needs tls_cert, the file of its certificate");
    }
    for key in TLS_KEYS {
        if !tls && conf.has(key) {
            conf.fault(key, "needs tls = yes");
        }
    }
    connection::Settings { host, port, tls: tls.then_some(connection::Tls { pin, identity }) }
}

fn irc(conf: &mut Conf) -> irc::Settings {
    let is_command = |value: &str| (1..=510).contains(&value.len());
    let is_mask = |value: &str| !value.is_empty() && !value.contains(char::is_whitespace);
    irc::Settings {
        nick: conf.get("nick", "linkbot", nick),
        owner: conf.text("owner").unwrap_or_default(),
        channels: conf.get("channels", "#linkbot", channels),
        server_password: conf.text("server_password"),
        sasl: sasl(conf),
        on_connect: conf.all("on_connect", is_command, "must be a line of 1 to 510 bytes"),
        prefix: conf.get("prefix", ".", prefix),
        ignore: conf.all("ignore", is_mask, "must be a nick or nick!user@host, without blanks; * and ? fit anything"),
        rejoin: conf.get("rejoin", "no", yes_or_no),
        reply: conf.get("reply", "privmsg", reply),
    }
}

fn sasl(conf: &mut Conf) -> Option<Sasl> {
    let (kind, user, password) = (conf.text("sasl"), conf.text("sasl_user"), conf.text("sasl_password"));
    match (kind.as_deref(), user, password) {
        (Some("plain"), Some(user), Some(password)) => return Some(Sasl::Plain { user, password }),
        (Some("plain"), ..) => conf.fault("sasl", "plain needs sasl_user and sasl_password"),
        (Some("external"), None, None) if conf.has("tls_cert") => return Some(Sasl::External),
        (Some("external"), None, None) => conf.fault("sasl", "external needs tls_cert, a client certificate"),
        (None, None, None) => {}
        (Some("external") | None, user, _) => {
            let key = if user.is_some() { "sasl_user" } else { "sasl_password" };
            conf.fault(key, "needs sasl = plain");
        }
        (Some(_), ..) => conf.fault("sasl", "must be plain or external"),
    }
    None
}

/// One feed for all channels, or, with `{channel}` in the file's name, one for each.
fn feeds(
    conf: &mut Conf,
    server: &connection::Settings,
    channels: &[Channel],
    log_url: Option<&LogUrl>,
) -> Vec<feed::Feed> {
    let pattern = conf.get("feed", "links.xml", |value| file(Path::new(""), value).map(|_| value.to_owned()));
    let title = conf.text("feed_title");
    let url = conf.option("feed_url", |value| address(&with_channel(value, "")).map(|_| value.to_owned()));
    let items = conf.get("feed_items", "100", |value| number(value, 1..=10_000)) as usize;
    let names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    let each = pattern.contains("{channel}");
    if url.as_ref().is_some_and(|url| url.contains("{channel}") != each) {
        conf.fault("feed_url", "must hold {channel} where feed does, and only there");
    }
    let groups = if each { names.chunks(1) } else { names.chunks(names.len()) };
    let feed = |names: &[String]| {
        let name = names[0].strip_prefix('#').unwrap_or(&names[0]);
        let in_file = name.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "_");
        let default_title = format!("Links from {}", names.join(", "));
        feed::Feed {
            path: file(conf.folder, &pattern.replace("{channel}", &in_file)).unwrap_or_default(),
            channels: names.to_vec(),
            title: title.as_ref().map_or(default_title, |title| title.replace("{channel}", name)),
            url: url.as_ref().map(|url| with_channel(url, &names[0])),
            channel_url: channel_url(server, &names[0]),
            items,
            log_url: log_url.cloned(),
        }
    };
    groups.map(feed).collect()
}

/// As browsers and IRC programs know it: `ircs://irc.libera.chat/%23dev`.
fn channel_url(server: &connection::Settings, channel: &str) -> String {
    let (scheme, default_port) = if server.tls.is_some() { ("ircs", 6697) } else { ("irc", 6667) };
    let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    let port = if server.port == default_port { String::new() } else { format!(":{}", server.port) };
    format!("{scheme}://{host}{port}/{}", percent_encode(channel))
}

fn account(conf: &mut Conf, owner: &str) -> Option<delicious::Settings> {
    let add = conf.option("delicious", endpoint);
    let login = login(conf);
    let tags = conf.get("delicious_tags", "irc", tags);
    let shared = conf.option("delicious_shared", yes_or_no);
    let interval = conf.get("delicious_interval", "3", |value| number(value, 0..=86_400));
    let scuttle = conf.get("delicious_scuttle", "no", yes_or_no);
    let add = add?;
    let host = add.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if add.scheme() == "http" && !matches!(login, Login::Nobody) && !is_loopback(host) {
        let (path, line) = (conf.path.display(), conf.number("delicious"));
        let what = "the login crosses the network unencrypted; use https:// if the service has it";
        conf.warnings.push(format!("{path}:{line}: delicious: {what}"));
    }
    let interval = Duration::from_secs(interval);
    Some(delicious::Settings { add, login, tags, shared, interval, scuttle, user_agent: user_agent(owner) })
}

fn login(conf: &mut Conf) -> Login {
    let [user, password, token, bearer] = LOGIN_KEYS.map(|key| conf.text(key));
    for key in LOGIN_KEYS {
        if conf.has(key) && !conf.has("delicious") {
            conf.fault(key, "needs delicious, the full address of the service's posts/add");
        }
    }
    let mut forms = vec!["delicious_user", "delicious_token", "delicious_bearer"];
    forms.retain(|key| conf.has(key));
    forms.sort_by_key(|key| conf.number(key));
    if let Some(second) = forms.get(1) {
        conf.fault(second, "is a second form of login; leave one");
    }
    match (user, password, token, bearer) {
        (Some(user), Some(password), ..) => {
            if user.contains(':') {
                conf.fault("delicious_user", "must not hold a colon");
            }
            return Login::Basic { user, password };
        }
        (Some(_), None, ..) => conf.fault("delicious_user", "needs delicious_password"),
        (None, Some(_), ..) => conf.fault("delicious_password", "needs delicious_user"),
        (_, _, Some(token), _) => return Login::Token(token),
        (_, _, _, Some(bearer)) => {
            if bearer.bytes().all(|b| b.is_ascii_graphic()) {
                return Login::Bearer(bearer);
            }
            conf.fault("delicious_bearer", "must be one word of ASCII");
        }
        _ => {}
    }
    Login::Nobody
}

/// What a header can hold: ASCII, and no parentheses inside those of a comment (RFC 9110, 5.6.5).
fn user_agent(owner: &str) -> String {
    let owner = owner.replace(|c: char| !matches!(c, ' '..='~') || matches!(c, '(' | ')' | '\\'), "");
    let comment = if owner.trim().is_empty() { String::new() } else { format!(" ({})", owner.trim()) };
    format!("{}{comment}", irc::VERSION.replace(' ', "/"))
}

/// No secret may be read by others here, or by anyone on its way.
fn check_secrecy(conf: &mut Conf, server: &connection::Settings, irc: &irc::Settings, mode: u32) {
    let to_server = ["server_password", "sasl_password", "on_connect"];
    let keyed = irc.channels.iter().any(|channel| channel.key.is_some()).then_some(&"channels");
    for key in to_server.iter().chain(&LOGIN_KEYS[1..]).chain(keyed) {
        if conf.has(key) && mode & 0o007 != 0 {
            conf.fault(key, &open_to_others(conf.path));
        }
    }
    for key in to_server {
        if conf.has(key) && server.tls.is_none() && !is_loopback(&server.host) {
            conf.fault(key, "would cross the network unencrypted; set tls = yes");
        }
    }
}

fn open_to_others(path: &Path) -> String {
    let path = path.display();
    format!("{path} holds a secret and is open to every user; mend that with: chmod o-rwx {path}")
}

/// Each file that linkbot writes must be one of its own.
fn check_files(conf: &mut Conf, journal: &Path, feeds: &[feed::Feed]) {
    let mut taken: HashMap<PathBuf, &str> = HashMap::new();
    taken.extend(file(Path::new(""), &conf.path.to_string_lossy()).map(|path| (path, "bot.conf itself")));
    for key in TLS_KEYS {
        let path = conf.value(key).and_then(|value| file(conf.folder, value).ok());
        taken.extend(path.map(|path| (path, key)));
    }
    let journal = ["", ".tmp", ".delivered", ".delivered.tmp"].map(|suffix| ("journal", journal, suffix));
    let feeds = feeds.iter().flat_map(|feed| ["", ".tmp"].map(|suffix| ("feed", feed.path.as_path(), suffix)));
    for (key, path, suffix) in journal.into_iter().chain(feeds) {
        let path = beside(path, suffix);
        let name = path.display().to_string();
        match taken.insert(path, key) {
            Some("feed") => conf.fault("feed", &format!("two channels would share {name}; use one feed for all")),
            Some(other) => conf.fault(key, &format!("{name} belongs to {other}; choose another name")),
            None => {}
        }
    }
}

/// What the log must not show, also as it travels: percent-encoded, misread, or as the base64 of a login.
fn secrets(irc: &irc::Settings, login: Option<&Login>) -> Vec<String> {
    let mut secrets: Vec<String> = irc.server_password.iter().cloned().collect();
    secrets.extend(irc.channels.iter().filter_map(|channel| channel.key.clone()));
    for line in &irc.on_connect {
        secrets.push(line.clone());
        // Mostly the password. A shorter word would blank half of the log.
        let last = line.split_whitespace().next_back().map(|word| word.trim_start_matches(':'));
        secrets.extend(last.filter(|word| word.chars().count() >= 4).map(str::to_owned));
    }
    if let Some(sasl @ Sasl::Plain { password, .. }) = &irc.sasl {
        secrets.push(password.clone());
        // It is sent in pieces of 400.
        let payload = sasl.payload();
        secrets.extend(payload.as_bytes().chunks(400).map(|chunk| String::from_utf8_lossy(chunk).into_owned()));
    }
    secrets.extend(login.map(Login::secrets).unwrap_or_default());
    let encoded: Vec<String> = secrets.iter().map(|secret| percent_encode(secret)).collect();
    // A server's line with one byte that is not UTF-8 is read as Latin-1, all of it.
    let misread: Vec<String> = secrets.iter().map(|secret| secret.bytes().map(char::from).collect()).collect();
    secrets.extend(encoded.into_iter().chain(misread));
    secrets.sort();
    secrets.dedup();
    secrets
}

/// The content of a file, and its mode. An error names the file.
fn read(path: &Path) -> Result<(Vec<u8>, u32), String> {
    let read = || -> io::Result<_> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((bytes, file.metadata()?.permissions().mode()))
    };
    read().map_err(|e| format!("{}: {}", path.display(), log::os(&e)))
}

/// A PEM file (RFC 7468); refused if it holds a private key and is open to others.
fn pem(path: &Path) -> Result<String, String> {
    let (bytes, mode) = read(path)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.contains("PRIVATE KEY-----") && mode & 0o007 != 0 {
        return Err(open_to_others(path));
    }
    Ok(text)
}

/// The blocks of `pem` that are labelled so, whatever stands around them.
fn blocks(pem: &str, label: &str) -> Vec<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let block = |rest: &str| Some(format!("{begin}{}{end}\n", &rest[..rest.find(&end)?]));
    pem.split(&begin).skip(1).filter_map(block).collect()
}

/// The certificate in `path`, in DER.
fn pin(path: &Path) -> Result<Vec<u8>, String> {
    let damaged = |_| format!("the certificate in {} is damaged", path.display());
    match &blocks(&pem(path)?, "CERTIFICATE")[..] {
        [one] => Certificate::from_pem(one.as_bytes()).and_then(|certificate| certificate.to_der()).map_err(damaged),
        _ => Err(format!("{} must hold exactly one certificate, in PEM", path.display())),
    }
}

/// The private key in `path`, as native-tls wants it: PKCS#8, and nothing else in the text.
fn key(path: &Path) -> Result<String, String> {
    let pem = pem(path)?;
    let path = path.display();
    match blocks(&pem, "PRIVATE KEY").into_iter().next() {
        Some(key) => Ok(key),
        None if pem.contains("PRIVATE KEY-----") => Err(format!(
            "the key in {path} is not plain PKCS#8; convert it with: openssl pkcs8 -topk8 -nodes -in {path} -out {path}.new"
        )),
        None => Err(format!("{path} holds no private key, in PEM")),
    }
}

/// The certificates in `path` with their key, which may stand there too.
fn identity(path: &Path, other_key: Option<String>) -> Result<Identity, String> {
    let certificates = blocks(&pem(path)?, "CERTIFICATE").concat();
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate, in PEM", path.display()));
    }
    let key = other_key.map_or_else(|| key(path), Ok)?;
    let damaged = |_| format!("the certificate in {} or its key is damaged", path.display());
    let identity = Identity::from_pkcs8(certificates.as_bytes(), key.as_bytes()).map_err(damaged)?;
    // Whether the two belong together shows only here, and only if both are of a kind, say RSA.
    let connector = TlsConnector::builder().identity(identity.clone()).build();
    connector.map_err(|_| format!("the certificate in {} is not that of the key", path.display()))?;
    Ok(identity)
}

fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("must be yes or no".into()),
    }
}

fn number(value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
}

/// `host:port`, `[::1]:6697`; the host without its brackets.
fn host_and_port(value: &str) -> Result<(String, u16), String> {
    let parse = || {
        let (host, port) = value.rsplit_once(':')?;
        let host = match Host::parse(host).ok()? {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        Some((host, port.parse().ok().filter(|&port| port != 0)?))
    };
    parse().ok_or_else(|| "must be host:port, for example irc.libera.chat:6697 or [::1]:6697".into())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn nick(value: &str) -> Result<String, String> {
    let right = "must be a nick: letters, digits and []\\`_^{|}-, with neither a digit nor - in front";
    irc::is_nick(value).then(|| value.to_owned()).ok_or(right.into())
}

fn prefix(value: &str) -> Result<String, String> {
    let is_good = (1..=10).contains(&value.chars().count()) && !value.contains(char::is_whitespace);
    is_good.then(|| value.to_owned()).ok_or("must be 1 to 10 characters without blanks".into())
}

fn reply(value: &str) -> Result<Reply, String> {
    match value {
        "privmsg" => Ok(Reply::Privmsg),
        "notice" => Ok(Reply::Notice),
        "quiet" => Ok(Reply::Quiet),
        _ => Err("must be privmsg, notice or quiet".into()),
    }
}

fn channels(value: &str) -> Result<Vec<Channel>, String> {
    let mut channels: Vec<Channel> = Vec::new();
    for entry in value.split(',') {
        let mut words = entry.split_whitespace();
        let (name, key) = (words.next().unwrap_or_default(), words.next());
        // A JOIN with it must fit into a line of IRC.
        if name.len() < 2 || !name.starts_with('#') || words.next().is_some() || entry.len() > 200 {
            return Err("must be \"#name\" or \"#name key\", more of them separated by commas".into());
        }
        if channels.iter().any(|c| CaseMapping::Rfc1459.eq(c.name.as_bytes(), name.as_bytes())) {
            return Err(format!("{name} is the same channel as one before it; leave one of the two"));
        }
        channels.push(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    Ok(channels)
}

fn tags(value: &str) -> Result<Vec<String>, String> {
    let separates = |c: char| c == ',' || c.is_whitespace();
    let tags: Vec<String> = value.split(separates).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    if tags.is_empty() { Err("must be at least one tag, for example irc".into()) } else { Ok(tags) }
}

/// `utc`, `local`, `+HH:MM` or `-HH:MM`.
fn zone(value: &str) -> Result<Zone, String> {
    let fixed = || {
        let (sign, digits) = value.strip_prefix('+').map(|v| (1, v)).or(value.strip_prefix('-').map(|v| (-1, v)))?;
        let (hours, minutes) = digits.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
        let hours: i8 = hours.parse().ok().filter(|h| (0..24).contains(h))?;
        let minutes: i8 = minutes.parse().ok().filter(|m| (0..60).contains(m))?;
        UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
    };
    match value {
        "utc" => Ok(Zone::Fixed(UtcOffset::UTC)),
        "local" => Ok(Zone::Local),
        _ => fixed().map(Zone::Fixed).ok_or("must be utc, local, or an offset like +01:00".into()),
    }
}

fn log_url(value: &str, zone: Zone) -> Result<LogUrl, String> {
    // The fields in brackets do not keep it from being an address, and `[[` is a bracket.
    address(&with_channel(value, "").replace("[[", "["))?;
    LogUrl::new(value, zone).map_err(|what| format!("{what}; a field is for example [year], a bracket is [["))
}

/// An address for a program or the public: with a host, without a login.
fn address(value: &str) -> Result<Url, String> {
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or("must be an address that begins with http:// or https://")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".into());
    }
    Ok(url)
}

/// Where the service takes links.
fn endpoint(value: &str) -> Result<Url, String> {
    let url = address(value)?;
    // Errors name this address in the log.
    if url.query_pairs().any(|(name, _)| name == "auth_token") {
        return Err("must not hold the token; put that into delicious_token".into());
    }
    Ok(url)
}

/// A path relative to `folder`, without the `.` that would hide that two are the same.
fn file(folder: &Path, value: &str) -> Result<PathBuf, String> {
    let path: PathBuf = folder.join(value).components().filter(|part| *part != Component::CurDir).collect();
    if value.is_empty() || value.ends_with('/') || path.file_name().is_none() {
        return Err("must be the name of a file".into());
    }
    Ok(path)
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
mod tests;
