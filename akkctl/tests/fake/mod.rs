//! A stand-in for akkd: a thread on a Unix socket that plays a given part, line by line.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What becomes of one request.
#[derive(Debug, Clone)]
pub enum Play {
    /// A result with the request's id.
    Answer(Value),
    /// An error with the request's id.
    Refuse(Value),
    /// These bytes; `ID` in them becomes the request's id.
    Raw(String),
    /// No answer; the connection is closed.
    Close,
    /// No answer; the connection stays until the client leaves.
    Silence,
}

/// The stand-in. Ends when its parts are played.
pub struct Fake {
    seen: Receiver<Value>,
    thread: JoinHandle<()>,
}

/// A listener that is there at once: between `bind` and `listen` a socket refuses, as a dead one does.
fn listen(socket: &Path) -> UnixListener {
    let early = socket.with_extension("new");
    let listener = UnixListener::bind(&early).unwrap();
    std::fs::rename(early, socket).unwrap();
    listener
}

impl Fake {
    /// Plays one part for each connection, in order; each part has one play for each request.
    pub fn play(socket: &Path, parts: Vec<Vec<Play>>) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = listen(socket);
        let (tell, seen) = channel();
        let path = socket.to_owned();
        let thread = std::thread::spawn(move || {
            for part in parts {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, part, &tell);
            }
            // A stale socket would refuse; a missing one is as good.
            let _ = std::fs::remove_file(path);
        });
        Self { seen, thread }
    }

    /// As [`Self::play`], with connections that live beside each other.
    pub fn play_at_once(socket: &Path, parts: Vec<Vec<Play>>) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = listen(socket);
        let (tell, seen) = channel();
        let thread = std::thread::spawn(move || {
            std::thread::scope(|s| {
                for part in parts {
                    let (stream, _) = listener.accept().unwrap();
                    let tell = &tell;
                    s.spawn(move || serve(stream, part, tell));
                }
            });
        });
        Self { seen, thread }
    }

    /// Answers `daemon.info` and lists nothing, until `daemon.stop`.
    pub fn serve_until_stopped(socket: &Path, info: &Value) {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = listen(socket);
        loop {
            let (stream, _) = listener.accept().unwrap();
            let (socket, info) = (socket.to_owned(), info.clone());
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines() {
                    let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
                    let stop = request["method"] == "daemon.stop";
                    let result = match request["method"].as_str() {
                        Some("daemon.info") => info.clone(),
                        Some("conversation.list") => json!({"conversations": [], "total": 0}),
                        _ => json!({}),
                    };
                    writeln!(writer, "{}", json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).unwrap();
                    if stop {
                        std::fs::remove_file(&socket).unwrap();
                        std::process::exit(0);
                    }
                }
            });
        }
    }

    /// The requests that came, in order, once every part is played.
    pub fn requests(self) -> Vec<Value> {
        self.thread.join().unwrap();
        self.seen.try_iter().collect()
    }
}

fn serve(stream: UnixStream, part: Vec<Play>, tell: &Sender<Value>) {
    // A test that fails must not hang its stand-in.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut lines = BufReader::new(stream);
    for play in part {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let request: Value = serde_json::from_str(&line).unwrap();
        let id = request["id"].clone();
        tell.send(request).unwrap();
        let text = match play {
            Play::Answer(result) => format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "result": result})),
            Play::Refuse(error) => format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "error": error})),
            Play::Raw(text) => text.replace("ID", &id.to_string()),
            Play::Close => return,
            Play::Silence => {
                let _ = lines.read_line(&mut line);
                return;
            }
        };
        // The client may be gone, for example after a line that is too long for it.
        let _ = lines.get_mut().write_all(text.as_bytes());
    }
}

/// Installs a program, through another process: a file that this one has open for writing, in any thread, may be
/// inherited by a child of another thread, and then it cannot be run.
pub fn install(script: &str, at: &Path) {
    let source = at.with_extension("source");
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    let copy = std::process::Command::new("install").args(["-m", "755"]).args([&source, at]).status().unwrap();
    assert!(copy.success());
    std::fs::remove_file(source).unwrap();
}

/// The error that akkd answers with.
pub fn refusal(kind: &str, message: &str, hint: &str) -> Play {
    Play::Refuse(json!({"code": -32002, "message": message, "data": {"kind": kind, "hint": hint}}))
}

/// `daemon.info` of an akkd of this protocol.
pub fn info(protocol: u32) -> Value {
    json!({
        "version": "9.9.9", "protocol": protocol, "pid": std::process::id(),
        "started_at": "2026-06-20T14:00:00.000Z", "uptime_ms": 65000, "home": "/h", "socket": "/h/run/akkd.sock",
        "config": "/h/config.toml", "open_conversations": 0, "conversations": 0, "open_turns": 0, "agents": 0,
        "undelivered": 0
    })
}
