//! bot.conf: its keys become a [`Config`]. The first error is reported, with its file, line and
//! key.
//!
//! For a key of your own without `local.`, add it to `KEYS` in config/lines.rs, read it here
//! with `lines.get`, and explain it in bot.conf.

mod lines;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::prelude::*;
use time::{
    OffsetDateTime, UtcOffset,
    format_description::{self, well_known::Iso8601},
};

use crate::{
    delicious, file,
    irc::{self, Channel, ReplyStyle, Sasl, connection},
    link::{Link, address, percent_encode, with_channel},
    log,
    view::{View, relative_url, uri},
};

use lines::*;

type Result<T> = std::result::Result<T, String>;

/// A valid bot.conf.
pub struct Config {
    pub server: connection::Settings,
    pub irc: irc::Settings,
    /// The wait before the first attempt to replace a lost connection.
    pub reconnect: Duration,
    pub journal: PathBuf,
    /// Save every link that anyone posts, not only those given to a command.
    pub capture: bool,
    /// Services accounts that may undo and retitle every link.
    pub moderators: Vec<String>,
    /// The feeds, then the pages.
    pub views: Vec<View>,
    /// The address of the channel's web log, as a format description of the time crate.
    pub log_pattern: Option<format_description::OwnedFormatItem>,
    /// The time zone of the channel's web log, and of the page. `None`: the machine's.
    pub zone: Option<UtcOffset>,
    pub account: Option<delicious::Settings>,
    /// The values of `local.NAME` by NAME, for src/local.rs.
    #[allow(dead_code, reason = "only a fork reads them")]
    pub local: BTreeMap<String, String>,
    /// Words that must not appear in the log.
    pub secrets: Vec<String>,
    /// Every file that linkbot writes.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// An error is one line: the place, and what a correct value is. It quotes no secret.
    pub fn read(path: &Path) -> Result<Config> {
        let text = fs::read_to_string(path)
            .map_err(|e| format!("{}: {}", path.display(), log::os_error(e)))?;
        let config = Config::parse(path, &text)?;
        if !config.secrets.is_empty() {
            check_mode(path)?;
        }
        Ok(config)
    }

    fn parse(path: &Path, text: &str) -> Result<Config> {
        let lines = Lines::new(path, text)?;
        let server = server(&lines)?;
        let irc = irc(&lines)?;
        let mut files = vec![];
        let journal = lines.get("journal", |name| own_file(path, &mut files, name))?;
        files.extend([".delivered", ".heard"].map(|suffix| file::beside(&journal, suffix)));
        let mut config = Config {
            server,
            reconnect: Duration::from_secs(lines.get("reconnect", number(1, 600))?),
            journal,
            capture: lines.get("capture", yes_or_no)?,
            moderators: list(lines.value("moderators")),
            views: views(&lines, &mut files, &irc)?,
            irc,
            log_pattern: lines.option("log_url", |text| {
                // Version 1, in which a literal `[` is `[[`.
                let pattern = format_description::parse_owned::<1>(text).ok()?;
                let example = OffsetDateTime::UNIX_EPOCH.format(&pattern).ok()?;
                address(&with_channel(&example, "")).ok().map(|_| pattern)
            })?,
            zone: match lines.value("timezone") {
                "local" => None,
                "utc" => Some(UtcOffset::UTC),
                _ => Some(lines.get("timezone", |offset| {
                    UtcOffset::parse(offset, &Iso8601::PARSING).ok().filter(|_| offset.len() == 6)
                })?),
            },
            account: account(&lines)?,
            local: lines
                .settings
                .iter()
                .filter_map(|(key, setting)| {
                    Some((key.strip_prefix("local.")?.to_owned(), setting.value.clone()))
                })
                .collect(),
            secrets: vec![],
            files,
        };
        config.secrets = secrets(&lines, &config)?;
        warn(&lines, &config);
        Ok(config)
    }

    /// The page that shows `channel`.
    pub fn page(&self, channel: &str) -> Option<&View> {
        self.views.iter().find(|view| view.is_page && view.shows(channel))
    }

    /// The address in the channel's web log for the moment when `link` was posted; `None` if
    /// bot.conf names no web log.
    pub fn log_url(&self, link: &Link) -> Option<String> {
        let text = in_zone(link.posted, self.zone).format(self.log_pattern.as_ref()?).ok()?;
        let url = with_channel(&text, &link.channel);
        // Parsing takes time, and only a non-ASCII host needs it.
        Some(uri(&if url.is_ascii() { url } else { address(&url).ok()? }))
    }
}

