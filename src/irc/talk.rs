//! What people say: decides which lines are for linkbot, and returns these as requests.

use time::format_description::well_known::Rfc3339;

use super::*;
use crate::{
    bytes::find,
    scan::has_address,
    title::{self, is_blank},
};

/// How far a server-time may be from our clock.
pub const MAX_CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// What someone said, in a channel or in private.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// As bot.conf spells it; `None`: in private.
    pub channel: Option<String>,
    pub nick: String,
    /// `!user@host`, which stays the same when the nick changes; for a relayed line, with the nick
    /// before it. Empty in the console.
    pub host: String,
    /// The services account; empty if unknown, or if a bridge relayed the line.
    pub account: String,
    /// How this network compares nicks.
    pub case: CaseMapping,
    /// The server's time if it is believable, or else our clock's.
    pub posted: OffsetDateTime,
    /// Replayed: it gets no reply.
    pub history: bool,
    /// Replayed, with the same posting time as the replayed request before it.
    pub same_moment: bool,
    /// The line begins with our nick: `linkbot: ...`.
    pub is_named: bool,
    /// The command's example, once it is known; empty for talk.
    pub example: &'static str,
    /// What was said, without our nick or a bridge's `<alice>`. Once the command is known, only
    /// what follows its name.
    pub args: String,
    /// The line is as long as the server allows, so its end may be missing. Its newline has two
    /// bytes, and a server that cuts between characters leaves up to three unused.
    pub is_cut: bool,
}

impl Session<'_> {
    pub fn privmsg(&mut self, line: &[u8], message: &Message, now: Now) -> Option<Request> {
        let mut params = message.params();
        let (target, text) = (params.next()?, params.next()?);
        let index = self.configured(target);
        let private = index.is_none();
        if private && !self.is_me(target) {
            return None;
        }
        let text = text.strip_prefix(b"\x01ACTION ").unwrap_or(text);
        let is_ctcp = text.starts_with(b"\x01");
        let Settings { relay, nick: wanted, prefix, hears_all, .. } = self.settings;
        let is_relay =
            !private && !relay.is_empty() && self.is_listed(relay, message, message.nick());
        if !private && (is_ctcp || !is_relay && !self.may_be_wanted(text)) {
            self.skip_line(index?, line, message, now);
            return None;
        }
        // ngIRCd marks a line that it has cut.
        let text = message::text(text.strip_suffix(b"[CUT]").unwrap_or(text));
        let text = title::without_colors(&text);
        let split = |text| without_nick(text, &[&self.nick, wanted], self.case);
        let (mut is_named, mut args) = split(&text);
        let mut nick = message.sender();
        let mut host = message::text(&message.source[message.nick().len()..]);
        let mut account = message.tag("account");
        // A line in which the bridge itself addresses us (`linkbot: ...`) is the bridge's own.
        let is_relayed = is_relay && !is_named;
        if is_relayed && let Some((speaker, said)) = relay_head(args) {
            (is_named, args) = split(said);
            nick = clean_nick(speaker).map_or(nick, Into::into);
            host = format!("{nick}{host}").into();
            account = None;
        }
        let is_wanted =
            private || is_named || *hears_all || args.starts_with(prefix) || has_address(args);
        let origin = self.origin(index, message, is_wanted, now)?;
        let history = origin != Origin::Live;
        if !is_wanted || self.is_ignored(message, nick.as_bytes(), history, is_relay) {
            return None;
        }
        if is_ctcp {
            self.ctcp(message);
            return None;
        }
        Some(Request {
            channel: index.map(|index| self.memberships[index].channel.name.clone()),
            nick: nick.into_owned(),
            host: host.into_owned(),
            account: account.unwrap_or_default().into(),
            case: self.case,
            posted: server_time(message)
                .filter(|&time| history || (time - now.clock).abs() <= MAX_CLOCK_SKEW)
                .unwrap_or(now.clock),
            history,
            same_moment: origin == Origin::SameMoment,
            is_named,
            example: "",
            args: args.to_owned(),
            is_cut: message.length + 5 >= self.line_length,
        })
    }

    /// False for most lines: their bytes show that they are not for us and contain no address.
    fn may_be_wanted(&self, text: &[u8]) -> bool {
        let Settings { prefix, nick, hears_all, .. } = self.settings;
        let first = text.first().unwrap_or(&b' ');
        *hears_all
            || !first.is_ascii_graphic()
            // A nick may be in capitals.
            || ["@", prefix, &self.nick, nick].iter().any(|s| s.as_bytes()[0] | 32 == first | 32)
            || find(b'/', text).is_some()
    }

    /// Handles a NOTICE, which never gets a reply. Services use it for login errors and outages.
    pub fn notice(&mut self, message: &Message, now: Now) {
        let target = message.param(0);
        if !self.is_me(target) {
            // In a channel, each line counts for catch-up.
            self.origin(self.configured(target), message, false, now);
        } else if message.source.contains(&b'!') {
            // A notice from the server itself has no user in its source.
            self.services_answered(now.instant);
            if self.notices.take(now.instant) {
                log!("notice from {}: {}", message.sender(), message.text(1));
            }
        }
    }

    /// True for our own lines (even replayed ones under the configured nick, or those that a
    /// bridge echoes), for lines of other bots, and for people whom the operator ignores.
    fn is_ignored(&self, message: &Message, nick: &[u8], history: bool, is_relay: bool) -> bool {
        // The IRCv3 tag, and its older names.
        let bot_tags = ["bot", "draft/bot", "inspircd.org/bot"];
        self.is_me(nick)
            || history && self.case.eq(nick, &self.settings.nick)
            || !is_relay && bot_tags.iter().any(|name| message.tag(name).is_some())
            || self.is_listed(&self.settings.ignore, message, nick)
    }

    fn is_listed(&self, masks: &[String], message: &Message, nick: &[u8]) -> bool {
        masks.iter().any(|mask| {
            let name = if mask.contains(['!', '@']) { message.source } else { nick };
            self.case.fits(mask.as_bytes(), name)
        })
    }

    /// Answers CTCP VERSION, CLIENTINFO and PING by NOTICE.
    fn ctcp(&mut self, message: &Message) {
        let query = message.text(1);
        let query = query.trim_matches('\x01');
        let (name, argument) = query.split_once(' ').unwrap_or((query, ""));
        let name = name.to_ascii_uppercase();
        let answer = match &*name {
            "VERSION" => VERSION,
            "CLIENTINFO" => "ACTION CLIENTINFO PING VERSION",
            "PING" => argument,
            _ => return,
        };
        let answer = format!("\x01{name} {answer:.100}\x01");
        self.outbox.push(&message.sender(), answer, ReplyKind::Look);
    }
}

