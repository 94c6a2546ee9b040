//! A client of the gateway's WebSocket, as OpenClaw's own apps are.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A connection, which may do what an operator may.
pub struct Ws {
    stream: WebSocketStream<TcpStream>,
    last: u64,
}

impl Ws {
    /// Connects over loopback, with the gateway's token.
    ///
    /// # Errors
    /// What the gateway, or the system, said.
    pub async fn connect(port: u16, token: &str) -> Result<Self, String> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.map_err(|e| e.to_string())?;
        let (stream, _) = client_async(format!("ws://127.0.0.1:{port}/"), tcp).await.map_err(|e| e.to_string())?;
        let mut ws = Self { stream, last: 0 };
        let challenge = ws.frame().await?;
        if challenge["event"] != "connect.challenge" {
            return Err(format!("not a challenge: {challenge}"));
        }
        let scopes = ["operator.read", "operator.write", "operator.admin", "operator.approvals"];
        let client = json!({"id": "gateway-client", "version": "1", "platform": "test", "mode": "backend"});
        ws.call(
            "connect",
            json!({"minProtocol": 4, "maxProtocol": 4, "client": client, "role": "operator", "scopes": scopes,
                "caps": [], "auth": {"token": token}}),
        )
        .await?;
        Ok(ws)
    }

    /// Calls a method. Events that come meanwhile are passed over.
    ///
    /// # Errors
    /// The gateway's refusal, or the end of the connection.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last += 1;
        let id = self.last.to_string();
        let request = json!({"type": "req", "id": id, "method": method, "params": params});
        self.stream.send(Message::text(request.to_string())).await.map_err(|e| e.to_string())?;
        loop {
            let frame = self.frame().await?;
            if frame["type"] == "res" && frame["id"] == id.as_str() {
                let ok = frame["ok"] == json!(true);
                return if ok { Ok(frame["payload"].clone()) } else { Err(frame["error"].to_string()) };
            }
        }
    }

    async fn frame(&mut self) -> Result<Value, String> {
        while let Some(message) = self.stream.next().await {
            if let Message::Text(text) = message.map_err(|e| e.to_string())? {
                return serde_json::from_str(&text).map_err(|e| e.to_string());
            }
        }
        Err("the gateway closed the connection".to_owned())
    }
}
