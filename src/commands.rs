//! The commands that come with linkbot. Those of a fork stand in local.rs.

use std::time::Instant;

use crate::bot::{Answer, Bot, Command, Request, Run};
use crate::irc::VERSION;
use crate::journal::Action;
use crate::link::{self, Link};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "url",
        example: "url http://www.example.com/ Title For Link",
        help: "saves a link: into the journal, the feed and the bookmarks",
        run: Run::Save(url),
    },
    Command { name: "help", example: "help url", help: "tells what a command does", run: Run::Look(help) },
    Command {
        name: "status",
        example: "status",
        help: "tells what is still owed to the bookmark account",
        run: Run::Look(status),
    },
];

fn url(bot: &mut Bot, request: &Request) -> Answer {
    let (address, title) = request.args.split_once(char::is_whitespace).unwrap_or((&request.args, ""));
    if address.is_empty() {
        return Err(bot.usage(request, "the address and the title are missing"));
    }
    let url = link::address(address).map_err(|wrong| bot.usage(request, &wrong))?;
    let title = link::title(title);
    if title.is_empty() {
        return Err(bot.usage(request, "the title is missing"));
    }
    let link = Link {
        channel: request.channel.clone().unwrap_or_default(),
        nick: request.nick.clone(),
        account: request.account.clone(),
        url,
        title,
        posted: request.posted,
    };
    bot.save(Action::Add, &link)?;
    Ok(format!("saved: {}", link.title))
}

fn help(bot: &Bot, request: &Request) -> Answer {
    let prefix = &bot.config.irc.prefix;
    let name = request.args.strip_prefix(prefix.as_str()).unwrap_or(&request.args);
    if let Some(command) = bot.command(name) {
        return Ok(format!("usage: {prefix}{} ({})", command.example, command.help));
    }
    let names: Vec<_> = bot.commands.iter().map(|command| format!("{prefix}{}", command.name)).collect();
    let all = format!("commands: {}; more of one: {prefix}help url", names.join(" "));
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
