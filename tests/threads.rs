//! The bot has one thread, whatever the service does. /proc would miss a thread that has ended;
//! strace does not.
//!
//! These tests are slow: they wait for a service that does not respond, up to 10 s the first time.

mod common;

use common::bookmarks::{Answer, Bookmarks};
use common::bot::Home;
use common::irc::IrcServer;
use common::tls::Authority;

#[test]
fn a_delivery_to_a_host_name_starts_no_thread_even_if_it_hangs() {
    let authority = Authority::new();
    let server = IrcServer::tls(&authority.certificate());
    let mut responses = [Answer::done(), Answer::Hang].into_iter();
    let bookmarks = Bookmarks::tls(&authority.certificate(), move |_| {
        responses.next().unwrap_or_else(Answer::done)
    });
    assert!(bookmarks.address().contains("localhost"), "a name, which needs a lookup");
    let home = Home::new(&(server.conf() + &bookmarks.conf()));
    home.write("ca.pem", authority.pem());
    let mut traced = home.start_traced("clone,clone3,fork,vfork");
    let mut client = server.welcome();
    client.say("alice", "#dev", ".url http://www.example.com/1 One");
    client.expect("PRIVMSG #dev :saved: One");
    traced.bot.logs("delivered: http://www.example.com/1");
    client.say("alice", "#dev", ".url http://www.example.com/2 Two");
    client.expect("PRIVMSG #dev :saved: Two");
    bookmarks.request();
    bookmarks.request();
    // While the service hangs, linkbot does not read IRC. Afterwards it replies, and logs why.
    client.say("alice", "#dev", ".url http://www.example.com/3 Three");
    client.expect("PRIVMSG #dev :saved: Three");
    assert!(traced.bot.logs("delivery stopped").contains("no response in time"));
    let trace = traced.kill();
    assert!(trace.contains("+++ killed by SIGKILL"), "{trace}");
    assert!(!trace.contains("clone") && !trace.contains("fork"), "{trace}");
}

#[test]
fn a_response_that_drips_ends_in_a_timeout() {
    // In the header, and in the body.
    for beginning in
        ["HTTP/1.1 200 OK\r\nX-Slow:", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<result"]
    {
        let bookmarks = Bookmarks::answering([Answer::Drip(beginning)]);
        let server = IrcServer::plain();
        let home = Home::new(&(server.conf() + &bookmarks.conf()));
        let mut bot = home.start();
        let mut client = server.welcome();
        client.say("alice", "#dev", ".url http://www.example.com/1 One");
        client.expect("PRIVMSG #dev :saved: One");
        bookmarks.request();
        client.barrier();
        let line = bot.logs("delivery stopped");
        assert!(
            line.contains("no response in time") && line.contains("next try in 30 s"),
            "{line}"
        );
    }
}
