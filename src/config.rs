//! bot.conf: its keys become a [`Config`]. The first error is reported, with its file, line and
//! key.
//!
//! For a key of your own without `local.`, add it to `KEYS` in config/lines.rs, read it here with
//! `lines.get`, and explain it in bot.conf.

mod lines;
mod outputs;
mod secrets;
mod values;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::delicious::Login;
use crate::file::beside;
use crate::irc::{Sasl, connection};
use crate::log_url::LogUrl;
use crate::view::View;
use crate::{delicious, irc};

use lines::{Line, Lines};
use values::*;

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
    pub log_url: Option<LogUrl>,
    pub account: Option<delicious::Settings>,
    /// The values of `local.NAME` by NAME, for src/local.rs.
    #[allow(dead_code, reason = "only a fork reads them")]
    pub local: HashMap<String, String>,
    /// Words that must not appear in the log.
    pub secrets: Vec<String>,
    pub warnings: Vec<String>,
    /// Every file that linkbot writes.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// An error is one line: the place, what is wrong, and how to fix it. It quotes no secret.
    pub fn read(path: &Path) -> Result<Config, String> {
        let (text, mode) = read(path)?;
        Config::parse(path, &text, mode)
    }

    fn parse(path: &Path, text: &str, mode: u32) -> Result<Config, String> {
        let mut lines = Lines::new(path, text)?;
        let server = server(&lines)?;
        let irc = irc(&lines)?;
        let zone = lines.get("timezone", "utc", zone)?;
        let log_url = lines.option("log_url", |value| LogUrl::new(value, zone))?;
        let journal = lines.value("journal").unwrap_or("links.tsv");
        let journal = outputs::own_file(&mut lines, "journal", journal)?;
        lines.files.extend([".delivered", ".heard"].map(|suffix| beside(&journal, suffix)));
        let views = outputs::views(&mut lines, &irc, zone, log_url.as_ref())?;
        let account = account(&lines, &irc.owner)?;
        let secrets = secrets::secrets(&mut lines, &server, &irc, account.as_ref(), mode)?;
        if let Some(account) = &account {
            warn_about(account, &mut lines);
        }
        let local = |line: &Line| {
            Some((line.key.strip_prefix("local.")?.to_owned(), line.value.to_owned()))
        };
        Ok(Config {
            server,
            irc,
            reconnect: Duration::from_secs(lines.get("reconnect", "20", number(1, 600))?),
            journal,
            capture: lines.get("capture", "no", yes_or_no)?,
            moderators: lines.all("moderators").flat_map(split_list).collect(),
            views,
            log_url,
            account,
            local: lines.lines.iter().filter_map(local).collect(),
            secrets,
            files: lines.files,
            warnings: lines.warnings,
        })
    }
}

fn server(lines: &Lines) -> Result<connection::Settings, String> {
    let (host, port) = lines.get("server", "", host_and_port)?;
    let path = |value: &str| lines.path.with_file_name(value);
    let pin = lines.option("tls_pin", |value| pin(&path(value)))?;
    let key = lines.value("tls_key").or(lines.value("tls_cert")).map(path).unwrap_or_default();
    let identity = lines.option("tls_cert", |value| identity(&path(value), &key))?;
    let tls = lines.get("tls", "yes", yes_or_no)?;
    if !tls && (pin.is_some() || identity.is_some()) {
        return Err(lines.error("tls", "must be yes if tls_pin or tls_cert is set"));
    }
    Ok(connection::Settings { host, port, tls, pin, identity })
}

