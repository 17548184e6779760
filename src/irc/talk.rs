//! What people say to us, and what is not for us.

use std::time::Instant;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::message::{self, Message};
use super::names::CaseMapping;
use super::outbox::ReplyKind;
use super::{MASK, Now, Session, VERSION};

/// What servers tag the lines of bots with: the specification's name, and those from before it.
const BOT_TAGS: [&str; 3] = ["bot", "draft/bot", "inspircd.org/bot"];
/// A server-time is believed within this of the own clock.
pub const MAX_CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// What someone said, in a channel or in private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As bot.conf spells it; `None`: in private.
    pub channel: Option<String>,
    pub nick: String,
    /// `user@host`: who it is when the nick changes. Empty in the console.
    pub host: String,
    /// The services account; empty where unknown.
    pub account: String,
    /// How nicks compare there.
    pub case: CaseMapping,
    /// The server's time where it is believable, else the own clock's.
    pub posted: OffsetDateTime,
    /// It was said in our absence: it is not answered.
    pub history: bool,
    pub form: Form,
    /// The command's name; empty for talk.
    pub name: String,
    /// What follows the name; all of it for talk.
    pub args: String,
    /// The line is as long as the server allows, so its end may be missing.
    pub is_cut: bool,
    /// How many bytes a line of the answer may have.
    pub room: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.url ...`: other bots may share the prefix.
    Prefixed,
    /// `linkbot: url ...`
    Named,
    /// No command.
    Talk,
}

impl Session<'_> {
    pub(super) fn privmsg(&mut self, line: &[u8], message: &Message, now: Now) -> Option<Request> {
        if line.starts_with(b"@") {
            line.clone_into(&mut self.last_line);
        }
        let mut params = message.params();
        let (target, mut text) = (params.next()?, params.next()?);
        let private = self.is_me(target);
        if let Some(inner) = text.strip_prefix(b"\x01") {
            let inner = inner.strip_suffix(b"\x01").unwrap_or(inner);
            let Some(action) = inner.strip_prefix(b"ACTION ") else {
                if private && !self.is_deaf_to(message, false) {
                    self.ctcp(message, inner, now.instant);
                }
                return None;
            };
            text = action;
        }
        let (form, name, args) = split_command(text, &self.settings.prefix, &self.nick, self.case);
        let is_heard = form != Form::Talk || !private && (self.settings.hears)(args);
        // Each line of history counts.
        if !is_heard && self.memberships.iter().all(|m| m.past.until.is_none()) {
            return None;
        }
        let index = if private { None } else { Some(self.configured(target)?) };
        let history =
            index.map_or(Some(false), |index| self.told(index, message, is_heard, now))?;
        if !is_heard || self.is_deaf_to(message, history) {
            return None;
        }
        let source = message::text(message.source);
        Some(Request {
            channel: index.map(|index| self.memberships[index].channel.name.clone()),
            nick: message::text(message.nick()).into_owned(),
            host: source.split_once('!').map_or(source.as_ref(), |(_, host)| host).to_owned(),
            account: message.tag("account").unwrap_or_default().into_owned(),
            case: self.case,
            posted: self.posted(message, now.clock, history),
            history,
            form,
            name: message::text(name).into_owned(),
            args: message::text(args).trim().to_owned(),
            // A server that cuts between characters leaves up to three bytes unused.
            is_cut: message.length() + "\r\n".len() + 3 >= self.line_length,
            room: self
                .line_length
                .saturating_sub(self.nick.len() + MASK + "PRIVMSG  \r\n".len() + target.len()),
        })
    }

    /// A NOTICE to us. No line of it is ever answered, but services tell there why they know us or not.
    pub(super) fn noticed(&mut self, message: &Message, now: Now) {
        if self.notices.take(now.instant) {
            self.log.push(format!(
                "notice from {}: {}",
                message::text(message.nick()),
                message.text(1)
            ));
        }
        self.services_answered(now.instant);
    }

    /// The own lines, also those from before our nick was taken, those of other bots, and of whom the operator ignores.
    fn is_deaf_to(&self, message: &Message, history: bool) -> bool {
        self.is_me(message.nick())
            || history && self.case.eq(message.nick(), self.settings.nick.as_bytes())
            || BOT_TAGS.iter().any(|name| message.tag(name).is_some())
            || self.settings.ignore.iter().any(|mask| {
                let name = if mask.contains(['!', '@']) { message.source } else { message.nick() };
                self.case.fits(mask.as_bytes(), name)
            })
    }

    fn posted(
        &mut self,
        message: &Message,
        clock: OffsetDateTime,
        history: bool,
    ) -> OffsetDateTime {
        let Some(said) = server_time(message) else { return clock };
        if history || (said - clock).abs() <= MAX_CLOCK_SKEW {
            return said;
        }
        if !std::mem::replace(&mut self.warned, true) {
            let minutes = (said - clock).whole_minutes();
            self.log.push(format!(
                "the server's time is {minutes} min from this machine's: using this machine's"
            ));
        }
        clock
    }

    /// Answers the three queries that every client answers, in private and by NOTICE.
    fn ctcp(&mut self, message: &Message, query: &[u8], now: Instant) {
        let query = message::text(query);
        let (name, argument) = query.split_once(' ').unwrap_or((&query, ""));
        let answer = match name.to_ascii_uppercase().as_str() {
            "VERSION" => format!("VERSION {VERSION}"),
            "CLIENTINFO" => "CLIENTINFO ACTION CLIENTINFO PING VERSION".to_owned(),
            "PING" => format!("PING {}", argument.chars().take(100).collect::<String>()),
            _ => return,
        };
        if self.ctcp.take(now) {
            self.outbox.push(
                &message::text(message.nick()),
                format!("\x01{answer}\x01"),
                ReplyKind::Look,
            );
        }
    }
}

/// Takes a line apart: the name of a command and what follows it, or all of it as talk. `...` is no command.
pub fn split_command<'t>(
    text: &'t [u8],
    prefix: &str,
    nick: &str,
    case: CaseMapping,
) -> (Form, &'t [u8], &'t [u8]) {
    let named = || {
        let (_, rest) =
            text.split_at_checked(nick.len()).filter(|(name, _)| case.eq(name, nick.as_bytes()))?;
        let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b","))?.trim_ascii();
        Some((Form::Named, rest.strip_prefix(prefix.as_bytes()).unwrap_or(rest)))
    };
    let prefixed = text
        .strip_prefix(prefix.as_bytes())
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_alphabetic));
    match prefixed.map(|rest| (Form::Prefixed, rest)).or_else(named) {
        None => (Form::Talk, b"", text),
        Some((form, command)) => {
            let end = command.iter().position(u8::is_ascii_whitespace).unwrap_or(command.len());
            (form, &command[..end], &command[end..])
        }
    }
}

/// Whether `name` could be someone's nick: letters, digits and the characters that RFC 2812 allows.
pub fn is_nick(name: &str) -> bool {
    let special = |b: u8| b"[]\\`_^{|}".contains(&b);
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || special(b) || b == b'-');
    allowed && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || special(b))
}

/// IRCv3 server-time; `None` where the line has none, or one that is no time.
pub(super) fn server_time(message: &Message) -> Option<OffsetDateTime> {
    Some(OffsetDateTime::parse(&message.tag("time")?, &Rfc3339).ok()?.to_offset(UtcOffset::UTC))
}
