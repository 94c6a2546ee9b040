//! The binary: arguments, environment, log; then [`akkd::run`].

use akk_proto::error::{ErrorKind, Failure};
use akk_proto::paths::{Environment, LAUNCHD_LABEL, Paths};
use akkd::config::{ConfigSource, Surroundings};
use akkd::lifecycle::{self, Activation};
use akkd::{Start, logging};
use clap::{CommandFactory as _, Parser};
use clap_mangen::roff::{Roff, bold, roman};
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// The daemon of Agent Knock Knock: owns conversations with coding agents.
///
/// Runs in the foreground until SIGTERM, SIGINT, or `akkctl daemon stop`. `akkctl` starts it by itself; nothing has to be set. AKK_HOME moves everything to one directory, AKK_SOCKET the
/// sockets, AKK_LOG_LEVEL sets what is logged.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print the manual page (for packages)
    #[arg(long, hide = true)]
    man: bool,
    /// Look whether everything works, print that as JSON, and end: what `akkctl doctor` asks for where no akkd runs.
    #[arg(long, hide = true)]
    doctor: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.man {
        return if manual().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let done = if arguments.doctor { look() } else { start() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(error = %failure.message, "akkd does not run");
            #[expect(clippy::print_stderr, reason = "the log may not exist yet, and whoever started akkd reads this")]
            {
                eprintln!("akkd: {}\nhint: {}", failure.message, failure.hint);
            }
            ExitCode::from(exit_code(&failure, std::env::var_os("XPC_SERVICE_NAME").as_deref()))
        }
    }
}

/// The codes of akkctl: 5 where another akkd has the home, which no manager of services should answer with a new start
/// (`RestartPreventExitStatus=` of our unit). launchd knows no such list, and starts again whatever fails: to `launchd`,
/// which names our service in `XPC_SERVICE_NAME`, that is success.
fn exit_code(failure: &Failure, launchd: Option<&OsStr>) -> u8 {
    let by_launchd = launchd.is_some_and(|label| label == LAUNCHD_LABEL);
    if by_launchd && failure.kind == ErrorKind::WrongStatus { 0 } else { failure.kind.exit_code() }
}

/// Prints the manual page.
fn manual() -> io::Result<()> {
    // Packages are to be the same on every day.
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let day = told.and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or_else(jiff::Timestamp::now);
    let day = day.strftime("%Y-%m-%d").to_string();
    let man = clap_mangen::Man::new(Arguments::command()).date(day).manual("Agent Knock Knock");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut more = Roff::default();
    more.control("SH", ["SEE ALSO"]);
    more.text([bold("akkctl"), roman("(1), "), bold("akkctl-daemon"), roman("(1)")]);
    more.to_writer(&mut page)?;
    io::stdout().write_all(&page)
}

fn start() -> Result<(), Failure> {
    let env = |name: &str| std::env::var(name).ok();
    lifecycle::refuse_inside_agent(env)?;
    // Both before the process has threads.
    let activation = Activation::from_env().map_err(|e| {
        Failure::new(
            ErrorKind::Internal,
            format!("the sockets that were handed over cannot be used: {e}"),
            "Look at the socket unit.",
        )
    })?;
    let around = Surroundings::of_this_process();
    let paths = paths()?;
    lifecycle::private_folders(&paths)?;
    let config = ConfigSource::open(paths.config.clone(), around)?;
    let now = config.current();
    let (settings, warnings) =
        logging::Settings::resolve(paths.logs(), env, now.log_level.as_deref(), now.log_retention_days);
    let _log = logging::start(&settings).map_err(|e| {
        Failure::new(
            ErrorKind::Storage,
            format!("the log in {} cannot be written: {e}", paths.logs().display()),
            "Make the directory writable for you, or set AKK_HOME.",
        )
    })?;
    for warning in warnings.iter().chain(&now.warnings) {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|e| {
            Failure::new(
                ErrorKind::Internal,
                format!("akkd cannot start its threads: {e}"),
                "Look at the limits of processes.",
            )
        })?;
    runtime.block_on(akkd::run(Start { paths, config, activation }))
}

/// Starts nothing and makes nothing.
fn look() -> Result<(), Failure> {
    let paths = paths()?;
    let failed = |e: std::io::Error| {
        Failure::new(ErrorKind::Internal, format!("akkd cannot look: {e}"), "Look at the limits of processes.")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let answer = runtime.block_on(akkd::doctor::look_alone(&paths, &Surroundings::of_this_process()));
    let text = serde_json::to_string(&answer).map_err(|e| failed(e.into()))?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes()).map_err(failed)
}

fn paths() -> Result<Paths, Failure> {
    let path = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let akk_home = path("AKK_HOME");
    for (name, value) in [("AKK_HOME", &akk_home), ("AKK_SOCKET", &path("AKK_SOCKET"))] {
        if let Some(value) = value.as_ref().filter(|v| !v.is_absolute()) {
            return Err(Failure::new(
                ErrorKind::InvalidParams,
                format!("{name} is {}, not an absolute path", value.display()),
                format!("Set {name} to a path from / on."),
            ));
        }
    }
    let base = directories::BaseDirs::new();
    if base.is_none() && akk_home.is_none() {
        return Err(Failure::new(ErrorKind::InvalidParams, "there is no home directory", "Set HOME or AKK_HOME."));
    }
    let state = base.as_ref().map(|b| b.state_dir().unwrap_or_else(|| b.data_local_dir()).to_owned());
    Ok(Paths::resolve(&Environment {
        akk_home,
        akk_socket: path("AKK_SOCKET"),
        runtime_dir: base
            .as_ref()
            .and_then(|b| b.runtime_dir().map(PathBuf::from))
            .or_else(lifecycle::runtime_dir_by_systemd),
        platform_state: state.unwrap_or_default(),
        platform_config: base.as_ref().map(|b| b.config_dir().to_owned()).unwrap_or_default(),
        uid: rustix::process::getuid().as_raw(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_akkd_that_finds_another_one_is_not_started_again() {
        let lost = Failure::new(ErrorKind::WrongStatus, "akkd (pid 1) serves this home already", "Use that one.");
        assert_eq!(exit_code(&lost, None), 5, "systemd's unit lists it");
        assert_eq!(exit_code(&lost, Some(OsStr::new(LAUNCHD_LABEL))), 0, "launchd starts again what fails");
        assert_eq!(exit_code(&lost, Some(OsStr::new("0"))), 5, "a terminal on macOS");
        let broken = Failure::new(ErrorKind::BadConfig, "config.toml:3: unknown key", "Remove it.");
        assert_eq!(exit_code(&broken, Some(OsStr::new(LAUNCHD_LABEL))), 1);
    }
}
