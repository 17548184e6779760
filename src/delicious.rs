//! The Delicious v1 API, as Pinboard, linkhut, SemanticScuttle and their kin speak it.
//!
//! No two of them answer alike, so an answer is judged by status and body together, and tolerantly.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use url::Url;

use crate::link::Link;
use crate::log;

use Verdict::{AlreadyThere, Configuration, Credentials, Refused, Stored, TryLater};

/// Longer titles are refused or cut by the services, in characters.
const LONGEST_TITLE: usize = 255;
/// Pinboard answers 414 to a longer request target, in bytes.
const LONGEST_TARGET: usize = 2000;
/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;
/// What lies further ahead counts as a wrong clock; SemanticScuttle would pin the link to the top for ever.
const FURTHEST_AHEAD: time::Duration = time::Duration::minutes(10);
/// No `Retry-After` makes the delivery wait longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The account that takes the links: the `delicious*` keys of bot.conf.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The full address of `posts/add`.
    pub add: Url,
    pub login: Login,
    /// At least one.
    pub tags: Vec<String>,
    pub shared: Option<bool>,
    /// From the end of one call to the beginning of the next.
    pub interval: Duration,
    /// The service decodes `url` twice and cannot store characters above U+FFFF.
    pub scuttle: bool,
    pub user_agent: String,
}

#[derive(Clone)]
pub enum Login {
    Nobody,
    Basic { user: String, password: String },
    Token(String),
    Bearer(String),
}

impl Login {
    /// What of it no log may show, each also as it travels.
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Login::Nobody => vec![],
            Login::Basic { user, password } => {
                let pair = format!("{user}:{password}");
                vec![password.clone(), STANDARD.encode(&pair), STANDARD_NO_PAD.encode(&pair)]
            }
            // Of `user:HEX`, HEX alone is as good as the whole.
            Login::Token(token) => vec![token.clone(), token.rsplit(':').next().unwrap_or_default().into()],
            Login::Bearer(token) => vec![token.clone()],
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What the service's answer means for the link. The texts are for the operator, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    AlreadyThere,
    /// `after`: what `Retry-After` asked for, 1 h at most. `unclear`: the link may be stored all the same.
    TryLater {
        why: String,
        after: Option<Duration>,
        unclear: bool,
    },
    Credentials {
        why: String,
    },
    /// `by_status`: judged by the HTTP status alone, without a `<result>`.
    Refused {
        why: String,
        by_status: bool,
    },
    Configuration {
        why: String,
    },
}

pub struct Account {
    settings: Settings,
    /// Every spelling of the login that an answer could repeat.
    secrets: Vec<String>,
    agent: ureq::Agent,
}

