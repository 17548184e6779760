//! bot.conf: `key = value` lines. The first fault found is the one that is told.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use native_tls::{Certificate, Identity};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use crate::delicious::Login;
use crate::feed::{Feed, View};
use crate::irc::names::CaseMapping;
use crate::irc::{Channel, ReplyStyle, Sasl, connection};
use crate::link::{LogUrl, Zone, address, percent_encode, with_channel};
use crate::page::{Alternate, Page};
use crate::publish::{Kind, Output};
use crate::{delicious, irc, log};

#[rustfmt::skip]
const KEYS: &[&str] = &[
    "server", "tls", "tls_pin", "tls_cert", "tls_key", "nick", "owner", "channels", "server_password", "sasl",
    "sasl_user", "sasl_password", "on_connect", "prefix", "reply", "capture", "ignore", "rejoin", "catch_up",
    "reconnect", "journal", "feed", "page", "feed_title", "feed_url", "feed_items", "log_url", "timezone",
    "delicious", "delicious_user", "delicious_password", "delicious_token", "delicious_bearer", "delicious_tags",
    "delicious_shared", "delicious_interval", "delicious_scuttle",
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
    pub warnings: Vec<String>,
}

impl Config {
    /// An error is one line with the place, the fault and the remedy, and quotes no secret.
    pub fn read(path: &Path) -> Result<Config, String> {
        let (text, mode) = read(path)?;
        Config::parse(path, &text, mode)
    }

    fn parse(path: &Path, text: &str, mode: u32) -> Result<Config, String> {
        let conf = &Conf::new(path, text)?;
        let server = server(conf)?;
        let irc = irc(conf)?;
        let zone = conf.get("timezone", "utc", zone)?;
        let log_url = conf.option("log_url", |value| LogUrl::new(value, zone))?;
        let journal = conf.get("journal", "links.tsv", |value| path_in(conf.folder, value))?;
        let outputs = outputs(conf, &irc, zone, log_url.as_ref())?;
        let account = account(conf, &irc.owner)?;
        let is_exposed = !server.tls && !is_loopback(&server.host);
        check_secrecy(conf, &irc, is_exposed, mode)?;
        check_files(conf, &journal, &outputs)?;
        let local = |line: &Line| {
            Some((line.key.strip_prefix("local.")?.to_owned(), line.value.to_owned()))
        };
        Ok(Config {
            secrets: secrets(conf, &irc, account.as_ref()),
            warnings: warnings(conf, is_exposed, account.as_ref()),
            server,
            irc,
            reconnect: Duration::from_secs(
                conf.get("reconnect", "20", |value| number(value, 1..=600))?,
            ),
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
    folder: &'a Path,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    number: usize,
    key: &'a str,
    value: &'a str,
}

impl<'a> Conf<'a> {
    fn new(path: &'a Path, text: &'a str) -> Result<Conf<'a>, String> {
        let mut conf =
            Conf { path, folder: path.parent().unwrap_or(Path::new("")), lines: Vec::new() };
        let lines = (1..).zip(text.lines().map(str::trim));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) =
                conf.split(line).map_err(|what| format!("{}:{number}: {what}", path.display()))?;
            conf.lines.push(Line { number, key, value });
        }
        Ok(conf)
    }

    fn split(&self, line: &'a str) -> Result<(&'a str, &'a str), String> {
        let (key, value) =
            line.split_once('=').map_or(("", ""), |(k, v)| (k.trim_end(), v.trim_start()));
        if !KEYS.contains(&key) && !key.starts_with("local.") {
            // Anything but letters might be a piece of a password, so it is not named.
            let is_key =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
            let unknown =
                format!("{key}: unknown key; the bot.conf that comes with linkbot names them all");
            return Err(if is_key {
                unknown
            } else {
                "not a line like key = value; a comment begins with #".into()
            });
        }
        if self.line(key).is_some() && !matches!(key, "on_connect" | "ignore") {
            return Err(format!("{key}: was given above already; leave one of the two"));
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

    fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(str::to_owned)
    }

    fn get<T>(
        &self,
        key: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        parse(self.value(key).unwrap_or(default)).map_err(|what| self.fault(key, &what))
    }

    fn option<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.value(key).map(parse).transpose().map_err(|what| self.fault(key, &what))
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter(move |line| line.key == key && !line.value.is_empty())
            .map(|line| line.value)
    }

