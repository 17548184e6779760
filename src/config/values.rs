//! Parsers for single values of bot.conf. An error says what a correct value looks like.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::{env, fs};

use native_tls::{Certificate, Identity};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use super::*;
use crate::irc::names::CaseMapping;
use crate::irc::{Channel, ReplyStyle};
use crate::log;

pub fn yes_or_no(value: &str) -> Result<bool> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("must be yes or no".into()),
    }
}

pub fn number(from: u64, to: u64) -> impl Fn(&str) -> Result<u64> {
    move |value| match value.parse() {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {from} to {to}")),
    }
}

/// `host:port` or `[::1]:6697`. Returns the host without its brackets.
pub fn host_and_port(value: &str) -> Result<(String, u16)> {
    let (host, port) = value.rsplit_once(':').unwrap_or_default();
    match (Host::parse(host), port.parse()) {
        (Ok(host), Ok(port)) => Ok((host.to_string().trim_matches(['[', ']']).to_owned(), port)),
        _ => {
            Err("must be given as host:port, for example irc.libera.chat:6697 or [::1]:6697".into())
        }
    }
}

pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub fn nick(value: &str) -> Result<String> {
    if irc::is_nick(value) {
        return Ok(value.into());
    }
    Err("must be a nick: letters, digits and []\\`_^{|}-, not starting with a digit or -".into())
}

pub fn reply(value: &str) -> Result<ReplyStyle> {
    match value {
        "privmsg" => Ok(ReplyStyle::Privmsg),
        "notice" => Ok(ReplyStyle::Notice),
        "quiet" => Ok(ReplyStyle::Quiet),
        _ => Err("must be privmsg, notice or quiet".into()),
    }
}

pub fn channels(value: &str) -> Result<Vec<Channel>> {
    let mut channels: Vec<Channel> = vec![];
    for entry in value.split(',') {
        let (name, key) = match entry.split_whitespace().collect::<Vec<_>>()[..] {
            [name] => (name, None),
            [name, key] if !key.starts_with('#') => (name, Some(key.to_owned())),
            _ => ("", None),
        };
        if name.len() < 2 || !name.starts_with('#') {
            return Err(
                "must be given as #name or #name key, without quotes; separate several with commas"
                    .into(),
            );
        }
        if channels.iter().any(|c| CaseMapping::Rfc1459.eq(c.name.as_bytes(), name.as_bytes())) {
            return Err(format!(
                "{name} is the same channel as an earlier one; remove one of the two"
            ));
        }
        channels.push(Channel { name: name.to_owned(), key });
    }
    Ok(channels)
}

/// The parts of `value`, which spaces or commas separate.
pub fn list(value: &str) -> Vec<String> {
    let parts = value.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

pub fn tags(value: &str) -> Result<Vec<String>> {
    // Punctuation alone is no tag: it is dropped when the tags are sent.
    if !value.contains(char::is_alphanumeric) {
        return Err("must have at least one tag, for example irc".into());
    }
    Ok(list(value))
}

pub fn zone(value: &str) -> Result<Zone> {
    let midnight = OffsetDateTime::parse(&format!("1970-01-01T00:00:00{value}"), &Rfc3339);
    match (value, midnight) {
        ("utc", _) => Ok(Zone::Fixed(UtcOffset::UTC)),
        ("local", _) => Ok(Zone::Local),
        (_, Ok(time)) if value.len() == 6 => Ok(Zone::Fixed(time.offset())),
        _ => Err("must be utc, local, or an offset like +01:00".into()),
    }
}

/// The address of the bookmark service's `posts/add`.
pub fn endpoint(value: &str) -> Result<Url> {
    // The log names this address.
    if value.contains("auth_token=") {
        return Err("must not contain the token; put that into delicious_token".into());
    }
    let is_unusable = |name: &&str| env::var(name).is_ok_and(|proxy| !is_usable(&proxy));
    if let Some(name) = PROXIES.into_iter().find(is_unusable) {
        return Err(format!(
            "linkbot cannot use the proxy in {name}: it must start with http:// or https:// \
             (no SOCKS); set such a proxy, or unset {name}"
        ));
    }
    Url::parse(&address(value)?).map_err(|e| e.to_string())
}

/// The variables in which ureq looks for a proxy.
const PROXIES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// ureq silently ignores a proxy that it cannot use.
fn is_usable(proxy: &str) -> bool {
    let is_http =
        |proxy: Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    proxy.is_empty() || Proxy::new(proxy).is_ok_and(is_http)
}

/// The text of a file, and its mode.
pub fn read(path: &Path) -> Result<(String, u32)> {
    let read = fs::read_to_string(path).and_then(|text| Ok((text, fs::metadata(path)?.mode())));
    read.map_err(|e| format!("{}: {}", path.display(), log::os_error(e)))
}

/// The first certificate in a PEM file (RFC 7468), in DER.
pub fn pin(path: &Path) -> Result<Vec<u8>> {
    let (pem, _) = read(path)?;
    let certificate = Certificate::from_pem(pem.as_bytes());
    certificate.and_then(|certificate| certificate.to_der()).map_err(|_| no_certificate(path))
}

/// The certificates in one PEM file with the key in another, or in the same.
pub fn identity(path: &Path, key_path: &Path) -> Result<Identity> {
    let ((certificates, _), (key, mode)) = (read(path)?, read(key_path)?);
    // native-tls accepts PKCS#8 only, and no text before it.
    let Some(start) = key.find("-----BEGIN PRIVATE KEY-----") else {
        let path = key_path.display();
        return Err(format!(
            "{path} contains no private key in plain PKCS#8; convert one with: \
             openssl pkcs8 -topk8 -nodes -in {path} -out {path}.new"
        ));
    };
    check_mode(key_path, mode)?;
    Identity::from_pkcs8(certificates.as_bytes(), &key.as_bytes()[start..])
        .map_err(|_| no_certificate(path))
}

fn no_certificate(path: &Path) -> String {
    format!("{} contains no certificate in PEM, or a damaged one", path.display())
}
