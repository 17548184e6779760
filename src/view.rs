//! A feed or a page: what bot.conf says about it, and what both share. Escapes text and addresses
//! for XML and HTML.

pub mod feed;
pub mod page;

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::{
    config::Config,
    journal::{Entry, format_time},
    link::percent_encode,
};

/// A file that shows the newest links of some channels.
pub struct View {
    pub path: PathBuf,
    /// The file's public address, if it is known.
    pub url: Option<String>,
    /// The channels whose links it shows, as spelled in bot.conf.
    pub channels: Vec<String>,
    pub title: String,
    /// The address of the page, or else of the channel: `ircs://host/channel`.
    pub about: String,
    /// The maximum number of links, counting all channels together; the newest are shown.
    pub items: usize,
    pub is_page: bool,
}

impl View {
    pub fn shows(&self, channel: &str) -> bool {
        self.channels.iter().any(|own| own == channel)
    }

    /// The address of this file, for links from a page in the same directory.
    pub fn href(&self) -> String {
        self.url.clone().unwrap_or_else(|| relative_url(&self.path.to_string_lossy()))
    }
}

/// The address of `file` for a page in the same directory.
pub fn relative_url(file: &str) -> String {
    percent_encode(file.rsplit('/').next().unwrap_or_default())
}

/// HTML: the nicks of later posters, if there are any.
pub fn reposters_html(entry: &Entry) -> String {
    match &entry.reposters[..] {
        [] => String::new(),
        nicks => format!("; again by {}", escape(&nicks.join(", "))),
    }
}

/// Escapes text for an element of XML or HTML, or for an attribute in double quotes. Leaves out
/// control characters and what XML 1.0 forbids, even as a reference. The references are numeric, as
/// the RSS profile wants them in titles.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' => out += &format!("&#x{:X};", u32::from(c)),
            ..' ' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// Percent-encodes what RFC 3986 forbids in `address`; the `url` crate allows more.
pub fn uri(address: &str) -> String {
    let mut out = String::new();
    for (i, c) in address.char_indices() {
        let is_allowed = match c {
            // Before the path, brackets enclose an IPv6 address.
            '[' | ']' => out.matches(['/', '?', '#']).count() < 3,
            '#' => !out.contains('#'),
            '%' => address
                .as_bytes()
                .get(i + 1..i + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            c => c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c),
        };
        if is_allowed {
            out.push(c);
        } else {
            out += &percent_encode(&c.to_string());
        }
    }
    out
}
