//! The built-in commands, and capture: the lines that are not commands. A fork's commands are in local.rs.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use time::Duration;

use crate::bot::{self, Answer, Bot, Command, Heard, Request, Run, could_not_save};
use crate::irc::{self, VERSION};
use crate::journal::{Action, Entry, VIEW_WINDOW};
use crate::link::{self, Link};
use crate::{log, scan, title};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "url",
        example: "url http://www.example.com/ Title For Link",
        help: "saves a link; use it again to change the title",
        run: Run::Save(url),
    },
    Command {
        name: "undo",
        example: "undo http://www.example.com/",
        help: "removes a link of yours; without an address, your latest one here",
        run: Run::Save(undo),
    },
    Command {
        name: "keep",
        example: "keep A Better Title",
        help: "saves the last link that was posted here; the title is optional",
        run: Run::Save(keep),
    },
    Command {
        name: "find",
        example: "find words \"or a phrase\"",
        help: "lists the newest links with all of these words",
        run: Run::Look(find),
    },
    Command { name: "help", example: "help url", help: "explains a command", run: Run::Look(help) },
    Command {
        name: "status",
        example: "status",
        help: "shows links not yet in the bookmark account",
        run: Run::Look(status),
    },
];

pub const HEARD: &[Heard] = &[Heard::Save(capture)];

/// Without an account, a link belongs to its poster's nick this long: nicks change hands.
const NICK_OWNERSHIP: Duration = Duration::hours(24);
/// How long a link can be kept.
const KEEPABLE: Duration = Duration::hours(24);
/// How far back an address is looked for, in bytes: about 8,000 links.
const ADDRESS_WINDOW: u64 = 1 << 20;
/// The most links in a reply to `.find`.
const MAX_RESULTS: usize = 3;
/// The longest title in a reply, in characters.
const MAX_TITLE: usize = 120;

/// For the log: a replayed request that was run before.
const RECORDED: &str = "recorded before";

fn url(bot: &mut Bot, request: &Request) -> Answer {
    let link = bot.link(request)?;
    post(bot, request, link, false)
}

/// Saves a link that someone posted: it is new, changes a title, or was posted before.
fn post(bot: &mut Bot, request: &Request, mut link: Link, captured: bool) -> Answer {
    if bot.already_recorded(&link, false)? {
        return Ok(RECORDED.into());
    }
    let Some(entry) = newest_with(bot, request, &link.url)? else {
        bot.save(Action::Add, &link)?;
        return Ok(format!("saved: {}", shown(&link)));
    };
    let may_change = bot.may_change(&entry, request);
    let Entry { link: before, reposters, .. } = entry;
    // Events spell an address as its `add` does.
    link.url.clone_from(&before.url);
    let yours = is_yours(&before, request);
    let may_retitle = yours || before.is_untitled() || is_moderator(bot, request);
    if !captured && may_change && may_retitle && link.title != before.title {
        bot.save(Action::Title, &link)?;
        return Ok(format!("title changed: {}", shown(&link)));
    }
    let is_poster = |nick: &String| request.case.eq(nick.as_bytes(), link.nick.as_bytes());
    if !yours && !is_poster(&before.nick) && !reposters.iter().any(is_poster) {
        bot.save(Action::Repost, &link)?;
    }
    let is_same_title = link.title_and_tags().0 == before.title_and_tags().0;
    let kept = if is_same_title { "" } else { " (title kept)" };
    let (nick, age) = (unhighlighted(&before.nick), age(request.posted - before.posted));
    Ok(format!("saved before: {nick}, {age}: {}{kept}", shown(&before)))
}

