//! Whether somebody is logged in to an agent, as far as that can be seen without a network. No secret is read: of files
//! that hold one only their existence counts, of variables only that they are set.

use super::asking::{self, Answer, PATIENCE};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What can be seen of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// There is one, kept so.
    Seen(String),
    /// There is none, and this makes one.
    None(&'static str),
    /// Nobody can say from outside; this makes one.
    Unseen(&'static str),
}

/// The login of one agent: what its program says of it, where there is one, and what can be seen without.
pub(super) async fn look(name: &str, program: Option<&Path>, env: &BTreeMap<String, String>) -> Option<Login> {
    let home = env.get("HOME").map(PathBuf::from).unwrap_or_default();
    let folder = |variable: &str, usual: &str| {
        env.get(variable).filter(|v| !v.is_empty()).map_or_else(|| home.join(usual), PathBuf::from)
    };
    let keys = |names: &[&'static str]| names.iter().copied().find(|n| env.get(*n).is_some_and(|v| !v.is_empty()));
    let login = match name {
        "codex" => {
            if let Some(key) = keys(&["CODEX_API_KEY", "OPENAI_API_KEY"]) {
                return Some(Login::Seen(format!("{key} is set")));
            }
            // Asked of Codex itself, which knows where it keeps it (`cli_auth_credentials_store`). It opens no
            // connection for that (seen of 0.169.0); its exit code is 1 where there is none.
            let status = match program {
                Some(program) => asking::ask(program, &["login", "status"], &asking::environment(env), PATIENCE).await,
                None => Answer::Silent,
            };
            judge_codex(&status, folder("CODEX_HOME", ".codex").join("auth.json").is_file())
        }
        "claude" => {
            const KEYS: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
            // On Linux a file, on macOS the keychain: code.claude.com/docs, "Credential management".
            kept(
                keys(&KEYS),
                &folder("CLAUDE_CONFIG_DIR", ".claude").join(".credentials.json"),
                if cfg!(target_os = "macos") { Elsewhere::Maybe } else { Elsewhere::Helper },
                "`claude`, then `/login`",
            )
        }
        "gemini" => {
            const KEYS: [&str; 4] =
                ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GENAI_USE_VERTEXAI"];
            // Newer ones can use the system's keychain instead.
            kept(keys(&KEYS), &home.join(".gemini/oauth_creds.json"), Elsewhere::Maybe, "`gemini`, which then asks")
        }
        "cursor" => kept(
            keys(&["CURSOR_API_KEY"]),
            &env.get("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from).join("cursor/auth.json"),
            Elsewhere::Maybe,
            "`cursor-agent login`",
        ),
        _ => return None,
    };
    Some(login)
}

/// Where else a login may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    /// In a keychain, which is not asked.
    Maybe,
    /// Only in a helper that settings name: unusual.
    Helper,
}

fn kept(key: Option<&'static str>, file: &Path, elsewhere: Elsewhere, how: &'static str) -> Login {
    match (key, elsewhere) {
        (Some(key), _) => Login::Seen(format!("{key} is set")),
        (None, _) if file.is_file() => {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Login::Seen(format!("a login is kept in {name}"))
        }
        (None, Elsewhere::Helper) => Login::None(how),
        (None, Elsewhere::Maybe) => Login::Unseen(how),
    }
}

/// What `codex login status` came to. Its words are not repeated: they hold a part of a key.
fn judge_codex(answer: &Answer, file: bool) -> Login {
    match answer {
        Answer::Said { code: Some(0), .. } => Login::Seen("logged in".to_owned()),
        Answer::Said { code: Some(1), .. } if !file => Login::None("`codex login`"),
        _ if file => Login::Seen("a login is kept in auth.json".to_owned()),
        _ => Login::Unseen("`codex login`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_codex_says_counts_and_a_file_where_it_says_nothing() {
        let said = |code| Answer::Said { code, text: "API key configured - sk-test-***00000".to_owned() };
        assert_eq!(judge_codex(&said(Some(0)), true), Login::Seen("logged in".to_owned()));
        assert_eq!(judge_codex(&said(Some(1)), false), Login::None("`codex login`"));
        assert!(matches!(judge_codex(&Answer::Silent, true), Login::Seen(_)));
        assert_eq!(judge_codex(&said(None), false), Login::Unseen("`codex login`"));
    }

    #[tokio::test]
    async fn a_login_is_seen_by_a_file_or_a_variable_and_never_read() {
        for program in [Some(Path::new("/no/such/program")), None] {
            sees_each(program).await;
        }
    }

    async fn sees_each(program: Option<&Path>) {
        let home = tempfile::tempdir().unwrap();
        let text = home.path().to_str().unwrap().to_owned();
        let mut env = BTreeMap::from([("HOME".to_owned(), text)]);
        for (name, file, key) in [
            ("claude", ".claude/.credentials.json", "CLAUDE_CODE_OAUTH_TOKEN"),
            ("gemini", ".gemini/oauth_creds.json", "GEMINI_API_KEY"),
            ("cursor", ".config/cursor/auth.json", "CURSOR_API_KEY"),
            ("codex", ".codex/auth.json", "OPENAI_API_KEY"),
        ] {
            let before = look(name, program, &env).await.unwrap();
            assert!(matches!(before, Login::None(_) | Login::Unseen(_)), "{name}: {before:?}");
            env.insert(key.to_owned(), "geheim".to_owned());
            assert_eq!(look(name, program, &env).await, Some(Login::Seen(format!("{key} is set"))));
            env.remove(key);
            let file = home.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "geheim").unwrap();
            let Some(Login::Seen(how)) = look(name, program, &env).await else { panic!("{name}") };
            assert!(how.ends_with(file.file_name().unwrap().to_str().unwrap()), "{how}");
        }
        assert_eq!(look("node", program, &env).await, None);
    }
}
