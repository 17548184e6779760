//! Lines on stderr for the operator. Removes secrets and invisible characters.

#[cfg(not(test))]
use std::io::stderr;
use std::{fmt::Display, io::Write, path::Path, sync::OnceLock};

use time::OffsetDateTime;

#[cfg(test)]
use crate::tests::log::stderr;
use crate::title::is_invisible;

/// Priorities, as in sd-daemon(3): a line that starts with one needs the operator, or is a warning.
pub const ERROR: &str = "<3>";
pub const WARNING: &str = "<4>";

/// The words of bot.conf that no line may contain. Set once, at start.
pub static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Logs a line: `log!("joined {channel}")`.
macro_rules! log {
    ($($text:tt)*) => { $crate::log::line(format_args!($($text)*)) };
}

/// One line with the time, in UTC.
pub fn line(text: impl Display) {
    let now = OffsetDateTime::now_utc();
    let (h, m, s) = now.to_hms();
    write(&format!("{} {h:02}:{m:02}:{s:02}Z ", now.date()), text);
}

/// Writes a line that starts with `time` or, under systemd, with its priority.
pub fn write(time: &str, text: impl Display) {
    let text = redact(&text.to_string(), SECRETS.get().unwrap_or(&vec![]));
    let (priority, text) = match text.get(..3) {
        Some(ERROR | WARNING) => text.split_at(3),
        _ => ("<6>", text.as_str()),
    };
    // Set by systemd, whose journal adds the time itself.
    let start = if std::env::var_os("JOURNAL_STREAM").is_some() { priority } else { time };
    // Use a single write to keep the line intact. Unlike `eprintln!`, this never panics.
    let _ = stderr().write_all(format!("{start}{text}\n").as_bytes());
}

/// Returns `text` without invisible characters, with spaces for control characters, and with `***`
/// for secrets. Finds a secret in any ASCII case, and with `+` for its spaces, as in forms.
pub fn redact(text: &str, secrets: &[String]) -> String {
    let fold = |text| visible(text).replace('+', " ").to_ascii_lowercase().into_bytes();
    // Offsets in `folded` are valid in `shown`.
    let folded = fold(text);
    let mut shown = visible(text).into_bytes();
    for secret in secrets {
        let secret = fold(secret);
        // Copies of a secret may overlap.
        for start in 0..folded.len() {
            if folded[start..].starts_with(&secret) {
                // NUL can mark a secret, because `visible` has replaced all control characters.
                shown[start..start + secret.len()].fill(0);
            }
        }
    }
    shown.dedup_by(|a, b| *a == 0 && *b == 0);
    String::from_utf8_lossy(&shown).replace('\0', "***")
}

fn visible(text: &str) -> String {
    text.replace(char::is_control, " ").replace(is_invisible, "")
}

/// Logs when writes of a file begin to fail, and when they succeed again. `meaning`: what a failure
/// means.
pub fn written<T>(was_failing: &mut bool, path: &Path, result: &Result<T, String>, meaning: &str) {
    let path = path.display();
    match result {
        Err(why) if !*was_failing => log!("{ERROR}{path}: {why}; {meaning}"),
        Ok(_) if *was_failing => log!("{path}: can be written again"),
        _ => {}
    }
    *was_failing = result.is_err();
}

/// The text of an I/O error without its number.
pub fn os_error(error: impl Display) -> String {
    error.to_string().split(" (os error ").take(1).collect()
}
