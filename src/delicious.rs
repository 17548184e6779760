//! The Delicious v1 API, as Pinboard, linkhut, SemanticScuttle and their kin speak it.
//!
//! No two of them answer alike, so an answer is judged by status and body together, and tolerantly.

use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
use std::io::Read;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use url::Url;

use crate::link::Link;
use crate::log;
use crate::title::clean_tag;

use Verdict::{AlreadyThere, Hold, Refused, Stored, TryLater};

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
/// For the first byte of an answer: doubled after a timeout, halved after an answer in less than half of it.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_PATIENCE: Duration = Duration::from_secs(12);
/// The wait after an answer that did not come in time.
const BREATHER: Duration = Duration::from_secs(30);
/// How much of the service's words is shown, in characters.
const LONGEST_WORDS: usize = 200;
/// So much of a secret's beginning would tell of it, in characters.
const TELLING: usize = 4;

const CHECK_LOGIN: &str = "check delicious_user and delicious_password, and whether the server sees Authorization; or \
    delicious_token, at Pinboard the whole user:HEX; or delicious_bearer, which must be allowed to write";
const CHECK_ADDRESS: &str =
    "an error page, or delicious is not the full add address (https? a slash?)";

/// The account that takes the links: the `delicious*` keys of bot.conf.
#[derive(Clone)]
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
                vec![password.clone(), STANDARD.encode(format!("{user}:{password}"))]
            }
            // Of `user:HEX`, HEX alone is as good as the whole.
            Login::Token(token) => {
                vec![token.clone(), token.rsplit(':').next().unwrap_or_default().into()]
            }
            Login::Bearer(token) => vec![token.clone()],
        }
    }
}

/// What is asked of the service: to store a link that it does not know, to give one its new title, to take one away.
/// `unclear`: an earlier try may have stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Add { unclear: bool },
    Replace,
    Delete,
}

/// What the service's answer means for the link. `why` is for the operator, without secrets.
///
/// `unclear`: it may be stored all the same, or it is the link's own fault. `by_status`: judged by the HTTP status
/// alone, without a `<result>`. `Hold` is what only the operator can mend: credentials or configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    AlreadyThere,
    TryLater { why: String, at_least: Duration, unclear: bool },
    Refused { why: String, by_status: bool },
    Hold { why: String },
}

pub struct Account {
    settings: Settings,
    agent: ureq::Agent,
    /// How long an answer may take to begin.
    patience: Duration,
}