/// Converts `time` to a time zone. `None`: the machine's, with the offset in effect at that time.
pub fn in_zone(time: OffsetDateTime, zone: Option<UtcOffset>) -> OffsetDateTime {
    let machines = || UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
    // On the last day of year 9999 the local date may be out of range.
    time.checked_to_offset(zone.unwrap_or_else(machines)).unwrap_or(time)
}

fn server(lines: &Lines) -> Result<connection::Settings> {
    // Strip the brackets of an IPv6 address.
    let (host, port) = lines.get("server", |value| {
        let (host, port) = value.rsplit_once(':')?;
        let host = url::Host::parse(host).ok()?.to_string().replace(['[', ']'], "");
        Some((host, port.parse().ok()?))
    })?;
    let path = |name: &str| lines.path.with_file_name(name);
    // The first certificate in a PEM file (RFC 7468), in DER.
    let pin = lines.option("tls_pin", |name| {
        native_tls::Certificate::from_pem(&fs::read(path(name)).ok()?).ok()?.to_der().ok()
    })?;
    let key_path = path(&lines.text("tls_key").or(lines.text("tls_cert")).unwrap_or_default());
    let identity = lines.option("tls_cert", |name| {
        let key = fs::read_to_string(&key_path).ok()?;
        // native-tls accepts PKCS#8 only, and no text before it.
        let start = key.find("-----BEGIN PRIVATE KEY-----")?;
        native_tls::Identity::from_pkcs8(&fs::read(path(name)).ok()?, &key.as_bytes()[start..]).ok()
    })?;
    if identity.is_some() {
        check_mode(&key_path)?;
    }
    Ok(connection::Settings {
        tls: lines.get("tls", |value| {
            yes_or_no(value).filter(|&tls| tls || pin.is_none() && identity.is_none())
        })?,
        host,
        port,
        pin,
        identity,
    })
}

fn irc(lines: &Lines) -> Result<irc::Settings> {
    Ok(irc::Settings {
        nick: lines.get("nick", |nick| irc::is_nick(nick).then_some(nick.into()))?,
        owner: lines.value("owner").to_owned(),
        channels: lines.get("channels", channels)?,
        server_password: lines.text("server_password"),
        sasl: match (lines.value("sasl"), lines.text("sasl_user"), lines.text("sasl_password")) {
            ("", None, None) => None,
            ("plain", Some(user), Some(password)) => {
                Some(Sasl { mechanism: "PLAIN", login: format!("{user}\0{user}\0{password}") })
            }
            ("external", None, None) if !lines.value("tls_cert").is_empty() => {
                Some(Sasl { mechanism: "EXTERNAL", login: String::new() })
            }
            _ => return Err(lines.wrong("sasl")),
        },
        on_connect: lines.value("on_connect").lines().map(str::to_owned).collect(),
        prefix: lines.value("prefix").to_owned(),
        ignore: list(lines.value("ignore")),
        relay: list(lines.value("relay")),
        rejoin: lines.get("rejoin", yes_or_no)?,
        catch_up: lines.get("catch_up", yes_or_no)?,
        reply: match lines.value("reply") {
            "privmsg" => ReplyStyle::Privmsg,
            "notice" => ReplyStyle::Notice,
            "quiet" => ReplyStyle::Quiet,
            _ => return Err(lines.wrong("reply")),
        },
        hears_all: false,
    })
}