    fn fault(&self, key: &str, what: &str) -> String {
        let number = self.line(key).map(|line| format!(":{}", line.number)).unwrap_or_default();
        format!("{}{number}: {key}: {what}", self.path.display())
    }
}

fn server(conf: &Conf) -> Result<connection::Settings, String> {
    let (host, port) = conf.get("server", "", host_and_port)?;
    let path = |value: &str| conf.folder.join(value);
    let pin = conf.option("tls_pin", |value| pin(&path(value)))?;
    let key = conf.value("tls_key").or(conf.value("tls_cert")).map(path).unwrap_or_default();
    let identity = conf.option("tls_cert", |value| identity(&path(value), &key))?;
    let tls = conf.get("tls", "yes", yes_or_no)?;
    if !tls && (pin.is_some() || identity.is_some()) {
        return Err(conf.fault("tls", "must be yes where tls_pin or tls_cert is given"));
    }
    Ok(connection::Settings { host, port, tls, pin, identity })
}

fn irc(conf: &Conf) -> Result<irc::Settings, String> {
    let sasl = match (conf.value("sasl"), conf.text("sasl_user"), conf.text("sasl_password")) {
        (None, None, None) => None,
        (Some("plain"), Some(user), Some(password)) => Some(Sasl::Plain { user, password }),
        (Some("external"), None, None) if conf.value("tls_cert").is_some() => Some(Sasl::External),
        _ => {
            return Err(conf.fault(
                "sasl",
                "must be plain, with user and password, or external, with tls_cert",
            ));
        }
    };
    Ok(irc::Settings {
        nick: conf.get("nick", "linkbot", nick)?,
        owner: conf.text("owner").unwrap_or_default(),
        channels: conf.get("channels", "", channels)?,
        server_password: conf.text("server_password"),
        sasl,
        on_connect: conf.all("on_connect").map(str::to_owned).collect(),
        prefix: conf.value("prefix").unwrap_or(".").to_owned(),
        ignore: conf.all("ignore").flat_map(words).collect(),
        rejoin: conf.get("rejoin", "no", yes_or_no)?,
        catch_up: conf.get("catch_up", "yes", yes_or_no)?,
        reply: conf.get("reply", "privmsg", reply)?,
        hears: |_| false,
    })
}

/// The feeds and pages: one for all channels, or, with `{channel}` in the file's name, one for each.
fn outputs(
    conf: &Conf,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
) -> Result<Vec<Output>, String> {
    let is_file = |value: &str| path_in(conf.folder, value).map(|_| value.to_owned());
    let feed = conf.get("feed", "links.xml", is_file)?;
    let page = conf.get("page", "links.html", is_file)?;
    let url = conf
        .option("feed_url", |value| address(&with_channel(value, "")).map(|_| value.to_owned()))?;
    let items = conf.get("feed_items", "100", |value| number(value, 1..=10_000))? as usize;
    if url.as_ref().is_some_and(|url| url.contains("{channel}") != feed.contains("{channel}")) {
        return Err(conf.fault("feed_url", "must hold {channel} where feed does, and only there"));
    }
    let names: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let groups =
        |pattern: &str| names.chunks(if pattern.contains("{channel}") { 1 } else { names.len() });
    // Every name begins with `#`, and `{channel}` stands for the rest.
    let title = |group: &[String]| match conf.value("feed_title") {
        Some(title) => title.replace("{channel}", &group[0][1..]),
        None => format!("Links from {}", group.join(", ")),
    };
    let path = |pattern: &str, group: &[String]| {
        let name =
            group[0][1..].replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "_");
        path_in(conf.folder, &pattern.replace("{channel}", &name)).unwrap_or_default()
    };
    // Feeds and pages are served from one folder.
    let href = |pattern: &str, group: &[String]| {
        percent_encode(&path(pattern, group).file_name().unwrap_or_default().to_string_lossy())
    };
    let url = |group: &[String]| url.as_ref().map(|url| with_channel(url, &group[0]));
    let page_url = |group: &[String]| {
        Some(Url::parse(&url(group)?).ok()?.join(&href(&page, group)).ok()?.into())
    };
    let output = |pattern: &str, group: &[String], kind| {
        let view = View {
            channels: group.to_vec(),
            title: title(group),
            items,
            log_url: log_url.cloned(),
        };
        Output { path: path(pattern, group), view, kind }
    };
    let scheme = if conf.value("tls") == Some("no") { "irc" } else { "ircs" };
    let server = format!("{scheme}://{}", conf.value("server").unwrap_or_default());
    let feeds = groups(&feed).map(|group| {
        let about =
            page_url(group).unwrap_or_else(|| format!("{server}/{}", percent_encode(&group[0])));
        output(&feed, group, Kind::Feed(Feed { url: url(group), about }))
    });
    let pages = groups(&page).map(|group| {
        let feeds = groups(&feed).filter(|of| of.iter().any(|channel| group.contains(channel)));
        let feeds = feeds.map(|of| Alternate {
            title: title(of),
            href: url(of).unwrap_or_else(|| href(&feed, of)),
        });
        let example = format!("{}url http://www.example.com/ Title For Link", irc.prefix);
        output(
            &page,
            group,
            Kind::Page(Page { url: page_url(group), feeds: feeds.collect(), zone, example }),
        )
    });
    Ok(feeds.chain(pages).collect())
}

