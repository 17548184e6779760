use std::{collections::BTreeMap, io, time::Instant};

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::open;
use crate::{
    bot::*,
    commands::*,
    config::Config,
    irc::names::CaseMapping,
    irc::without_nick,
    journal::{Entry, VIEW_WINDOW, format_time},
    publish::Publisher,
    title,
};

const CHANNELS: [&str; 2] = ["#dev", "#ops"];
/// Nick and account: one nick with two accounts and without one, one account with two nicks.
const PEOPLE: [(&str, &str); 6] =
    [("alice", ""), ("Alice", ""), ("alice", "ann"), ("bob", "ann"), ("alice", "eve"), ("bob", "")];
/// Each address in two spellings: as posted, as stored, and without scheme and trailing slash.
const ADDRESSES: [[(&str, &str, &str); 2]; 3] = [
    [
        ("http://a.example", "http://a.example/", "a.example"),
        (
            "HTTPS://www.a.example/#:~:text=top",
            "https://www.a.example/#:~:text=top",
            "www.a.example/#:~:text=top",
        ),
    ],
    [
        ("http://b.example/x?y=1", "http://b.example/x?y=1", "b.example/x?y=1"),
        (
            "http://b.example:80/x?utm_source=z&y=1",
            "http://b.example/x?utm_source=z&y=1",
            "b.example/x?utm_source=z&y=1",
        ),
    ],
    [
        ("https://c.example/d/", "https://c.example/d/", "c.example/d"),
        ("https://c.example/d?fbclid=1", "https://c.example/d?fbclid=1", "c.example/d?fbclid=1"),
    ],
];
const TITLES: [&str; 3] = ["One", "Two #tag", "a.example"];

#[derive(Clone, Copy, Debug)]
enum Act {
    /// `.url`, with one of the [`TITLES`].
    Url(usize),
    /// Words around the address, or the address alone.
    Talk(bool),
    UndoThat,
    Undo,
}

/// One action of one person in one channel, with an address in one of its spellings.
#[derive(Clone, Copy, Debug)]
struct Step {
    act: Act,
    channel: usize,
    who: usize,
    address: (usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        4 => (0..TITLES.len()).prop_map(Act::Url),
        3 => any::<bool>().prop_map(Act::Talk),
        2 => Just(Act::UndoThat),
        1 => Just(Act::Undo),
    ];
    // Mostly in one channel.
    let channel = prop_oneof![3 => Just(0), 1 => Just(1)];
    (act, channel, 0..PEOPLE.len(), (0..ADDRESSES.len(), 0..2usize))
        .prop_map(|(act, channel, who, address)| Step { act, channel, who, address })
}

/// A link as people see it.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    channel: &'static str,
    url: &'static str,
    title: String,
    poster: (&'static str, &'static str),
    /// Posted so long ago that a nick no longer proves ownership.
    old: bool,
    again: Vec<&'static str>,
}

/// A simple model of the commands: the current links, oldest first.
#[derive(Default)]
struct Model(Vec<Shown>);

impl Model {
    fn is_yours(link: &Shown, (nick, account): (&str, &str)) -> bool {
        match link.poster {
            (_, owner) if !owner.is_empty() => owner == account,
            (poster, _) => poster.eq_ignore_ascii_case(nick) && !link.old,
        }
    }

    /// The index of the newest link with this address.
    fn newest(&self, channel: &str, address: usize) -> Option<usize> {
        let here = self.0.iter().enumerate().rev().filter(|(_, link)| link.channel == channel);
        here.clone()
            .find(|(_, link)| ADDRESSES[address].iter().any(|(_, url, _)| *url == link.url))
            .map(|(i, _)| i)
    }