fn irc(lines: &Lines) -> Result<irc::Settings, String> {
    let sasl = match (lines.value("sasl"), lines.text("sasl_user"), lines.text("sasl_password")) {
        (None, None, None) => None,
        (Some("plain"), Some(user), Some(password)) => Some(Sasl::Plain { user, password }),
        (Some("external"), None, None) if lines.value("tls_cert").is_some() => Some(Sasl::External),
        _ => {
            let what = "must be plain, with user and password, or external, with tls_cert";
            return Err(lines.error("sasl", what));
        }
    };
    Ok(irc::Settings {
        nick: lines.get("nick", "linkbot", nick)?,
        owner: lines.text("owner").unwrap_or_default(),
        channels: lines.get("channels", "", channels)?,
        server_password: lines.text("server_password"),
        sasl,
        on_connect: lines.all("on_connect").map(str::to_owned).collect(),
        prefix: lines.value("prefix").unwrap_or(".").to_owned(),
        ignore: lines.all("ignore").flat_map(split_list).collect(),
        relay: lines.all("relay").flat_map(split_list).collect(),
        rejoin: lines.get("rejoin", "no", yes_or_no)?,
        catch_up: lines.get("catch_up", "yes", yes_or_no)?,
        reply: lines.get("reply", "privmsg", reply)?,
        hears_all: false,
    })
}

fn account(lines: &Lines, owner: &str) -> Result<Option<delicious::Settings>, String> {
    let login = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
    let login = match login.map(|key| lines.text(key)) {
        [None, None, None, None] => Login::Nobody,
        [Some(user), Some(password), None, None] => Login::Basic { user, password },
        [None, None, Some(token), None] => Login::Token(token),
        [None, None, None, Some(bearer)] => Login::Bearer(bearer),
        _ => {
            let what = "needs one login: user and password, or a token, or a bearer token";
            return Err(lines.error("delicious", what));
        }
    };
    let tags = lines.get("delicious_tags", "irc", tags)?;
    let shared = lines.option("delicious_shared", yes_or_no)?;
    let interval = Duration::from_secs(lines.get("delicious_interval", "3", number(0, 86_400))?);
    let scuttle = lines.get("delicious_scuttle", "no", yes_or_no)?;
    let user_agent = user_agent(owner);
    match (lines.option("delicious", endpoint)?, login) {
        (None, Login::Nobody) => Ok(None),
        (None, _) => {
            let what = "is missing; a login needs the full address of the service's posts/add";
            Err(lines.error("delicious", what))
        }
        (Some(add), login) => Ok(Some(delicious::Settings {
            add,
            login,
            tags,
            shared,
            interval,
            scuttle,
            user_agent,
        })),
    }
}

/// The owner is in a comment of the header (RFC 9110, 5.6.5): printable ASCII only, without
/// parentheses.
fn user_agent(owner: &str) -> String {
    let version = irc::VERSION.replace(' ', "/");
    let owner = owner.replace(|c| !matches!(c, ' '..='~') || "()\\".contains(c), "");
    match owner.trim() {
        "" => version,
        owner => format!("{version} ({owner})"),
    }
}

/// Warns about settings that are probably wrong, but may be meant.
fn warn_about(account: &delicious::Settings, lines: &mut Lines) {
    let address = &account.add;
    let has_login = !matches!(account.login, Login::Nobody);
    let is_local = is_loopback(address.host_str().unwrap_or_default().trim_matches(['[', ']']));
    let ends_in = |ends: [&str; 2]| ends.iter().any(|end| address.path().ends_with(end));
    let looks_like_scuttle = ends_in(["/posts_add.php", "/api/posts/add"]);
    for (is_so, what) in [
        (
            has_login && address.scheme() == "http" && !is_local,
            "the login crosses the network unencrypted; use https:// if the service supports it",
        ),
        (
            !has_login,
            "no login is set, but services need one; see delicious_token and the keys below it in \
             bot.conf",
        ),
        (
            !ends_in(["add", "add.php"]),
            "does not end in posts/add or posts_add.php, where services accept links",
        ),
        (
            looks_like_scuttle && lines.value("delicious_scuttle").is_none(),
            "looks like Scuttle; if it is, set delicious_scuttle = yes",
        ),
    ] {
        if is_so {
            lines.warnings.push(lines.error("delicious", what));
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
mod tests;