fn account(conf: &Conf, owner: &str) -> Result<Option<delicious::Settings>, String> {
    let add = conf.option("delicious", endpoint)?;
    let login = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
    let login = match login.map(|key| conf.text(key)) {
        [None, None, None, None] => Login::Nobody,
        [Some(user), Some(password), None, None] => Login::Basic { user, password },
        [None, None, Some(token), None] => Login::Token(token),
        [None, None, None, Some(bearer)] => Login::Bearer(bearer),
        _ => {
            return Err(conf.fault(
                "delicious",
                "needs one login: user and password, or a token, or a bearer token",
            ));
        }
    };
    if add.is_none() && !matches!(login, Login::Nobody) {
        return Err(conf.fault(
            "delicious",
            "is missing: the login needs the full address of the service's posts/add",
        ));
    }
    let tags = conf.get("delicious_tags", "irc", tags)?;
    let shared = conf.option("delicious_shared", yes_or_no)?;
    let interval = Duration::from_secs(
        conf.get("delicious_interval", "3", |value| number(value, 0..=86_400))?,
    );
    let scuttle = conf.get("delicious_scuttle", "no", yes_or_no)?;
    let user_agent = user_agent(owner);
    Ok(add.map(|add| delicious::Settings {
        add,
        login,
        tags,
        shared,
        interval,
        scuttle,
        user_agent,
    }))
}

/// What a header can hold: ASCII, and no parentheses inside those of a comment (RFC 9110, 5.6.5).
fn user_agent(owner: &str) -> String {
    let owner =
        owner.replace(|c: char| !matches!(c, ' '..='~') || matches!(c, '(' | ')' | '\\'), "");
    let comment =
        if owner.trim().is_empty() { String::new() } else { format!(" ({})", owner.trim()) };
    format!("{}{comment}", irc::VERSION.replace(' ', "/"))
}

/// No secret may be read by others here, or by anyone on its way.
fn check_secrecy(
    conf: &Conf,
    irc: &irc::Settings,
    is_exposed: bool,
    mode: u32,
) -> Result<(), String> {
    for line in conf.lines.iter().filter(|line| !secrets_in(line, irc).is_empty()) {
        check_mode(conf.path, mode)?;
        if is_exposed && matches!(line.key, "sasl_password" | "on_connect") {
            return Err(conf.fault(
                "tls",
                &format!("must be yes, or {} crosses the network unencrypted", line.key),
            ));
        }
    }
    Ok(())
}

/// A file that holds a secret is closed to others; its group may read it.
fn check_mode(path: &Path, mode: u32) -> Result<(), String> {
    let path = path.display();
    let open = format!(
        "{path} holds a secret and is open to every user; mend that with: chmod o-rwx {path}"
    );
    if mode & 0o007 == 0 { Ok(()) } else { Err(open) }
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
    let is_in =
        |names: &[&str], word: &str| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    let mut words = line
        .split_whitespace()
        .map(|word| word.trim_start_matches(':'))
        .filter(|word| !word.is_empty());
    // A service may be named with its host: Q@CServe.quakenet.org.
    let is_service = |word: &str| is_in(&SERVICES, word.split('@').next().unwrap_or(word));
    if words.find(|word| is_service(word) || is_in(&COMMANDS, word)).is_some_and(is_service) {
        // Its command.
        words.next();
    }
    // A shorter word is no password, and would blank half of the log.
    words
        .filter(|word| {
            word.len() >= 4 && !word.starts_with('#') && !word.eq_ignore_ascii_case(nick)
        })
        .collect()
}

