//! Lines on stderr for the operator: the one place that keeps secrets and terminal control characters out.

use std::fmt::Display;
use std::io::Write;
use std::sync::OnceLock;

use time::OffsetDateTime;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Names the words of bot.conf that no line may show. Called once, at start.
pub fn hide(secrets: Vec<String>) {
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
    let text = blank(&text.to_string(), SECRETS.get().map_or(&[], Vec::as_slice));
    // In one write, so that nobody reads half a line. Unlike `eprintln!` it never panics.
    let _ = std::io::stderr().write_all(format!("{before}{text}\n").as_bytes());
}

/// Control characters as blanks, and secrets, in any ASCII case and with `+` for a blank as in forms, as `***`.
pub fn blank(text: &str, secrets: &[String]) -> String {
    let fold = |c: char| if c == '+' || c.is_control() { ' ' } else { c.to_ascii_lowercase() };
    let text: Vec<char> = text.chars().collect();
    let folded: Vec<char> = text.iter().map(|&c| fold(c)).collect();
    let mut hidden = vec![false; text.len()];
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let secret: Vec<char> = secret.chars().map(fold).collect();
        for (start, _) in folded.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret) {
            hidden[start..start + secret.len()].fill(true);
        }
    }
    let mut out = String::new();
    for (i, &c) in text.iter().enumerate() {
        if !hidden[i] {
            out.push(if c.is_control() { ' ' } else { c });
        } else if i == 0 || !hidden[i - 1] {
            out.push_str("***");
        }
    }
    out
}

/// What the system says of an error, without the number that only programmers read.
pub fn os(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}
