//! The Delicious v1 API, as Pinboard, linkhut, SemanticScuttle and their kin speak it.

use std::time::Duration;

use time::OffsetDateTime;

use crate::link::Link;

/// The account that takes the links: the `delicious*` keys of bot.conf.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The full address of `posts/add`.
    pub add: url::Url,
    pub login: Login,
    /// At least one.
    pub tags: Vec<String>,
    pub shared: Option<bool>,
    /// From the end of one call to the beginning of the next.
    pub interval: Duration,
    /// The service decodes `url` twice and cannot store characters above U+FFFF.
    pub scuttle: bool,
    pub user_agent: String,
}

#[derive(Clone)]
pub enum Login {
    Nobody,
    Basic { user: String, password: String },
    Token(String),
    Bearer(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What the service's answer means for the link. The texts are for the operator, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    AlreadyThere,
    /// `after`: what `Retry-After` asked for.
    TryLater {
        why: String,
        after: Option<Duration>,
    },
    Credentials {
        why: String,
    },
    /// `by_status`: judged by the HTTP status alone, without a `<result>`.
    Refused {
        why: String,
        by_status: bool,
    },
    Configuration {
        why: String,
    },
}

pub struct Account {}

impl Account {
    pub fn new(_settings: Settings) -> Account {
        todo!()
    }

    /// Offers `link` to the service; blocks for 10 s at most, besides the system's name lookup.
    ///
    /// `log_url` is where the channel's log tells of it; `now` bounds `dt`; `unclear` says that an earlier
    /// try of this link may have stored it.
    pub fn add(&self, _link: &Link, _log_url: Option<&str>, _now: OffsetDateTime, _unclear: bool) -> Verdict {
        todo!()
    }
}
