//! The commands that come with linkbot, and what it hears without one: capture. Those of a fork stand in local.rs.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use time::Duration;

use crate::bot::{self, Answer, Bot, Command, Heard, Request, Run, could_not_save};
use crate::irc::VERSION;
use crate::journal::{Action, Entry};
use crate::link::{self, Link};
use crate::{log, scan, title};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "url",
        example: "url http://www.example.com/ Title For Link",
        help: "saves a link; again with another title, mends the title",
        run: Run::Save(url),
    },
    Command {
        name: "undo",
        example: "undo http://www.example.com/",
        help: "takes back a link of yours; without an address, your latest here",
        run: Run::Save(undo),
    },
    Command {
        name: "find",
        example: "find words",
        help: "tells where these words stand",
        run: Run::Look(find),
    },
    Command {
        name: "help",
        example: "help url",
        help: "tells what a command does",
        run: Run::Look(help),
    },
    Command {
        name: "status",
        example: "status",
        help: "tells what the account is still owed",
        run: Run::Look(status),
    },
];

pub const HEARD: &[Heard] = &[Heard::Save(capture)];

/// Without an account a link is its poster's for so long: a nick may change hands.
const YOURS: Duration = Duration::hours(24);
/// How many links `.find` tells.
const FOUND: usize = 3;

fn url(bot: &mut Bot, request: &Request) -> Answer {
    let link = bot.link(request)?;
    post(bot, request, link, false)
}

/// Keeps a link that someone posted: it is new, mends a title, or was posted before.
fn post(bot: &mut Bot, request: &Request, mut link: Link, captured: bool) -> Answer {
    let title = link.title_and_tags().0.to_owned();
    let Some(before) = newest_with(bot, request, &link.url)? else {
        bot.save(Action::Add, &link)?;
        return Ok(format!("saved: {title}"));
    };
    // Events name an address as its `add` spelt it.
    link.url.clone_from(&before.link.url);
    let yours = is_yours(&before.link, request);
    let mends = link.title != before.link.title && (yours || before.link.is_untitled());
    if mends && !captured {
        bot.save(Action::Title, &link)?;
        return Ok(format!("saved: {title}"));
    }
    let is_known = |nick: &String| request.case.eq(nick.as_bytes(), link.nick.as_bytes());
    if !yours && !before.reposters.iter().chain([&before.link.nick]).any(is_known) {
        bot.save(Action::Repost, &link)?;
    }
    let Link { nick, posted, .. } = &before.link;
    let title = before.link.title_and_tags().0;
    Ok(format!("saved before: {}, {}: {title}", unhighlighted(nick), age(request.posted - *posted)))
}

/// The link with this address among the newest of the channel.
fn newest_with(bot: &Bot, request: &Request, url: &str) -> Result<Option<Entry>, String> {
    let key = link::comparison_key(url);
    let mut newest = standing(bot, request).take(bot.config.feed_items);
    let found = newest
        .find(|entry| entry.as_ref().map_or(true, |e| link::comparison_key(&e.link.url) == key));
    found.transpose().map_err(could_not_save)
}

/// The links of the channel where `request` was made, newest first.
fn standing(bot: &Bot, request: &Request) -> impl Iterator<Item = io::Result<Entry>> {
    let is_here = |entry: &Entry| request.channel.as_ref() == Some(&entry.link.channel);
    bot.journal.links().filter(move |entry| entry.as_ref().map_or(true, is_here))
}

/// Whether who asks has posted `link`: by the account, or, where either has none, by the nick.
fn is_yours(link: &Link, request: &Request) -> bool {
    // In history nobody takes back what was posted later.
    if request.history && link.posted > request.posted {
        return false;
    }
    if !link.account.is_empty() && !request.account.is_empty() {
        return link.account == request.account;
    }
    request.case.eq(link.nick.as_bytes(), request.nick.as_bytes())
        && request.posted - link.posted <= YOURS
}

