use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use native_tls::Identity;

use crate::irc::connection::*;

const MINUTE: Duration = Duration::from_secs(60);
/// The number that adds no jitter.
const EVEN: u64 = 250;

fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(20))
}

fn soon(backoff: &mut Backoff, registered: Option<Duration>) -> u64 {
    backoff.wait(Retry::Soon, registered, EVEN).as_secs()
}

#[test]
fn the_wait_begins_at_20_s_and_doubles_to_10_min() {
    let mut backoff = backoff();
    let waits: Vec<u64> = (0..8).map(|_| soon(&mut backoff, None)).collect();
    assert_eq!(waits, [20, 40, 80, 160, 320, 600, 600, 600]);
}

#[test]
fn the_wait_is_short_again_only_after_5_min_registered() {
    let mut backoff = backoff();
    let first: Vec<u64> = (0..3).map(|_| soon(&mut backoff, None)).collect();
    assert_eq!(first, [20, 40, 80]);
    assert_eq!(soon(&mut backoff, Some(5 * MINUTE - Duration::from_millis(1))), 160);
    assert_eq!(soon(&mut backoff, Some(5 * MINUTE)), 20);
    assert_eq!(soon(&mut backoff, None), 40);
}

#[test]
fn the_jitter_is_a_quarter_either_way() {
    let wait = |random| backoff().wait(Retry::Soon, None, random);
    let waits: Vec<Duration> = (0..2000).chain([u64::MAX]).map(wait).collect();
    assert_eq!(waits.iter().min(), Some(&Duration::from_secs(15)));
    assert_eq!(waits.iter().max(), Some(&Duration::from_secs(25)));
}

#[test]
fn a_failed_login_or_certificate_waits_15_min_and_a_ban_30() {
    let mut backoff = backoff();
    assert_eq!(backoff.wait(Retry::Slow, None, 0), 15 * MINUTE);
    assert_eq!(backoff.wait(Retry::Refused, None, 0), 15 * MINUTE);
    assert_eq!(backoff.wait(Retry::Banned, None, 0), 30 * MINUTE);
    assert_eq!(soon(&mut backoff, None), 20, "they do not count as connection attempts");
}

#[test]
fn after_a_login_that_worked_three_refusals_are_retried_soon() {
    let mut backoff = backoff();
    let refused = |backoff: &mut Backoff, registered| {
        backoff.wait(Retry::Refused, registered, EVEN).as_secs()
    };
    assert_eq!(refused(&mut backoff, None), 900, "no login has worked yet");
    assert_eq!(soon(&mut backoff, Some(MINUTE)), 20);
    let waits: Vec<u64> = (0..5).map(|_| refused(&mut backoff, None)).collect();
    assert_eq!(waits, [40, 80, 160, 900, 900]);
    assert_eq!(soon(&mut backoff, Some(5 * MINUTE)), 20);
    assert_eq!(refused(&mut backoff, None), 40, "a login worked again");
}

/// Plain, without a pin.
fn plain(host: &str, port: u16) -> Settings {
    Settings { host: host.into(), port, tls: false, pin: None, identity: None }
}

/// Runs `serve` on the first connection. Returns the settings to reach it.
fn server(serve: fn(TcpStream)) -> (Settings, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (plain("127.0.0.1", port), thread)
}

fn open_once(settings: &Settings) -> Result<Box<dyn Connection>, End> {
    open(settings, &mut Addresses::default())
}

fn end(settings: &Settings) -> End {
    open_once(settings).err().expect("the connection should fail")
}

#[test]
fn a_refused_connection_is_retried_soon() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let end = end(&plain("127.0.0.1", free));
    assert_eq!(end.0, Retry::Soon);
    assert!(
        end.1.contains(&free.to_string()) && end.1.to_lowercase().contains("refused"),
        "{}",
        end.1
    );
}

#[test]
fn an_unknown_host_is_retried_soon() {
    let end = end(&plain("no such host", 6697));
    assert_eq!(end.0, Retry::Soon);
    assert!(end.1.starts_with("cannot find no such host"), "{}", end.1);
}

