//! The methods of the agent: which request leads where.

use super::options::{Auth, Options};
use super::prompt::Prompt;
use super::session::{Cancel, Kept, Session};
use super::turn::{Outcome, Turn};
use super::wire::{RpcError, Wire, locked};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Everything that the agent's threads share.
#[derive(Clone)]
pub(super) struct Agent(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) wire: Wire,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    logged_in: AtomicBool,
}

impl Agent {
    pub(super) fn new(options: Options) -> Self {
        let wire = Wire::new(&options);
        Self(Arc::new(Shared { options, wire, sessions: Mutex::default(), logged_in: AtomicBool::new(false) }))
    }

    pub(super) fn log_start(&self) {
        let facts = json!({
            "cwd": std::env::current_dir().ok(),
            "conversation": std::env::var("AKK_CONVERSATION").ok(),
            "parent": std::os::unix::process::parent_id(),
        });
        self.0.wire.log("start", facts);
    }

    pub(super) fn log_end(&self) {
        self.0.wire.log("end", json!({}));
    }

    /// Takes one line of input. Prompts run in threads of their own, so that a cancel is heard meanwhile; everything
    /// else is answered in order.
    pub(super) fn take(&self, line: &[u8]) {
        let wire = &self.0.wire;
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            wire.log("bad_line", json!({"bytes": line.len()}));
            return wire.answer(&Value::Null, &Err(RpcError::new(-32700, "Parse error")));
        };
        let id = message.get("id").cloned();
        let params = message.get("params").cloned().unwrap_or(Value::Null);
        match (message.get("method").and_then(Value::as_str), id) {
            (None, _) => wire.answered(message),
            (Some("session/cancel"), _) => self.cancel(&params),
            (Some("session/prompt"), Some(id)) => {
                let agent = self.clone();
                std::thread::spawn(move || agent.prompt(&id, &params));
            }
            (Some("initialize"), Some(id)) => {
                std::thread::sleep(self.0.options.start_delay);
                wire.answer(&id, &Ok(self.initialize()));
            }
            (Some(method), Some(id)) => wire.answer(&id, &self.request(method, &params)),
            (Some(_), None) => {}
        }
    }

    fn initialize(&self) -> Value {
        let options = &self.0.options;
        let session: serde_json::Map<String, Value> = ["resume", "list", "close", "delete"]
            .iter()
            .filter(|c| options.can(c))
            .map(|c| ((*c).to_owned(), json!({})))
            .collect();
        let methods =
            if options.auth == Auth::Open { json!([]) } else { json!([{"id": "demo", "name": "Demo login"}]) };
        json!({
            "protocolVersion": options.protocol,
            "agentInfo": {"name": "akk-demo-agent", "title": "Demo agent", "version": akk_proto::version::VERSION},
            "agentCapabilities": {
                "loadSession": options.can("load"),
                "promptCapabilities": {"image": false, "audio": false, "embeddedContext": true},
                "mcpCapabilities": {"http": false, "sse": false},
                "sessionCapabilities": session,
            },
            "authMethods": methods,
        })
    }

    fn request(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let options = &self.0.options;
        let needs = match method {
            "session/load" => "load",
            "session/resume" => "resume",
            "session/list" => "list",
            "session/close" => "close",
            "session/delete" => "delete",
            _ => "",
        };
        if !needs.is_empty() && !options.can(needs) {
            return Err(unknown_method(method));
        }
        match method {
            "authenticate" => {
                self.0.logged_in.store(true, Ordering::Relaxed);
                Ok(json!({}))
            }
            "session/new" => self.new_session(params),
            "session/load" => self.load(params),
            "session/resume" => self.enter(params, "resume").map(|s| s.describe(options)),
            "session/set_config_option" => self.set_option(params),
            "session/set_model" if options.legacy_models => {
                let session = self.session(params)?;
                session.set_model(options, text(params, "modelId")?)?;
                self.save(&session)?;
                Ok(json!({}))
            }
            "session/list" => Ok(self.list()),
            "session/close" => {
                self.cancel(params);
                locked(&self.0.sessions).remove(text(params, "sessionId")?);
                Ok(json!({}))
            }
            "session/delete" => {
                let id = text(params, "sessionId")?;
                if let Some(store) = &options.store
                    && Session::read(store, id).is_some()
                {
                    std::fs::remove_file(store.join(format!("{id}.json"))).map_err(internal)?;
                }
                locked(&self.0.sessions).remove(id);
                Ok(json!({}))
            }
            _ => Err(unknown_method(method)),
        }
    }

    fn login(&self, at: Auth) -> Result<(), RpcError> {
        if self.0.options.auth != at || self.0.logged_in.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(RpcError::new(-32000, "Authentication required"))
    }

    fn new_session(&self, params: &Value) -> Result<Value, RpcError> {
        self.login(Auth::AtSession)?;
        let options = &self.0.options;
        let kept = Kept {
            cwd: PathBuf::from(text(params, "cwd")?),
            model: options.models.first().cloned(),
            effort: "medium".to_owned(),
            prompts: Vec::new(),
        };
        let session = Arc::new(Session::new(uuid::Uuid::new_v4().to_string(), kept));
        self.save(&session)?;
        session.take_offer(params);
        locked(&self.0.sessions).insert(session.id.clone(), Arc::clone(&session));
        self.0.wire.log("session", json!({"session": session.id, "how": "new", "cwd": params["cwd"]}));
        let mut answer = session.describe(options);
        answer["sessionId"] = json!(session.id);
        Ok(answer)
    }

    /// Loads a session and tells its history again, as the protocol wants it.
    fn load(&self, params: &Value) -> Result<Value, RpcError> {
        let session = self.enter(params, "load")?;
        let prompts = locked(&session.kept).prompts.clone();
        for prompt in prompts {
            self.say(&session.id, "user_message_chunk", &prompt);
            self.say(&session.id, "agent_message_chunk", "(an answer from before)");
        }
        Ok(session.describe(&self.0.options))
    }

    fn enter(&self, params: &Value, how: &str) -> Result<Arc<Session>, RpcError> {
        self.login(Auth::AtSession)?;
        let found = self.session(params);
        self.0.wire.log("session", json!({"session": params["sessionId"], "how": how, "found": found.is_ok()}));
        found.inspect(|session| session.take_offer(params))
    }

    fn session(&self, params: &Value) -> Result<Arc<Session>, RpcError> {
        let id = text(params, "sessionId")?;
        let mut sessions = locked(&self.0.sessions);
        if let Some(session) = sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        let read = self.0.options.store.as_deref().and_then(|store| Session::read(store, id));
        let session = Arc::new(
            read.ok_or_else(|| RpcError::new(-32002, format!("Resource not found: {id}")).with(json!({"uri": id})))?,
        );
        sessions.insert(id.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    fn save(&self, session: &Session) -> Result<(), RpcError> {
        session.save(self.0.options.store.as_deref()).map_err(internal)
    }

    fn set_option(&self, params: &Value) -> Result<Value, RpcError> {
        let (session, value) = (self.session(params)?, text(params, "value")?);
        match text(params, "configId")? {
            "model" if !self.0.options.legacy_models => session.set_model(&self.0.options, value)?,
            "effort" => session.set_effort(value)?,
            other => return Err(RpcError::new(-32602, format!("unknown option {other}"))),
        }
        self.save(&session)?;
        self.0.wire.log("option", json!({"session": session.id, "option": params["configId"], "value": value}));
        Ok(json!({"configOptions": session.config_options(&self.0.options)}))
    }

    fn list(&self) -> Value {
        let sessions = locked(&self.0.sessions);
        let rows: Vec<_> = sessions.values().map(|s| json!({"sessionId": s.id, "cwd": locked(&s.kept).cwd})).collect();
        json!({"sessions": rows})
    }

    fn cancel(&self, params: &Value) {
        self.0.wire.log("cancel", json!({"session": params["sessionId"]}));
        if let Ok(session) = self.session(params)
            && let Some(turn) = locked(&session.turn).as_ref()
        {
            turn.ask();
        }
    }

    fn prompt(&self, id: &Value, params: &Value) {
        let wire = &self.0.wire;
        let blocks = params["prompt"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text: Vec<&str> = blocks.iter().filter_map(|b| b["text"].as_str()).collect();
        let prompt = Prompt::parse(&text.join("\n"));
        let head: String = prompt.body.chars().take(2000).collect();
        let session = self.login(Auth::AtPrompt).and_then(|()| self.session(params));
        let cancel = Arc::new(Cancel::default());
        // Before the log: who reads there that the prompt has come may cancel it.
        let overlaps = session.as_ref().is_ok_and(|s| locked(&s.turn).replace(Arc::clone(&cancel)).is_some());
        wire.log(
            "prompt",
            json!({
                "id": id, "session": params["sessionId"], "conversation": std::env::var("AKK_CONVERSATION").ok(),
                "turn": prompt.turn, "type": prompt.kind, "body": head, "bytes": prompt.bytes,
            }),
        );
        let session = match session {
            Ok(session) => session,
            Err(e) => return wire.answer(id, &Err(e)),
        };
        if overlaps {
            // Real agents never answer the first of two overlapping prompts. A client that does this has a defect.
            wire.log("overlap", json!({"session": session.id}));
        }
        locked(&session.kept).prompts.push(head);
        if let Err(e) = self.save(&session) {
            return wire.answer(id, &Err(e));
        }
        let turn = Turn::new(self.clone(), Arc::clone(&session), cancel, prompt);
        let Outcome { answer, twice, late } = turn.run();
        *locked(&session.turn) = None;
        wire.log(
            "answer",
            json!({"id": id, "stop": answer.as_ref().map_or("error", |a| a["stopReason"].as_str().unwrap_or(""))}),
        );
        for _ in 0..=u8::from(twice) {
            wire.answer(id, &answer);
        }
        turn.after(late);
    }

    /// A piece of text in a session.
    pub(super) fn say(&self, session: &str, kind: &str, text: &str) {
        self.0.wire.update(session, &json!({"sessionUpdate": kind, "content": {"type": "text", "text": text}}));
    }
}

fn text<'a>(params: &'a Value, name: &str) -> Result<&'a str, RpcError> {
    params[name].as_str().ok_or_else(|| RpcError::new(-32602, format!("{name} is missing")))
}

fn unknown_method(method: &str) -> RpcError {
    RpcError::new(-32601, "Method not found").with(json!({"method": method}))
}

fn internal(e: std::io::Error) -> RpcError {
    RpcError::new(-32603, format!("store: {e}"))
}