    /// The reply to a step, if it gets one; for an error, how the reply starts.
    fn apply(&mut self, step: Step) -> Option<Result<String, &'static str>> {
        let (channel, who) = (CHANNELS[step.channel], PEOPLE[step.who]);
        let (_, url, bare) = ADDRESSES[step.address.0][step.address.1];
        let found = self.newest(channel, step.address.0);
        match step.act {
            Act::Url(title) => {
                Some(Ok(self.post(found, (channel, url), who, TITLES[title], false)))
            }
            Act::Talk(words) => {
                self.post(found, (channel, url), who, if words { "look at" } else { bare }, true);
                None
            }
            Act::UndoThat => Some(match found {
                None => Err("not among the newest links"),
                Some(i) if !Model::is_yours(&self.0[i], who) => Err("not yours: posted by "),
                Some(i) => Ok(format!("removed: {}", title::split_tags(&self.0.remove(i).title).0)),
            }),
            Act::Undo => {
                // An event names its link by address, so it cannot reach a link that a newer one
                // with the same address hides.
                let is_hidden = |i: usize| {
                    let is_same = |of: &&[(&str, &str, &str); 2]| {
                        of.iter().any(|(_, url, _)| *url == self.0[i].url)
                    };
                    let same = ADDRESSES.iter().find(is_same).unwrap();
                    let mut newer = self.0[i + 1..].iter().filter(|l| l.channel == channel);
                    newer.any(|l| same.iter().any(|(_, url, _)| *url == l.url))
                };
                let is_it =
                    |&i: &usize| self.0[i].channel == channel && Model::is_yours(&self.0[i], who);
                let latest = (0..self.0.len()).rev().find(is_it);
                if latest.is_some_and(is_hidden) {
                    return Some(Err("not yours: posted by "));
                }
                let removed = latest
                    .map(|i| format!("removed: {}", title::split_tags(&self.0.remove(i).title).0));
                Some(removed.ok_or("no link of yours in the last 24 hours here"))
            }
        }
    }

    fn post(
        &mut self,
        found: Option<usize>,
        (channel, url): (&'static str, &'static str),
        who: (&'static str, &'static str),
        title: &str,
        captured: bool,
    ) -> String {
        let plain = title::split_tags(title).0;
        let Some(i) = found else {
            self.0.push(Shown {
                channel,
                url,
                title: title.into(),
                poster: who,
                old: false,
                again: vec![],
            });
            return format!("saved: {plain}");
        };
        let link = &mut self.0[i];
        let yours = Model::is_yours(link, who);
        let bare = ADDRESSES.as_flattened().iter().find(|(_, url, _)| *url == link.url).unwrap().2;
        if !captured && link.title != title && (yours || link.title == bare) {
            link.title = title.into();
            return format!("title changed: {plain}");
        }
        let same = |nick: &str| nick.eq_ignore_ascii_case(who.0);
        if !yours && !same(link.poster.0) && !link.again.iter().any(|nick| same(nick)) {
            link.again.push(who.0);
        }
        let age = if link.old { "1 d ago" } else { "just now" };
        let nick = format!("{}\u{200b}{}", &link.poster.0[..1], &link.poster.0[1..]);
        let shown = title::split_tags(&link.title).0;
        let kept = if link.title == title { "" } else { " (title kept)" };
        format!("saved before: {nick}, {age}: {shown}{kept}")
    }
}

/// A bot.conf in a new directory.
fn config() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bot.conf");
    let channels = CHANNELS.join(", ");
    let text = format!(
        "server = localhost:1\ntls = no\nchannels = {channels}\ncapture = yes\nfeed_items = 1\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::read(&path).unwrap();
    (dir, config)
}

fn request(config: &Config, step: Step) -> Request {
    let (nick, account) = PEOPLE[step.who];
    let address = ADDRESSES[step.address.0][step.address.1].0;
    let text = match step.act {
        Act::Url(title) => format!(".url {address} {}", TITLES[title]),
        Act::Talk(true) => format!("look at {address}"),
        Act::Talk(false) => address.to_owned(),
        Act::UndoThat => format!(".undo {address}"),
        Act::Undo => ".undo".to_owned(),
    };
    let (is_named, args) = without_nick(&text, &[&config.irc.nick], CaseMapping::Rfc1459);
    Request {
        channel: Some(CHANNELS[step.channel].to_owned()),
        nick: nick.to_owned(),
        host: String::new(),
        account: account.to_owned(),
        case: CaseMapping::Rfc1459,
        posted: OffsetDateTime::now_utc(),
        history: false,
        same_moment: false,
        is_named,
        example: "",
        args: args.to_owned(),
        is_cut: false,
    }
}