fn undo(bot: &mut Bot, request: &Request) -> Answer {
    let before = match request.args.split_whitespace().next() {
        Some(_) => {
            let url = scan::read(&request.args).urls.pop().ok_or("not among the newest links")?;
            let before = newest_with(bot, request, &url)?.ok_or("not among the newest links")?;
            if !is_yours(&before.link, request) {
                return Err(format!("not yours: posted by {}", before.link.nick));
            }
            before
        }
        None if bot.is_told(&bot::link_of(request, String::new(), String::new()))? => {
            return Err("removed already".into());
        }
        None => {
            // Nobody without an account has a link farther back: that saves reading the whole journal.
            let near = |e: &Entry| !request.account.is_empty() || request.posted - e.time <= YOURS;
            let mut yours =
                standing(bot, request).take_while(|entry| entry.as_ref().map_or(true, near));
            // An event belongs to the nearest link with its address: one behind that cannot be named.
            let mut nearest = HashSet::new();
            let mut is_it =
                |e: &Entry| nearest.insert(e.link.url.clone()) && is_yours(&e.link, request);
            let yours = yours.find(|entry| entry.as_ref().map_or(true, &mut is_it)).transpose();
            yours.map_err(could_not_save)?.ok_or("no link of yours in the last 24 hours here")?
        }
    };
    bot.save(Action::Remove, &bot::link_of(request, before.link.url.clone(), String::new()))?;
    Ok(format!("removed: {}", before.link.title_and_tags().0))
}

fn find(bot: &Bot, request: &Request) -> Answer {
    let words = title::normalize(&request.args).to_lowercase();
    let fits = |entry: &Entry| {
        let Link { title, url, nick, .. } = &entry.link;
        let text = format!("{title} {} {nick}", link::search_text(url)).to_lowercase();
        words.split(' ').all(|word| text.contains(word))
    };
    let found =
        standing(bot, request).filter(|entry| entry.as_ref().map_or(true, fits)).take(FOUND);
    let lines =
        found.map(|entry| Ok(found_line(&entry?, request))).collect::<io::Result<Vec<String>>>();
    let mut lines =
        lines.map_err(|why| format!("the journal cannot be read: {}", log::os_error(&why)))?;
    lines.reverse();
    Ok(if lines.is_empty() { "nothing found".into() } else { lines.join("\n") })
}

/// A line too long for IRC loses the end of its title, never of its address.
fn found_line(entry: &Entry, request: &Request) -> String {
    let Link { url, nick, posted, .. } = &entry.link;
    let before = format!("found: {}, {}: ", age(request.posted - *posted), unhighlighted(nick));
    let title = entry.link.title_and_tags().0;
    let room = request.room.saturating_sub(before.len() + " ".len() + url.len());
    let end = (0..=room.min(title.len())).rev().find(|&end| title.is_char_boundary(end));
    format!("{before}{} {url}", &title[..end.unwrap_or_default()])
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
    let Some(channel) = &request.channel else {
        return Ok(format!("commands: {prefix}help; the others work in a channel only"));
    };
    let names: Vec<_> =
        bot.commands.iter().map(|command| format!("{prefix}{}", command.name)).collect();
    let links =
        bot.publisher.page(channel).map(|page| format!("; links: {page}")).unwrap_or_default();
    let all = format!("commands: {}; more of one: {prefix}help url{links}", names.join(" "));
    if name.is_empty() { Ok(all) } else { Err(format!("no such command; {all}")) }
}

fn status(bot: &Bot, _: &Request) -> Answer {
    let up = bot.started.elapsed().as_secs();
    let up = format!("up {} d {} h {} min", up / 86400, up / 3600 % 24, up / 60 % 60);
    let owed = match &bot.delivery {
        None => "no bookmark account".to_owned(),
        Some(delivery) => delivery.status(&bot.journal, Instant::now()),
    };
    let file = bot.publisher.failing().map(|path| format!("; could not write {}", path.display()));
    Ok(format!("status: {VERSION}, {up}; {owed}{}", file.unwrap_or_default()))
}

/// Every address that anyone posts is kept, silently: `capture = yes`.
fn capture(bot: &mut Bot, request: &Request) -> Option<Answer> {
    let off = || title::normalize(&request.args).to_lowercase().starts_with("[off]");
    if !bot.config.capture || request.channel.is_none() || off() {
        return None;
    }
    for (url, title) in scan::links_in(&request.args, request.is_cut) {
        if let Err(why) = post(bot, request, bot::link_of(request, url, title), true) {
            log::line(format_args!(
                "{} {}: {why}",
                request.channel.as_deref().unwrap_or_default(),
                request.nick
            ));
        }
    }
    None
}

#[cfg(test)]
#[path = "../tests/unit/commands.rs"]
mod tests;
