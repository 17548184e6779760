//! bot.conf as text: `key = value` lines, with their numbers for errors.

use std::path::{Path, PathBuf};

/// Every key, separated by spaces.
pub const KEYS: &str = "server tls tls_pin tls_cert tls_key nick owner channels server_password \
    sasl sasl_user sasl_password on_connect prefix reply capture ignore relay moderators \
    rejoin catch_up reconnect \
    journal feed page feed_title feed_url feed_items log_url timezone \
    delicious delicious_user delicious_password delicious_token delicious_bearer delicious_tags \
    delicious_shared delicious_interval delicious_scuttle";

/// Keys that may be set more than once.
const REPEATABLE: &[&str] = &["on_connect", "ignore", "relay", "moderators"];

/// The lines of bot.conf that set a key. Every key is a known one.
pub struct Lines<'a> {
    pub path: &'a Path,
    pub lines: Vec<Line<'a>>,
    pub warnings: Vec<String>,
    /// The files that linkbot writes.
    pub files: Vec<PathBuf>,
}

pub struct Line<'a> {
    number: usize,
    pub key: &'a str,
    pub value: &'a str,
}

impl<'a> Lines<'a> {
    pub fn new(path: &'a Path, text: &'a str) -> Result<Lines<'a>, String> {
        let mut lines = Lines { path, lines: vec![], warnings: vec![], files: vec![] };
        // Some editors write a byte-order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or(("", line));
            let (key, value) = (key.trim_end(), value.trim_start());
            let place = format!("{}:{number}", path.display());
            if let Some(what) = lines.wrong_key(key) {
                return Err(format!("{place}: {what}"));
            }
            let is_placeholder = |name: &&str| ["#your-channel", "your-linkbot"].contains(name);
            if let Some(name) = value.split([',', ' ']).find(is_placeholder) {
                return Err(format!(
                    "{place}: {key}: {name} is a placeholder; put your own name here"
                ));
            }
            if is_quoted(value) && !key.starts_with("local.") {
                lines.warnings.push(format!(
                    "{place}: {key}: the quotes are part of the value; remove them unless you \
                     mean them"
                ));
            }
            lines.lines.push(Line { number, key, value });
        }
        Ok(lines)
    }

    fn line(&self, key: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.key == key)
    }

    fn wrong_key(&self, key: &str) -> Option<String> {
        if !key.starts_with("local.") && !KEYS.split(' ').any(|known| known == key) {
            return Some(unknown_key(key));
        }
        let Line { number, .. } = self.line(key).filter(|_| !REPEATABLE.contains(&key))?;
        Some(format!("{key}: already set in line {number}; remove one of the two lines"))
    }

    /// The values of a key that may be set more than once. An empty value is the same as none.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter(move |line| line.key == key && !line.value.is_empty())
            .map(|line| line.value)
    }

    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.all(key).next()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(str::to_owned)
    }

    pub fn get<T>(
        &self,
        key: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        parse(self.value(key).unwrap_or(default)).map_err(|what| self.error(key, &what))
    }

    pub fn option<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.value(key).map(|_| self.get(key, "", parse)).transpose()
    }

    /// An error or a warning about `key`, with the file's name and the line.
    pub fn error(&self, key: &str, what: &str) -> String {
        let path = self.path.display();
        match self.line(key) {
            None => format!("{path}: {key}: {what}"),
            Some(Line { number, value, .. }) => {
                let hint = if is_quoted(value) { "; leave out the quotes" } else { "" };
                format!("{path}:{number}: {key}: {what}{hint}")
            }
        }
    }
}

/// bot.conf does not remove quotes.
fn is_quoted(value: &str) -> bool {
    let quotes = |c| "\"'`“”„‘’«»".contains(c);
    value.starts_with(quotes) && value.ends_with(quotes)
}

/// Quotes `key` only if it looks like one: anything else could be part of a password.
fn unknown_key(key: &str) -> String {
    let lower_case = key.to_ascii_lowercase();
    let distance = |known: &&str| edit_distance(&lower_case, known);
    let nearest = KEYS.split(' ').min_by_key(distance).unwrap_or_default();
    let is_close = distance(&nearest) * 3 <= key.len();
    let is_word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    match (is_word, is_close) {
        (true, true) => format!("{key}: unknown key; did you mean {nearest}?"),
        (false, true) => format!("unknown key; did you mean {nearest}?"),
        (true, false) => {
            format!("{key}: unknown key; the bot.conf that comes with linkbot lists them all")
        }
        (false, false) => "not a line like key = value; a comment starts with #".into(),
    }
}

/// The Levenshtein distance: how many bytes to insert, remove or change to turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
