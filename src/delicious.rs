//! The Delicious v1 API, as spoken by Pinboard, linkhut, SemanticScuttle and similar services.
//!
//! Takes a change of a link, sends the request, and returns a verdict on the response. No two
//! services respond alike, so status and body are judged together and tolerantly.

use std::{
    io::{
        ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable},
        Read,
    },
    time::{Duration, Instant},
};

use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use url::Url;

use crate::{journal::format_time, link::Link, log, title::clean_tag};

/// The first and shortest timeout for the first byte of a response. The timeout doubles when it
/// expires, up to 12 s, and halves after a response in less than half of it.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(3);

const CHECK_ADDRESS: &str =
    ": an error page, or delicious is not the full posts/add address (check https and the slashes)";

/// The bookmark account: the `delicious*` keys of bot.conf.
#[derive(Clone)]
pub struct Settings {
    /// The full address of `posts/add`.
    pub add: Url,
    /// The `Authorization` header: `Basic ...` or `Bearer ...`.
    pub authorization: Option<String>,
    /// The `auth_token` in every query.
    pub token: Option<String>,
    /// The parts of the login that no log may show, also in the form in which they are sent.
    pub secrets: Vec<String>,
    /// At least one.
    pub tags: Vec<String>,
    pub shared: Option<bool>,
    /// From the end of one request to the start of the next.
    pub interval: Duration,
    /// The service decodes `url` once too often and cannot store characters above U+FFFF.
    pub scuttle: bool,
    pub user_agent: String,
}

/// The change that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Stores a new link. An existing bookmark stays as it is.
    Add,
    /// Overwrites the bookmark of an address, with a new title or another channel's link.
    Replace,
    Delete,
}

/// The meaning of a response for the link. Texts are for the operator and contain no secret.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The account is as requested.
    Done,
    AlreadyThere,
    /// Refused, or already there: linkhut and Scuttle have one message for both.
    RefusedOrThere(String),
    Refused(String),
    TryLater {
        why: String,
        cause: Cause,
        /// The shortest wait that the service asks for, or needs.
        at_least: Duration,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// Nothing was stored, but not because of the link: no connection, or a rate limit.
    Busy,
    /// The service asks us to wait. The link may have been stored anyway.
    Overloaded,
    /// The link may have been stored anyway, or the service cannot handle it.
    Unclear,
    /// Refused by the HTTP status alone. The cause may be the link, or something that responds in
    /// place of the service.
    RefusedByStatus,
    /// Only the operator can fix it: credentials, the address, TLS.
    Misconfigured,
}

pub struct Account {
    settings: Settings,
    agent: ureq::Agent,
    /// The timeout for the first byte of a response.
    response_timeout: Duration,
}

