//! Receivers of what Keyhaven tells: a small HTTP server that notes every request, and a real mail server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::environment::python;
use super::program::Machine;

/// How a receiver answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// With a redirect to `/elsewhere` of its own.
    Redirect,
    /// With 200 and a body that never ends.
    Huge,
    /// Not at all.
    Nothing,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The next request of a connection and the bytes of its body; `None` when the other side has ended it.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<(Self, Vec<u8>)> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_owned()),
            }
        }
        let mut words = lines.first()?.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut request = Self { method, target, headers, body: String::new() };
        let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        Some((request, body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// An HTTP server on loopback.
pub(crate) struct Receiver {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, noted) = (stream.unwrap(), noted.clone());
                std::thread::spawn(move || serve(&stream, &noted, answer));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What has come so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn serve(stream: &TcpStream, noted: &Mutex<Vec<Request>>, answer: Answer) {
    let mut reader = BufReader::new(stream);
    let Some((request, _)) = Request::read(&mut reader) else { return };
    noted.lock().unwrap().push(request);
    let mut out = stream;
    // Whoever was answered may hang up before the answer is over.
    let sent = match answer {
        Answer::Status(status) => write!(out, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        Answer::Redirect => {
            write!(out, "HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Answer::Huge => write!(out, "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n").and_then(|()| {
            loop {
                out.write_all(&[b'x'; 65_536])?;
            }
        }),
        // Until the other side has had enough.
        Answer::Nothing => reader.read_to_end(&mut Vec::new()).map(drop),
    };
    drop(sent);
}

/// A mail server in a process of its own.
pub(crate) struct MailServer {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    pub(crate) port: u16,
}

impl MailServer {
    /// In clear and without a login, or with the arguments `starttls` or `implicit`, a certificate, its key, user and
    /// password.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = python("smtp_server.py");
        let mut child = command.arg(port.to_string()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, out, port };
        assert_eq!(server.line()["ready"], port);
        server
    }

    /// The next mail; waits for it.
    pub(crate) fn mail(&mut self) -> Value {
        self.line()
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A mail server that knows no login and repeats what it does not know, as sendmail does; its port.
pub(crate) fn repeating_mail_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut out = stream.unwrap();
            let lines = BufReader::new(out.try_clone().unwrap()).lines();
            // Whoever was refused may hang up.
            let mut say = |text: &str| drop(out.write_all(format!("{text}\r\n").as_bytes()));
            say("220 ready");
            for line in lines.map_while(Result::ok) {
                match line.split(' ').next() {
                    Some("EHLO") => say("250-here\r\n250 AUTH PLAIN LOGIN"),
                    Some("AUTH") => say(&format!("500 5.5.1 Command unrecognized: \"{line}\"")),
                    _ => say("250 well"),
                }
            }
        }
    });
    port
}

/// A certificate for `localhost` with its key and the authority that signed it, as files of a machine.
pub(crate) fn certificate(machine: &Machine) {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
                  -days 2 -subj /CN=test-ca -addext basicConstraints=critical,CA:TRUE && \
                  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout smtp.key -out smtp.csr \
                  -subj /CN=localhost && printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > ext && \
                  openssl x509 -req -in smtp.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
                  -out smtp.pem";
    let output = Command::new("sh").args(["-c", script]).current_dir(machine.path("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
