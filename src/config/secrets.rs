//! The secrets in bot.conf: who may read them, where they may be sent, and what no log line may
//! show.

use std::path::Path;

use super::lines::{Line, Lines};
use super::values::is_loopback;
use crate::delicious;
use crate::irc::{self, Sasl, connection};
use crate::link::percent_encode;

/// Everything that the log must hide, as it is and percent-encoded.
///
/// It is an error if others may read a file with a secret, or if a secret would cross the network
/// unencrypted. The server's own password may: such servers often have no TLS.
pub fn secrets(
    lines: &mut Lines,
    server: &connection::Settings,
    irc: &irc::Settings,
    account: Option<&delicious::Settings>,
    mode: u32,
) -> Result<Vec<String>, String> {
    let is_exposed = !server.tls && !is_loopback(&server.host);
    let mut secrets: Vec<String> = Vec::new();
    for line in &lines.lines {
        let found = secrets_in(line, irc);
        if found.is_empty() {
            continue;
        }
        check_mode(lines.path, mode)?;
        if is_exposed && line.key == "server_password" {
            let what = "crosses the network unencrypted; set tls = yes if the server supports it";
            lines.warnings.push(lines.error(line.key, what));
        }
        if is_exposed && matches!(line.key, "sasl_password" | "on_connect") {
            let what = format!("must be yes, or {} crosses the network unencrypted", line.key);
            return Err(lines.error("tls", &what));
        }
        secrets.extend(found.into_iter().map(str::to_owned));
    }
    // The base64 of a login.
    secrets.extend(irc.sasl.iter().flat_map(Sasl::chunks));
    secrets.extend(account.into_iter().flat_map(|account| account.login.secrets()));
    Ok(secrets.into_iter().flat_map(|secret| [percent_encode(&secret), secret]).collect())
}

/// A file that contains a secret must not be accessible to others. Its group may read it.
pub fn check_mode(path: &Path, mode: u32) -> Result<(), String> {
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(format!(
        "{path} contains a secret but every user can access it; fix it with: chmod o-rwx {path}"
    ))
}

fn secrets_in<'a>(line: &Line<'a>, irc: &'a irc::Settings) -> Vec<&'a str> {
    match line.key {
        "channels" => irc.channels.iter().filter_map(|channel| channel.key.as_deref()).collect(),
        "on_connect" => passwords(line.value, &irc.nick),
        "server_password" | "sasl_password" | "delicious_password" | "delicious_token"
        | "delicious_bearer" => vec![line.value],
        _ => vec![],
    }
}

/// The words of an `on_connect` line that may be a password. Hides too much rather than too little.
fn passwords<'a>(line: &'a str, nick: &str) -> Vec<&'a str> {
    let mut words = line.split_whitespace().map(|word| word.trim_start_matches(':'));
    let command = words.next().unwrap_or_default().to_ascii_uppercase();
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if command == "PASS" {
        return words;
    }
    // A lone word may be a password. The first of several words is a subcommand.
    let last = words.len().saturating_sub(1);
    let (not_secret, min_length) = match command.as_str() {
        "JOIN" => (0, 1),
        "MODE" => (2, 4),
        "PRIVMSG" | "NOTICE" => (last.min(2), 4),
        _ => (last.min(1), 4),
    };
    // Hiding shorter words would make the log unreadable.
    let may_be_secret = |word: &&str| {
        word.len() >= min_length && !word.starts_with('#') && !word.eq_ignore_ascii_case(nick)
    };
    words.into_iter().skip(not_secret).filter(may_be_secret).collect()
}
