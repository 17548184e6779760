//! bot.conf as text: `key = value` lines, with their numbers for errors.

use super::*;

/// Every key with its default, if it has one.
pub const DEFAULTS: &str = "\
server =
tls = yes
tls_pin =
tls_cert =
tls_key =
nick = linkbot
owner =
channels =
server_password =
sasl =
sasl_user =
sasl_password =
on_connect =
prefix = .
reply = privmsg
capture = no
ignore =
relay =
moderators =
rejoin = no
catch_up = yes
reconnect = 20
journal = links.tsv
feed = links.xml
page = links.html
feed_title =
feed_url =
feed_items = 100
log_url =
timezone = utc
delicious =
delicious_user =
delicious_password =
delicious_token =
delicious_bearer =
delicious_tags = irc
delicious_shared =
delicious_interval = 3
delicious_scuttle =";

/// Keys that may be set more than once.
const REPEATABLE: [&str; 4] = ["on_connect", "ignore", "relay", "moderators"];

/// Names in the bot.conf that comes with linkbot.
const PLACEHOLDERS: [&str; 2] = ["#your-channel", "your-linkbot"];

/// The settings by key: those of bot.conf, or their defaults.
pub struct Lines<'a> {
    pub path: &'a Path,
    pub settings: BTreeMap<&'a str, Setting>,
    pub warnings: Vec<String>,
}

#[derive(Default)]
pub struct Setting {
    /// The line of bot.conf that sets it; 0 if none does.
    pub line: usize,
    /// Empty if there is no default either. A key that may be repeated has one line for each value.
    pub value: String,
}

impl<'a> Lines<'a> {
    pub fn new(path: &'a Path, text: &'a str) -> Result<Lines<'a>> {
        let default = |line| {
            let (key, value) = split(line);
            (key, Setting { line: 0, value: value.to_owned() })
        };
        let settings = DEFAULTS.lines().map(default).collect();
        let mut lines = Lines { path, settings, warnings: vec![] };
        // Some editors write a byte-order mark.
        let text = text.trim_start_matches('\u{feff}');
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if !line.is_empty() && !line.starts_with('#') {
                let (key, value) = split(line);
                let set = lines.set(number, key, value);
                set.map_err(|what| format!("{}:{number}: {what}", path.display()))?;
            }
        }
        Ok(lines)
    }

    fn set(&mut self, line: usize, key: &'a str, value: &str) -> Result<()> {
        if !key.starts_with("local.") && !self.settings.contains_key(key) {
            return Err(unknown_key(key));
        }
        if let Some(name) = PLACEHOLDERS.iter().find(|name| value.contains(**name)) {
            return Err(format!("{key}: {name} is a placeholder; put your own name here"));
        }
        let setting = self.settings.entry(key).or_default();
        let is_repeatable = REPEATABLE.contains(&key);
        if setting.line > 0 && !is_repeatable {
            let line = setting.line;
            return Err(format!("{key}: already set in line {line}; remove one of the two lines"));
        }
        setting.line = line;
        if is_repeatable {
            setting.value += &format!("{value}\n");
        } else if !value.is_empty() {
            setting.value = value.to_owned();
        }
        let is_quote = |c| "\"'`“”„‘’«»".contains(c);
        if value.starts_with(is_quote) && value.ends_with(is_quote) {
            let what = "the quotes are part of the value; remove them unless you mean them";
            self.warnings.push(self.error(key, what));
        }
        Ok(())
    }

    /// The value of a key; empty if it is not set and has no default.
    pub fn value(&self, key: &str) -> &str {
        &self.settings[key].value
    }

    pub fn text(&self, key: &str) -> Option<String> {
        Some(self.value(key).to_owned()).filter(|value| !value.is_empty())
    }

    pub fn get<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        parse(self.value(key)).map_err(|what| self.error(key, &what))
    }

    pub fn option<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
        self.get(key, |value| if value.is_empty() { Ok(None) } else { parse(value).map(Some) })
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

/// The key and the value of a line. The key is empty if there is none.
fn split(line: &str) -> (&str, &str) {
    let (key, value) = line.split_once('=').unwrap_or(("", line));
    (key.trim_end(), value.trim_start())
}

/// Quotes `key` only if it looks like one: anything else could be part of a password.
fn unknown_key(key: &str) -> String {
    if key.is_empty() || key.contains(|c: char| !c.is_ascii_alphabetic() && c != '_') {
        return "not a line like key = value; a key has only letters and _, and a comment starts \
                with #"
            .into();
    }
    let lower_case = key.to_ascii_lowercase();
    let common = |known: &&str| common(&lower_case, known);
    let known = DEFAULTS.lines().map(|line| split(line).0);
    match known.max_by_key(common).filter(|nearest| common(nearest) * 3 >= key.len() * 2) {
        Some(nearest) => format!("{key}: unknown key; did you mean {nearest}?"),
        None => format!("{key}: unknown key; the bot.conf that comes with linkbot lists them all"),
    }
}

/// How many bytes two keys have in common at their start and their end.
fn common(a: &str, b: &str) -> usize {
    let is_same = |(a, b): &(u8, u8)| a == b;
    let start = a.bytes().zip(b.bytes()).take_while(is_same).count();
    let end = a.bytes().rev().zip(b.bytes().rev()).take_while(is_same).count();
    start + end
}
