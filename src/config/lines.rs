//! bot.conf as text: `key = value` lines, with their numbers for errors.

use super::*;
use crate::log::WARNING;

/// Every key with its default, if it has one, and what a correct value is.
pub const KEYS: &str = "\
    server =               | host:port, for example irc.libera.chat:6697 or [::1]:6697
    tls = yes              | yes or no; it must be yes with tls_pin or tls_cert, and if a password \
                             in sasl_password or on_connect would cross the network unencrypted
    tls_pin =              | a readable PEM file that contains a well-formed certificate
    tls_cert =             | a readable PEM file that contains a well-formed certificate; its \
                             key, there or in tls_key, must be in plain PKCS#8; convert one with: \
                             openssl pkcs8 -topk8 -nodes -in OLD.key -out NEW.key
    tls_key =              |
    nick = linkbot         | a nick: letters, digits and []\\`_^{|}-, not starting with a digit or -
    owner =                |
    channels =             | #name or #name key, without quotes; separate several with commas, and \
                             name each once (case makes no difference)
    server_password =      |
    sasl =                 | plain, with sasl_user and sasl_password, or external, with tls_cert
    sasl_user =            |
    sasl_password =        |
    on_connect =           |
    prefix = .             |
    reply = privmsg        | privmsg, notice or quiet
    capture = no           | yes or no
    ignore =               |
    relay =                |
    moderators =           |
    rejoin = no            | yes or no
    catch_up = yes         | yes or no
    reconnect = 20         | a number from 1 to 600
    journal = links.tsv    | a file that is used for nothing else, in a directory that exists
    feed = links.xml       | a file that is used for nothing else, in a directory that exists; \
                             with {channel}, a different file for each channel
    page = links.html      | a file that is used for nothing else, in a directory that exists; \
                             with {channel}, a different file for each channel
    feed_title = Links from {channels}|
    feed_url =             | the address of the feed: http:// or https://, without a user name or \
                             password; with {channel} if, and only if, feed contains it
    feed_items = 100       | a number from 1 to 10000
    log_url =              | an address like \
                             https://example.org/{channel}/[year]-[month]-[day]#[hour]:[minute]
    timezone = utc         | utc, local, or an offset like +01:00
    delicious =            | the full http:// or https:// address of the service's posts/add, \
                             without a password or token, and with one login: delicious_user and \
                             delicious_password, or delicious_token, or delicious_bearer
    delicious_user =       |
    delicious_password =   |
    delicious_token =      |
    delicious_bearer =     |
    delicious_tags = irc   | at least one tag, for example irc
    delicious_shared =     | yes or no
    delicious_interval = 3 | a number from 0 to 86400
    delicious_scuttle = no | yes or no";

/// The settings by key: those of bot.conf, or their defaults.
pub struct Lines {
    pub path: PathBuf,
    pub settings: BTreeMap<String, Setting>,
}

#[derive(Default)]
pub struct Setting {
    /// The line of bot.conf that sets it; 0 if none does.
    line: usize,
    /// Empty if bot.conf does not set the key and it has no default. A key that may be repeated has
    /// one line for each value.
    pub value: String,
    /// What a correct value is.
    right: &'static str,
}

impl Lines {
    pub fn new(path: &Path, text: &str) -> Result<Lines> {
        let mut lines = Lines { path: path.into(), settings: BTreeMap::new() };
        for line in KEYS.lines() {
            let (line, right) = split(line, '|');
            let (key, value) = split(line, '=');
            lines.settings.insert(key.into(), Setting { line: 0, value: value.into(), right });
        }
        // Some editors write a byte-order mark.
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let (key, value) = split(line, '=');
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if key.starts_with("local.") {
                lines.settings.entry(key.into()).or_default();
            }
            let Some(setting) = lines.settings.get_mut(key) else {
                return Err(format!("{}:{number}: {}", path.display(), lines.unknown_key(key)));
            };
            let earlier = setting.line;
            setting.line = number;
            if earlier == 0 {
                // An empty value means the default.
                if !value.is_empty() {
                    setting.value = value.into();
                }
            } else if matches!(key, "on_connect" | "ignore" | "relay" | "moderators") {
                setting.value += &format!("\n{value}");
            } else {
                return Err(lines.error(
                    key,
                    &format!("already set in line {earlier}; remove one of the two lines"),
                ));
            }
            if value.contains("#your-channel") || value.contains("your-linkbot") {
                return Err(
                    lines.error(key, "put your own name in place of #your-channel or your-linkbot")
                );
            }
        }
        Ok(lines)
    }

    /// Quotes `key` only if it looks like one: anything else could be part of a password.
    fn unknown_key(&self, key: &str) -> String {
        if key.is_empty() || key.contains(|c: char| !c.is_ascii_alphabetic() && c != '_') {
            return "expected a line like key = value; a key has only letters and _, and a comment \
                    starts with #"
                .into();
        }
        // A key that differs only by a typo: up to two adjacent bytes, replaced by up to three.
        let Some(nearest) = self.settings.keys().find(|known| {
            (2..=key.len()).any(|end| {
                known.starts_with(&key[..end - 2])
                    && known.ends_with(&key[end..])
                    && known.len() < key.len() + 2
            })
        }) else {
            return format!(
                "{key}: unknown key; the bot.conf that comes with linkbot lists them all"
            );
        };
        format!("{key}: unknown key; did you mean {nearest}?")
    }

    /// The value of a key; empty if it is not set and has no default.
    pub fn value(&self, key: &str) -> &str {
        &self.settings[key].value
    }

    pub fn text(&self, key: &str) -> Option<String> {
        Some(self.value(key).to_owned()).filter(|value| !value.is_empty())
    }

    pub fn get<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        parse(self.value(key)).ok_or_else(|| self.wrong(key))
    }

    pub fn option<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        self.text(key).map(|_| self.get(key, parse)).transpose()
    }

    /// The error that says what a correct value of `key` is.
    pub fn wrong(&self, key: &str) -> String {
        self.error(key, &format!("must be {}", self.settings[key].right))
    }

    /// Logs a warning about `key`. It quotes no value: that may be a secret.
    pub fn warn(&self, key: &str, what: &str) {
        log!("{WARNING}{}", self.error(key, what));
    }

    /// An error or a warning about `key`, with the file's name and the line.
    pub fn error(&self, key: &str, what: &str) -> String {
        let path = self.path.display();
        match self.settings[key].line {
            0 => format!("{path}: {key}: {what}"),
            line => format!("{path}:{line}: {key}: {what}"),
        }
    }
}

/// The parts of a line before and after `sign`. The first is empty if there is no such sign.
fn split(line: &str, sign: char) -> (&str, &str) {
    let (key, value) = line.split_once(sign).unwrap_or(("", line));
    (key.trim(), value.trim())
}
