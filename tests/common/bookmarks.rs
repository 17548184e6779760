//! A scripted bookmark service.

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

/// A request from the bot.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /v1/posts/add?...`, without the version.
    pub line: String,
    pub path: String,
    /// The arguments, decoded.
    pub query: Vec<(String, String)>,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// An argument of the query; panics if it is there twice.
    pub fn argument(&self, name: &str) -> Option<&str> {
        only(&self.query, name)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    /// Reads no body: linkbot sends only GET.
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

/// The service's response to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes; then closes the connection, even in the middle of a response.
    Bytes(Vec<u8>),
    /// Nothing, until the bot closes the connection.
    Hang,
    /// These bytes at once, then one space per second without end.
    Drip(&'static str),
    /// Another answer, after this time.
    Late(Duration, Box<Answer>),
}

impl Answer {
    /// A whole response. `head` is `200 OK`, with header lines after it if needed, separated by
    /// CR LF.
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

    /// Closes the connection without a response.
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
    /// Plain HTTP; `script` returns the response to each request.
    pub fn plain(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Bookmarks {
        Bookmarks::start(None, Box::new(script))
    }

    pub fn tls(
        certificate: &Certificate,
        script: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> Bookmarks {
        Bookmarks::start(Some(tls::acceptor(certificate)), Box::new(script))
    }

    /// Plain HTTP; sends `responses` in order, then `done`.
    pub fn answering<const N: usize>(responses: [Answer; N]) -> Bookmarks {
        let mut responses = responses.into_iter();
        Bookmarks::plain(move |_| responses.next().unwrap_or_else(Answer::done))
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
                    // Ignore a failed handshake: the bot reports it.
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

    /// The lines of bot.conf for this service, without a login.
    pub fn conf(&self) -> String {
        format!("delicious = {}\ndelicious_interval = 0\n", self.address())
    }

    /// Waits for the next request.
    pub fn request(&self) -> Request {
        self.requests
            .recv_timeout(PATIENCE)
            .expect("the bot should send a request to the bookmark service")
    }

    /// The requests that have arrived and were not read yet.
    pub fn unasked(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(stream: impl Read + Write, script: &Mutex<Box<Script>>, sender: &Sender<Request>) {
    let mut stream = BufReader::new(stream);
    let Some(request) = Request::read(&mut stream) else { return };
    let response = script.lock().unwrap()(&request);
    let _ = sender.send(request);
    answer(&mut stream, response);
}

fn answer(stream: &mut BufReader<impl Read + Write>, response: Answer) {
    match response {
        Answer::Late(wait, response) => {
            std::thread::sleep(wait);
            answer(stream, *response);
        }
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
