//! A WebSocket client that reads only when told to (RFC 6455, unfragmented text frames).

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TEXT: u8 = 1;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// An open connection.
pub(crate) struct WebSocket {
    stream: TcpStream,
}

impl WebSocket {
    /// Connects to `ws://host:port`.
    pub(crate) async fn connect(url: &str) -> Self {
        let host = url.strip_prefix("ws://").expect("a plain WebSocket URL");
        let mut stream = TcpStream::connect(host).await.expect("the server listens");
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await.expect("the request is sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a response"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self { stream }
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, message: &Value) {
        let payload = message.to_string().into_bytes();
        let length = u16::try_from(payload.len()).expect("a short message");
        // A mask of zeros leaves the payload as it is. 126 announces a length of two bytes.
        let mut frame = vec![FINAL | TEXT, MASKED | 126];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&payload);
        self.stream.write_all(&frame).await.expect("the message is sent");
    }

    /// The next message; pings are passed over.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            let head = self.stream.read_u8().await.expect("a frame");
            let length = match self.stream.read_u8().await.expect("a length") {
                126 => u64::from(self.stream.read_u16().await.expect("a length")),
                127 => self.stream.read_u64().await.expect("a length"),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).expect("it fits memory")];
            self.stream.read_exact(&mut payload).await.expect("the whole frame");
            if head == FINAL | TEXT {
                return serde_json::from_slice(&payload).expect("JSON");
            }
        }
    }
}