fn account(lines: &Lines) -> Result<Option<delicious::Settings>> {
    let tags = lines.get("delicious_tags", |tags| {
        // Punctuation alone is no tag: it is dropped when the tags are sent.
        tags.contains(char::is_alphanumeric).then_some(list(tags))
    })?;
    let shared = lines.option("delicious_shared", yes_or_no)?;
    let interval = Duration::from_secs(lines.get("delicious_interval", number(0, 86_400))?);
    let scuttle = lines.get("delicious_scuttle", yes_or_no)?;
    let keys = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
    let (authorization, token, secrets) = match keys.map(|key| lines.text(key)) {
        [None, None, None, None] => (None, None, vec![]),
        [Some(user), Some(password), None, None] => {
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            (Some(format!("Basic {login}")), None, vec![login, password])
        }
        [None, None, Some(token), None] => {
            // In `user:HEX`, HEX is a secret by itself.
            let hex = token.rsplit(':').take(1).collect();
            (None, Some(token.clone()), vec![token, hex])
        }
        [None, None, None, Some(bearer)] => (Some(format!("Bearer {bearer}")), None, vec![bearer]),
        _ => return Err(lines.wrong("delicious")),
    };
    if lines.value("delicious").is_empty() && secrets.is_empty() {
        return Ok(None);
    }
    check_proxies(lines)?;
    // The owner is in a comment of the header (RFC 9110, 5.6.5): printable ASCII only, without
    // parentheses.
    let owner = lines.value("owner").replace(|c| !matches!(c, ' '..='~') || "()\\".contains(c), "");
    Ok(Some(delicious::Settings {
        // The log shows this address, so it must not contain a token.
        add: lines.get("delicious", |value| {
            let url = address(value).ok().filter(|url| !url.contains("auth_token="))?;
            url::Url::parse(&url).ok()
        })?,
        authorization,
        token,
        secrets,
        tags,
        shared,
        interval,
        scuttle,
        user_agent: format!("linkbot/{} ({})", env!("CARGO_PKG_VERSION"), owner.trim())
            .replace(" ()", ""),
    }))
}

/// ureq silently ignores a proxy that it cannot use.
fn check_proxies(lines: &Lines) -> Result<()> {
    for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
    {
        let proxy = std::env::var(name).unwrap_or_default().to_ascii_lowercase();
        if !proxy.is_empty() && (proxy.starts_with("socks") || ureq::Proxy::new(&proxy).is_err()) {
            return Err(lines.error(
                "delicious",
                &format!(
                    "linkbot cannot use the proxy in {name}: it must start with http:// or \
                     https:// (no SOCKS); set such a proxy, or unset {name}"
                ),
            ));
        }
    }
    Ok(())
}

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains
/// `{channel}`.
fn views(lines: &Lines, files: &mut Vec<PathBuf>, irc: &irc::Settings) -> Result<Vec<View>> {
    let scheme = if lines.value("tls") == "no" { "irc" } else { "ircs" };
    let mut views = vec![];
    for key in ["feed", "page"] {
        let group_size =
            if lines.value(key).contains("{channel}") { 1 } else { irc.channels.len() };
        for group in irc.channels.chunks(group_size) {
            let channels: Vec<_> = group.iter().map(|channel| channel.name.clone()).collect();
            let channel = &channels[0];
            let name = channel[1..].replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
            let file = |key| lines.value(key).replace("{channel}", &name);
            let feed_url = lines.option("feed_url", |url| {
                address(&with_channel(url, &name)).ok().filter(|_| {
                    url.contains("{channel}") == lines.value("feed").contains("{channel}")
                })
            })?;
            // Feeds and pages are served from one directory.
            let page_url = feed_url.as_ref().map(|url| {
                url.trim_end_matches(|c| c != '/').to_owned() + &relative_url(&file("page"))
            });
            let is_page = key == "page";
            views.push(View {
                path: lines.get(key, |_| own_file(&lines.path, files, &file(key)))?,
                about: page_url.clone().unwrap_or_else(|| {
                    format!("{scheme}://{}/{}", lines.value("server"), percent_encode(channel))
                }),
                url: if is_page { page_url } else { feed_url },
                title: lines
                    .value("feed_title")
                    .replace("{channels}", &channels.join(", "))
                    .replace("{channel}", &channel[1..]),
                channels,
                items: lines.get("feed_items", number(1, 10_000))? as usize,
                is_page,
            });
        }
    }
    Ok(views)
}

/// Returns the path of a file that linkbot writes. `None` if its directory does not exist, or if
/// the path is used for something else.
fn own_file(config: &Path, files: &mut Vec<PathBuf>, name: &str) -> Option<PathBuf> {
    // Without a leading `./`, equal paths compare equal.
    let path = config.with_file_name(name.trim_start_matches("./"));
    if !Path::new(".").join(path.parent()?).is_dir() || path == config || files.contains(&path) {
        return None;
    }
    files.push(path.clone());
    Some(path)
}

