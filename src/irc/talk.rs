//! What people say: decides which lines are for linkbot, and returns these as requests.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::history::Origin;
use super::message::{self, Message};
use super::names::CaseMapping;
use super::outbox::ReplyKind;
use super::{Now, Session, Settings, VERSION};
use crate::scan;
use crate::title::{self, is_blank};

/// The tags that servers put on lines from bots: the specification's, and older ones.
const BOT_TAGS: [&str; 3] = ["bot", "draft/bot", "inspircd.org/bot"];
/// How far a server-time may be from our clock.
pub const MAX_CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// The longest nick from a bridge, in characters.
pub(super) const MAX_NICK: usize = 32;

/// What someone said, in a channel or in private.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// As bot.conf spells it; `None`: in private.
    pub channel: Option<String>,
    pub nick: String,
    /// `!user@host`: who it is when the nick changes. Empty in the console.
    pub host: String,
    /// The services account; empty if unknown.
    pub account: String,
    /// How this network compares nicks.
    pub case: CaseMapping,
    /// The server's time if it is believable, or else our clock's.
    pub posted: OffsetDateTime,
    /// Replayed: it gets no reply.
    pub history: bool,
    /// Replayed, with the posting time of the replayed request before it.
    pub same_moment: bool,
    /// The line begins with our nick: `linkbot: ...`.
    pub is_named: bool,
    /// The command's example, once it is known; empty for talk.
    pub example: &'static str,
    /// What was said, without our nick or a relay's head; then what follows the command's name.
    pub args: String,
    /// The line is as long as the server allows, so its end may be missing.
    pub is_cut: bool,
}

impl Session<'_> {
    pub(super) fn privmsg(&mut self, line: &[u8], message: &Message, now: Now) -> Option<Request> {
        let mut params = message.params();
        let (target, mut text) = (params.next()?, params.next()?);
        let index = self.configured(target);
        let private = index.is_none();
        if private && !self.is_me(target) {
            return None;
        }
        if let Some(action) = text.strip_prefix(b"\x01ACTION ") {
            text = action;
        } else if text.starts_with(b"\x01") {
            self.ctcp(message, text);
            return None;
        }
        // ngIRCd marks a line that it has cut.
        text = text.strip_suffix(b"[CUT]").unwrap_or(text);
        let Settings { relay, nick, prefix, hears_all, .. } = self.settings;
        let is_relay =
            !private && !relay.is_empty() && self.is_listed(relay, message.source, message.nick());
        if !private && !is_relay && !self.may_be_wanted(text) {
            self.skip_line(index?, line, message, now);
            return None;
        }
        let text = message::text(text);
        let text = title::without_colors(&text);
        let split = |text| without_nick(text, [&self.nick, nick], self.case);
        let (is_named, args) = split(&text);
        // `linkbot: ...` addresses us: it is the relay's own.
        let relayed = relay_head(args).filter(|_| is_relay && !is_named);
        let (is_named, args) = relayed.map_or((is_named, args), |(_, said)| split(said));
        let nick = relayed.map_or_else(String::new, |(nick, _)| clean_nick(nick));
        let nick = if nick.is_empty() { message.sender() } else { nick.into() };
        let is_command = is_named || args.starts_with(prefix);
        let is_wanted = private || is_command || *hears_all || scan::has_address(args);
        let origin = self.origin(index, message, is_wanted, now)?;
        let history = origin != Origin::Live;
        if !is_wanted || self.is_ignored(message, nick.as_bytes(), history, is_relay) {
            return None;
        }
        let posted = server_time(message)
            .filter(|&time| history || (time - now.clock).abs() <= MAX_CLOCK_SKEW);
        // A bridge's account says nothing about the person.
        let account = message.tag("account").filter(|_| relayed.is_none()).unwrap_or_default();
        let host = message::text(&message.source[message.nick().len()..]);
        Some(Request {
            channel: index.map(|index| self.memberships[index].channel.name.clone()),
            host: if relayed.is_some() { format!("{nick}{host}") } else { host.into_owned() },
            nick: nick.into_owned(),
            account: account.into(),
            case: self.case,
            posted: posted.unwrap_or(now.clock),
            history,
            same_moment: origin == Origin::SameMoment,
            is_named,
            example: "",
            args: args.to_owned(),
            // A server that cuts between characters leaves up to three bytes unused.
            is_cut: message.length + "\r\n".len() + 3 >= self.line_length,
        })
    }

    /// False for most lines: their bytes show that they neither address us nor contain an address.
    fn may_be_wanted(&self, text: &[u8]) -> bool {
        let first = text.first().unwrap_or(&b' ');
        // A nick may be in capitals.
        let ours = ["@", &self.settings.prefix, &self.nick, &self.settings.nick];
        self.settings.hears_all
            || !first.is_ascii_graphic()
            || ours.iter().any(|ours| ours.as_bytes()[0] | 0x20 == first | 0x20)
            || message::find(b'/', text).is_some()
    }

    /// A NOTICE never gets a reply. Services say in one whether they can be reached, and why a
    /// login failed.
    pub(super) fn notice(&mut self, message: &Message, now: Now) {
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
    /// bridge returns), for lines of other bots, and for people whom the operator ignores.
    fn is_ignored(&self, message: &Message, nick: &[u8], history: bool, is_relay: bool) -> bool {
        self.is_me(nick)
            || history && self.case.eq(nick, self.settings.nick.as_bytes())
            || !is_relay && BOT_TAGS.iter().any(|name| message.tag(name).is_some())
            || self.is_listed(&self.settings.ignore, message.source, nick)
    }

    fn is_listed(&self, masks: &[String], source: &[u8], nick: &[u8]) -> bool {
        masks.iter().any(|mask| {
            let name = if mask.contains(['!', '@']) { source } else { nick };
            self.case.fits(mask.as_bytes(), name)
        })
    }

    /// Answers the three queries that every client answers, by NOTICE, if they came in private.
    fn ctcp(&mut self, message: &Message, query: &[u8]) {
        let query = message::text(query);
        let query = query.trim_matches('\x01');
        let (name, argument) = query.split_once(' ').unwrap_or((query, ""));
        let answer = match name.to_ascii_uppercase().as_str() {
            "VERSION" => format!("VERSION {VERSION}"),
            "CLIENTINFO" => "CLIENTINFO ACTION CLIENTINFO PING VERSION".to_owned(),
            "PING" => format!("PING {argument:.100}"),
            _ => return,
        };
        let is_ignored = self.is_ignored(message, message.nick(), false, false);
        if self.is_me(message.param(0)) && !is_ignored {
            self.outbox.push(&message.sender(), format!("\x01{answer}\x01"), ReplyKind::Look);
        }
    }
}

