//! Lines on stderr for the operator: the one place that keeps secrets and terminal control characters out.

use std::fmt::Display;
use std::io::Write;
use std::sync::OnceLock;

use time::OffsetDateTime;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Names the words of bot.conf that no line may show. Called once, at start.
pub fn set_secrets(secrets: Vec<String>) {
    let _ = SECRETS.set(secrets);
}

/// One line with the time, in UTC.
pub fn line(text: impl Display) {
    let now = OffsetDateTime::now_utc();
    let (h, m, s) = now.to_hms();
    write(&format!("{} {h:02}:{m:02}:{s:02}Z ", now.date()), text);
}

/// The one line that tells why the program ends, without a time.
pub fn last_line(text: impl Display) {
    write("", text);
}

fn write(before: &str, text: impl Display) {
    let text = redact(&text.to_string(), SECRETS.get().map_or(&[], Vec::as_slice));
    // In one write, so that nobody reads half a line. Unlike `eprintln!` it never panics.
    let _ = std::io::stderr().write_all(format!("{before}{text}\n").as_bytes());
}

/// Control characters as blanks, and secrets, in any ASCII case and with `+` for a blank as in forms, as `***`.
pub fn redact(text: &str, secrets: &[String]) -> String {
    let fold = |c: char| if c == '+' || c.is_control() { ' ' } else { c.to_ascii_lowercase() };
    let folded: Vec<char> = text.chars().map(fold).collect();
    let mut shown: Vec<Option<char>> =
        text.chars().map(|c| Some(if c.is_control() { ' ' } else { c })).collect();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let secret: Vec<char> = secret.chars().map(fold).collect();
        for (start, _) in
            folded.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret)
        {
            shown[start..start + secret.len()].fill(None);
        }
    }
    let runs = shown.chunk_by(|a, b| a.is_some() == b.is_some());
    runs.map(|run| run.iter().copied().collect::<Option<String>>().unwrap_or_else(|| "***".into()))
        .collect()
}

/// The text of an I/O error without its number.
pub fn os_error(error: impl Display) -> String {
    error.to_string().split(" (os error ").next().unwrap_or_default().to_owned()
}
