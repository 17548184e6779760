//! Bytes in and out: TCP or TLS, and their deadlines. Knows no protocol.

/// Where the server is, and how far it is trusted.
#[derive(Clone)]
pub struct Settings {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// `None`: plain text.
    pub tls: Option<Tls>,
}

#[derive(Clone, Default)]
pub struct Tls {
    /// The one certificate that is accepted, in DER.
    pub pin: Option<Vec<u8>>,
    /// The bot's own certificate and key.
    pub identity: Option<native_tls::Identity>,
}
