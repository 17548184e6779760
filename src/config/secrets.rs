//! The secrets in bot.conf: who may read them, where they may be sent, and what no log line may
//! show.

use std::os::unix::fs::MetadataExt;

use super::*;

/// Everything that the log must hide, as it is and percent-encoded.
///
/// It is an error if a secret would cross the network unencrypted. The server's own password may:
/// such servers often have no TLS.
pub fn secrets(lines: &Lines, config: &Config) -> Result<Vec<String>> {
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
        // These two also contain the base64 of a login.
        .chain(irc.sasl.iter().flat_map(Sasl::chunks))
        .chain(account.iter().flat_map(|account| account.secrets.clone()))
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| [percent_encode(&secret), secret])
        .collect())
}

pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A file that contains a secret must not be accessible to others. Its group may read it.
pub fn check_mode(path: &Path) -> Result<()> {
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
