//! bot.conf: `key = value` lines. The first fault found is the one that is told.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use native_tls::{Certificate, Identity, TlsConnector};
use time::UtcOffset;
use time::macros::format_description;
use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use crate::delicious::Login;
use crate::feed::{Feed, View};
use crate::file::beside;
use crate::irc::names::CaseMapping;
use crate::irc::{Channel, Reply, Sasl, connection};
use crate::link::{LogUrl, Zone, address, percent_encode, with_channel};
use crate::page::{Alternate, Page};
use crate::publish::{Kind, Output};
use crate::{delicious, irc, log};

#[rustfmt::skip]
const KEYS: &[&str] = &[
    "server", "tls", "tls_pin", "tls_cert", "tls_key", "nick", "owner", "channels", "server_password", "sasl",
    "sasl_user", "sasl_password", "on_connect", "prefix", "reply", "capture", "ignore", "rejoin", "catch_up",
    "reconnect", "journal", "feed", "page", "feed_title", "feed_url", "feed_items", "log_url", "timezone", "delicious", "delicious_user",
    "delicious_password", "delicious_token", "delicious_bearer", "delicious_tags", "delicious_shared",
    "delicious_interval", "delicious_scuttle",
];

/// bot.conf, read and found good.
pub struct Config {
    pub server: connection::Settings,
    pub irc: irc::Settings,
    /// Before the first new try of a lost connection.
    pub reconnect: Duration,
    pub journal: PathBuf,
    /// Whether every link that anyone posts is saved, not only those given to a command.
    pub capture: bool,
    pub outputs: Vec<Output>,
    /// How many links of a channel count as its newest.
    pub feed_items: usize,
    pub log_url: Option<LogUrl>,
    pub account: Option<delicious::Settings>,
    /// The keys `local.NAME` by NAME, for src/local.rs.
    #[allow(dead_code, reason = "only a fork reads them")]
    pub local: HashMap<String, String>,
    /// What no log line may show.
    pub secrets: Vec<String>,
    /// What the operator should hear once at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads bot.conf and the PEM files that it names.
    ///
    /// An error is one line, `bot.conf:12: key: what is wrong, what would be right`. No value that may be a
    /// secret is quoted in it.
    pub fn read(path: &Path) -> Result<Config, String> {
        let (text, mode) = read(path)?;
        Config::parse(path, &text, mode)
    }

    /// Reads `text`, the content of `path`; `mode` is that file's.
    fn parse(path: &Path, text: &str, mode: u32) -> Result<Config, String> {
        let conf = &Conf::new(path, text)?;
        let server = server(conf)?;
        let irc = irc(conf)?;
        let zone = conf.get("timezone", "utc", zone)?;
        let log_url = conf.option("log_url", |value| log_url(value, zone))?;
        let journal = conf.get("journal", "links.tsv", |value| path_in(conf.folder, value))?;
        let reconnect = conf.get("reconnect", "20", |value| number(value, 1..=600))?;
        let outputs = outputs(conf, &server, &irc, zone, log_url.as_ref())?;
        let account = account(conf, &irc.owner)?;
        check_secrecy(conf, &server, &irc, mode)?;
        check_files(conf, &journal, &outputs)?;
        let local = |line: &Line| Some((line.key.strip_prefix("local.")?.to_owned(), line.value.to_owned()));
        Ok(Config {
            secrets: secrets(conf, &irc, account.as_ref().map(|account| &account.login)),
            warnings: warnings(conf, &server, account.as_ref()),
            server,
            irc,
            reconnect: Duration::from_secs(reconnect),
            journal,
            capture: conf.get("capture", "no", yes_or_no)?,
            local: conf.lines.iter().filter_map(local).collect(),
            feed_items: outputs[0].view.items,
            outputs,
            log_url,
            account,
        })
    }
}

