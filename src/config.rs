//! bot.conf: its keys become a [`Config`]. The first error is reported, with its file, line and
//! key.
//!
//! For a key of your own without `local.`, add it to `KEYS` in config/lines.rs, read it here
//! with `lines.get`, and explain it in bot.conf.

mod lines;
mod outputs;
mod secrets;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::delicious;
use crate::file::beside;
use crate::irc::{self, Sasl, connection};
use crate::link::{address, percent_encode, with_channel};
use crate::log;
use crate::log_url::{self, LogUrl, Zone};
use crate::view::{View, relative_url};

use lines::*;
use outputs::*;
use secrets::*;
use values::*;

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
    pub log_url: LogUrl,
    pub account: Option<delicious::Settings>,
    /// The values of `local.NAME` by NAME, for src/local.rs.
    #[allow(dead_code, reason = "only a fork reads them")]
    pub local: BTreeMap<String, String>,
    /// Words that must not appear in the log.
    pub secrets: Vec<String>,
    pub warnings: Vec<String>,
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
        let mut lines = Lines::new(path, text)?;
        let server = server(&lines)?;
        let irc = irc(&lines)?;
        let account = account(&mut lines)?;
        let secrets = secrets(&mut lines, &server, &irc, &account)?;
        let zone = lines.get("timezone", zone)?;
        let log_url = LogUrl { pattern: lines.option("log_url", log_url::pattern)?, zone };
        let mut files = vec![];
        let journal = lines.get("journal", |name| own_file(path, &mut files, name))?;
        files.extend([".delivered", ".heard"].map(|suffix| beside(&journal, suffix)));
        let views = views(&lines, &mut files, &irc)?;
        let local = lines.settings.iter().filter_map(|(key, setting)| {
            Some((key.strip_prefix("local.")?.to_owned(), setting.value.clone()))
        });
        Ok(Config {
            server,
            irc,
            reconnect: Duration::from_secs(lines.get("reconnect", number(1, 600))?),
            journal,
            capture: lines.get("capture", yes_or_no)?,
            moderators: list(lines.value("moderators")),
            views,
            log_url,
            account,
            local: local.collect(),
            secrets,
            files,
            warnings: lines.warnings,
        })
    }

    /// The page that shows `channel`.
    pub fn page(&self, channel: &str) -> Option<&View> {
        // Pages follow feeds.
        self.views.iter().rfind(|view| view.shows(channel))
    }
}

fn server(lines: &Lines) -> Result<connection::Settings> {
    let (host, port) = lines.get("server", host_and_port)?;
    let path = |name: &str| lines.path.with_file_name(name);
    let pin = lines.option("tls_pin", |name| pin(&path(name)))?;
    let key = path(&lines.text("tls_key").or(lines.text("tls_cert")).unwrap_or_default());
    let identity = lines.option("tls_cert", |name| identity(&path(name), &key))?;
    if identity.is_some() {
        check_mode(&key)?;
    }
    let tls = lines.get("tls", |value| {
        yes_or_no(value).filter(|&tls| tls || pin.is_none() && identity.is_none())
    })?;
    Ok(connection::Settings { host, port, tls, pin, identity })
}

fn irc(lines: &Lines) -> Result<irc::Settings> {
    let sasl = match (lines.value("sasl"), lines.text("sasl_user"), lines.text("sasl_password")) {
        ("", None, None) => None,
        ("plain", Some(user), Some(password)) => {
            Some(Sasl { mechanism: "PLAIN", login: format!("{user}\0{user}\0{password}") })
        }
        ("external", None, None) if !lines.value("tls_cert").is_empty() => {
            Some(Sasl { mechanism: "EXTERNAL", login: String::new() })
        }
        _ => return Err(lines.wrong("sasl")),
    };
    Ok(irc::Settings {
        nick: lines.get("nick", |nick| irc::is_nick(nick).then(|| nick.into()))?,
        owner: lines.value("owner").to_owned(),
        channels: lines.get("channels", channels)?,
        server_password: lines.text("server_password"),
        sasl,
        on_connect: lines.value("on_connect").lines().map(str::to_owned).collect(),
        prefix: lines.value("prefix").to_owned(),
        ignore: list(lines.value("ignore")),
        relay: list(lines.value("relay")),
        rejoin: lines.get("rejoin", yes_or_no)?,
        catch_up: lines.get("catch_up", yes_or_no)?,
        reply: lines.get("reply", reply)?,
        hears_all: false,
    })
}

fn account(lines: &mut Lines) -> Result<Option<delicious::Settings>> {
    let tags = lines.get("delicious_tags", |tags| {
        // Punctuation alone is no tag: it is dropped when the tags are sent.
        tags.contains(char::is_alphanumeric).then(|| list(tags))
    })?;
    let shared = lines.option("delicious_shared", yes_or_no)?;
    let interval = Duration::from_secs(lines.get("delicious_interval", number(0, 86_400))?);
    let scuttle = lines.get("delicious_scuttle", yes_or_no)?;
    let (authorization, token, secrets) = login(lines)?;
    let has_login = !secrets.is_empty();
    let Some(add) = lines.option("delicious", endpoint)? else {
        return if has_login { Err(lines.wrong("delicious")) } else { Ok(None) };
    };
    check_proxies().map_err(|what| lines.error("delicious", &what))?;
    let path = add.path();
    // Settings that are probably wrong, but may be meant.
    for (is_so, what) in [
        (
            has_login && add.scheme() == "http" && !is_loopback(add.host_str().unwrap_or_default()),
            "the login crosses the network unencrypted; use https:// if the service supports it",
        ),
        (
            !has_login,
            "no login is set, but services need one; see delicious_token and the keys below it in \
             bot.conf",
        ),
        (
            !path.ends_with("add") && !path.ends_with("add.php"),
            "does not end in posts/add or posts_add.php, where services accept links",
        ),
        (
            !scuttle && (path.ends_with("/posts_add.php") || path.ends_with("/api/posts/add")),
            "looks like Scuttle; if it is, set delicious_scuttle = yes",
        ),
    ] {
        if is_so {
            lines.warnings.push(lines.error("delicious", what));
        }
    }
    // The owner is in a comment of the header (RFC 9110, 5.6.5): printable ASCII only, without
    // parentheses.
    let owner = lines.value("owner").replace(|c| !matches!(c, ' '..='~') || "()\\".contains(c), "");
    let user_agent =
        format!("linkbot/{} ({})", env!("CARGO_PKG_VERSION"), owner.trim()).replace(" ()", "");
    Ok(Some(delicious::Settings {
        add,
        authorization,
        token,
        secrets,
        tags,
        shared,
        interval,
        scuttle,
        user_agent,
    }))
}

/// Returns the header and the token that log in to the account, and the secrets in them.
fn login(lines: &Lines) -> Result<(Option<String>, Option<String>, Vec<String>)> {
    let keys = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
    Ok(match keys.map(|key| lines.text(key)) {
        [None, None, None, None] => (None, None, vec![]),
        [Some(user), Some(password), None, None] => {
            let login = STANDARD.encode(format!("{user}:{password}"));
            (Some(format!("Basic {login}")), None, vec![login, password])
        }
        [None, None, Some(token), None] => {
            // In `user:HEX`, HEX alone is already the secret.
            let hex = token.rsplit(':').next().unwrap_or_default().to_owned();
            (None, Some(token.clone()), vec![token, hex])
        }
        [None, None, None, Some(bearer)] => (Some(format!("Bearer {bearer}")), None, vec![bearer]),
        _ => return Err(lines.wrong("delicious")),
    })
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
pub mod tests;