impl Account {
    pub fn new(settings: Settings) -> Account {
        // Both must be named: without them ureq looks for rustls and its own roots, and panics.
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::PlatformVerifier);
        // With the patience 10 to 19 s in all. A limit of the whole or one for the name lookup would start a thread.
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(Duration::from_secs(4)))
            .timeout_send_request(Some(Duration::from_secs(1)))
            .timeout_recv_body(Some(Duration::from_secs(2)))
            // Enough for any request, and for the header of any answer.
            .input_buffer_size(16 << 10)
            .output_buffer_size(8 << 10)
            .http_status_as_error(false)
            // A redirect followed would carry the login to wherever it leads.
            .max_redirects(0)
            .max_idle_connections(0);
        Account { settings, agent: config.build().into(), patience: SHORTEST_PATIENCE }
    }

    /// Asks the service for one change; blocks for 19 s at most, besides the system's name lookup.
    ///
    /// `log_url` is where the channel's log tells of the link; `now` bounds `dt`.
    pub fn send(
        &mut self,
        change: Change,
        link: &Link,
        log_url: Option<&str>,
        now: OffsetDateTime,
    ) -> Verdict {
        let Some(request) = self.settings.request(change, link, log_url, now) else {
            return Refused {
                why: "no address of posts/delete follows from delicious".into(),
                by_status: false,
            };
        };
        let request =
            self.agent.get(request.as_str()).header("User-Agent", &self.settings.user_agent);
        // Pinbook would answer anything else with JSON, linkhut with 406.
        let mut request = request.header("Accept", "application/xml");
        match &self.settings.login {
            Login::Basic { user, password } => {
                // At once, not after a challenge: the Shaarli bridge never sends one.
                let login = STANDARD.encode(format!("{user}:{password}"));
                request = request.header("Authorization", format!("Basic {login}"));
            }
            Login::Bearer(token) => {
                request = request.header("Authorization", format!("Bearer {token}"))
            }
            Login::Nobody | Login::Token(_) => {}
        }
        let begun = Instant::now();
        let answer = request.config().timeout_recv_response(Some(self.patience)).build().call();
        if matches!(answer, Err(ureq::Error::Timeout(ureq::Timeout::RecvResponse))) {
            self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
        } else if answer.is_ok() && begun.elapsed() < self.patience / 2 {
            self.patience = (self.patience / 2).max(SHORTEST_PATIENCE);
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(e) => return failed(&e),
        };
        let status = answer.status().as_u16();
        let after =
            answer.headers().get("Retry-After").and_then(|text| wait_for(text.to_str().ok()?, now));
        let mut body = Vec::new();
        // If it breaks off, what came before counts: a complete result is one, and no result is one to ask for again.
        let _ = answer.into_body().into_reader().take(LONGEST_ANSWER).read_to_end(&mut body);
        self.judge(change, status, after, &body)
    }

    /// Reads an answer. On 2xx the result decides, on every other status the status does.
    fn judge(&self, change: Change, status: u16, after: Option<Duration>, body: &[u8]) -> Verdict {
        let body = String::from_utf8_lossy(body).to_ascii_lowercase();
        let code = result_code(&body);
        let words = code.map(|code| format!(": {}", self.words(code))).unwrap_or_default();
        let why = format!("HTTP {status}{words}");
        // A service that asks for less haste says nothing of the link.
        let later = |why, unclear| TryLater {
            why,
            at_least: after.unwrap_or_default(),
            unclear: unclear && after.is_none(),
        };
        let is_delete = change == Change::Delete;
        match (status, code) {
            (200..300, Some("item not found" | "something went wrong")) | (404, _) if is_delete => {
                Stored
            }
            (405 | 409 | 501, _) if is_delete => Refused { why, by_status: false },
            (200..300, Some("done" | "ok")) => Stored,
            (200..300, Some("item already exists" | "bookmark does already exist")) | (409, _) => {
                AlreadyThere
            }
            // linkhut and Scuttle say this of a link they know, too.
            (200..300, Some("something went wrong"))
                if change == (Change::Add { unclear: true }) =>
            {
                AlreadyThere
            }
            (200..300, Some("something went wrong")) => {
                Refused { why: format!("refused, or already there: {why}"), by_status: false }
            }
            (200..300, Some("access denied" | "bad auth token")) | (401 | 403, _) => {
                Hold { why: format!("{why}: {CHECK_LOGIN}") }
            }
            (200..300, None) => later(format!("{why} without a result: {CHECK_ADDRESS}"), true),
            (300..400 | 404..=406, _) => Hold { why: format!("{why}: {CHECK_ADDRESS}") },
            (408 | 425 | 429, _) => later(why, false),
            (400..=499, None) if after.is_some() => later(why, false),
            (200..300 | 400..=499 | 501, Some(_)) => Refused { why, by_status: false },
            (400..=499 | 501, None) => {
                Refused { why: format!("{why}: {CHECK_ADDRESS}"), by_status: true }
            }
            // 5xx, and 999 of Delicious and linkhut.
            _ => later(format!("{why}: see the service's own log"), true),
        }
    }

    /// The service's words in lower case, fit for the log: as far as they are plain, and none that may show a login.
    fn words(&self, code: &str) -> String {
        let is_plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '%' | '&' | '\\');
        let words: String = code.chars().take_while(is_plain).take(LONGEST_WORDS).collect();
        let secrets = self.settings.login.secrets().into_iter().filter(|secret| !secret.is_empty());
        let mut beginnings = secrets.map(|secret| secret.chars().take(TELLING).collect::<String>());
        let shows = beginnings.any(|beginning| words.contains(&beginning.to_ascii_lowercase()));
        if shows || words.is_empty() { "words that are not shown".into() } else { words }
    }
}

impl Settings {
    /// `posts/delete` of `link`, whose address even Scuttle decodes once only here.
    fn delete(&self, link: &Link) -> Option<Url> {
        let (host, path) = self.add.as_str().split_at(self.add[..url::Position::BeforePath].len());
        let (before, after) = path.rsplit_once("add")?;
        let request = Url::parse(&format!("{host}{before}delete{after}")).ok()?;
        Some(self.with(request, &[("url", &link.url)]))
    }

