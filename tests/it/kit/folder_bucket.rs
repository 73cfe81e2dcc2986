//! A folder behind just enough of S3 to be read and written, whose clock a test sets: no real server lets itself be told a
//! wrong time. It checks no signature.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};

use super::files::files;
use super::receivers::Request;

/// What the bucket says of the time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// Every answer has a date, so many seconds after the present.
    Ahead(i64),
    /// No answer has a date.
    Nothing,
    /// Every request is refused as signed at another time than the store's.
    Refusal,
}

/// The server; lives as long as the test.
pub(crate) struct FolderBucket {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
}

impl FolderBucket {
    /// Serves the folder as the bucket `shelf`.
    pub(crate) fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Told::Ahead(0)));
        let shared = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, told, folder) = (stream.unwrap(), *shared.lock().unwrap(), folder.clone());
                // Whoever asked may have gone.
                std::thread::spawn(move || drop(serve(&stream, &folder, told)));
            }
        });
        Self { address, told }
    }

    pub(crate) fn tells(&self, told: Told) {
        *self.told.lock().unwrap() = told;
    }

    /// The environment of a program whose repository this is.
    pub(crate) fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("KEYHAVEN_REPOSITORY_URL", "s3://shelf".to_owned()),
            ("KEYHAVEN_REPOSITORY_ENDPOINT", format!("http://{}", self.address)),
            ("KEYHAVEN_REPOSITORY_ACCESS_KEY_ID", "env:BUCKET_KEY_ID".to_owned()),
            ("KEYHAVEN_REPOSITORY_SECRET_ACCESS_KEY", "env:BUCKET_KEY".to_owned()),
            ("BUCKET_KEY_ID", "anybody".to_owned()),
            ("BUCKET_KEY", "not-checked".to_owned()),
        ]
    }
}

fn serve(stream: &TcpStream, folder: &Path, told: Told) -> std::io::Result<()> {
    let Some((request, body)) = Request::read(&mut BufReader::new(stream)) else { return Ok(()) };
    let target = request.target.to_ascii_lowercase();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    // Every name of a repository is spelled as it is, in small letters, but for one.
    let name = path.trim_start_matches("/shelf").trim_start_matches('/').replace("recover.md", "RECOVER.md");
    let at = folder.join(&name);
    let (status, kind, bytes) = match request.method.as_str() {
        _ if matches!(told, Told::Refusal) => (403, "application/xml", error("RequestTimeTooSkewed")),
        "GET" if query.contains("list-type=2") => (200, "application/xml", listing(folder, query)),
        "GET" | "HEAD" => match std::fs::read(&at) {
            Ok(bytes) => (200, "application/octet-stream", bytes),
            Err(_) => (404, "application/xml", error("NoSuchKey")),
        },
        "PUT" => {
            std::fs::create_dir_all(at.parent().unwrap())?;
            std::fs::write(&at, body)?;
            (200, "application/xml", Vec::new())
        }
        other => panic!("{other} is not needed here"),
    };
    let date = match told {
        Told::Ahead(seconds) => {
            let at = Utc::now() + TimeDelta::seconds(seconds);
            format!("date: {}\r\n", at.format("%a, %d %b %Y %H:%M:%S GMT"))
        }
        Told::Nothing | Told::Refusal => String::new(),
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status} X\r\n{date}content-type: {kind}\r\ncontent-length: {}\r\netag: \"1\"\r\n\
         last-modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nconnection: close\r\n\r\n",
        bytes.len()
    )?;
    if request.method != "HEAD" {
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn error(code: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>").into_bytes()
}

/// Everything below the prefix that is asked for, in one page.
fn listing(folder: &Path, query: &str) -> Vec<u8> {
    let of = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    let (prefix, after) = (of("prefix=").replace("%2f", "/"), of("start-after=").replace("%2f", "/"));
    let found = files(folder).into_iter().filter(|name| name.starts_with(&prefix) && *name > after);
    let line = |name: String| {
        let about = std::fs::metadata(folder.join(&name)).unwrap();
        let modified: DateTime<Utc> = about.modified().unwrap().into();
        let (modified, size) = (modified.format("%Y-%m-%dT%H:%M:%S.000Z"), about.len());
        format!(
            "<Contents><Key>{name}</Key><LastModified>{modified}</LastModified><ETag>1</ETag><Size>{size}</Size></Contents>"
        )
    };
    let lines: String = found.map(line).collect();
    format!("<ListBucketResult><Name>shelf</Name><IsTruncated>false</IsTruncated>{lines}</ListBucketResult>")
        .into_bytes()
}