/// What the log must not show, also as it travels: percent-encoded, misread, or as the base64 of a login.
fn secrets(conf: &Conf, irc: &irc::Settings, account: Option<&delicious::Settings>) -> Vec<String> {
    let given = conf.lines.iter().flat_map(|line| secrets_in(line, irc)).map(str::to_owned);
    let sent = irc
        .sasl
        .iter()
        .flat_map(Sasl::pieces)
        .chain(account.into_iter().flat_map(|to| to.login.secrets()));
    // A server's line with one byte that is not UTF-8 is read as Latin-1, all of it.
    let forms = |secret: String| {
        [percent_encode(&secret), secret.bytes().map(char::from).collect(), secret]
    };
    given.chain(sent).flat_map(forms).collect()
}

/// What is probably wrong, but may be meant.
fn warnings(conf: &Conf, is_exposed: bool, account: Option<&delicious::Settings>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, key, what| warnings.extend(is_so.then(|| conf.fault(key, what)));
    let is_open = is_exposed && conf.value("server_password").is_some();
    warn(
        is_open,
        "server_password",
        "crosses the network unencrypted; set tls = yes if the server has it",
    );
    let Some(delicious::Settings { add, login, .. }) = account else { return warnings };
    let has_login = !matches!(login, Login::Nobody);
    let host = add.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_open = has_login && add.scheme() == "http" && !is_loopback(host);
    warn(
        is_open,
        "delicious",
        "the login crosses the network unencrypted; use https:// if the service has it",
    );
    warn(
        !has_login,
        "delicious",
        "no login is given; services want delicious_token, or what bot.conf's example names",
    );
    let ends_in_add = add.path().ends_with("add") || add.path().ends_with("add.php");
    warn(
        !ends_in_add,
        "delicious",
        "does not end in posts/add or posts_add.php, where services take links",
    );
    let is_scuttle =
        add.path().ends_with("/posts_add.php") || add.path().ends_with("/api/posts/add");
    let is_said = conf.value("delicious_scuttle").is_some();
    warn(
        is_scuttle && !is_said,
        "delicious",
        "looks like Scuttle; if it is, set delicious_scuttle = yes",
    );
    warnings
}

/// Each file that linkbot writes must be one of its own, in a folder that is there.
fn check_files(conf: &Conf, journal: &Path, outputs: &[Output]) -> Result<(), String> {
    let mut taken = HashSet::from([path_in(Path::new(""), &conf.path.to_string_lossy())?]);
    let key = |output: &Output| if matches!(output.kind, Kind::Feed(_)) { "feed" } else { "page" };
    let outputs = outputs.iter().map(|output| (key(output), output.path.as_path()));
    for (key, path) in std::iter::once(("journal", journal)).chain(outputs) {
        let (folder, name) = (Path::new(".").join(path.parent().unwrap_or(path)), path.display());
        if !folder.is_dir() {
            return Err(
                conf.fault(key, &format!("there is no folder {}; make it", folder.display()))
            );
        }
        if !taken.insert(path.to_owned()) {
            return Err(conf.fault(
                key,
                &format!("{name} is another file of linkbot already; choose another name"),
            ));
        }
    }
    Ok(())
}

/// The text of a file, and its mode.
fn read(path: &Path) -> Result<(String, u32), String> {
    let read = fs::read_to_string(path)
        .and_then(|text| Ok((text, fs::metadata(path)?.permissions().mode())));
    read.map_err(|e| format!("{}: {}", path.display(), log::os_error(&e)))
}

/// The first certificate in a PEM file (RFC 7468), in DER.
fn pin(path: &Path) -> Result<Vec<u8>, String> {
    let certificate = Certificate::from_pem(read(path)?.0.as_bytes())
        .and_then(|certificate| certificate.to_der());
    certificate.map_err(|_| no_certificate(path))
}