impl Account {
    pub fn new(settings: Settings) -> Account {
        // Set both explicitly: without them ureq looks for rustls and its own roots, and panics.
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        // With the response timeout (3 to 12 s), 10 to 19 s in total; docs/operating.md promises
        // 19 s. A global timeout, or one for the DNS lookup, would start a thread. GET only: a
        // request with a body would also need `timeout_send_body`.
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(4)))
            .timeout_send_request(Some(Duration::from_secs(1)))
            .timeout_recv_body(Some(Duration::from_secs(2)))
            // Enough for any request, and for the header of any response.
            .input_buffer_size(16 << 10)
            .output_buffer_size(8 << 10)
            .http_status_as_error(false)
            // Following a redirect would send the login to another address.
            .max_redirects(0)
            .max_idle_connections(0)
            .build();
        Account { settings, agent: config.into(), response_timeout: SHORTEST_TIMEOUT }
    }

    /// Asks the service for one change. Blocks for at most 19 s, not counting DNS lookups.
    ///
    /// `log_url` is the link's address in the channel's web log; `now` limits `dt`.
    pub fn send(
        &mut self,
        change: Change,
        link: &Link,
        log_url: Option<String>,
        now: OffsetDateTime,
    ) -> Verdict {
        match self.settings.request(change, link, log_url, now) {
            Some(request) => self.get(&request, change, now).unwrap_or_else(failed),
            None => Verdict::Refused(
                "the address of posts/delete cannot be derived from delicious".into(),
            ),
        }
    }

    fn get(
        &mut self,
        request: &Url,
        change: Change,
        now: OffsetDateTime,
    ) -> Result<Verdict, ureq::Error> {
        let mut request = self
            .agent
            .get(request.as_str())
            .header("User-Agent", &self.settings.user_agent)
            // With any other value, Pinbook (a clone of Pinboard) returns JSON, and linkhut 406.
            .header("Accept", "application/xml");
        if let Some(authorization) = &self.settings.authorization {
            // Sent without waiting for a challenge: the Shaarli bridge never sends one.
            request = request.header("Authorization", authorization);
        }
        let started = Instant::now();
        let timeout = self.response_timeout;
        let response = request.config().timeout_recv_response(Some(timeout)).build().call();
        // Give a slow service more time, and a quick one less.
        let next = match response {
            Err(ureq::Error::Timeout(ureq::Timeout::RecvResponse)) => timeout * 2,
            Ok(_) if started.elapsed() < timeout / 2 => timeout / 2,
            _ => timeout,
        };
        self.response_timeout = next.clamp(SHORTEST_TIMEOUT, Duration::from_secs(12));
        let response = response?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("Retry-After")
            .and_then(|text| wait_for(text.to_str().ok()?, now));
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(64 << 10);
        // If the body is cut short, use what has arrived: it may contain a complete result.
        let read = reader.read_to_end(&mut body);
        let body = String::from_utf8_lossy(&body).to_ascii_lowercase();
        if (200..300).contains(&status) && result_code(&body).is_none() {
            read?;
        }
        Ok(self.judge(change, status, retry_after, &body))
    }

    /// Judges a response; `body` is in lower case. With a 2xx status the result decides, otherwise
    /// the status.
    fn judge(
        &self,
        change: Change,
        status: u16,
        retry_after: Option<Duration>,
        body: &str,
    ) -> Verdict {
        use Cause::*;
        use Verdict::*;
        let is_delete = change == Change::Delete;
        let code = result_code(body);
        let mut why = format!("HTTP {status}");
        if let Some(code) = code {
            why = format!("{why}: {}", self.service_message(code));
        }
        let (cause, hint) = match (status, code) {
            (200..=299, Some("done" | "ok")) => return Done,
            (200..=299, Some("item not found" | "something went wrong")) | (404, _)
                if is_delete =>
            {
                return Done;
            }
            (405 | 409 | 501, _) if is_delete => return Refused(why),
            (200..=299, Some("item already exists" | "bookmark does already exist")) | (409, _) => {
                return AlreadyThere;
            }
            (200..=299, Some("something went wrong")) => return RefusedOrThere(why),
            (200..=299, Some("access denied" | "bad auth token")) | (401 | 403, _) => (
                Misconfigured,
                ": check delicious_user and delicious_password (does the server receive \
                 Authorization?), delicious_token (Pinboard: the whole user:HEX), or \
                 delicious_bearer (it must be allowed to write)",
            ),
            (200..=299, None) => (Unclear, CHECK_ADDRESS),
            (300..=399 | 404..=406, _) => (Misconfigured, CHECK_ADDRESS),
            (408 | 425 | 429, _) => (Busy, ""),
            // 5xx except 501, and the 999 of Delicious and linkhut.
            (500 | 502.., _) => (Unclear, ": see the service's own log"),
            (_, Some(_)) => return Refused(why),
            (_, None) => (RefusedByStatus, CHECK_ADDRESS),
        };
        let cause = match (cause, retry_after) {
            // A service that asks us to slow down says nothing about the link.
            (Unclear, Some(_)) => Overloaded,
            (RefusedByStatus, Some(_)) => Busy,
            _ => cause,
        };
        let at_least = retry_after.unwrap_or_default();
        TryLater { why: why + hint, cause, at_least }
    }

    /// The service's message in lower case, for the log: up to the first unusual character, and
    /// without anything that could reveal a login.
    fn service_message(&self, code: &str) -> String {
        let is_plain = |c: &char| matches!(c, ' '..='~') && !"%&\\".contains(*c);
        let message: String = code.chars().take_while(is_plain).take(200).collect();
        let is_shown = |secret: &String| {
            let start: String = secret.chars().take(4).collect();
            message.contains(&start.to_ascii_lowercase())
        };
        if message.is_empty() || self.settings.secrets.iter().any(is_shown) {
            return "message not shown".into();
        }
        message
    }
}

impl Settings {
    /// The request's address, with the parameters in its query; `None` if no `posts/delete` can be
    /// derived.
    fn request(
        &self,
        change: Change,
        link: &Link,
        log_url: Option<String>,
        now: OffsetDateTime,
    ) -> Option<Url> {
        let replace = match change {
            // This works with every service, and never overwrites an older bookmark.
            Change::Add => "no",
            Change::Replace => "yes",
            Change::Delete => return self.delete(link),
        };
        let mut url = link.url.clone();
        if self.scuttle {
            url = url.replace('%', "%25").replace('+', "%2B");
        }
        // SemanticScuttle keeps links from the future at the top. Its times have no milliseconds.
        let posted = link.posted.min(now + time::Duration::minutes(10));
        let dt = format!("{}Z", &format_time(posted)[..19]);
        let (title, own) = link.title_and_tags();
        // Services refuse or truncate longer titles.
        let mut title = format!("{title:.255}");
        let tags = self.tags.iter().map(|tag| clean_tag(&tag.replace("{channel}", &link.channel)));
        let tags = tags.chain(own.into_iter().map(str::to_owned));
        let mut tags: Vec<_> = tags.filter(|tag| !tag.is_empty()).collect();
        if tags.is_empty() {
            // SemanticScuttle fails without a tag, and a channel's name may be punctuation only.
            tags.push("irc".into());
        }
        let tags = tags.join(" ");
        let mut log = log_url.map_or(String::new(), |url| format!(": {url}"));
        loop {
            let note = format!("posted by {}{log}", link.nick);
            let mut query = vec![
                ("url", url.as_str()),
                ("description", &title),
                ("extended", &note),
                ("tags", &tags),
                ("dt", &dt),
                ("replace", replace),
            ];
            if let Some(shared) = self.shared {
                query.push(("shared", if shared { "yes" } else { "no" }));
                // Scuttle ignores `shared`, and SemanticScuttle ignores `shared=yes`.
                if self.scuttle {
                    query.push(("status", if shared { "0" } else { "2" }));
                }
            }
            let request = self.with(self.add.clone(), &query);
            // Pinboard answers 414 to a longer target.
            if request[url::Position::BeforePath..].len() <= 2000 || title.chars().count() < 2 {
                return Some(request);
            }
            // First leave out the log's address, then shorten the title.
            if log.is_empty() {
                title.pop();
            }
            log.clear();
        }
    }