impl Account {
    pub fn new(settings: Settings) -> Account {
        // Both must be named: without them ureq looks for rustls and its own roots, and panics.
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier);
        // 10 s in all. A global limit, one per call or one for the name lookup would start a thread.
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(Duration::from_secs(4)))
            .timeout_send_request(Some(Duration::from_secs(1)))
            .timeout_recv_response(Some(Duration::from_secs(3)))
            .timeout_recv_body(Some(Duration::from_secs(2)))
            .http_status_as_error(false)
            // A redirect followed would carry the login to wherever it leads.
            .max_redirects(0)
            .max_idle_connections(0);
        // As `words` reads them too; a mark at the end may have become one escape with what stands around it.
        let read = |s: &str| unescape(s).trim_matches(['%', '&', '\\']).to_owned();
        let secrets = settings.login.secrets().into_iter().flat_map(|s| [read(&s), s]).collect();
        Account { secrets, agent: config.build().into(), settings }
    }

    /// Offers `link` to the service; blocks for 10 s at most, besides the system's name lookup.
    ///
    /// `log_url` is where the channel's log tells of it; `now` bounds `dt`; `unclear` says that an earlier
    /// try of this link may have stored it.
    pub fn add(&self, link: &Link, log_url: Option<&str>, now: OffsetDateTime, unclear: bool) -> Verdict {
        let mut request = self
            .agent
            .get(request(&self.settings, link, log_url, now).as_str())
            .header("User-Agent", &self.settings.user_agent)
            // Pinbook would answer anything else with JSON, linkhut with 406.
            .header("Accept", "application/xml");
        match &self.settings.login {
            Login::Basic { user, password } => {
                // At once, not after a challenge: the Shaarli bridge never sends one.
                let login = STANDARD.encode(format!("{user}:{password}"));
                request = request.header("Authorization", format!("Basic {login}"));
            }
            Login::Bearer(token) => request = request.header("Authorization", format!("Bearer {token}")),
            Login::Nobody | Login::Token(_) => {}
        }
        let answer = match request.call() {
            Ok(answer) => answer,
            Err(e) => return failed(&e),
        };
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("Retry-After").and_then(|v| v.to_str().ok());
        let after = retry_after.and_then(|text| wait_for(text, now));
        let mut body = Vec::new();
        // If it breaks off, what came before counts: a complete result is one, and no result is one to ask for again.
        let _ = answer.into_body().into_reader().take(LONGEST_ANSWER).read_to_end(&mut body);
        self.judge(status, after, &body, unclear)
    }

    /// Reads an answer. On 2xx the result decides, on every other status the status does.
    fn judge(&self, status: u16, after: Option<Duration>, body: &[u8], unclear: bool) -> Verdict {
        let body = String::from_utf8_lossy(body);
        let code = result_code(&body);
        let why = match code {
            Some(code) if status / 100 == 2 => self.words(code),
            Some(code) => format!("HTTP {status}: {}", self.words(code)),
            None => format!("HTTP {status}"),
        };
        match (status, code.map(str::to_ascii_lowercase).as_deref()) {
            (200..300, None) => TryLater {
                why: format!("{why} without a result, as if another program had answered"),
                after,
                unclear: true,
            },
            (200..300, Some("done" | "ok")) => Stored,
            (200..300, Some("item already exists" | "bookmark does already exist")) | (409, _) => AlreadyThere,
            (200..300, Some("access denied" | "bad auth token")) | (401 | 403, _) => {
                Credentials { why: format!("{why}: {}", self.advice()) }
            }
            // linkhut and Scuttle say this of a link they know, too.
            (200..300, Some("something went wrong")) if unclear => AlreadyThere,
            (200..300, Some("something went wrong")) => {
                Refused { why: format!("refused, or already there: {why}"), by_status: false }
            }
            (200..300, Some(_)) => Refused { why, by_status: false },
            (300..400, _) => Configuration {
                why: format!("{why}, a redirect, is not followed: check the address in delicious (https? a slash?)"),
            },
            (404..=406, _) => Configuration { why: format!("{why}: check that delicious is the full add address") },
            (408 | 425 | 429, _) => TryLater { why, after, unclear: false },
            (400..=499 | 501, _) => Refused { why, by_status: code.is_none() },
            // 5xx, and 999 of Delicious and linkhut.
            _ => TryLater { why, after, unclear: true },
        }
    }

    /// What to do when the service does not accept the login.
    fn advice(&self) -> &'static str {
        match &self.settings.login {
            Login::Nobody => "give delicious_user and delicious_password, delicious_token or delicious_bearer",
            // Behind CGI, SemanticScuttle may never see the header.
            Login::Basic { .. } => {
                "check delicious_user and delicious_password, and whether the server sees Authorization"
            }
            Login::Token(token) if !token.contains(':') => "check delicious_token; Pinboard wants the whole user:HEX",
            Login::Token(_) => "check delicious_token",
            Login::Bearer(_) => "check delicious_bearer, and that it may write (posts:write)",
        }
    }

    /// The service's words, fit for the log: without the login in any spelling, and 200 characters at most.
    fn words(&self, code: &str) -> String {
        // Cutting first could leave half a secret, which nothing recognises.
        if code.len() > 4096 {
            return "(too many words)".into();
        }
        let mut words = log::blank(&unescape(&log::blank(code, &self.secrets)), &self.secrets);
        let name = |t: &str| t.split_once(';').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric()));
        // Of HTML's two thousand names for characters, one that `unescape` does not know may be part of a password,
        // and so may a byte that is not UTF-8.
        if words.split('&').skip(1).any(name) || words.contains(char::REPLACEMENT_CHARACTER) {
            return "(words with unknown escapes)".into();
        }
        // A login that is echoed as it is ends the code where it has a quote or a `<` itself.
        let marks = self.secrets.iter().flat_map(|s| s.match_indices(['"', '\'', '<']).map(move |(at, _)| &s[..at]));
        let begun = marks.map(str::trim_end).filter(|begun| !begun.is_empty() && words.ends_with(begun));
        if let Some(begun) = begun.max_by_key(|begun| begun.len()) {
            words.truncate(words.len() - begun.len());
            words.push_str("***");
        }
        words.chars().take(200).collect()
    }
}