/// The lines of bot.conf; each key in them is a known one.
struct Conf<'a> {
    path: &'a Path,
    /// What paths in bot.conf are relative to.
    folder: &'a Path,
    lines: Vec<Line<'a>>,
    /// The number of the line after the last one.
    end: usize,
}

struct Line<'a> {
    number: usize,
    key: &'a str,
    value: &'a str,
}

impl<'a> Conf<'a> {
    fn new(path: &'a Path, text: &'a str) -> Result<Conf<'a>, String> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut conf = Conf { path, folder, lines: Vec::new(), end: text.lines().count() + 1 };
        // Some editors begin a file with a byte-order mark.
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
        for (number, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = conf.split(line).map_err(|what| format!("{}:{number}: {what}", path.display()))?;
            conf.lines.push(Line { number, key, value });
        }
        Ok(conf)
    }

    /// The key and the value of `line`, which comes after `self.lines`.
    fn split(&self, line: &'a str) -> Result<(&'a str, &'a str), String> {
        let (key, value) = line.split_once('=').map_or(("", ""), |(k, v)| (k.trim_end(), v.trim_start()));
        let local = key.strip_prefix("local.");
        let name = local.unwrap_or(key);
        let fits =
            |b: u8| b.is_ascii_alphabetic() || b"_-".contains(&b) || local.is_some() && b"0123456789.".contains(&b);
        // Else it might be a piece of a password, so it is not named.
        if name.is_empty() || !name.bytes().all(fits) {
            return Err("not a line like key = value; a comment begins with #".into());
        }
        if local.is_none() && !KEYS.contains(&key) {
            let shared = |known: &str| known.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
            let nearest = KEYS.iter().max_by_key(|known| (shared(known), Reverse(known.len())));
            let hint = nearest.filter(|known| shared(known) > 2).map(|known| format!("; did you mean {known}?"));
            return Err(format!("{key}: unknown key{}", hint.unwrap_or_default()));
        }
        if self.line(key).is_some() && !matches!(key, "on_connect" | "ignore") {
            return Err(format!("{key}: was given above already; leave one of the two"));
        }
        if value.contains(|c: char| c.is_control() && c != '\t') {
            return Err(format!("{key}: holds a control character; remove it"));
        }
        Ok((key, value))
    }

    fn line(&self, key: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.key == key)
    }

    /// The value of `key`; an empty one is as none.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.line(key).map(|line| line.value).filter(|value| !value.is_empty())
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(str::to_owned)
    }

    /// The value of `key`, or `default` where it is not given.
    fn get<T>(&self, key: &str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
        let value = self.line(key).map_or(default, |line| line.value);
        parse(value).map_err(|what| self.fault(key, &what))
    }

    /// The value of a key that has no default.
    fn option<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        self.value(key).map(parse).transpose().map_err(|what| self.fault(key, &what))
    }

    /// The values of a key that may be given more than once.
    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |line| line.key == key && !line.value.is_empty()).map(|line| line.value)
    }

    /// An error if one of `keys` is given, which needs what is not there.
    fn refuse(&self, keys: &[&str], needs: &str) -> Result<(), String> {
        match keys.iter().find(|key| self.has(key)) {
            Some(key) => Err(self.fault(key, needs)),
            None => Ok(()),
        }
    }

    fn fault(&self, key: &str, what: &str) -> String {
        self.at(self.line(key).map_or(self.end, |line| line.number), key, what)
    }

    fn at(&self, number: usize, key: &str, what: &str) -> String {
        format!("{}:{number}: {key}: {what}", self.path.display())
    }
}

