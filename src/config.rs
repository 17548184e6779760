//! bot.conf: its keys become a [`Config`]. The first error is reported, with its file, line and key.

mod lines;
mod outputs;
mod secrets;
mod values;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::delicious::Login;
use crate::irc::{Sasl, connection};
use crate::log_url::LogUrl;
use crate::publish::Output;
use crate::{delicious, irc};

use lines::Lines;
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
    pub outputs: Vec<Output>,
    pub log_url: Option<LogUrl>,
    pub account: Option<delicious::Settings>,
    /// The values of `local.NAME` by NAME, for src/local.rs.
    #[allow(dead_code, reason = "only a fork reads them")]
    pub local: HashMap<String, String>,
    /// Words that must not appear in the log.
    pub secrets: Vec<String>,
    pub warnings: Vec<String>,
}

impl Config {
    /// An error is one line: the place, what is wrong, and how to fix it. It quotes no secret.
    pub fn read(path: &Path) -> Result<Config, String> {
        let (text, mode) = read(path)?;
        Config::parse(path, &text, mode)
    }

    fn parse(path: &Path, text: &str, mode: u32) -> Result<Config, String> {
        let lines = &Lines::new(path, text)?;
        let server = server(lines)?;
        let irc = irc(lines)?;
        let zone = lines.get("timezone", "utc", zone)?;
        let log_url = lines.option("log_url", |value| LogUrl::new(value, zone))?;
        let journal = lines.get("journal", "links.tsv", |value| path_in(lines.directory, value))?;
        let outputs = outputs::outputs(lines, &irc, zone, log_url.as_ref())?;
        let account = account(lines, &irc.owner)?;
        let is_exposed = !server.tls && !is_loopback(&server.host);
        secrets::check(lines, &irc, is_exposed, mode)?;
        outputs::check(lines, &journal, &outputs)?;
        let reconnect = lines.get("reconnect", "20", |value| number(value, 1..=600))?;
        Ok(Config {
            secrets: secrets::all(lines, &irc, account.as_ref()),
            warnings: warnings(lines, is_exposed, account.as_ref()),
            server,
            irc,
            reconnect: Duration::from_secs(reconnect),
            journal,
            capture: lines.get("capture", "no", yes_or_no)?,
            moderators: lines.all("moderators").flat_map(split_list).collect(),
            local: local(lines),
            outputs,
            log_url,
            account,
        })
    }
}

fn local(lines: &Lines) -> HashMap<String, String> {
    let mut local = HashMap::new();
    for line in &lines.lines {
        if let Some(name) = line.key.strip_prefix("local.") {
            local.insert(name.to_owned(), line.value.to_owned());
        }
    }
    local
}

fn server(lines: &Lines) -> Result<connection::Settings, String> {
    let (host, port) = lines.get("server", "", host_and_port)?;
    let path = |value: &str| lines.directory.join(value);
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
    let sasl_user = lines.option("sasl_user", own_name)?;
    let sasl = match (lines.value("sasl"), sasl_user, lines.text("sasl_password")) {
        (None, None, None) => None,
        (Some("plain"), Some(user), Some(password)) => Some(Sasl::Plain { user, password }),
        (Some("external"), None, None) if lines.value("tls_cert").is_some() => Some(Sasl::External),
        _ => {
            return Err(lines.error(
                "sasl",
                "must be plain, with user and password, or external, with tls_cert",
            ));
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
    let add = lines.option("delicious", endpoint)?;
    let login = ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"];
    let login = match login.map(|key| lines.text(key)) {
        [None, None, None, None] => Login::Nobody,
        [Some(user), Some(password), None, None] => Login::Basic { user, password },
        [None, None, Some(token), None] => Login::Token(token),
        [None, None, None, Some(bearer)] => Login::Bearer(bearer),
        _ => {
            return Err(lines.error(
                "delicious",
                "needs one login: user and password, or a token, or a bearer token",
            ));
        }
    };
    if add.is_none() && !matches!(login, Login::Nobody) {
        return Err(lines.error(
            "delicious",
            "is missing: the login needs the full address of the service's posts/add",
        ));
    }
    let tags = lines.get("delicious_tags", "irc", tags)?;
    let shared = lines.option("delicious_shared", yes_or_no)?;
    let interval = lines.get("delicious_interval", "3", |value| number(value, 0..=86_400))?;
    let interval = Duration::from_secs(interval);
    let scuttle = lines.get("delicious_scuttle", "no", yes_or_no)?;
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

/// Leaves out what a comment in a header must not contain: all but ASCII, and parentheses (RFC 9110, 5.6.5).
fn user_agent(owner: &str) -> String {
    let version = irc::VERSION.replace(' ', "/");
    let is_refused = |c: char| !matches!(c, ' '..='~') || matches!(c, '(' | ')' | '\\');
    let owner = owner.replace(is_refused, "");
    match owner.trim() {
        "" => version,
        owner => format!("{version} ({owner})"),
    }
}

/// What is probably wrong, but may be meant.
fn warnings(lines: &Lines, is_exposed: bool, account: Option<&delicious::Settings>) -> Vec<String> {
    let mut warnings = Vec::new();
    for line in &lines.lines {
        if line.is_quoted() && !line.key.starts_with("local.") {
            let what = "the quotes are part of the value; remove them unless you mean them";
            warnings.push(lines.error_in(line, what));
        }
    }
    let mut warn = |is_so: bool, key, what| {
        if is_so {
            warnings.push(lines.error(key, what));
        }
    };
    warn(
        is_exposed && lines.value("server_password").is_some(),
        "server_password",
        "crosses the network unencrypted; set tls = yes if the server supports it",
    );
    let Some(delicious::Settings { add, login, .. }) = account else { return warnings };
    let has_login = !matches!(login, Login::Nobody);
    let host = add.host_str().unwrap_or_default().trim_matches(['[', ']']);
    warn(
        has_login && add.scheme() == "http" && !is_loopback(host),
        "delicious",
        "the login crosses the network unencrypted; use https:// if the service supports it",
    );
    warn(
        !has_login,
        "delicious",
        "no login is set; services want delicious_token or another login from bot.conf's example",
    );
    let path = add.path();
    warn(
        !path.ends_with("add") && !path.ends_with("add.php"),
        "delicious",
        "does not end in posts/add or posts_add.php, where services accept links",
    );
    let is_scuttle = path.ends_with("/posts_add.php") || path.ends_with("/api/posts/add");
    warn(
        is_scuttle && lines.value("delicious_scuttle").is_none(),
        "delicious",
        "looks like Scuttle; if it is, set delicious_scuttle = yes",
    );
    warnings
}

#[cfg(test)]
#[path = "../tests/unit/config.rs"]
mod tests;