/// The request's address: `posts/add` with `link` as its arguments.
fn request(settings: &Settings, link: &Link, log_url: Option<&str>, now: OffsetDateTime) -> Url {
    // Scuttle's database cannot hold what lies above U+FFFF: it says 500, for ever.
    let plain = |c| if settings.scuttle && c > '\u{ffff}' { char::REPLACEMENT_CHARACTER } else { c };
    let plain = |text: &str| text.chars().map(plain).collect::<String>();
    // Scuttle decodes `url` once more than it should.
    let url = if settings.scuttle { link.url.replace('%', "%25").replace('+', "%2B") } else { link.url.clone() };
    let dt = if link.posted > now + FURTHEST_AHEAD { now } else { link.posted };
    let dt = dt.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"));
    let dt = dt.expect("every time has these parts");
    let tags = plain(&settings.tags.join(" "));
    let build = |title: &str, note: &str| {
        let mut request = settings.add.clone();
        let mut query = request.query_pairs_mut();
        query.append_pair("url", &url).append_pair("description", title).append_pair("extended", note);
        // Only `no` stores a new link everywhere, and never overwrites what someone wrote before.
        query.append_pair("tags", &tags).append_pair("dt", &dt).append_pair("replace", "no");
        if let Some(shared) = settings.shared {
            query.append_pair("shared", if shared { "yes" } else { "no" });
        }
        if let Login::Token(token) = &settings.login {
            query.append_pair("auth_token", token);
        }
        drop(query);
        request
    };
    let too_long = |request: &Url| request[url::Position::BeforePath..].len() > LONGEST_TARGET;

    let mut title: String = plain(&link.title).chars().take(LONGEST_TITLE).collect();
    let note = plain(&format!("posted by {}", link.nick));
    if let Some(log_url) = log_url {
        let request = build(&title, &format!("{note}: {}", plain(log_url)));
        if !too_long(&request) {
            return request;
        }
    }
    let mut request = build(&title, &note);
    while too_long(&request) && title.chars().nth(1).is_some() {
        title.pop();
        request = build(&title, &note);
    }
    request
}

