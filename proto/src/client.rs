//! The transport of the generated async client: one JSON message a line over a Unix socket.

use crate::limits::MAX_RESPONSE_BYTES;
use futures_util::StreamExt as _;
use jsonrpsee::core::client::{Client, ClientBuilder, ReceivedMessage, TransportReceiverT, TransportSenderT};
use std::path::Path;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The daemon closed it.
    #[error("connection closed by akkd")]
    Closed,
    /// A line was too long or not UTF-8.
    #[error(transparent)]
    Line(#[from] LinesCodecError),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

struct Sender(OwnedWriteHalf);
struct Receiver(FramedRead<OwnedReadHalf, LinesCodec>);

impl TransportSenderT for Sender {
    type Error = TransportError;

    async fn send(&mut self, mut message: String) -> Result<(), TransportError> {
        message.push('\n');
        Ok(self.0.write_all(message.as_bytes()).await?)
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        Ok(self.0.shutdown().await?)
    }
}

impl TransportReceiverT for Receiver {
    type Error = TransportError;

    async fn receive(&mut self) -> Result<ReceivedMessage, TransportError> {
        match self.0.next().await {
            Some(line) => Ok(ReceivedMessage::Text(line?)),
            None => Err(TransportError::Closed),
        }
    }
}

/// Connects to akkd's socket at `path`.
///
/// # Errors
/// When nothing listens there.
pub async fn connect(path: &Path) -> std::io::Result<Client> {
    let (read, write) = UnixStream::connect(path).await?.into_split();
    let lines = FramedRead::new(read, LinesCodec::new_with_max_length(MAX_RESPONSE_BYTES));
    Ok(ClientBuilder::default()
        .request_timeout(std::time::Duration::from_hours(2))
        .build_with_tokio(Sender(write), Receiver(lines)))
}