/// The certificates in one PEM file with the key in another, or in the same.
fn identity(path: &Path, key_path: &Path) -> Result<Identity, String> {
    let ((certificates, _), (key, mode)) = (read(path)?, read(key_path)?);
    // native-tls wants PKCS#8, and nothing in front of it.
    let Some(start) = key.find("-----BEGIN PRIVATE KEY-----") else {
        let path = key_path.display();
        let convert = format!("openssl pkcs8 -topk8 -nodes -in {path} -out {path}.new");
        return Err(format!(
            "{path} holds no private key in plain PKCS#8; convert one with: {convert}"
        ));
    };
    check_mode(key_path, mode)?;
    Identity::from_pkcs8(certificates.as_bytes(), &key.as_bytes()[start..])
        .map_err(|_| no_certificate(path))
}

fn no_certificate(path: &Path) -> String {
    format!("{} holds no certificate, in PEM, or a damaged one", path.display())
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
    let parts = value
        .rsplit_once(':')
        .and_then(|(host, port)| Some((Host::parse(host).ok()?, port.parse().ok()?)));
    let (host, port) = parts
        .ok_or("must be given as host:port, for example irc.libera.chat:6697 or [::1]:6697")?;
    Ok((host.to_string().trim_matches(['[', ']']).to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn nick(value: &str) -> Result<String, String> {
    let right =
        "must be a nick: letters, digits and []\\`_^{|}-, with neither a digit nor - in front";
    if irc::is_nick(value) { Ok(value.into()) } else { Err(right.into()) }
}

fn reply(value: &str) -> Result<ReplyStyle, String> {
    match value {
        "privmsg" => Ok(ReplyStyle::Privmsg),
        "notice" => Ok(ReplyStyle::Notice),
        "quiet" => Ok(ReplyStyle::Quiet),
        _ => Err("must be privmsg, notice or quiet".into()),
    }
}

fn channels(value: &str) -> Result<Vec<Channel>, String> {
    let mut channels: Vec<Channel> = Vec::new();
    for entry in value.split(',') {
        let mut words = entry.split_whitespace();
        let (name, key) = (words.next().unwrap_or_default(), words.next());
        let is_key = key.is_none_or(|key| !key.starts_with('#')) && words.next().is_none();
        if name.len() < 2 || !name.starts_with('#') || !is_key {
            return Err(
                "must be given as \"#name\" or \"#name key\", more of them separated by commas"
                    .into(),
            );
        }
        if channels.iter().any(|c| CaseMapping::Rfc1459.eq(c.name.as_bytes(), name.as_bytes())) {
            return Err(format!(
                "{name} is the same channel as one before it; leave one of the two"
            ));
        }
        channels.push(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    Ok(channels)
}

/// The words of `value`, separated by blanks or commas.
fn words(value: &str) -> impl Iterator<Item = String> {
    value
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

fn tags(value: &str) -> Result<Vec<String>, String> {
    let tags: Vec<String> = words(value).collect();
    if tags.is_empty() { Err("must be at least one tag, for example irc".into()) } else { Ok(tags) }
}

fn zone(value: &str) -> Result<Zone, String> {
    let wrong = "must be utc, local, or an offset like +01:00".to_owned();
    let offset = |value| {
        OffsetDateTime::parse(&format!("1970-01-01T00:00:00{value}"), &Rfc3339)
            .map(|it| it.offset())
    };
    match value {
        "utc" => Ok(Zone::Fixed(UtcOffset::UTC)),
        "local" => Ok(Zone::Local),
        _ if value.len() == 6 && value.starts_with(['+', '-']) => {
            offset(value).map(Zone::Fixed).map_err(|_| wrong)
        }
        _ => Err(wrong),
    }
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
    let is_http =
        |proxy: Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    if !Proxy::try_from_env().filter(is_used).is_none_or(is_http) {
        return Err("the proxy in the environment is a SOCKS one; name one that is http://, or unset ALL_PROXY".into());
    }
    Ok(url)
}

/// Without a `.`, which would hide that two paths are the same.
fn path_in(folder: &Path, value: &str) -> Result<PathBuf, String> {
    let path: PathBuf =
        folder.join(value).components().filter(|part| *part != Component::CurDir).collect();
    if path.file_name().is_some() { Ok(path) } else { Err("must be the name of a file".into()) }
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
mod tests;