/// What an error of ureq means. Its own text is never shown: it may hold the address, and that the token.
fn failed(error: &ureq::Error) -> Verdict {
    use ureq::Error::*;
    let configuration = |why: &str| Configuration { why: why.into() };
    let later = |why: &str, unclear| TryLater { why: why.into(), after: None, unclear };
    match error {
        // Errors of the network come as themselves, also within the handshake; only its breaking off does not.
        NativeTls(e) if e.to_string().to_ascii_lowercase().contains("unexpected eof") => {
            later("the connection was closed during the TLS handshake", false)
        }
        NativeTls(e) => configuration(&format!(
            "TLS failed ({e}): check the service's certificate, and the system's trust store or SSL_CERT_FILE"
        )),
        Tls(_) | Der(_) | Pem(_) | TlsRequired => configuration("TLS cannot be used: check the system's trust store"),
        Http(_) | BadUri(_) | InvalidProxyUrl => {
            configuration("the request cannot be made: check the delicious keys, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY")
        }
        Timeout(ureq::Timeout::Connect) => later("no connection within 4 s", false),
        Timeout(_) => later("no answer in time", true),
        HostNotFound => later("the service's name cannot be looked up", false),
        // std gives a failed lookup neither a kind with a name nor a number.
        Io(e) if e.to_string().starts_with("failed to lookup") => {
            later("the service's name cannot be looked up", false)
        }
        Io(e) => {
            let refused = [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
            later(&e.kind().to_string(), !refused.contains(&e.kind()))
        }
        Protocol(_) | LargeResponseHeader(..) => later("the answer is not HTTP", true),
        ConnectProxyFailed(_) => later("the proxy makes no connection", false),
        _ => later("the request failed", true),
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
fn wait_for(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let date =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date that has passed means now.
        Err(_) => (PrimitiveDateTime::parse(text.trim(), date).ok()?.assume_utc() - now).try_into().unwrap_or_default(),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// The result of an answer, trimmed: `<result code="...">` or `<result>...</result>` anywhere in it, for some services
/// put warnings before the document; else `result_code` or `result` of a JSON object. `None` if it is cut off or empty.
fn result_code(body: &str) -> Option<&str> {
    let lower = body.to_ascii_lowercase();
    let mut elements = lower.match_indices("<result").map(|(at, tag)| &body[at + tag.len()..]);
    let code = elements.find_map(element_code).or_else(|| {
        // A page of HTML may well hold "result":"ok" in a script of its own.
        let json = body.trim_start_matches('\u{feff}').trim_start().starts_with('{').then_some(body)?;
        json_string(json, "\"result_code\"").or_else(|| json_string(json, "\"result\""))
    })?;
    Some(code.trim()).filter(|code| !code.is_empty())
}

/// The code of an element whose name ends where `rest` begins.
fn element_code(mut rest: &str) -> Option<&str> {
    // `<results>` is another element.
    rest.starts_with(|c: char| c == '>' || c.is_whitespace()).then_some(())?;
    loop {
        rest = rest.trim_start();
        if let Some(text) = rest.strip_prefix('>') {
            return text.split_once('<').map(|(text, _)| text);
        }
        let (name, value) = rest.split_once('=').filter(|(name, _)| !name.contains(['<', '>', '/']))?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = value[1..].split_once(quote)?;
        if name.trim().eq_ignore_ascii_case("code") {
            return Some(value);
        }
        rest = after;
    }
}

/// The string that belongs to `key` in `json`, its escapes as they are.
fn json_string<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    json.match_indices(key).find_map(|(at, _)| {
        let value = json[at + key.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let end = value.find(|c| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        })?;
        Some(&value[..end])
    })
}

/// `text` without percent, HTML and JSON escapes, nor those that appear when others are undone.
fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let mut plain = Vec::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['%', '&', '\\']) {
            plain.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            let (bytes, length) = escape(rest).unwrap_or((vec![rest.as_bytes()[0]], 1));
            plain.extend(bytes);
            rest = &rest[length..];
        }
        plain.extend_from_slice(rest.as_bytes());
        // Every escape is longer than what it stands for, or has one mark less: this comes to an end.
        let plain = String::from_utf8_lossy(&plain).into_owned();
        if plain == text {
            return plain;
        }
        text = plain;
    }
}

/// What the escape at the beginning of `text` stands for, and its length; `None` if there is none.
fn escape(text: &str) -> Option<(Vec<u8>, usize)> {
    let hex = |from: usize, digits: usize| {
        let digits = text.get(from..from + digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (c, length) = match text.as_bytes().get(..2)? {
        [b'%', _] => return Some((vec![hex(1, 2)? as u8], 3)),
        b"\\u" => {
            let low = text.get(6..8).filter(|&mark| mark == "\\u").and_then(|_| hex(8, 4));
            let c = char::decode_utf16([hex(2, 4)?].into_iter().chain(low)).next()?.ok()?;
            (c, 6 * c.len_utf16())
        }
        [b'\\', _] => {
            let c = text[1..].chars().next()?;
            (c, 1 + c.len_utf8())
        }
        b"&#" => {
            let (digits, radix) = text[2..].strip_prefix(['x', 'X']).map_or((&text[2..], 10), |t| (t, 16));
            let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
            let c = char::from_u32(u32::from_str_radix(&digits[..end], radix).ok()?)?;
            // Browsers take it without its semicolon too.
            (c, text.len() - digits.len() + end + usize::from(digits[end..].starts_with(';')))
        }
        _ => {
            let names = [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];
            let (name, c) = names.into_iter().find(|(name, _)| text[1..].starts_with(name))?;
            (c, 1 + name.len())
        }
    };
    Some((c.to_string().into_bytes(), length))
}

#[cfg(test)]
#[path = "../tests/unit/delicious.rs"]
mod tests;