proptest! {
    // Every case writes files.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 2,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn whatever_people_do_links_and_replies_match_the_model(
        before in prop::collection::vec((0..CHANNELS.len(), 0..PEOPLE.len(), 0..ADDRESSES.len(), 0..2usize), 0..4),
        batches in prop::collection::vec(prop::collection::vec(step(), 1..8), 1..8),
    ) {
        let (_dir, config) = config();
        let mut model = Model::default();
        let mut journal = String::new();
        for (n, (channel, who, address, spelling)) in before.into_iter().enumerate() {
            let time = OffsetDateTime::now_utc() - Duration::hours(30) + Duration::seconds(n as i64);
            let (poster, (_, url, _)) = (PEOPLE[who], ADDRESSES[address][spelling]);
            let (channel, title, time) = (CHANNELS[channel], format!("Old {n}"), format_time(time));
            journal += &format!("{time}\tadd\t{channel}\t{}\t{}\t{url}\t{title}\n", poster.0, poster.1);
            model.0.push(Shown { channel, url, title, poster, old: true, again: vec![] });
        }
        std::fs::write(&config.journal, journal).unwrap();
        let publisher = Publisher::new(&config, std::time::Duration::ZERO, Instant::now());
        let journal = open(&config.journal);
        let mut bot =
            Bot::new(&config, journal, None, publisher, commands(), HEARD.to_vec());
        for steps in batches {
            let expected: Vec<_> = steps.iter().filter_map(|&step| Some((step, model.apply(step)?))).collect();
            let outcomes = bot.run_batch(steps.into_iter().map(|step| request(&config, step)).collect());
            let replies: Vec<_> =
                outcomes.into_iter().filter(|outcome| outcome.text() != "").collect();
            prop_assert_eq!(replies.len(), expected.len());
            for (reply, (step, expected)) in replies.into_iter().zip(expected) {
                match (&reply.answer, &expected) {
                    (Ok(text), Ok(expected)) => prop_assert_eq!(text, expected),
                    (Err(error), Err(start)) => prop_assert!(error.starts_with(start), "{error} instead of {start}"),
                    (actual, expected) => prop_assert!(false, "{step:?}: {actual:?} instead of {expected:?}"),
                }
            }
        }
        let view = |entry: io::Result<Entry>| {
            let Entry { link, reposters: again, .. } = entry.unwrap();
            (link.channel, link.url, link.title, link.nick, link.account, again)
        };
        let shown: Vec<_> = bot.journal.links(VIEW_WINDOW, "", |_| true).map(view).collect();
        let expected = model.0.iter().rev().map(|link| {
            let [channel, url, nick, account] = [link.channel, link.url, link.poster.0, link.poster.1].map(str::to_owned);
            let again: Vec<_> = link.again.iter().map(|&nick| nick.to_owned()).collect();
            (channel, url, link.title.clone(), nick, account, again)
        });
        prop_assert_eq!(shown, expected.collect::<Vec<_>>());
    }
}

fn commands() -> BTreeMap<&'static str, &'static Command> {
    COMMANDS.iter().map(|row| (row.name, row)).collect()
}

/// The current links: address, title, nick, posting time and reposters.
type View = Vec<(String, String, String, OffsetDateTime, Vec<String>)>;

/// Runs a bot with the journal at `path`.
fn with_bot(path: &std::path::Path, run: impl FnOnce(&mut Bot) -> View) -> View {
    let (_dir, mut config) = config();
    config.journal = path.to_owned();
    let publisher = Publisher::new(&config, std::time::Duration::ZERO, Instant::now());
    let journal = open(path);
    run(&mut Bot::new(&config, journal, None, publisher, commands(), HEARD.to_vec()))
}

fn view(bot: &Bot) -> View {
    let mut view = vec![];
    for entry in bot.journal.links(VIEW_WINDOW, "", |_| true) {
        let Entry { link, reposters, .. } = entry.unwrap();
        view.push((link.url, link.title, link.nick, link.posted, reposters));
    }
    view
}

/// Runs lines live, in small batches.
fn run_live(bot: &mut Bot, lines: &[Request]) {
    for lines in lines.chunks(3) {
        bot.run_batch(lines.to_vec());
    }
}