/// The newest link with this address in the channel.
fn newest_with(bot: &Bot, request: &Request, url: &str) -> Result<Option<Entry>, String> {
    let key = link::comparison_key(url);
    for entry in channel_links(bot, request, ADDRESS_WINDOW) {
        let entry = entry.map_err(could_not_save)?;
        if link::comparison_key(&entry.link.url) == key {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The links of the request's channel in the newest `window` bytes, newest first.
fn channel_links(
    bot: &Bot,
    request: &Request,
    window: u64,
) -> impl Iterator<Item = io::Result<Entry>> {
    bot.journal.links(window, |channel| request.channel.as_deref() == Some(channel))
}

/// True if `link` belongs to the person: by its account, or without one for a while by the nick.
fn is_yours(link: &Link, request: &Request) -> bool {
    if !link.account.is_empty() {
        return link.account == request.account;
    }
    request.case.eq(link.nick.as_bytes(), request.nick.as_bytes())
        && request.posted - link.posted <= NICK_OWNERSHIP
}

fn is_moderator(bot: &Bot, request: &Request) -> bool {
    let is_own = |account: &String| request.case.eq(account.as_bytes(), request.account.as_bytes());
    bot.config.moderators.iter().any(is_own)
}

fn undo(bot: &mut Bot, request: &Request) -> Answer {
    const UNKNOWN: &str = "not among the newest links";
    let url = scan::links_in(&request.args, false).pop().map(|(url, _)| url);
    if url.is_none() && !request.args.is_empty() {
        return Err(UNKNOWN.into());
    }
    let mut removed = bot::link_of(request, url.clone().unwrap_or_default(), String::new());
    if bot.already_recorded(&removed, true)? {
        return Ok(RECORDED.into());
    }
    let before = match url {
        None => your_latest(bot, request)?,
        Some(url) => {
            let entry = newest_with(bot, request, &url)?;
            let entry = entry.filter(|entry| bot.may_change(entry, request)).ok_or(UNKNOWN)?;
            let before = entry.link;
            if !is_yours(&before, request) && !is_moderator(bot, request) {
                return Err(format!("not yours: posted by {}", before.nick));
            }
            before
        }
    };
    removed.url.clone_from(&before.url);
    bot.save(Action::Remove, &removed)?;
    Ok(format!("removed: {}", shown(&before)))
}

fn your_latest(bot: &Bot, request: &Request) -> Result<Link, String> {
    // An event belongs to the nearest link with its address: one behind that cannot be named.
    let mut nearest = HashSet::new();
    for entry in channel_links(bot, request, ADDRESS_WINDOW) {
        let entry = entry.map_err(could_not_save)?;
        let is_nearest = nearest.insert(link::comparison_key(&entry.link.url));
        if is_nearest && bot.may_change(&entry, request) && is_yours(&entry.link, request) {
            return Ok(entry.link);
        }
    }
    Err("no link of yours in the last 24 hours here".into())
}

/// Saves the last link that someone posted, as theirs.
fn keep(bot: &mut Bot, request: &Request) -> Answer {
    if scan::has_address(&request.args) {
        return url(bot, request);
    }
    let channel = request.channel.as_deref().unwrap_or_default();
    let said = bot.last_posted.remove(channel);
    let said = said.filter(|said| request.posted - said.posted <= KEEPABLE);
    let said = said.ok_or("nothing to keep: no link was posted here lately")?;
    let (url, line) = scan::links_in(&said.text, said.is_cut).pop().unwrap_or_default();
    let title = title::normalize(&request.args);
    let title = if title.is_empty() { line } else { title };
    let link = bot::link_of(&said, url, title);
    post(bot, &said, link, false)
}

/// Remembers the last link for `.keep`. With `capture = yes` it saves every link that anyone posts instead.
fn capture(bot: &mut Bot, request: &Request) -> Option<Answer> {
    let channel = request.channel.clone()?;
    let links = scan::links_in(&request.text, request.is_cut);
    if links.is_empty() || is_off(&request.text) {
        return None;
    }
    if !bot.config.capture {
        bot.last_posted.insert(channel, request.clone());
        return None;
    }
    for (url, title) in links {
        if !bot.may_capture(request) {
            break;
        }
        if let Err(why) = post(bot, request, bot::link_of(request, url, title), true) {
            if request.history {
                return Some(Err(why));
            }
            log::line(format_args!("{channel} {}: {why}", request.nick));
        }
    }
    None
}

/// True if the person wants a line to be left alone: `[off]` at its start or end.
fn is_off(text: &str) -> bool {
    let said = irc::relay_head(text).map_or(text, |(_, said)| said);
    [text, said].iter().any(|text| {
        let text = title::normalize(text).to_lowercase();
        text.starts_with("[off]") || text.ends_with("[off]")
    })
}

fn find(bot: &Bot, request: &Request) -> Answer {
    let terms = search_terms(&request.args);
    let mut lines = Vec::new();
    for entry in channel_links(bot, request, VIEW_WINDOW) {
        let link = entry
            .map_err(|why| format!("the journal cannot be read: {}", log::os_error(&why)))?
            .link;
        if lines.len() < MAX_RESULTS && terms.iter().all(|term| fits(&link, term)) {
            lines.push(found_line(&link, request));
        }
    }
    lines.reverse();
    Ok(if lines.is_empty() { "nothing found".into() } else { lines.join("\n") })
}

/// What to look for: an address, a word or a quoted phrase.
enum Term {
    /// As [`link::comparison_key`] gives it.
    Address(String),
    Words(String),
}

fn search_terms(text: &str) -> Vec<Term> {
    let text = title::normalize(text).replace(['“', '”', '„', '«', '»'], "\"");
    let mut terms = Vec::new();
    for (i, part) in text.split('"').enumerate() {
        let is_phrase = i % 2 == 1;
        if is_phrase {
            terms.push(Term::Words(part.trim().to_lowercase()));
            continue;
        }
        for word in part.split(' ') {
            terms.push(match scan::links_in(word, false).pop() {
                Some((url, _)) => Term::Address(link::comparison_key(&url)),
                None => Term::Words(word.to_lowercase()),
            });
        }
    }
    terms
}

fn fits(link: &Link, term: &Term) -> bool {
    match term {
        Term::Address(key) => link::comparison_key(&link.url) == *key,
        Term::Words(words) => {
            let text = format!("{} {} {}", link.title, link.search_text(), link.nick);
            text.to_lowercase().contains(words)
        }
    }
}

/// A line too long for IRC loses the end of its title, never of its address.
fn found_line(link: &Link, request: &Request) -> String {
    let Link { url, nick, posted, .. } = link;
    let before = format!("found: {}, {}: ", age(request.posted - *posted), unhighlighted(nick));
    let mut title = shown(link);
    let room = request.room.saturating_sub(before.len() + " ".len() + url.len());
    while title.len() > room {
        title.pop();
    }
    format!("{before}{title} {url}")
}

/// The title of a link in a reply.
fn shown(link: &Link) -> String {
    let title = link.title_and_tags().0;
    if title.chars().count() <= MAX_TITLE {
        return title.to_owned();
    }
    title.chars().take(MAX_TITLE - 1).chain(['…']).collect()
}

/// A nick that highlights nobody: with a zero-width space behind its first character.
fn unhighlighted(nick: &str) -> String {
    let mut chars = nick.chars();
    chars.next().map(|first| format!("{first}\u{200b}{}", chars.as_str())).unwrap_or_default()
}

fn age(age: Duration) -> String {
    match age.whole_minutes() {
        ..1 => "just now".into(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..1440 => format!("{} h ago", minutes / 60),
        minutes => format!("{} d ago", minutes / 1440),
    }
}

fn help(bot: &Bot, request: &Request) -> Answer {
    let prefix = &bot.config.irc.prefix;
    let name = request.args.strip_prefix(prefix.as_str()).unwrap_or(&request.args);
    if let Some(command) = bot.command(name) {
        return Ok(format!("usage: {prefix}{} ({})", command.example, command.help));
    }
    let names: Vec<_> =
        bot.commands.iter().map(|command| format!("{prefix}{}", command.name)).collect();
    let page = bot.publisher.page(request.channel.as_deref().unwrap_or_default());
    let links = page.map(|page| format!("; links: {page}")).unwrap_or_default();
    let all = format!("commands: {}; details: {prefix}help url{links}", names.join(" "));
    if name.is_empty() { Ok(all) } else { Err(format!("no such command; {all}")) }
}

fn status(bot: &Bot, _: &Request) -> Answer {
    let up = bot.started.elapsed().as_secs();
    let up = format!("up {} d {} h {} min", up / 86400, up / 3600 % 24, up / 60 % 60);
    let pending = match &bot.delivery {
        None => "no bookmark account".to_owned(),
        Some(delivery) => delivery.status(&bot.journal, Instant::now()),
    };
    let is_failing = bot.publisher.failing().is_some();
    let files = if is_failing { "; the feed or page cannot be written, see the log" } else { "" };
    Ok(format!("status: {VERSION}, {up}; {pending}{files}"))
}

#[cfg(test)]
#[path = "../tests/unit/commands.rs"]
mod tests;
