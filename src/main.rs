//! linkbot: saves the links that a team shares in an IRC channel.
//!
//! This file reads the arguments and runs the loop. There is no shutdown code: the journal is
//! always intact, so `^C`, `kill -9` and a power failure are all the same.

#![forbid(unsafe_code)]

#[macro_use]
mod log;

mod bot;
mod bytes;
mod commands;
mod config;
mod console;
mod delicious;
mod delivery;
mod file;
mod irc;
mod journal;
mod link;
mod local;
mod network;
mod publish;
mod scan;
mod title;
mod view;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    bot::Bot,
    config::Config,
    console::print,
    delicious::Account,
    delivery::Delivery,
    journal::Journal,
    log::{ERROR, WARNING},
    network::Network,
    publish::Publisher,
};

const USAGE: &str = "usage: linkbot [-v] [--console | --check] bot.conf";
const HELP: &str = "
  -v         log the raw lines of the connection, without secrets
  --console  read commands from standard input, without any network
  --check    check bot.conf and the files that it names, and change nothing
  --version  print the version
  --help     print this";

fn main() {
    // The message of a panic could contain a secret.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            log!("{ERROR}linkbot crashed at {place}; please report this bug");
        }
    }));
    if let Err(why) = run() {
        // A fatal error has no timestamp.
        log::write("", format_args!("{ERROR}{why}"));
        std::process::exit(if why == USAGE { 2 } else { 1 });
    }
}

/// Reads the arguments. An error is one line for the operator.
fn run() -> Result<(), String> {
    let (mut verbose, mut console, mut check, mut paths) = (false, false, false, vec![]);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--help" | "-h") => return print(format_args!("{USAGE}\n{HELP}")),
            Some("--version") => return print(irc::VERSION),
            Some("-v") => verbose = true,
            Some("--console") => console = true,
            Some("--check") => check = true,
            Some(flag) if flag.starts_with('-') => return Err(USAGE.into()),
            _ => paths.push(argument),
        }
    }
    if paths.len() != 1 || console && check {
        return Err(USAGE.into());
    }
    start(Path::new(&paths[0]), verbose, console, check)
}

fn start(path: &Path, verbose: bool, console: bool, check: bool) -> Result<(), String> {
    let mut config = Config::read(path)?;
    config.irc.hears_all = !local::HEARD.is_empty();
    let _ = log::SECRETS.set(config.secrets.clone());
    // To start fast, look only at the journal's last MiB.
    let within = if check { journal::VIEW_WINDOW } else { 1 << 20 };
    // If the journal cannot be read, `Journal::open` reports it.
    for warning in journal::warnings(&config.journal, within).unwrap_or_default() {
        log!("{WARNING}{warning}");
    }
    if check {
        for file in &config.files {
            file::check(file)?;
        }
        return print(format_args!("{}: ok", path.display()));
    }
    let mut journal = Journal::open(&config.journal)?;
    let now = Instant::now();
    // In the console, write the files after every command.
    let pause = if console { Duration::ZERO } else { Duration::from_secs(1) };
    let mut publisher = Publisher::new(&config, pause, now);
    publisher.publish(&journal, now);
    let delivery = config.account.as_ref().map(|account| {
        Delivery::new(
            file::beside(&config.journal, ".delivered"),
            account.interval,
            &mut journal,
            now,
        )
    });
    // A fork's row replaces a built-in row of the same name.
    let commands =
        commands::COMMANDS.iter().chain(local::COMMANDS).map(|row| (row.name, row)).collect();
    let mut bot = Bot::new(
        &config,
        journal,
        delivery,
        publisher,
        commands,
        [local::HEARD, commands::HEARD].concat(),
    );
    if console { console::run(&mut bot) } else { serve(&mut bot, verbose) }
}

/// The loop: receive, run and commit, reply, deliver, publish.
fn serve(bot: &mut Bot, verbose: bool) -> ! {
    let mut account = bot.config.account.clone().map(Account::new);
    let mut network = Network::new(bot.config, verbose);
    loop {
        let until = [bot.publisher.deadline(), bot.delivery.as_ref().and_then(Delivery::deadline)];
        let requests = network.take_in(until.into_iter().flatten());
        let outcomes = bot.run_batch(requests);
        network.answer(outcomes);
        if let Some(account) = &mut account {
            deliver(bot, account, network.idle);
        }
        bot.publisher.publish(&bot.journal, Instant::now());
    }
}

/// Sends one request to the bookmark service if one is due and IRC is quiet.
fn deliver(bot: &mut Bot, account: &mut Account, idle: bool) {
    let Some(delivery) = &mut bot.delivery else { return };
    // A delivery waits at most this long for IRC to go quiet.
    let longest_wait = if idle { Duration::ZERO } else { Duration::from_secs(60) };
    let now = Instant::now();
    if delivery.deadline().is_some_and(|due| due + longest_wait <= now)
        && let Some((change, link)) = delivery.next(&bot.journal, now)
    {
        let clock = time::OffsetDateTime::now_utc();
        let verdict = account.send(change, &link, bot.config.log_url(&link), clock);
        delivery.record(change, verdict, &mut bot.journal, Instant::now(), clock);
    }
}

#[cfg(test)]
#[path = "../tests/unit/mod.rs"]
mod tests;
