//! The scriptable agent on its own, until `akkctl demo-agent` dispatches to it.

#[path = "../src/demo_agent/mod.rs"]
mod demo_agent;

fn main() -> std::process::ExitCode {
    demo_agent::run(std::env::args_os().skip(1).skip_while(|a| a == "demo-agent"))
}