/// Returns what was said, without our nick, and true if the line begins with one of our `nicks`:
/// `linkbot:`, `linkbot,` or `linkbot `, with or without `@` before it.
pub fn without_nick<'t>(text: &'t str, nicks: &[&str], case: CaseMapping) -> (bool, &'t str) {
    let text = text.trim_matches(is_blank);
    let addressed = text.strip_prefix('@').unwrap_or(text);
    let is_end = |c| is_blank(c) || ":,?：，".contains(c);
    let (name, said) = addressed.split_once(is_end).unwrap_or((addressed, ""));
    if nicks.iter().any(|nick| case.eq(name, nick)) {
        return (true, said.trim_start_matches(is_end));
    }
    (false, text)
}

/// Splits a line that a bridge relays into the nick and the text: `<alice> text`,
/// `[net] <alice> text` or `alice: text`.
fn relay_head(text: &str) -> Option<(&str, &str)> {
    let head = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        // `[off] <alice> text` is not to be saved.
        Some((network, head)) if !network.eq_ignore_ascii_case("off") => {
            head.trim_start_matches(is_blank)
        }
        _ => text,
    };
    let (nick, said) = match head.strip_prefix('<') {
        Some(head) => head.split_once('>')?,
        None => head.split_once(": ").filter(|(nick, _)| !nick.contains(' '))?,
    };
    // `<http://...>` is an address in brackets, not a nick.
    (!nick.contains("://")).then(|| (nick, said.trim_start_matches(':')))
}

/// Turns the nick that a bridge shows into an IRC nick. A reply may start with this nick, so it
/// must not look like a command for another bot: it starts with a letter, a digit or `_`, and
/// contains no space. At most 32 characters; `None` if nothing is left.
fn clean_nick(nick: &str) -> Option<String> {
    let nick = nick.replace(title::is_invisible, "");
    let nick = nick.trim().trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let nick = nick.replace(|c| !is_nick_char(c), "_");
    (!nick.is_empty()).then(|| format!("{nick:.32}"))
}

/// True if `name` could be someone's nick: letters, digits and the characters that RFC 2812 allows.
pub fn is_nick(name: &str) -> bool {
    name.is_ascii()
        && name.chars().all(is_nick_char)
        && name.starts_with(|c: char| !c.is_ascii_digit() && c != '-')
}

fn is_nick_char(c: char) -> bool {
    c.is_alphanumeric() || "[]\\`_^{|}-".contains(c)
}

/// IRCv3 server-time, in UTC and to the millisecond; `None` if the line has no valid one.
pub fn server_time(message: &Message) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(&message.tag("time")?, &Rfc3339).ok()?;
    // In the year 9999, a time may be out of range in UTC.
    Some(time.checked_to_utc()?.truncate_to_millisecond().into())
}
