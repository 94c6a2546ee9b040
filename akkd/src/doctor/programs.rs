//! The programs that agents are, or run on: where they are found, their version, and whether somebody is logged in.

use super::asking::{self, Answer, PATIENCE};
use super::login::{self, Login};
use super::short;
use super::versions::{self, Fit, KNOWN, Known};
use crate::config::{Config, Surroundings, agent_environment};
use akk_proto::api::{Check, CheckLevel, check};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Whether `path` is a file that can be run.
pub(super) fn runs(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The program that a command runs: by its path, else found in `path`.
///
/// # Errors
/// Why there is none, as the rest of a sentence.
pub(super) fn find(name: &str, path: Option<&str>) -> Result<PathBuf, String> {
    if name.contains('/') {
        let program = PathBuf::from(name);
        return match program.metadata() {
            Ok(_) if runs(&program) => Ok(program),
            Ok(_) => Err(format!("{name} is not executable")),
            Err(e) => Err(format!("{name}: {e}")),
        };
    }
    let folders = path.into_iter().flat_map(std::env::split_paths).filter(|f| f.is_absolute());
    folders.map(|f| f.join(name)).find(|p| runs(p)).ok_or_else(|| format!("`{name}` is not in the agents' PATH"))
}

/// A line for each program that is found, and one for all that are not. `used`: the names of those that this installation
/// cannot do without.
pub(super) async fn look(config: &Config, around: &Surroundings, used: &[&str]) -> Vec<Check> {
    let looks = KNOWN.iter().map(|known| one(known, config, around, used.contains(&known.name)));
    let found = futures_util::future::join_all(looks).await;
    let missing: Vec<&str> = KNOWN.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(k, _)| k.name).collect();
    let mut checks: Vec<Check> = found.into_iter().flatten().collect();
    if !missing.is_empty() {
        let found = format!("{}: not in the agents' PATH, and needed only by who uses them", missing.join(", "));
        checks.push(Check::new(check::AGENTS, "not found", CheckLevel::Note, found, None));
    }
    checks
}

async fn one(known: &Known, config: &Config, around: &Surroundings, used: bool) -> Option<Check> {
    // What has no agent of its own gets what the built-in one gets.
    let spec = config.agents.get(known.name).or_else(|| config.agents.get("demo"))?;
    let env = agent_environment(spec, &around.env, None);
    let path = env.get("PATH").map(String::as_str);
    let program = match config.codex_command.as_slice() {
        [command] if known.name == "codex" => find(command, path).ok(),
        _ => known.programs.iter().find_map(|name| find(name, path).ok()),
    };
    let Some(program) = program else {
        // What speaks for the agent may bring it along, as the packages that npx runs do. They use the same login.
        return if used { login::look(known.name, None, &env).await.map(|login| absent(known, &login)) } else { None };
    };
    let asked = asking::environment(&env);
    let (answer, login) = tokio::join!(
        asking::ask(&program, &["--version"], &asked, PATIENCE),
        login::look(known.name, Some(&program), &env)
    );
    Some(judge(known, &short(&program, &env), &answer, login.as_ref(), used))
}

/// The line of a program that is not there itself, for the login of the agent that is used all the same.
fn absent(known: &Known, login: &Login) -> Check {
    let line = |level, login: String, hint: Option<String>| {
        let found = format!("not in the agents' PATH by itself; {login}");
        Check::new(check::AGENTS, known.name, level, found, hint.as_deref())
    };
    match login {
        Login::Seen(how) => line(CheckLevel::Ok, how.clone(), None),
        Login::None(how) => line(
            CheckLevel::Warn,
            "nobody is logged in".to_owned(),
            Some(format!("Log in with {how}; for that the program must be installed.")),
        ),
        Login::Unseen(how) => line(
            CheckLevel::Note,
            "whether somebody is logged in cannot be seen".to_owned(),
            Some(format!("If nobody is: {how}; for that the program must be installed.")),
        ),
    }
}

