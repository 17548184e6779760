//! Parsers for single values of bot.conf. `None` is an error, which the table of keys explains.

use std::env;
use std::net::IpAddr;

use native_tls::{Certificate, Identity};
use time::UtcOffset;
use time::format_description::well_known::Iso8601;
use ureq::Proxy;
use url::{Host, Url};

use super::*;
use crate::irc::names::CaseMapping;
use crate::irc::{Channel, ReplyStyle};

pub fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

pub fn number(from: u64, to: u64) -> impl Fn(&str) -> Option<u64> {
    move |value| value.parse().ok().filter(|number| (from..=to).contains(number))
}

/// `host:port` or `[::1]:6697`. Returns the host without its brackets.
pub fn host_and_port(value: &str) -> Option<(String, u16)> {
    let (host, port) = value.rsplit_once(':')?;
    let host = Host::parse(host).ok()?.to_string();
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub fn reply(value: &str) -> Option<ReplyStyle> {
    match value {
        "privmsg" => Some(ReplyStyle::Privmsg),
        "notice" => Some(ReplyStyle::Notice),
        "quiet" => Some(ReplyStyle::Quiet),
        _ => None,
    }
}

pub fn channels(value: &str) -> Option<Vec<Channel>> {
    let mut channels: Vec<Channel> = vec![];
    for entry in value.split(',') {
        let (name, key) = match entry.split_whitespace().collect::<Vec<_>>()[..] {
            [name] => (name, None),
            [name, key] if !key.starts_with('#') => (name, Some(key.to_owned())),
            _ => return None,
        };
        if name.len() < 2
            || !name.starts_with('#')
            || channels
                .iter()
                .any(|other| CaseMapping::Rfc1459.eq(other.name.as_bytes(), name.as_bytes()))
        {
            return None;
        }
        channels.push(Channel { name: name.to_owned(), key });
    }
    Some(channels)
}

/// The parts of `value`, which spaces, newlines or commas separate.
pub fn list(value: &str) -> Vec<String> {
    value.replace(',', " ").split_whitespace().map(str::to_owned).collect()
}

pub fn zone(value: &str) -> Option<Zone> {
    match value {
        "utc" => Some(Zone::Fixed(UtcOffset::UTC)),
        "local" => Some(Zone::Local),
        _ if value.len() == 6 => UtcOffset::parse(value, &Iso8601::PARSING).ok().map(Zone::Fixed),
        _ => None,
    }
}

/// The address of the bookmark service's `posts/add`. The log names it, so it contains no token.
pub fn endpoint(value: &str) -> Option<Url> {
    Url::parse(&address(value).ok()?).ok().filter(|url| !url.as_str().contains("auth_token="))
}

/// ureq silently ignores a proxy that it cannot use.
pub fn check_proxies() -> Result<()> {
    for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
    {
        let proxy = env::var(name).unwrap_or_default().to_ascii_lowercase();
        if !proxy.is_empty() && (proxy.starts_with("socks") || Proxy::new(&proxy).is_err()) {
            return Err(format!(
                "linkbot cannot use the proxy in {name}: it must start with http:// or https:// \
                 (no SOCKS); set such a proxy, or unset {name}"
            ));
        }
    }
    Ok(())
}

/// The first certificate in a PEM file (RFC 7468), in DER.
pub fn pin(path: &Path) -> Option<Vec<u8>> {
    Certificate::from_pem(&fs::read(path).ok()?).ok()?.to_der().ok()
}

/// The certificates in one PEM file with the key in another, or in the same.
pub fn identity(path: &Path, key_path: &Path) -> Option<Identity> {
    let key = fs::read_to_string(key_path).ok()?;
    // native-tls accepts PKCS#8 only, and no text before it.
    let start = key.find("-----BEGIN PRIVATE KEY-----")?;
    Identity::from_pkcs8(&fs::read(path).ok()?, &key.as_bytes()[start..]).ok()
}
