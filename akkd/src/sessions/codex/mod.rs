//! Codex: what lies in a Codex home, and which process works on it. Facts are of codex 0.169; other versions degrade
//! to what can be read.

pub mod app_server;