/// Replays lines as the session does, with `same_moment` set.
fn replay(bot: &mut Bot, lines: &[Request]) {
    let mut moment = None;
    for lines in lines.chunks(4) {
        let replayed = lines.iter().map(|line| {
            let same_moment = moment.replace(line.posted) == Some(line.posted);
            Request { history: true, same_moment, ..line.clone() }
        });
        let replayed = replayed.collect();
        bot.run_batch(replayed);
    }
}

#[test]
fn a_failed_undo_is_not_mistaken_for_a_later_one_with_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let (_dir, config) = config();
    let posted = OffsetDateTime::now_utc().truncate_to_second() - Duration::minutes(2);
    let acts = [(Act::Url(0), 0), (Act::UndoThat, 1), (Act::Url(0), 1), (Act::Undo, 0)];
    let lines = acts.map(|(act, address)| {
        let step = Step { act, channel: 0, who: 0, address: (address, 0) };
        Request { posted, ..request(&config, step) }
    });
    for _ in 0..3 {
        let replayed = with_bot(&dir.path().join("away"), |bot| {
            replay(bot, &lines);
            view(bot)
        });
        let urls: Vec<_> = replayed.iter().map(|link| link.0.as_str()).collect();
        assert_eq!(urls, ["http://a.example/"]);
    }
}

fn spacing() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..10i64, Just(200), 0..1000i64, 0..5000i64]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn replayed_lines_give_the_same_view_as_live_lines(
        steps in prop::collection::vec((step(), spacing()), 1..14),
        cuts in (0..14usize, 0..14usize),
        hours_ago in prop::sample::select(vec![0i64, 3]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let place = |name| dir.path().join(name);
        let mut time = OffsetDateTime::now_utc().truncate_to_second() - Duration::minutes(2);
        let (_dir, config) = config();
        let (mut lines, mut this_moment) = (vec![], vec![]);
        for &(step, spacing) in &steps {
            // Only two people and two addresses, so their actions touch the same links.
            let (who, address) = ([0, 5][step.who % 2], (step.address.0 % 2, step.address.1));
            let step = Step { channel: 0, who, address, ..step };
            // If one person posts an address twice in one millisecond, the journal cannot always
            // tell which of the two lines wrote an event. Nor can it for two undos.
            let identity = (who, address.0, matches!(step.act, Act::Undo | Act::UndoThat));
            let spacing = spacing.max(i64::from(this_moment.contains(&identity)));
            if spacing > 0 {
                this_moment.clear();
            }
            this_moment.push(identity);
            time += Duration::milliseconds(spacing);
            lines.push(Request { posted: time, ..request(&config, step) });
        }
        let live = with_bot(&place("live"), |bot| {
            run_live(bot, &lines);
            view(bot)
        });
        let (a, b) = (cuts.0.min(lines.len()), cuts.1.min(lines.len()));
        let (from, to) = (a.min(b), a.max(b));

        // Run live up to a kill; then some lines are replayed.
        let restarted = place("restarted");
        with_bot(&restarted, |bot| {
            run_live(bot, &lines[..to]);
            view(bot)
        });
        // A replay never starts between two lines with the same time.
        let from = lines.partition_point(|line| line.posted < lines[from.min(lines.len() - 1)].posted);
        let replayed = with_bot(&restarted, |bot| {
            replay(bot, &lines[from..]);
            view(bot)
        });
        prop_assert_eq!(&replayed, &live, "live up to {}, replayed from {}", to, from);

        // All lines were posted while linkbot was away, and the first replays are interrupted.
        for line in &mut lines {
            line.posted -= Duration::hours(hours_ago);
        }
        let mut expected = live.clone();
        for link in &mut expected {
            link.3 -= Duration::hours(hours_ago);
        }
        let away = place("away");
        for to in [from, to, lines.len(), lines.len()] {
            let replayed = with_bot(&away, |bot| {
                replay(bot, &lines[..to]);
                view(bot)
            });
            if to == lines.len() {
                prop_assert_eq!(&replayed, &expected, "replayed up to {} and {}", from, cuts.1);
            }
        }
    }
}