/// Returns what was said, without our nick, and true if the line begins with one of our `nicks`:
/// `linkbot:`, `linkbot,` or `linkbot `, with or without `@` before it.
pub fn without_nick<'t>(text: &'t str, nicks: [&str; 2], case: CaseMapping) -> (bool, &'t str) {
    let text = text.trim_matches(is_blank);
    let addressed = text.strip_prefix('@').unwrap_or(text);
    for nick in nicks {
        let (name, rest) = addressed.split_at_checked(nick.len()).unwrap_or_default();
        let said = rest.trim_start_matches(|c| is_blank(c) || ":,?：，".contains(c));
        let is_end = rest.is_empty() || said != rest;
        if is_end && case.eq(name.as_bytes(), nick.as_bytes()) {
            return (true, said);
        }
    }
    (false, text)
}

/// Splits a line that a bridge relays into the nick and the text: `<alice> text`,
/// `[net] <alice> text` or `alice: text`.
pub fn relay_head(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_matches(is_blank);
    let head = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        // `[off] <alice> text` is not to be saved.
        Some((network, head)) if !network.eq_ignore_ascii_case("off") => head,
        _ => text,
    };
    let head = head.trim_start_matches(is_blank);
    let (nick, said) = match head.strip_prefix('<') {
        Some(head) => head.split_once('>')?,
        None => head.split_once(": ").filter(|(nick, _)| !nick.contains(' '))?,
    };
    // That is an address in brackets.
    if nick.contains("://") { None } else { Some((nick, said.trim_start_matches(':'))) }
}

/// Makes an IRC nick of a bridge's. A reply may start with it, so it must not look like a command
/// for another bot: it starts with a letter, a digit or `_`, and contains no space. Empty if
/// nothing is left.
fn clean_nick(nick: &str) -> String {
    let nick = nick.replace(title::is_invisible, "");
    let nick = nick.trim().trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    nick.chars().take(MAX_NICK).map(|c| if is_nick_char(c) { c } else { '_' }).collect()
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
pub(super) fn server_time(message: &Message) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(&message.tag("time")?, &Rfc3339).ok()?;
    // Near the end of the calendar a time may not exist in UTC.
    Some(time.checked_to_offset(UtcOffset::UTC)?.truncate_to_millisecond())
}
