//! The built-in commands, and capture, which handles lines that are not commands. Each function
//! takes a request, saves events, and returns the reply. A fork's commands are in local.rs. A new
//! row here also needs a line in README.md and linkbot.1.

use std::time::Instant;

use time::Duration;

use crate::{
    bot::*,
    irc::{Settings, VERSION, names::CaseMapping},
    journal::{Action, Entry, VIEW_WINDOW},
    link::{self, Link},
    scan, title,
};

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
        help: "saves the newest link posted here without a command; the title is optional",
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

pub const HEARD: &[Run] = &[Run::Save(capture)];

fn url(bot: &mut Bot, request: &Request) -> Answer {
    let link = bot.link(request)?;
    post(bot, request.case, link, false)
}

/// Saves a link that someone posted: a new one, a new title, or another post of a saved one.
fn post(bot: &mut Bot, case: CaseMapping, mut link: Link, keep_title: bool) -> Answer {
    if bot.already_recorded(&link, false)? {
        return Ok("recorded before".into());
    }
    let Some(Entry { link: before, reposters, .. }) = newest_with(bot, &link)? else {
        bot.save(Action::Add, &link)?;
        return Ok(format!("saved: {}", shown(&link)));
    };
    // Later events spell an address as its `add` does.
    link.url.clone_from(&before.url);
    let is_changed = link.title != before.title;
    let yours = is_yours(&before, &link, case);
    if is_changed
        && !keep_title
        && (yours || before.is_untitled() || is_moderator(bot, &link.account, case))
    {
        bot.save(Action::Title, &link)?;
        return Ok(format!("title changed: {}", shown(&link)));
    }
    let is_poster = |nick: &String| case.eq(nick, &link.nick);
    if !yours && !is_poster(&before.nick) && !reposters.iter().any(is_poster) {
        bot.save(Action::Repost, &link)?;
    }
    let kept = if is_changed { " (title kept)" } else { "" };
    let (nick, age) = (unhighlighted(&before.nick), age(link.posted - before.posted));
    Ok(format!("saved before: {nick}, {age}: {}{kept}", shown(&before)))
}

/// The newest link with the address of `link` in its channel.
fn newest_with(bot: &Bot, link: &Link) -> Result<Option<Entry>, String> {
    let mut links = bot.journal.links(ADDRESS_WINDOW, &link.url, |name| name == link.channel);
    links.next().transpose().map_err(could_not_save)
}

/// True if the poster of `by` owns `link`: by services account if `link` has one, otherwise by
/// nick. Nicks change hands, so a nick owns a link only for a day.
fn is_yours(link: &Link, by: &Link, case: CaseMapping) -> bool {
    if !link.account.is_empty() {
        return link.account == by.account;
    }
    case.eq(&link.nick, &by.nick) && by.posted - link.posted <= Duration::DAY
}

fn is_moderator(bot: &Bot, account: &str, case: CaseMapping) -> bool {
    bot.config.moderators.iter().any(|name| case.eq(name, account))
}

fn undo(bot: &mut Bot, request: &Request) -> Answer {
    const UNKNOWN: &str = "not among the newest links";
    let (url, _) = scan::links_in(&request.args, false).pop().unwrap_or_default();
    if url.is_empty() && !request.args.is_empty() {
        return Err(UNKNOWN.into());
    }
    let mut removed = link_of(request, url, String::new());
    if bot.already_recorded(&removed, true)? {
        return Ok("recorded before".into());
    }
    if removed.url.is_empty() {
        removed.url = your_latest(bot, request, &removed)?;
    }
    let entry = newest_with(bot, &removed)?.filter(|entry| bot.may_change(entry, removed.posted));
    let before = entry.ok_or(UNKNOWN)?.link;
    if !is_yours(&before, &removed, request.case)
        && !is_moderator(bot, &request.account, request.case)
    {
        return Err(format!("not yours: posted by {}", before.nick));
    }
    removed.url.clone_from(&before.url);
    bot.save(Action::Remove, &removed)?;
    Ok(format!("removed: {}", shown(&before)))
}

/// Returns the address of the newest link that the poster of `by` owns.
fn your_latest(bot: &Bot, request: &Request, by: &Link) -> Answer {
    for entry in bot.channel_links(request, ADDRESS_WINDOW) {
        let entry = entry.map_err(could_not_save)?;
        if bot.may_change(&entry, by.posted) && is_yours(&entry.link, by, request.case) {
            return Ok(entry.link.url);
        }
    }
    Err("no link of yours in the last 24 hours here".into())
}

/// Saves the last link that someone posted, in that person's name.
fn keep(bot: &mut Bot, request: &Request) -> Answer {
    if scan::has_address(&request.args) {
        return url(bot, request);
    }
    let mut link = bot
        .last_posted
        .remove(&request.channel)
        .filter(|link| request.posted - link.posted <= Duration::DAY)
        .ok_or("nothing to keep: no link was posted here lately")?;
    let title = title::tidy(&request.args);
    if !title::split_tags(&title).0.is_empty() {
        link.title = title;
    }
    // This never changes the title of a saved link.
    post(bot, request.case, link, true)
}