    /// The request's address; `None` if there is none of `posts/delete`.
    fn request(
        &self,
        change: Change,
        link: &Link,
        log_url: Option<&str>,
        now: OffsetDateTime,
    ) -> Option<Url> {
        let replace = match change {
            Change::Add { .. } => "no",
            Change::Replace => "yes",
            Change::Delete => return self.delete(link),
        };
        // Scuttle's database cannot hold what lies above U+FFFF: it says 500, for ever.
        let plain =
            |c| if self.scuttle && c > '\u{ffff}' { char::REPLACEMENT_CHARACTER } else { c };
        let plain = |text: &str| text.chars().map(plain).collect::<String>();
        // Scuttle decodes `url` once more than it should.
        let url = if self.scuttle {
            link.url.replace('%', "%25").replace('+', "%2B")
        } else {
            link.url.clone()
        };
        let dt = if link.posted > now + FURTHEST_AHEAD { now } else { link.posted };
        let (h, m, s) = dt.to_hms();
        let dt = format!("{}T{h:02}:{m:02}:{s:02}Z", dt.date());
        let (title, own) = link.title_and_tags();
        let tags = plain(&[self.tags(&link.channel), own.join(" ")].join(" "));
        let tags = tags.trim();
        let build = |title: &str, note: &str| {
            let mut query = vec![
                ("url", url.as_str()),
                ("description", title),
                ("extended", note),
                ("tags", tags),
            ];
            // Of a new link only `no` stores it everywhere, and never overwrites what someone wrote before.
            query.extend([("dt", dt.as_str()), ("replace", replace)]);
            query.extend(self.shared.map(|shared| ("shared", if shared { "yes" } else { "no" })));
            // Scuttle ignores `shared`, and SemanticScuttle `shared=yes`.
            let status = self.shared.filter(|_| self.scuttle);
            query.extend(status.map(|shared| ("status", if shared { "0" } else { "2" })));
            self.with(self.add.clone(), &query)
        };
        let fits = |request: &Url| request[url::Position::BeforePath..].len() <= LONGEST_TARGET;

        let mut title: String = plain(title).chars().take(LONGEST_TITLE).collect();
        let note = plain(&format!("posted by {}", link.nick));
        let with_log = log_url.map(|log_url| build(&title, &format!("{note}: {}", plain(log_url))));
        if let Some(request) = with_log.filter(fits) {
            return Some(request);
        }
        let mut request = build(&title, &note);
        while !fits(&request) && title.chars().nth(1).is_some() {
            title.pop();
            request = build(&title, &note);
        }
        Some(request)
    }

    /// The tags of bot.conf for a link of this channel.
    fn tags(&self, channel: &str) -> String {
        let tags = self.tags.iter().map(|tag| clean_tag(&tag.replace("{channel}", channel)));
        let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).collect();
        // SemanticScuttle fails without a tag, and a channel may have a name of signs only.
        if tags.is_empty() { "irc".into() } else { tags.join(" ") }
    }

    /// `request` with these parameters, and the token if there is one.
    fn with(&self, mut request: Url, parameters: &[(&str, &str)]) -> Url {
        request.query_pairs_mut().extend_pairs(parameters);
        if let Login::Token(token) = &self.login {
            request.query_pairs_mut().append_pair("auth_token", token);
        }
        request
    }
}

/// What an error of ureq means. Its own text is never shown: it may hold the address, and that the token.
fn failed(error: &ureq::Error) -> Verdict {
    use ureq::Error::*;
    let later =
        |why: &str, unclear| TryLater { why: why.into(), at_least: Duration::ZERO, unclear };
    match error {
        NativeTls(e) => Hold {
            why: format!("TLS failed ({e}): check the service's certificate, and the trust store or SSL_CERT_FILE"),
        },
        Http(_) | BadUri(_) | InvalidProxyUrl => Hold {
            why: "the request cannot be made: check the delicious keys, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY".into(),
        },
        Timeout(ureq::Timeout::Connect) | HostNotFound | ConnectProxyFailed(_) => later("no connection", false),
        // A server that was merely slow works off what it was sent.
        Timeout(_) => TryLater { why: "no answer in time".into(), at_least: BREATHER, unclear: true },
        Io(e) => {
            let why = log::os_error(e);
            // std gives a failed lookup neither a kind with a name nor a number.
            let is_unconnected = matches!(e.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable);
            later(&why, !is_unconnected && !why.starts_with("failed to lookup"))
        }
        _ => later("the answer is not HTTP", true),
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
fn wait_for(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date that has passed means now.
        Err(_) => (OffsetDateTime::parse(text.trim(), &Rfc2822).ok()? - now)
            .try_into()
            .unwrap_or_default(),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// The result of an answer in lower case, trimmed: `<result code="...">` or `<result>...</result>` anywhere in it, for
/// some services put warnings before the document; else `result_code` or `result` of a JSON object. `None` if it is cut
/// off or empty.
fn result_code(body: &str) -> Option<&str> {
    // `<results>` is another element.
    let mut elements =
        body.split("<result").skip(1).filter(|rest| rest.starts_with([' ', '\t', '\r', '\n', '>']));
    let element = elements.find_map(|rest| match rest.trim_start().strip_prefix('>') {
        Some(text) => text.split_once('<').map(|(text, _)| text),
        None => quoted(rest.split_once("code")?.1, '='),
    });
    // A page of HTML may well hold "result":"ok" in a script of its own.
    let json =
        Some(body.trim_start_matches('\u{feff}').trim_start()).filter(|body| body.starts_with('{'));
    let json = |key| quoted(json?.split_once(key)?.1, ':');
    let code = element.or_else(|| json("\"result_code\"")).or_else(|| json("\"result\""))?;
    Some(code.trim()).filter(|code| !code.is_empty())
}

/// The quoted text behind `sign`.
fn quoted(rest: &str, sign: char) -> Option<&str> {
    let value = rest.trim_start().strip_prefix(sign)?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value[1..].split_once(quote)?.0)
}

#[cfg(test)]
#[path = "../tests/unit/delicious.rs"]
mod tests;