fn server(conf: &Conf) -> Result<connection::Settings, String> {
    let (host, port) = conf.get("server", "", host_and_port)?;
    let tls = conf.get("tls", "yes", yes_or_no)?;
    if !tls {
        conf.refuse(&["tls_pin", "tls_cert", "tls_key"], "needs tls = yes")?;
    }
    if !conf.has("tls_cert") {
        conf.refuse(&["tls_key"], "needs tls_cert, the file of its certificate")?;
    }
    let path = |value: &str| conf.folder.join(value);
    let pin = conf.option("tls_pin", |value| pin(&path(value)))?;
    let key = conf.value("tls_key").or(conf.value("tls_cert")).map(path).unwrap_or_default();
    let identity = conf.option("tls_cert", |value| identity(&path(value), &key))?;
    Ok(connection::Settings { host, port, tls: tls.then_some(connection::Tls { pin, identity }) })
}

fn irc(conf: &Conf) -> Result<irc::Settings, String> {
    Ok(irc::Settings {
        nick: conf.get("nick", "linkbot", nick)?,
        owner: conf.text("owner").unwrap_or_default(),
        channels: conf.get("channels", "", channels)?,
        server_password: conf.text("server_password"),
        sasl: sasl(conf)?,
        on_connect: conf.all("on_connect").map(str::to_owned).collect(),
        prefix: conf.get("prefix", ".", prefix)?,
        ignore: conf.all("ignore").flat_map(words).collect(),
        rejoin: conf.get("rejoin", "no", yes_or_no)?,
        catch_up: conf.get("catch_up", "yes", yes_or_no)?,
        reply: conf.get("reply", "privmsg", reply)?,
        hears: |_| false,
    })
}

fn sasl(conf: &Conf) -> Result<Option<Sasl>, String> {
    let (user, password) = (conf.text("sasl_user"), conf.text("sasl_password"));
    match (conf.value("sasl"), user, password) {
        (None, None, None) => Ok(None),
        (Some("plain"), Some(user), Some(password)) => Ok(Some(Sasl::Plain { user, password })),
        (Some("external"), None, None) if conf.has("tls_cert") => Ok(Some(Sasl::External)),
        _ => Err(conf.fault("sasl", "must be plain, with sasl_user and sasl_password, or external, with tls_cert")),
    }
}

/// The feeds and pages: one for all channels, or, with `{channel}` in the file's name, one for each.
fn outputs(
    conf: &Conf,
    server: &connection::Settings,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
) -> Result<Vec<Output>, String> {
    let is_file = |value: &str| path_in(Path::new(""), value).map(|_| value.to_owned());
    let feed = conf.get("feed", "links.xml", is_file)?;
    let page = conf.get("page", "links.html", is_file)?;
    let title = conf.text("feed_title");
    let url = conf.option("feed_url", |value| address(&with_channel(value, "")).map(|_| value.to_owned()))?;
    let items = conf.get("feed_items", "100", |value| number(value, 1..=10_000))? as usize;
    if url.as_ref().is_some_and(|url| url.contains("{channel}") != feed.contains("{channel}")) {
        return Err(conf.fault("feed_url", "must hold {channel} where feed does, and only there"));
    }
    let names: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let groups = |pattern: &str| names.chunks(if pattern.contains("{channel}") { 1 } else { names.len() });
    let title = |group: &[String]| match &title {
        Some(title) => title.replace("{channel}", without_sign(&group[0])),
        None => format!("Links from {}", group.join(", ")),
    };
    let path = |pattern: &str, group: &[String]| {
        let name = without_sign(&group[0]).replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "_");
        path_in(conf.folder, &pattern.replace("{channel}", &name)).unwrap_or_default()
    };
    let url = |group: &[String]| url.as_ref().map(|url| with_channel(url, &group[0]));
    let output = |pattern: &str, group: &[String], kind| {
        let view = View { channels: group.to_vec(), title: title(group), items, log_url: log_url.cloned() };
        Output { path: path(pattern, group), view, kind }
    };
    // Feeds and pages are served from one folder.
    let page_url = |group: &[String]| {
        let (feed, page) = (Url::parse(&url(group)?).ok()?, file_name(&path(&page, group)));
        feed.join(&page).ok().map(String::from)
    };
    let feeds = groups(&feed).map(|group| {
        let about = page_url(group).unwrap_or_else(|| channel_url(server, &group[0]));
        output(&feed, group, Kind::Feed(Feed { url: url(group), about }))
    });
    let pages = groups(&page).map(|group| {
        let feeds = groups(&feed).filter(|feed| feed.iter().any(|channel| group.contains(channel)));
        let href = |of: &[String]| url(of).unwrap_or_else(|| file_name(&path(&feed, of)));
        let feeds = feeds.map(|of| Alternate { title: title(of), href: href(of) }).collect();
        let example = format!("{}url http://www.example.com/ Title For Link", irc.prefix);
        output(&page, group, Kind::Page(Page { url: page_url(group), feeds, zone, example }))
    });
    Ok(feeds.chain(pages).collect())
}