/// Remembers the last link for `.keep`. With `capture = yes` it saves every link that anyone posts
/// instead.
fn capture(bot: &mut Bot, request: &Request) -> Answer {
    let host = request.host.rsplit('@').next().unwrap_or_default();
    if is_off(&request.args) {
        return Ok(String::new());
    }
    for (url, title) in scan::links_in(&request.args, request.is_cut) {
        let link = link_of(request, url, title);
        if !bot.config.capture {
            bot.last_posted.insert(request.channel.clone(), link);
        } else if request.history || bot.bucket("captures", host, 20, 20).take(Instant::now()) {
            // Catch-up has its own limit.
            post(bot, request.case, link, true)?;
        } else if bot.bucket("warnings", host, 1, 600).take(Instant::now()) {
            log!("too many links from {host}; not all of them are captured");
        }
    }
    Ok(String::new())
}

/// The newest three links that contain all terms.
fn find(bot: &Bot, request: &Request) -> Answer {
    let terms = search_terms(&request.args);
    let mut lines = Vec::new();
    for entry in bot.channel_links(request, VIEW_WINDOW) {
        let link = entry.map_err(|why| format!("the journal cannot be read: {why}"))?.link;
        let text = link.search_text();
        if terms.iter().all(|term| text.contains(term)) {
            lines.insert(0, found_line(&link, request));
        }
        if lines.len() == 3 {
            break;
        }
    }
    Ok(if lines.is_empty() { "nothing found".into() } else { lines.join("\n") })
}

/// Returns the terms to look for in [`Link::search_text`]: words, quoted phrases and addresses.
fn search_terms(text: &str) -> Vec<String> {
    let text = title::normalize(text);
    let mut terms = Vec::new();
    for (i, part) in text.split(|c| "\"“”„«»".contains(c)).enumerate() {
        // Every second part is in quotes: a phrase, which stays whole.
        let separator = if i % 2 == 1 { '"' } else { ' ' };
        for term in part.split(separator) {
            let address = scan::links_in(term, false).pop();
            let key = address.map(|(url, _)| link::comparison_key(&url));
            // People end a word with punctuation: `.find paper, nice`, `linkbot: find borrow?`.
            let bare =
                term.trim().trim_start_matches("www.").trim_end_matches(|c| "/,.;:!?".contains(c));
            terms.push(key.as_deref().unwrap_or(bare).to_lowercase());
        }
    }
    terms
}

/// Formats a result. If it is too long for IRC, shortens the title; an address that might not fit
/// is left out, not cut.
fn found_line(link: &Link, request: &Request) -> String {
    let Link { url, nick, posted, .. } = link;
    // IRC could cut a longer one.
    let url = if url.len() > 350 { "(its address is too long for IRC)" } else { url };
    let before = format!("found: {}, {}: ", age(request.posted - *posted), unhighlighted(nick));
    let mut title = shown(link);
    // Of the 512 bytes of a line, the protocol itself uses up to 180.
    let room = 330_usize.saturating_sub(before.len() + url.len());
    while title.len() > room {
        title.pop();
    }
    format!("{before}{title} {url}")
}

/// The title of a link in a reply: at most 120 characters.
fn shown(link: &Link) -> String {
    let (title, _) = link.title_and_tags();
    if title.chars().count() > 120 { format!("{title:.119}…") } else { title.to_owned() }
}

fn help(bot: &Bot, request: &Request) -> Answer {
    let Settings { prefix, channels, .. } = &bot.config.irc;
    let Some(channel) = &request.channel else {
        let channel = &channels[0].name;
        return Ok(format!(
            "say {prefix}url ADDRESS TITLE in {channel}; {prefix}help there lists the rest"
        ));
    };
    let name = request.args.strip_prefix(prefix.as_str()).unwrap_or(&request.args);
    if let Some(command) = bot.command(name) {
        return Ok(format!("usage: {prefix}{} ({})", command.example, command.help));
    }
    let names: String = bot.commands.keys().map(|name| format!(" {prefix}{name}")).collect();
    let url = bot.config.page(channel).and_then(|page| page.url.as_ref());
    let links = url.map(|url| format!("; links: {url}")).unwrap_or_default();
    Ok(format!("commands:{names}; details: {prefix}help url{links}"))
}

fn status(bot: &Bot, _: &Request) -> Answer {
    let started = age(bot.started.elapsed().try_into().unwrap_or_default());
    let pending = match &bot.delivery {
        None => "no bookmark account".to_owned(),
        Some(delivery) => delivery.status(&bot.journal, Instant::now()),
    };
    let files = if bot.publisher.is_failing() {
        "; the feed or page cannot be written: see the log"
    } else {
        ""
    };
    Ok(format!("status: {VERSION}, started {started}; {pending}{files}"))
}
