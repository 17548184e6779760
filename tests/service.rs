//! A bookmark service that misbehaves for as long as it likes: IRC goes on, and nothing is lost or doubled.

mod common;
mod failures;

use std::time::{Duration, Instant};

use common::bookmarks::{Answer, Bookmarks};
use common::bot::Home;
use common::irc::IrcServer;
use failures::Shelf;

/// The bot is deaf for one request at most, and that ends within this: the design's promise, not a measurement.
const DEAF: Duration = Duration::from_secs(10);

#[test]
fn whatever_the_service_does_irc_is_answered_within_10_s_and_the_link_is_kept() {
    let beginning = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<?xml";
    let slow = [
        ("hangs after accept", Answer::Hang),
        ("drips its answer", Answer::Drip(beginning)),
        ("breaks off", Answer::Bytes(beginning.into())),
        ("closes without a word", Answer::close()),
    ];
    // Side by side, for most of it is waiting.
    std::thread::scope(|scope| {
        for (what, answer) in slow {
            scope.spawn(move || {
                let (server, shelf) = (IrcServer::plain(), Shelf::default());
                let mut answer = Some(answer);
                let service = {
                    let shelf = shelf.clone();
                    Bookmarks::plain(move |request| {
                        answer.take().unwrap_or_else(|| shelf.take(request))
                    })
                };
                let home = Home::new(&(server.conf() + &service.conf()));
                let _bot = home.start();
                let mut client = server.welcome();
                failures::post(&mut client, "first").unwrap();
                service.request();
                // The bot is busy with the service now.
                let begun = Instant::now();
                client.send("PING :busy?");
                client.until("PONG");
                assert!(begun.elapsed() < DEAF, "{what}: deaf for {:?}", begun.elapsed());
                failures::post(&mut client, "second").unwrap();
                shelf.await_all(&home);
            });
        }
    });
}

#[test]
fn what_was_stored_though_the_service_said_500_is_found_already_there() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let mut first = true;
    let service = {
        let shelf = shelf.clone();
        Bookmarks::plain(move |request| {
            let answer = shelf.take(request);
            if std::mem::take(&mut first) {
                Answer::http("500 Internal Server Error", "")
            } else {
                answer
            }
        })
    };
    let home = Home::new(&(server.conf() + &service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "first").unwrap();
    bot.logs("delivery stopped: http://www.example.com/first: HTTP 500");
    bot.logs("already there; its title is unchanged: http://www.example.com/first");
    home.await_cursor(&home.journal()[0][0]);
    assert_eq!(shelf.urls(), [failures::address("first")]);
}
