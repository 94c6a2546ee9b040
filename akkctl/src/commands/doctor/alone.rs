//! Where no akkd runs, its program looks by itself: `akkd --doctor`, with the environment that it would be started with.

use super::Context;
use crate::start::find_program;
use akk_proto::api::{Check, CheckLevel, DoctorAnswer, check};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long it may take: the programs that it asks have 2 s each, all at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of its answer at most.
const LONGEST: u64 = 4 << 20;

/// What akkd's program sees; else what is wrong with it, and what akkctl sees without it.
pub(super) fn look(context: &Context<'_>) -> DoctorAnswer {
    let program = match find_program(std::env::current_exe().ok(), std::env::var_os("PATH")) {
        Ok(program) => program,
        Err(e) => {
            let line = Check::new(check::AKKD, "akkd", CheckLevel::Fail, e.to_string(), Some(&e.hint()));
            return without(context, Some(line));
        }
    };
    match ask(&program, context) {
        Ok(answer) => answer,
        Err(why) => {
            let found = format!("{} cannot look: {why}", context.view.path(&program.to_string_lossy()));
            let hint = "Install akkd and akkctl of one version.";
            without(context, Some(Check::new(check::AKKD, "akkd", CheckLevel::Warn, found, Some(hint))))
        }
    }
}

fn ask(program: &Path, context: &Context<'_>) -> Result<DoctorAnswer, String> {
    let mut command = Command::new(program);
    command.arg("--doctor").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
    // What was relative to our directory must not be relative to another one.
    if let Some(home) = &context.surroundings.akk_home {
        command.env("AKK_HOME", home);
    }
    if let Some(socket) = &context.surroundings.akk_socket {
        command.env("AKK_SOCKET", socket);
    }
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let (tell, told) = mpsc::channel();
    let out = child.stdout.take();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = out.map_or(Ok(0), |out| out.take(LONGEST).read_to_end(&mut text));
        tell.send(read.map(|_| text))
    });
    let text = told.recv_timeout(PATIENCE);
    if text.is_err() {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    let text = text.map_err(|_| format!("it took longer than {} s", PATIENCE.as_secs()))?.map_err(|e| e.to_string())?;
    if !status.success() {
        return Err("it is of another version".to_owned());
    }
    serde_json::from_slice(&text).map_err(|e| format!("its answer is not understood: {e}"))
}

/// The places, seen by akkctl alone.
fn without(context: &Context<'_>, line: Option<Check>) -> DoctorAnswer {
    let paths = &context.surroundings.paths;
    let shown = |path: &Path| context.view.path(&path.to_string_lossy());
    let may_write = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let state = shown(&paths.state);
    let home = |level, found: String, hint: Option<&str>| Check::new(check::HOME, "home", level, found, hint);
    let home = match rustix::fs::access(&paths.state, may_write) {
        Ok(()) => home(CheckLevel::Ok, format!("{state} can be written"), None),
        Err(rustix::io::Errno::NOENT) => {
            home(CheckLevel::Note, format!("{state} is made when akkd first starts"), None)
        }
        Err(e) => {
            let hint = "Let it belong to you, with mode 0700.";
            home(CheckLevel::Fail, format!("{state} cannot be written: {e}"), Some(hint))
        }
    };
    let place = shown(&paths.config);
    let config = |level, found: String, hint: Option<&str>| Check::new(check::HOME, "config", level, found, hint);
    let config = match std::fs::metadata(&paths.config) {
        Ok(_) => config(CheckLevel::Ok, format!("{place}; akkd says whether it is right"), None),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            config(CheckLevel::Ok, format!("there is no {place}: the defaults count"), None)
        }
        Err(e) => config(CheckLevel::Fail, format!("{place} cannot be read: {e}"), Some("Let it belong to you.")),
    };
    DoctorAnswer {
        checks: line.into_iter().chain([home, config]).collect(),
        plugins: Vec::new(),
        environment: std::collections::BTreeMap::new(),
    }
}