/// Everything that the log must hide, as it is and percent-encoded.
///
/// It is an error if a login to services or an `on_connect` password would cross the network
/// unencrypted. The server's own password only causes a warning: such servers often have no TLS.
fn secrets(lines: &Lines, config: &Config) -> Result<Vec<String>> {
    let Config { server, irc, account, .. } = config;
    let commands: Vec<_> =
        irc.on_connect.iter().flat_map(|line| passwords(line, &irc.nick)).collect();
    if !server.tls && !is_loopback(&server.host) {
        if irc.sasl.is_some() || !commands.is_empty() {
            return Err(lines.wrong("tls"));
        }
        if irc.server_password.is_some() {
            lines.warn(
                "server_password",
                "crosses the network unencrypted; set tls = yes if the server supports it",
            );
        }
    }
    Ok(commands
        .into_iter()
        .chain(lines.text("server_password"))
        .chain(lines.text("sasl_password"))
        .chain(irc.channels.iter().map(|channel| channel.key.clone()))
        // The next two also contain the base64 of a login.
        .chain(irc.sasl.iter().flat_map(Sasl::chunks))
        .chain(account.iter().flat_map(|account| account.secrets.clone()))
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| [percent_encode(&secret), secret])
        .collect())
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A file that contains a secret must not be accessible to others. Its group may read it.
fn check_mode(path: &Path) -> Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.mode() & 0o007 > 0) {
        return Err(format!(
            "{0} contains a secret but every user can access it; fix it with: chmod o-rwx {0}",
            path.display()
        ));
    }
    Ok(())
}

/// The words of an `on_connect` line that may be a password: the last one, and all after the third.
/// Hides too much rather than too little.
fn passwords(line: &str, nick: &str) -> Vec<String> {
    let words = line.split_whitespace().map(|word| word.trim_start_matches(':'));
    // A command alone has none.
    let first = words.clone().count().saturating_sub(1).clamp(1, 3);
    words
        .skip(first)
        .filter(|word| {
            // Hiding shorter words would make the log unreadable.
            word.len() > 3 && !word.starts_with(['#', '+']) && !word.eq_ignore_ascii_case(nick)
        })
        .map(str::to_owned)
        .collect()
}

/// Logs settings that are probably wrong, but may be intentional.
fn warn(lines: &Lines, config: &Config) {
    for (key, setting) in &lines.settings {
        if setting.value.lines().any(|value| value.starts_with(|c| "\"'`“”„‘’«»".contains(c)))
        {
            lines.warn(key, "the quotes are part of the value; remove them unless you mean them");
        }
    }
    let Some(delicious::Settings { add, secrets, scuttle, .. }) = &config.account else { return };
    if secrets.is_empty() {
        lines.warn(
            "delicious",
            "no login is set, but services need one; see delicious_token and the keys below it in \
             bot.conf",
        );
    } else if add.scheme() == "http" && !is_loopback(add.host_str().unwrap_or_default()) {
        lines.warn(
            "delicious",
            "the login crosses the network unencrypted; use https:// if the service supports it",
        );
    }
    let path = add.path();
    if !path.trim_end_matches(".php").ends_with("add") {
        lines.warn(
            "delicious",
            "does not end in posts/add or posts_add.php, where services accept links",
        );
    }
    if !scuttle && (path.ends_with("/posts_add.php") || path.ends_with("/api/posts/add")) {
        lines.warn("delicious", "looks like Scuttle; if it is, set delicious_scuttle = yes");
    }
}

fn yes_or_no(value: &str) -> Option<bool> {
    matches!(value, "yes" | "no").then_some(value == "yes")
}

fn number(from: u64, to: u64) -> impl Fn(&str) -> Option<u64> {
    move |value| value.parse().ok().filter(|number| (from..=to).contains(number))
}

/// The parts of `value`, separated by spaces, newlines or commas.
fn list(value: &str) -> Vec<String> {
    value.replace(',', " ").split_whitespace().map(str::to_owned).collect()
}

fn channels(value: &str) -> Option<Vec<Channel>> {
    let mut channels: Vec<Channel> = vec![];
    for entry in value.split(',') {
        let mut words = entry.split_whitespace().map(str::to_owned);
        let (name, key) = (words.next()?, words.next().unwrap_or_default());
        if name.len() < 2
            || !name.starts_with('#')
            || key.starts_with('#')
            || words.next().is_some()
            || channels.iter().any(|other| irc::names::CaseMapping::Rfc1459.eq(&other.name, &name))
        {
            return None;
        }
        channels.push(Channel { name, key });
    }
    Some(channels)
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
pub mod tests;