/// The line of one program.
fn judge(known: &Known, place: &str, answer: &Answer, login: Option<&Login>, used: bool) -> Check {
    let Known { name, update, programs, .. } = known;
    let program = programs.first().unwrap_or(name);
    let line =
        |level, found: String, hint: Option<String>| Check::new(check::AGENTS, name, level, found, hint.as_deref());
    let worse = if used { CheckLevel::Warn } else { CheckLevel::Note };
    let version = match answer {
        Answer::Unstartable(why) => {
            return line(worse, format!("{place} cannot be run: {why}"), Some(format!("Install it anew: `{update}`.")));
        }
        Answer::Silent => {
            let found = format!("{place} did not say its version within {} s", PATIENCE.as_secs());
            return line(worse, found, Some(format!("Try `{program} --version`; to install it anew: `{update}`.")));
        }
        Answer::Said { code: Some(0), text } => {
            versions::read(text).ok_or("says nothing that looks like a version".to_owned())
        }
        Answer::Said { code: Some(code), .. } => Err(format!("does not say its version, and ends with {code}")),
        Answer::Said { code: None, .. } => Err("was ended by a signal when it was asked for its version".to_owned()),
    };
    let version = match version {
        Ok(version) => version,
        Err(how) => return line(worse, format!("{place} {how}"), Some(format!("Try `{program} --version`."))),
    };
    let mut found = format!("{version}, {place}");
    let mut level = CheckLevel::Ok;
    let mut hints = Vec::new();
    match login {
        Some(Login::Seen(how)) => found = format!("{found}; {how}"),
        Some(Login::None(how)) => {
            found = format!("{found}; not logged in");
            level = worse;
            hints.push(format!("Log in with {how}."));
        }
        Some(Login::Unseen(how)) => {
            found = format!("{found}; whether it is logged in cannot be seen");
            if used {
                hints.push(format!("If it is not: {how}."));
                level = CheckLevel::Note;
            }
        }
        None => {}
    }
    match known.fit(&version) {
        Fit::Fine => {}
        Fit::TooOld(oldest, what) => {
            level = level.max(worse);
            found = format!("{found}; too old for {what}, which wants {oldest}");
            hints.push(format!("Bring it up to date: `{update}`."));
        }
        Fit::Before(tried) => {
            level = level.max(worse);
            found = format!("{found}; older than {tried}, with which this akkd was tried");
            hints.push(format!("Bring it up to date: `{update}`."));
        }
        Fit::After(tried) => {
            level = level.max(CheckLevel::Note);
            found = format!("{found}; newer than {tried}, with which this akkd was tried");
        }
    }
    line(level, found, (!hints.is_empty()).then(|| hints.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, answer: &Answer, login: Option<&Login>, used: bool) -> String {
        let known = KNOWN.iter().find(|k| k.name == name).unwrap();
        let check = judge(known, "~/bin/it", answer, login, used);
        let hint = check.hint.map(|h| format!("\n    {h}")).unwrap_or_default();
        format!("{:?} {}: {}{hint}", check.level, check.name, check.found)
    }

    #[test]
    fn every_program_is_judged_by_what_it_said() {
        let said = |text: &str| Answer::Said { code: Some(0), text: text.to_owned() };
        let seen = Login::Seen("logged in".to_owned());
        let none = Login::None("`codex login`");
        let all = [
            shown("codex", &said("codex-cli 0.169.0"), Some(&seen), true),
            shown("codex", &said("codex-cli 0.100.0"), Some(&none), true),
            shown("codex", &said("codex-cli 0.169.1"), Some(&none), false),
            shown("codex", &said("codex-cli 1.0.0"), Some(&seen), true),
            shown("cursor", &said("2026.06.04-5fd875e"), Some(&Login::Unseen("`cursor-agent login`")), false),
            shown("cursor", &said("2026.06.04-5fd875e"), Some(&Login::Unseen("`cursor-agent login`")), true),
            shown("gemini", &said("0.32.0"), None, false),
            shown("node", &said("v20.20.2"), None, true),
            shown("acpx", &said("Segmentation fault"), None, true),
            shown("acpx", &Answer::Said { code: Some(127), text: String::new() }, None, false),
            shown("acpx", &Answer::Said { code: None, text: "1.2.3".to_owned() }, None, false),
            shown("claude", &Answer::Silent, None, true),
            shown("openclaw", &Answer::Unstartable("Exec format error".to_owned()), None, false),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[tokio::test]
    async fn what_is_nowhere_is_told_on_one_line() {
        let empty = tempfile::tempdir().unwrap();
        let env = [("PATH".to_owned(), empty.path().to_str().unwrap().to_owned())].into();
        let around = Surroundings { akkctl: "/akkctl".into(), env };
        let config = Config::parse(Path::new("/c"), "", &around).unwrap();
        let checks = look(&config, &around, &["acpx"]).await;
        assert_eq!(checks.len(), 1);
        assert_eq!((checks[0].level, checks[0].name.as_str()), (CheckLevel::Note, "not found"));
        assert!(checks[0].found.starts_with("codex, claude, cursor, gemini, acpx, node, openclaw: "));
    }

    #[tokio::test]
    async fn the_login_of_an_agent_that_an_adapter_brings_along_is_told_without_its_program() {
        let home = tempfile::tempdir().unwrap();
        let text = home.path().to_str().unwrap().to_owned();
        let env = [("PATH".to_owned(), text.clone()), ("HOME".to_owned(), text)].into();
        let around = Surroundings { akkctl: "/akkctl".into(), env };
        let config = Config::parse(Path::new("/c"), "", &around).unwrap();
        let told = async |used: &[&str]| {
            let checks = look(&config, &around, used).await.into_iter();
            checks.map(|c| (c.level, format!("{}: {}", c.name, c.found))).collect::<Vec<_>>()
        };
        let unseen = told(&["codex"]).await;
        assert_eq!(unseen[0].0, CheckLevel::Note);
        assert!(unseen[0].1.ends_with("whether somebody is logged in cannot be seen"), "{unseen:?}");
        std::fs::create_dir(home.path().join(".codex")).unwrap();
        std::fs::write(home.path().join(".codex/auth.json"), "geheim").unwrap();
        let (level, line) = told(&["codex"]).await.swap_remove(0);
        assert_eq!(level, CheckLevel::Ok);
        assert_eq!(line, "codex: not in the agents' PATH by itself; a login is kept in auth.json");
        if !cfg!(target_os = "macos") {
            assert_eq!(told(&["claude"]).await[0].0, CheckLevel::Warn);
        }
    }
}
