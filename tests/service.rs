//! A bookmark service that keeps misbehaving: the bot stays on IRC, and no link is lost or
//! duplicated.

mod common;
mod failures;

use std::time::{Duration, Instant};

use common::bookmarks::{Answer, Bookmarks};
use common::bot::Home;
use common::irc::IrcServer;
use failures::Shelf;

/// A first request that hangs ends within this time: connect, send, 3 s to respond, body.
const FIRST_REQUEST_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn if_the_service_misbehaves_irc_gets_replies_within_10_s_and_no_link_is_lost() {
    let beginning = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<?xml";
    let slow = [
        ("hangs after accept", Answer::Hang),
        ("drips its response", Answer::Drip(beginning)),
        ("breaks off", Answer::Bytes(beginning.into())),
        ("closes without a response", Answer::close()),
    ];
    // In parallel: they mostly wait.
    std::thread::scope(|scope| {
        for (what, response) in slow {
            scope.spawn(move || {
                let (server, shelf) = (IrcServer::plain(), Shelf::default());
                let mut response = Some(response);
                let service = {
                    let shelf = shelf.clone();
                    Bookmarks::plain(move |request| {
                        response.take().unwrap_or_else(|| shelf.take(request))
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
                assert!(
                    begun.elapsed() < FIRST_REQUEST_LIMIT,
                    "{what}: no reply for {:?}",
                    begun.elapsed()
                );
                failures::post(&mut client, "second").unwrap();
                shelf.await_all(&home);
            });
        }
    });
}

#[test]
fn a_link_stored_despite_a_500_is_found_already_there() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let mut first = true;
    let service = {
        let shelf = shelf.clone();
        Bookmarks::plain(move |request| {
            let response = shelf.take(request);
            if std::mem::take(&mut first) {
                Answer::http("500 Internal Server Error", "")
            } else {
                response
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
