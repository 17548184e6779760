//! The secrets in bot.conf: who may read them, where they may be sent, and what no log line may
//! show.

use super::*;

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
) -> Result<Vec<String>> {
    let mut secrets: Vec<String> =
        irc.on_connect.iter().flat_map(|line| passwords(line, &irc.nick)).collect();
    if !server.tls && !is_loopback(&server.host) {
        if irc.sasl.is_some() || !secrets.is_empty() {
            let what = "must be yes, or a password in sasl_password or on_connect crosses the \
                        network unencrypted";
            return Err(lines.error("tls", what));
        }
        if irc.server_password.is_some() {
            let what = "crosses the network unencrypted; set tls = yes if the server supports it";
            lines.warnings.push(lines.error("server_password", what));
        }
    }
    secrets.extend(["server_password", "sasl_password"].iter().filter_map(|key| lines.text(key)));
    secrets.extend(irc.channels.iter().filter_map(|channel| channel.key.clone()));
    secrets.extend(account.into_iter().flat_map(|account| account.login.secrets()));
    if !secrets.is_empty() {
        check_mode(lines.path, mode)?;
    }
    // The base64 of a login.
    secrets.extend(irc.sasl.iter().flat_map(Sasl::chunks));
    Ok(secrets.into_iter().flat_map(|secret| [percent_encode(&secret), secret]).collect())
}

/// A file that contains a secret must not be accessible to others. Its group may read it.
pub fn check_mode(path: &Path, mode: u32) -> Result<()> {
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(format!(
        "{path} contains a secret but every user can access it; fix it with: chmod o-rwx {path}"
    ))
}

/// The words of an `on_connect` line that may be a password. Hides too much rather than too little.
fn passwords(line: &str, nick: &str) -> Vec<String> {
    let mut words = line.split_whitespace().map(|word| word.trim_start_matches(':'));
    let command = words.next().unwrap_or_default().to_ascii_uppercase();
    let words: Vec<&str> = words.collect();
    // The first of several words is a subcommand. A lone word may be a password.
    let last = words.len().saturating_sub(1);
    let not_secret = match command.as_str() {
        "MODE" => 2,
        "PRIVMSG" | "NOTICE" => last.min(2),
        _ => last.min(1),
    };
    // Hiding shorter words would make the log unreadable.
    let may_be_secret =
        |word: &&str| word.len() > 3 && !word.starts_with('#') && !word.eq_ignore_ascii_case(nick);
    words.into_iter().skip(not_secret).filter(may_be_secret).map(str::to_owned).collect()
}
