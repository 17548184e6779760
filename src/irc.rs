//! What linkbot says and understands on IRC.

pub mod connection;

/// Who linkbot is on the network, and how it behaves there.
#[derive(Clone)]
pub struct Settings {
    pub nick: String,
    /// Who runs the bot; empty if bot.conf does not say.
    pub owner: String,
    pub channels: Vec<Channel>,
    pub server_password: Option<String>,
    pub sasl: Option<Sasl>,
    /// Raw lines sent after login, for networks without SASL.
    pub on_connect: Vec<String>,
    /// What a command begins with.
    pub prefix: String,
    /// Nicks, or `nick!user@host` masks with `*` and `?`.
    pub ignore: Vec<String>,
    /// Whether to try once, after 60 s, to return to a channel after a KICK.
    pub rejoin: bool,
    pub reply: Reply,
}

#[derive(Clone)]
pub struct Channel {
    /// As bot.conf spells it.
    pub name: String,
    pub key: Option<String>,
}

#[derive(Clone)]
pub enum Sasl {
    Plain {
        user: String,
        password: String,
    },
    /// By the TLS client certificate.
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Privmsg,
    Notice,
    /// Errors only, by PRIVMSG.
    Quiet,
}