    /// The request's address for `posts/delete`. Here, even Scuttle decodes `url` only once.
    fn delete(&self, link: &Link) -> Option<Url> {
        let (before, after) = self.add.as_str().rsplit_once("add")?;
        let request = Url::parse(&format!("{before}delete{after}")).ok()?;
        let is_same_host = request.host() == self.add.host();
        is_same_host.then(|| self.with(request, &[("url", &link.url)]))
    }

    /// Appends these parameters, and the token if there is one, to the query of `request`. Some
    /// services need the query that `delicious` already has.
    fn with(&self, mut request: Url, parameters: &[(&str, &str)]) -> Url {
        for (name, value) in parameters {
            // Scuttle's database cannot store characters above U+FFFF: it returns 500 every time.
            let value = value.replace(|c| self.scuttle && c > '\u{ffff}', "\u{fffd}");
            request.query_pairs_mut().append_pair(name, &value);
        }
        if let Some(token) = &self.token {
            request.query_pairs_mut().append_pair("auth_token", token);
        }
        request
    }
}

/// Judges a ureq error. Does not show its text, which may contain the address and so the token.
fn failed(error: ureq::Error) -> Verdict {
    use Cause::*;
    use ureq::Error::*;
    let mut at_least = Duration::ZERO;
    let (why, cause) = match error {
        NativeTls(e) => {
            let hint = "check the service's certificate, and the trust store or SSL_CERT_FILE";
            (format!("TLS failed ({e}): {hint}"), Misconfigured)
        }
        Http(_) | BadUri(_) | InvalidProxyUrl => {
            let what = "the request cannot be made: check the delicious keys, \
                HTTP_PROXY, HTTPS_PROXY and ALL_PROXY";
            (what.into(), Misconfigured)
        }
        Timeout(ureq::Timeout::Connect) | HostNotFound | ConnectProxyFailed(_) => {
            ("no connection".into(), Busy)
        }
        Timeout(_) => {
            // A slow server needs time to finish the last request.
            at_least = Duration::from_secs(30);
            ("no response in time".into(), Unclear)
        }
        Io(e) => {
            // For a failed DNS lookup, std has neither a named kind nor an error number.
            let is_unconnected =
                matches!(e.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
                    || e.to_string().starts_with("failed to lookup");
            (log::os_error(e), if is_unconnected { Busy } else { Unclear })
        }
        _ => ("the response is not HTTP".into(), Unclear),
    };
    Verdict::TryLater { why, cause, at_least }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. At most an hour.
fn wait_for(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date in the past means now.
        Err(_) => {
            (OffsetDateTime::parse(text, &Rfc2822).ok()? - now).try_into().unwrap_or_default()
        }
    };
    Some(wait.min(Duration::from_secs(3600)))
}

/// Returns the trimmed result of a response in lower case: `<result code="...">` or
/// `<result>...</result>` anywhere in it, or else `result_code` or `result` of a JSON object. Some
/// services put warnings before the document. `None` if the result is truncated or empty.
fn result_code(body: &str) -> Option<&str> {
    let mut elements = body.split("<result").skip(1);
    let element = elements.find_map(|rest| match rest.trim_start().strip_prefix('>') {
        Some(text) => Some(text.split_once('<')?.0),
        None => quoted(rest.split_once("code")?.1, '='),
    });
    // An HTML page may contain "result":"ok" in one of its scripts.
    let json = body.trim_start_matches('\u{feff}').trim_start().strip_prefix('{');
    let json = |key| quoted(json?.split_once(key)?.1, ':');
    let code = element.or_else(|| json("\"result_code\"")).or_else(|| json("\"result\""))?;
    Some(code.trim()).filter(|code| !code.is_empty())
}

/// The quoted text after `sign`.
fn quoted(rest: &str, sign: char) -> Option<&str> {
    let value = rest.trim_start().strip_prefix(sign)?.trim_start();
    let quote = if value.starts_with('\'') { '\'' } else { '"' };
    Some(value.strip_prefix(quote)?.split_once(quote)?.0)
}

#[cfg(test)]
#[path = "../tests/unit/delicious.rs"]
mod tests;
