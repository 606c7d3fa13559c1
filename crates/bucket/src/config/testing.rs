//! A server over HTTP that answers as a test says.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What the server was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Method and path with the query, as in `GET /b?location`.
    pub(super) line: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// As far as it is UTF-8.
    pub(super) body: String,
}

/// An answer: status, headers, body.
pub(super) type Answer = (u16, &'static [(&'static str, &'static str)], String);

/// A running server. It ends with this value.
pub(super) struct Server {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _running: JoinSet<()>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(of, _)| of == name);
        found.map_or("", |(_, value)| value)
    }

    /// The region that the request is signed for.
    pub(super) fn region(&self) -> &str {
        let signed = self.header("authorization").split('/').nth(2);
        signed.unwrap_or_default()
    }

    /// The access key that the request is signed with.
    pub(super) fn key(&self) -> &str {
        let (_, rest) = self
            .header("authorization")
            .split_once("Credential=")
            .unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// Whether the signature covers a header.
    pub(super) fn signs(&self, name: &str) -> bool {
        let (_, rest) = self
            .header("authorization")
            .split_once("SignedHeaders=")
            .unwrap_or_default();
        let names = rest.split(',').next().unwrap_or_default();
        names.split(';').any(|of| of == name)
    }
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let mut running = JoinSet::new();
        running.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answer, &log).await;
            }
        });
        Self {
            address,
            asked,
            _running: running,
        }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The lines of what was asked, with the region signed for.
    pub(super) fn lines(&self) -> Vec<String> {
        let asked = self.asked();
        let line = |asked: &Asked| format!("{} {}", asked.line, asked.region());
        asked.iter().map(line).collect()
    }
}

/// Answers one request, and closes the connection.
async fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&Asked) -> Answer + Sync),
    log: &Mutex<Vec<Asked>>,
) {
    let mut stream = BufReader::new(stream);
    let mut asked = Asked::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        if asked.line.is_empty() {
            line.trim_end_matches(" HTTP/1.1")
                .clone_into(&mut asked.line);
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim().to_owned();
            asked.headers.push((name.to_ascii_lowercase(), value));
        } else {
            break;
        }
    }
    let length = asked.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    asked.body = String::from_utf8_lossy(&body).into_owned();
    let (status, headers, text) = answer(&asked);
    let mut head = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", text.len());
    if !asked.line.starts_with("HEAD") {
        head += &text;
    }
    log.lock().push(asked);
    stream.write_all(head.as_bytes()).await.unwrap();
}
