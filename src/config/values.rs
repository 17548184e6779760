//! Parsers for single values of bot.conf. An error says what a correct value looks like.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{env, fs};

use native_tls::{Certificate, Identity};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use super::secrets::check_mode;
use crate::irc::names::CaseMapping;
use crate::irc::{self, Channel, ReplyStyle};
use crate::link::address;
use crate::log;
use crate::log_url::Zone;

pub fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("must be yes or no".into()),
    }
}

pub fn number(from: u64, to: u64) -> impl Fn(&str) -> Result<u64, String> {
    move |value| match value.parse() {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {from} to {to}")),
    }
}

/// `host:port` or `[::1]:6697`. Returns the host without its brackets.
pub fn host_and_port(value: &str) -> Result<(String, u16), String> {
    let parts = value
        .rsplit_once(':')
        .and_then(|(host, port)| Some((Host::parse(host).ok()?, port.parse().ok()?)));
    let (host, port) = parts
        .ok_or("must be given as host:port, for example irc.libera.chat:6697 or [::1]:6697")?;
    Ok((host.to_string().trim_matches(['[', ']']).to_owned(), port))
}

pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub fn nick(value: &str) -> Result<String, String> {
    if irc::is_nick(value) {
        return Ok(value.into());
    }
    Err("must be a nick: letters, digits and []\\`_^{|}-, not starting with a digit or -".into())
}

pub fn reply(value: &str) -> Result<ReplyStyle, String> {
    match value {
        "privmsg" => Ok(ReplyStyle::Privmsg),
        "notice" => Ok(ReplyStyle::Notice),
        "quiet" => Ok(ReplyStyle::Quiet),
        _ => Err("must be privmsg, notice or quiet".into()),
    }
}

pub fn channels(value: &str) -> Result<Vec<Channel>, String> {
    let mut channels: Vec<Channel> = Vec::new();
    for entry in value.split(',') {
        let mut words = entry.split_whitespace();
        let (name, key) = (words.next().unwrap_or_default(), words.next());
        let is_key = key.is_none_or(|key| !key.starts_with('#')) && words.next().is_none();
        if name.len() < 2 || !name.starts_with('#') || !is_key {
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
        channels.push(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    Ok(channels)
}

/// The parts of `value`, which spaces or commas separate.
pub fn split_list(value: &str) -> impl Iterator<Item = String> {
    value
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
}

pub fn tags(value: &str) -> Result<Vec<String>, String> {
    // Punctuation alone is no tag: it is dropped when the tags are sent.
    if !value.contains(char::is_alphanumeric) {
        return Err("must have at least one tag, for example irc".into());
    }
    Ok(split_list(value).collect())
}

pub fn zone(value: &str) -> Result<Zone, String> {
    let midnight = OffsetDateTime::parse(&format!("1970-01-01T00:00:00{value}"), &Rfc3339);
    match (value, midnight) {
        ("utc", _) => Ok(Zone::Fixed(UtcOffset::UTC)),
        ("local", _) => Ok(Zone::Local),
        (_, Ok(time)) if value.len() == 6 && value.starts_with(['+', '-']) => {
            Ok(Zone::Fixed(time.offset()))
        }
        _ => Err("must be utc, local, or an offset like +01:00".into()),
    }
}

/// The address of the bookmark service's `posts/add`.
pub fn endpoint(value: &str) -> Result<Url, String> {
    let url = Url::parse(&address(value)?).map_err(|e| e.to_string())?;
    // The log names this address.
    if url.query_pairs().any(|(name, _)| name == "auth_token") {
        return Err("must not contain the token; put that into delicious_token".into());
    }
    let is_set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
    // ureq silently ignores a proxy that it cannot use.
    let is_usable = Proxy::try_from_env().is_some_and(|proxy| {
        matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
            || value.parse().is_ok_and(|uri| proxy.is_no_proxy(&uri))
    });
    match PROXIES.into_iter().find(is_set) {
        Some(name) if !is_usable => Err(format!(
            "linkbot cannot use the proxy in {name}: it must start with http:// or https:// \
             (no SOCKS); set such a proxy, or unset {name}"
        )),
        _ => Ok(url),
    }
}

/// The variables in which ureq looks for a proxy, in this order.
const PROXIES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// The text of a file, and its mode.
pub fn read(path: &Path) -> Result<(String, u32), String> {
    let read = fs::read_to_string(path)
        .and_then(|text| Ok((text, fs::metadata(path)?.permissions().mode())));
    read.map_err(|e| format!("{}: {}", path.display(), log::os_error(&e)))
}

/// The first certificate in a PEM file (RFC 7468), in DER.
pub fn pin(path: &Path) -> Result<Vec<u8>, String> {
    let (pem, _) = read(path)?;
    Certificate::from_pem(pem.as_bytes())
        .and_then(|certificate| certificate.to_der())
        .map_err(|_| no_certificate(path))
}

/// The certificates in one PEM file with the key in another, or in the same.
pub fn identity(path: &Path, key_path: &Path) -> Result<Identity, String> {
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
