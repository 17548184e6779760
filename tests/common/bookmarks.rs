//! A bookmark service that answers as the test tells it to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::{self, Receiver, Sender},
    sync::{Arc, Mutex},
    time::Duration,
};

use openssl::ssl::SslAcceptor;

use super::PATIENCE;
use super::tls::{self, Certificate};

/// What the bot asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /v1/posts/add?...`, without the version.
    pub line: String,
    pub path: String,
    /// The arguments, decoded.
    pub query: Vec<(String, String)>,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// An argument of the query; panics if it stands there twice.
    pub fn argument(&self, name: &str) -> Option<&str> {
        only(&self.query, name)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    fn read(input: &mut impl BufRead) -> Option<Request> {
        let mut lines = input.lines().map_while(Result::ok);
        let first = lines.next()?;
        let line = first
            .strip_suffix(" HTTP/1.1")
            .unwrap_or_else(|| panic!("not HTTP/1.1: {first}"))
            .to_owned();
        let target = line.split_once(' ')?.1;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.take_while(|line| !line.is_empty());
        let headers = headers
            .filter_map(|l| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned())));
        Some(Request {
            path: path.to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: headers.collect(),
            line,
        })
    }
}

fn only<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let value = values.next();
    assert_eq!(values.next(), None, "{name} was sent twice");
    value
}

/// How the service behaves towards one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then the connection is closed; so it cuts off, too.
    Bytes(Vec<u8>),
    /// Nothing at all, until the bot goes away.
    Hang,
    /// The first bytes at once, then spaces for ever, one a second.
    Drip(&'static str),
}

impl Answer {
    /// A whole answer; `head` is `200 OK` or that with header lines behind it, separated by CR LF.
    pub fn http(head: &str, body: &str) -> Answer {
        let length = body.len();
        Answer::Bytes(
            format!(
                "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }

    /// 200 with this result code.
    pub fn result(code: &str) -> Answer {
        let body =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<result code=\"{code}\" />\n");
        Answer::http("200 OK\r\nContent-Type: text/xml; charset=utf-8", &body)
    }

    pub fn done() -> Answer {
        Answer::result("done")
    }

    /// Closed without a word.
    pub fn close() -> Answer {
        Answer::Bytes(Vec::new())
    }
}

type Script = dyn FnMut(&Request) -> Answer + Send;

pub struct Bookmarks {
    port: u16,
    tls: bool,
    requests: Receiver<Request>,
}

impl Bookmarks {
    /// Plain HTTP; `script` decides about each request.
    pub fn plain(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Bookmarks {
        Bookmarks::start(None, Box::new(script))
    }

    pub fn tls(
        certificate: &Certificate,
        script: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> Bookmarks {
        Bookmarks::start(Some(tls::acceptor(certificate)), Box::new(script))
    }

    /// Plain HTTP; gives `answers` one after the other, then `done`.
    pub fn answering<const N: usize>(answers: [Answer; N]) -> Bookmarks {
        let mut answers = answers.into_iter();
        Bookmarks::plain(move |_| answers.next().unwrap_or_else(Answer::done))
    }

    fn start(acceptor: Option<SslAcceptor>, script: Box<Script>) -> Bookmarks {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (sender, requests) = mpsc::channel();
        let bookmarks = Bookmarks {
            port: listener.local_addr().unwrap().port(),
            tls: acceptor.is_some(),
            requests,
        };
        let script = Arc::new(Mutex::new(script));
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let (acceptor, script, sender) = (acceptor.clone(), script.clone(), sender.clone());
                std::thread::spawn(move || match acceptor {
                    None => serve(tcp, &script, &sender),
                    // A handshake that fails is the bot's to tell of.
                    Some(acceptor) => {
                        drop(acceptor.accept(tcp).map(|ssl| serve(ssl, &script, &sender)))
                    }
                });
            }
        });
        bookmarks
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of `posts/add`, by name.
    pub fn address(&self) -> String {
        format!(
            "{}://localhost:{}/v1/posts/add",
            if self.tls { "https" } else { "http" },
            self.port
        )
    }

    /// The lines of bot.conf that lead here, without a login.
    pub fn conf(&self) -> String {
        format!("delicious = {}\ndelicious_interval = 0\n", self.address())
    }

    /// Waits for the next request.
    pub fn request(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).expect("the bot asks the bookmark service")
    }

    /// The requests that have come and were not waited for.
    pub fn unasked(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(stream: impl Read + Write, script: &Mutex<Box<Script>>, sender: &Sender<Request>) {
    let mut stream = BufReader::new(stream);
    let Some(request) = Request::read(&mut stream) else { return };
    let answer = script.lock().unwrap()(&request);
    let _ = sender.send(request);
    match answer {
        Answer::Bytes(bytes) => drop(stream.get_mut().write_all(&bytes)),
        Answer::Hang => drop(stream.read(&mut [0])),
        Answer::Drip(beginning) => {
            let mut sent = stream.get_mut().write_all(beginning.as_bytes());
            while sent.is_ok() {
                std::thread::sleep(Duration::from_secs(1));
                sent = stream.get_mut().write_all(b" ");
            }
        }
    }
}