fn without_sign(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

/// As a relative address.
fn file_name(path: &Path) -> String {
    percent_encode(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// As browsers and IRC programs know it: `ircs://irc.libera.chat/%23dev`.
fn channel_url(server: &connection::Settings, channel: &str) -> String {
    let (scheme, default_port) = if server.tls.is_some() { ("ircs", 6697) } else { ("irc", 6667) };
    let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    let port = if server.port == default_port { String::new() } else { format!(":{}", server.port) };
    format!("{scheme}://{host}{port}/{}", percent_encode(channel))
}

fn account(conf: &Conf, owner: &str) -> Result<Option<delicious::Settings>, String> {
    let add = conf.option("delicious", endpoint)?;
    if add.is_none() {
        let login = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
        conf.refuse(&login, "needs delicious, the full address of the service's posts/add")?;
    }
    let login = login(conf)?;
    let tags = conf.get("delicious_tags", "irc", tags)?;
    let shared = conf.option("delicious_shared", yes_or_no)?;
    let interval = Duration::from_secs(conf.get("delicious_interval", "3", |value| number(value, 0..=86_400))?);
    let scuttle = conf.get("delicious_scuttle", "no", yes_or_no)?;
    let user_agent = user_agent(owner);
    Ok(add.map(|add| delicious::Settings { add, login, tags, shared, interval, scuttle, user_agent }))
}

fn login(conf: &Conf) -> Result<Login, String> {
    let user = conf.option("delicious_user", |value| must_be("without a colon", !value.contains(':'), value))?;
    let is_word = |value: &str| value.bytes().all(|b| b.is_ascii_graphic());
    let bearer = conf.option("delicious_bearer", |value| must_be("one word of ASCII", is_word(value), value))?;
    match (user, conf.text("delicious_password"), conf.text("delicious_token"), bearer) {
        (None, None, None, None) => Ok(Login::Nobody),
        (Some(user), Some(password), None, None) => Ok(Login::Basic { user, password }),
        (None, None, Some(token), None) => Ok(Login::Token(token)),
        (None, None, None, Some(bearer)) => Ok(Login::Bearer(bearer)),
        _ => Err(conf.fault("delicious", "needs one login: user and password, or a token, or a bearer token")),
    }
}

/// What a header can hold: ASCII, and no parentheses inside those of a comment (RFC 9110, 5.6.5).
fn user_agent(owner: &str) -> String {
    let owner = owner.replace(|c: char| !matches!(c, ' '..='~') || matches!(c, '(' | ')' | '\\'), "");
    let comment = if owner.trim().is_empty() { String::new() } else { format!(" ({})", owner.trim()) };
    format!("{}{comment}", irc::VERSION.replace(' ', "/"))
}

/// No secret may be read by others here, or by anyone on its way.
fn check_secrecy(conf: &Conf, server: &connection::Settings, irc: &irc::Settings, mode: u32) -> Result<(), String> {
    for line in conf.lines.iter().filter(|line| !secrets_in(line, irc).is_empty()) {
        if mode & 0o007 != 0 {
            return Err(conf.at(line.number, line.key, &open_to_others(conf.path)));
        }
        if is_exposed(server) && matches!(line.key, "sasl_password" | "on_connect") {
            return Err(conf.at(line.number, line.key, "would cross the network unencrypted; set tls = yes"));
        }
    }
    Ok(())
}

fn open_to_others(path: &Path) -> String {
    let path = path.display();
    format!("{path} holds a secret and is open to every user; mend that with: chmod o-rwx {path}")
}

fn is_exposed(server: &connection::Settings) -> bool {
    server.tls.is_none() && !is_loopback(&server.host)
}

fn secrets_in<'a>(line: &Line<'a>, irc: &'a irc::Settings) -> Vec<&'a str> {
    match line.key {
        "channels" => irc.channels.iter().filter_map(|channel| channel.key.as_deref()).collect(),
        "on_connect" => passwords(line.value, &irc.nick),
        "server_password" | "sasl_password" => vec![line.value],
        "delicious_password" | "delicious_token" | "delicious_bearer" => vec![line.value],
        _ => vec![],
    }
}

/// What may be a password in a line of `on_connect`: the words behind a command for services, or one like `PASS`.
fn passwords<'a>(line: &'a str, nick: &str) -> Vec<&'a str> {
    const SERVICES: [&str; 5] = ["NickServ", "NS", "AuthServ", "Q", "X"];
    const COMMANDS: [&str; 4] = ["IDENTIFY", "AUTH", "PASS", "OPER"];
    let is_in = |names: &[&str], word: &str| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    let mut words = line.split_whitespace().map(|word| word.trim_start_matches(':')).filter(|word| !word.is_empty());
    // A service may be named with its host: Q@CServe.quakenet.org.
    let is_service = |word: &str| is_in(&SERVICES, word.split('@').next().unwrap_or(word));
    if words.find(|word| is_service(word) || is_in(&COMMANDS, word)).is_some_and(is_service) {
        // Its command.
        words.next();
    }
    // A shorter word is no password, and would blank half of the log.
    words.filter(|word| word.len() >= 4 && !word.starts_with('#') && !word.eq_ignore_ascii_case(nick)).collect()
}

/// What the log must not show, also as it travels: percent-encoded, misread, or as the base64 of a login.
fn secrets(conf: &Conf, irc: &irc::Settings, login: Option<&Login>) -> Vec<String> {
    let mut secrets: Vec<_> = conf.lines.iter().flat_map(|line| secrets_in(line, irc)).map(str::to_owned).collect();
    secrets.extend(login.map(Login::secrets).unwrap_or_default());
    // It is sent in pieces of 400.
    let payload = irc.sasl.as_ref().map(Sasl::payload).unwrap_or_default();
    secrets.extend(payload.as_bytes().chunks(400).map(|chunk| String::from_utf8_lossy(chunk).into_owned()));
    let encoded: Vec<String> = secrets.iter().map(|secret| percent_encode(secret)).collect();
    // A server's line with one byte that is not UTF-8 is read as Latin-1, all of it.
    let misread: Vec<String> = secrets.iter().map(|secret| secret.bytes().map(char::from).collect()).collect();
    secrets.extend(encoded.into_iter().chain(misread));
    secrets
}

/// What is probably wrong, but may be meant.
fn warnings(conf: &Conf, server: &connection::Settings, account: Option<&delicious::Settings>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, key, what| warnings.extend(is_so.then(|| conf.fault(key, what)));
    let is_open = conf.has("server_password") && is_exposed(server);
    warn(is_open, "server_password", "crosses the network unencrypted; set tls = yes if the server has it");
    let Some(delicious::Settings { add, login, scuttle, .. }) = account else { return warnings };
    let has_login = !matches!(login, Login::Nobody);
    let host = add.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_open = has_login && add.scheme() == "http" && !is_loopback(host);
    warn(is_open, "delicious", "the login crosses the network unencrypted; use https:// if the service has it");
    warn(!has_login, "delicious", "no login is given; services want delicious_token, or what bot.conf's example names");
    let path = add.path();
    let ends_in_add = path.strip_suffix(".php").unwrap_or(path).ends_with("add");
    warn(!ends_in_add, "delicious", "does not end in posts/add or posts_add.php, where services take links");
    let is_scuttle = path.ends_with("/posts_add.php") || path.ends_with("/api/posts/add");
    warn(is_scuttle && !scuttle, "delicious", "looks like Scuttle; if it is, set delicious_scuttle = yes");
    warnings
}

/// Each file that linkbot writes must be one of its own, in a folder that is there.
fn check_files(conf: &Conf, journal: &Path, outputs: &[Output]) -> Result<(), String> {
    let mut taken = HashSet::from([path_in(Path::new(""), &conf.path.to_string_lossy())?]);
    let pem = ["tls_pin", "tls_cert", "tls_key"].iter().filter_map(|key| conf.value(key));
    taken.extend(pem.filter_map(|value| path_in(conf.folder, value).ok()));
    let journal = ["", ".tmp", ".delivered", ".delivered.tmp"].map(|suffix| ("journal", beside(journal, suffix)));
    let outputs = outputs.iter().flat_map(|output| {
        let key = if matches!(output.kind, Kind::Feed(_)) { "feed" } else { "page" };
        ["", ".tmp"].map(|suffix| (key, beside(&output.path, suffix)))
    });
    for (key, path) in journal.into_iter().chain(outputs) {
        let folder = Path::new(".").join(path.parent().unwrap_or(&path));
        if !folder.is_dir() {
            return Err(conf.fault(key, &format!("there is no folder {}; make it", folder.display())));
        }
        let name = path.display().to_string();
        if !taken.insert(path) {
            return Err(conf.fault(key, &format!("{name} is another file of linkbot already; choose another name")));
        }
    }
    Ok(())
}

/// The text of a file, and its mode. An error names the file.
fn read(path: &Path) -> Result<(String, u32), String> {
    let read = || -> io::Result<_> {
        let file = File::open(path)?;
        Ok((io::read_to_string(&file)?, file.metadata()?.permissions().mode()))
    };
    read().map_err(|e| format!("{}: {}", path.display(), log::os(&e)))
}

/// A PEM file (RFC 7468); refused if it holds a private key and is open to others.
fn pem(path: &Path) -> Result<String, String> {
    let (text, mode) = read(path)?;
    if text.contains("PRIVATE KEY-----") && mode & 0o007 != 0 { Err(open_to_others(path)) } else { Ok(text) }
}

/// The first certificate in `path`, in DER.
fn pin(path: &Path) -> Result<Vec<u8>, String> {
    let certificate = Certificate::from_pem(pem(path)?.as_bytes()).and_then(|certificate| certificate.to_der());
    certificate.map_err(|_| format!("{} holds no certificate, in PEM, or a damaged one", path.display()))
}

/// The certificates in `path` with their key, which may stand there too.
fn identity(path: &Path, key_path: &Path) -> Result<Identity, String> {
    let (certificates, key) = (pem(path)?, pem(key_path)?);
    let (path, key_path) = (path.display(), key_path.display());
    // native-tls wants PKCS#8, and nothing in front of it.
    let Some(start) = key.find("-----BEGIN PRIVATE KEY-----") else {
        let convert = format!("openssl pkcs8 -topk8 -nodes -in {key_path} -out {key_path}.new");
        return Err(format!("{key_path} holds no private key in plain PKCS#8; convert one with: {convert}"));
    };
    let identity = Identity::from_pkcs8(certificates.as_bytes(), &key.as_bytes()[start..]);
    // Whether certificate and key belong together shows only in use.
    let tried =
        identity.and_then(|identity| TlsConnector::builder().identity(identity.clone()).build().map(|_| identity));
    tried.map_err(|_| {
        format!("{path} holds no certificate, in PEM, a damaged one, or not that of the key in {key_path}")
    })
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
        let host = Host::parse(host).ok()?.to_string().trim_matches(['[', ']']).to_owned();
        Some((host, port.parse().ok().filter(|&port| port != 0)?))
    };
    parse().ok_or_else(|| "must be given as host:port, for example irc.libera.chat:6697 or [::1]:6697".into())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn nick(value: &str) -> Result<String, String> {
    let right = "a nick: letters, digits and []\\`_^{|}-, with neither a digit nor - in front";
    must_be(right, irc::is_nick(value), value)
}

fn prefix(value: &str) -> Result<String, String> {
    let is_good = (1..=10).contains(&value.chars().count()) && !value.contains(char::is_whitespace);
    must_be("1 to 10 characters without blanks", is_good, value)
}

fn must_be(right: &str, is_good: bool, value: &str) -> Result<String, String> {
    if is_good { Ok(value.to_owned()) } else { Err(format!("must be {right}")) }
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
        let is_key = key.is_none_or(|key| !key.starts_with('#')) && words.next().is_none();
        if name.len() < 2 || !name.starts_with('#') || !is_key || entry.len() > 200 {
            return Err("must be given as \"#name\" or \"#name key\", more of them separated by commas".into());
        }
        if channels.iter().any(|c| CaseMapping::Rfc1459.eq(c.name.as_bytes(), name.as_bytes())) {
            return Err(format!("{name} is the same channel as one before it; leave one of the two"));
        }
        channels.push(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    Ok(channels)
}

/// The words of `value`, separated by blanks or commas.
fn words(value: &str) -> impl Iterator<Item = String> {
    value.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn tags(value: &str) -> Result<Vec<String>, String> {
    let tags: Vec<String> = words(value).collect();
    if tags.is_empty() { Err("must be at least one tag, for example irc".into()) } else { Ok(tags) }
}

fn zone(value: &str) -> Result<Zone, String> {
    let offset = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    match value {
        "utc" => Ok(Zone::Fixed(UtcOffset::UTC)),
        "local" => Ok(Zone::Local),
        _ => UtcOffset::parse(value, offset)
            .map(Zone::Fixed)
            .or(Err("must be utc, local, or an offset like +01:00".into())),
    }
}

fn log_url(value: &str, zone: Zone) -> Result<LogUrl, String> {
    // The fields in brackets do not keep it from being an address, and `[[` is a bracket.
    address(&with_channel(value, "").replace("[[", "["))?;
    LogUrl::new(value, zone).map_err(|what| format!("{what}; a field is for example [year], a bracket is [["))
}

/// Where the service takes links.
fn endpoint(value: &str) -> Result<Url, String> {
    let url = Url::parse(&address(value)?).map_err(|e| e.to_string())?;
    // Errors name this address in the log.
    if url.query_pairs().any(|(name, _)| name == "auth_token") {
        return Err("must not hold the token; put that into delicious_token".into());
    }
    // ureq would silently go without a proxy that it cannot use.
    let is_used = |proxy: &Proxy| url.as_str().parse().is_ok_and(|uri| !proxy.is_no_proxy(&uri));
    let is_http = |proxy: Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    if !Proxy::try_from_env().filter(is_used).is_none_or(is_http) {
        return Err("the proxy in the environment is a SOCKS one; name one that is http://, or unset ALL_PROXY".into());
    }
    Ok(url)
}

/// A path relative to `folder`, without the `.` that would hide that two are the same.
fn path_in(folder: &Path, value: &str) -> Result<PathBuf, String> {
    let path: PathBuf = folder.join(value).components().filter(|part| *part != Component::CurDir).collect();
    if value.is_empty() || value.ends_with('/') || path.file_name().is_none() {
        return Err("must be the name of a file".into());
    }
    Ok(path)
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
mod tests;
