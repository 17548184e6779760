use time::{
    OffsetDateTime, UtcOffset,
    macros::{datetime, offset},
};

use crate::{config::Config, config::tests::good, link::Link};

fn link(posted: OffsetDateTime) -> Link {
    let (url, title) = ("http://www.example.com/".into(), "Title For Link".into());
    Link {
        channel: "#dev".into(),
        nick: "alice".into(),
        account: String::new(),
        url,
        title,
        posted,
    }
}

fn log_url(text: &str, zone: Option<UtcOffset>, posted: OffsetDateTime) -> String {
    let config = Config { zone, ..good(&format!("log_url = {text}")) };
    config.log_url(&link(posted)).unwrap()
}

#[test]
fn a_log_url_has_the_time_in_its_zone() {
    let pattern = "http://logs/?y=[year]&m=[month]&d=[day]&c={channel}#[year][month][day][hour][minute][second]";
    let of = |zone| log_url(pattern, zone, datetime!(2026-12-31 23:31:19.999 UTC));
    assert_eq!(of(Some(UtcOffset::UTC)), "http://logs/?y=2026&m=12&d=31&c=dev#20261231233119");
    assert_eq!(of(Some(offset!(+1))), "http://logs/?y=2027&m=01&d=01&c=dev#20270101003119");
    assert_eq!(log_url("http://x/[[a]", None, datetime!(2026-01-01 0:00 UTC)), "http://x/%5Ba%5D");
    assert_eq!(
        log_url("https://bücher.example/[year]", None, datetime!(2026-06-01 0:00 UTC)),
        "https://xn--bcher-kva.example/2026"
    );
}

#[test]
fn the_last_possible_second_has_a_log_url_in_every_zone() {
    for zone in [offset!(+1), offset!(-1)] {
        let posted = datetime!(9999-12-31 23:59:59 UTC);
        assert_eq!(log_url("http://x/[year]", Some(zone), posted), "http://x/9999");
    }
}
