//! A client that knows HTTP/2 and frames of messages, and no more.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
};

use bytes::{Buf as _, Bytes};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Request, Response};
use prost::Message;
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle, time::timeout};

use crate::DEADLINE;

/// A client that knows HTTP/2 and no more.
pub(crate) struct Raw {
    pub(super) requests: SendRequest<Bytes>,
    /// Takes another window for each stream.
    pub(crate) grow: oneshot::Sender<u32>,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// All of an answer.
pub(crate) struct Reply {
    pub(crate) head: HeaderMap,
    /// Messages and their flags.
    pub(crate) messages: Vec<(u8, Bytes)>,
    pub(crate) trailers: HeaderMap,
}

impl Raw {
    /// Connects, and gives each stream a window of so many bytes.
    pub(crate) async fn connect(address: SocketAddr, window: u32) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (requests, mut connection) = builder.handshake(tcp).await?;
        let (grow, grown) = oneshot::channel();
        let connection = tokio::spawn(async move {
            tokio::select! {
                ended = &mut connection => return ended,
                Ok(window) = grown => connection.set_initial_window_size(window)?,
            }
            connection.await
        });
        Ok(Self {
            requests,
            grow,
            connection,
        })
    }

    pub(crate) async fn send(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Response<RecvStream>> {
        let mut request = Request::post(format!("http://x{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut stream) = requests.send_request(request.body(())?, false)?;
        stream.send_data(body, true)?;
        Ok(timeout(DEADLINE, answer).await??)
    }

    pub(crate) async fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Reply> {
        let (head, stream) = self.send(path, headers, body).await?.into_parts();
        timeout(DEADLINE, Reply::read(head.headers, stream)).await?
    }
}

impl Reply {
    pub(crate) async fn read(head: HeaderMap, mut stream: RecvStream) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            bytes.extend(data);
        }
        Ok(Self {
            head,
            messages: messages(bytes)?,
            trailers: stream.trailers().await?.unwrap_or_default(),
        })
    }

    /// The code and the text, wherever they are.
    pub(crate) fn status(&self) -> (String, String) {
        let text = |name: &str| {
            let value = self.trailers.get(name).or_else(|| self.head.get(name));
            let value = value.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
            value.unwrap_or_default().replace("%20", " ")
        };
        (text("grpc-status"), text("grpc-message"))
    }

    /// The messages as they were before they were encoded.
    pub(crate) fn plain(&self) -> anyhow::Result<Vec<Bytes>> {
        let encoding = self.head.get("grpc-encoding").map(|v| v.as_bytes());
        let plain = |(flag, body): &(u8, Bytes)| match (flag, encoding) {
            (0, _) => Ok(body.clone()),
            (1, Some(b"gzip")) => {
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut out)?;
                Ok(out.into())
            }
            (1, Some(b"snappy")) => {
                let mut out = Vec::new();
                snap::read::FrameDecoder::new(&body[..]).read_to_end(&mut out)?;
                Ok(out.into())
            }
            other => Err(anyhow::anyhow!("{other:?}")),
        };
        self.messages.iter().map(plain).collect()
    }
}

/// The messages that are in these bytes, and their flags.
pub(crate) fn messages(bytes: Vec<u8>) -> anyhow::Result<Vec<(u8, Bytes)>> {
    let mut bytes = Bytes::from(bytes);
    let mut messages = Vec::new();
    while bytes.has_remaining() {
        let (flag, length) = (bytes.get_u8(), usize::try_from(bytes.get_u32())?);
        // Half a message, where the call was given up.
        messages.push((flag, bytes.split_to(length.min(bytes.len()))));
    }
    Ok(messages)
}

pub(crate) fn messages_of(plain: &[Bytes]) -> Vec<(u8, Bytes)> {
    plain.iter().map(|body| (0, body.clone())).collect()
}

/// The message in a frame, in this encoding.
pub(crate) fn framed(encoding: &str, message: &impl Message) -> anyhow::Result<Bytes> {
    let plain = message.encode_to_vec();
    let (flag, body) = match encoding {
        "gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gzip.write_all(&plain)?;
            (1, gzip.finish()?)
        }
        "snappy" => {
            let mut snappy = snap::write::FrameEncoder::new(Vec::new());
            snappy.write_all(&plain)?;
            (1, snappy.into_inner()?)
        }
        _ => (0, plain),
    };
    let mut out = vec![flag];
    out.extend(u32::try_from(body.len())?.to_be_bytes());
    out.extend(body);
    Ok(out.into())
}