#[test]
fn no_bytes_in_time_is_no_error_but_the_end_of_the_stream_is() {
    let (settings, thread) = server(|mut tcp| {
        let mut byte = [0];
        tcp.read_exact(&mut byte).unwrap();
        tcp.write_all(b"PING x\r\n").unwrap();
    });
    let mut connection = open_once(&settings).ok().unwrap();
    let mut buffer = [0; 64];
    let now = Instant::now();
    assert_eq!(connection.receive(&mut buffer, now).unwrap(), 0, "a deadline that has passed");
    assert_eq!(connection.receive(&mut buffer, now + Duration::from_millis(20)).unwrap(), 0);
    connection.write_all(b"x").unwrap();
    assert_eq!(connection.receive(&mut buffer, now + MINUTE).unwrap(), 8);
    thread.join().unwrap();
    assert!(
        connection.receive(&mut buffer, now + MINUTE).unwrap_err().to_string().contains("closed")
    );
}

#[test]
fn a_garbage_handshake_is_retried_soon() {
    let (mut settings, thread) = server(|mut tcp| tcp.write_all(b"this is no TLS\r\n").unwrap());
    settings.tls = true;
    assert_eq!(end(&settings).0, Retry::Soon);
    thread.join().unwrap();
}

#[test]
fn a_handshake_that_the_server_closes_is_retried_soon() {
    let (mut settings, thread) = server(drop);
    settings.tls = true;
    assert_eq!(end(&settings).0, Retry::Soon);
    thread.join().unwrap();
}

/// A certificate with every defect: expired, for another name, self-signed; and its key.
fn certificate() -> (Vec<u8>, Identity) {
    certificate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
}

fn certificate_for(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Identity) {
    let mut params = rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(1999, 1, 1), rcgen::date_time_ymd(2000, 1, 1));
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let identity =
        Identity::from_pkcs8(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (certificate.der().to_vec(), identity)
}

/// Connects to a server with `identity`, expecting `pin`. Returns how that ended and what the
/// server received.
fn connect_to(identity: Identity, pin: Option<Vec<u8>>) -> (Option<End>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut received = Vec::new();
        let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
        if let Ok(mut stream) = acceptor.accept(listener.accept().unwrap().0) {
            let _ = stream.read_to_end(&mut received);
        }
        received
    });
    let end = match open_once(&Settings {
        host: "127.0.0.1".into(),
        port,
        tls: true,
        pin,
        identity: None,
    }) {
        Ok(mut connection) => connection
            .write_all(b"CAP LS 302\r\n")
            .map_or_else(|e| Some(End(Retry::Soon, e.to_string())), |()| None),
        Err(end) => Some(end),
    };
    (end, thread.join().unwrap())
}

#[test]
fn an_untrusted_certificate_is_refused_and_retried_slowly() {
    let (end, received) = connect_to(certificate().1, None);
    let end = end.unwrap();
    assert_eq!((end.0, received.len()), (Retry::Slow, 0));
    assert!(
        end.1.contains("is self-signed or from an unknown issuer") && end.1.contains("tls_pin"),
        "{}",
        end.1
    );
}

#[test]
fn the_pinned_certificate_is_accepted_whatever_is_wrong_with_it() {
    let (der, identity) = certificate();
    let (end, received) = connect_to(identity, Some(der));
    assert!(end.is_none());
    assert_eq!(received, b"CAP LS 302\r\n");
}

#[test]
fn any_certificate_but_the_pinned_one_is_refused_before_a_byte_is_sent() {
    let (end, received) = connect_to(certificate().1, Some(certificate().0));
    let end = end.unwrap();
    assert_eq!((end.0, received.len()), (Retry::Slow, 0));
    assert!(end.1.contains("tls_pin"), "{}", end.1);
}

#[test]
fn a_wrong_pin_shows_the_certificates_hash_as_openssl_prints_it() {
    use openssl::hash::{MessageDigest, hash};
    let algorithms = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, MessageDigest::sha256()),
        (&rcgen::PKCS_ECDSA_P384_SHA384, MessageDigest::sha384()),
    ];
    for (algorithm, digest) in algorithms {
        let (der, identity) = certificate_for(algorithm);
        let bytes = hash(digest, &der).unwrap();
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = format!("SHA-{} {}", bytes.len() * 8, hex.join(":"));
        let why = connect_to(identity, Some(certificate().0)).0.unwrap().1;
        assert!(why.contains(&format!("in tls_pin: {fingerprint}; if the server")), "{why}");
    }
}
