//! The command line of the demo agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const USAGE: &str = "\
usage: akkctl demo-agent [options]

  --store DIR          keep sessions on disk, so that another process can load or resume them
  --log FILE           append a JSON line for each thing that happens to the agent
  --models A,B,…       models to offer (default demo-small,demo-large; empty: none)
  --legacy-models      offer them in the older form (`models`, session/set_model)
  --caps A,B,…         of load, resume, list, close, delete (default load,resume,list,close,delete)
  --auth MODE          none, new (session/new is refused) or prompt (session/prompt is refused)
  --protocol N         the protocol version to answer with (default 1)
  --start-delay S      seconds before initialize is answered
  --crash-on-start     exit with code 7 before anything is answered
  --ignore-term        survive SIGTERM, SIGINT and SIGHUP
  --pace MS            milliseconds between the steps of the built-in story (default 350)
  --workshop           let the built-in story write greeting.txt in its working directory
  --linger S           do nothing for S seconds and exit (a stray grandchild)
  --own-session        with --linger: in a session and process group of its own";

/// Which requests are refused for want of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    /// None.
    Open,
    /// `session/new` and its kin.
    AtSession,
    /// `session/prompt`.
    AtPrompt,
}

/// How this agent behaves, whatever its prompts say.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, independent of the others")]
pub(super) struct Options {
    pub(super) store: Option<PathBuf>,
    pub(super) log: Option<PathBuf>,
    pub(super) models: Vec<String>,
    pub(super) legacy_models: bool,
    pub(super) caps: Vec<String>,
    pub(super) auth: Auth,
    pub(super) protocol: u16,
    pub(super) start_delay: Duration,
    pub(super) crash_on_start: bool,
    pub(super) ignore_term: bool,
    pub(super) pace: Duration,
    pub(super) workshop: bool,
    pub(super) linger: Option<Duration>,
    pub(super) own_session: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: None,
            log: None,
            models: words("demo-small,demo-large"),
            legacy_models: false,
            caps: words("load,resume,list,close,delete"),
            auth: Auth::Open,
            protocol: 1,
            start_delay: Duration::ZERO,
            crash_on_start: false,
            ignore_term: false,
            pace: Duration::from_millis(350),
            workshop: false,
            linger: None,
            own_session: false,
        }
    }
}

impl Options {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// A sentence that names the word.
    pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.map(|a| a.into_string().map_err(|a| format!("not UTF-8: {}", a.display())));
        while let Some(word) = args.next().transpose()? {
            let mut value = || args.next().unwrap_or_else(|| Err(format!("{word} needs a value")));
            match word.as_str() {
                "--store" => options.store = Some(value()?.into()),
                "--log" => options.log = Some(value()?.into()),
                "--models" => options.models = words(&value()?),
                "--legacy-models" => options.legacy_models = true,
                "--caps" => options.caps = words(&value()?),
                "--auth" => options.auth = auth(&value()?)?,
                "--protocol" => options.protocol = number(&word, &value()?)?,
                "--start-delay" => options.start_delay = seconds(&word, &value()?)?,
                "--crash-on-start" => options.crash_on_start = true,
                "--ignore-term" => options.ignore_term = true,
                "--pace" => options.pace = Duration::from_millis(number(&word, &value()?)?),
                "--workshop" => options.workshop = true,
                "--linger" => options.linger = Some(seconds(&word, &value()?)?),
                "--own-session" => options.own_session = true,
                _ => return Err(format!("unknown option {word}")),
            }
        }
        Ok(options)
    }

    /// Whether the agent claims this capability.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.caps.iter().any(|c| c == capability)
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn auth(word: &str) -> Result<Auth, String> {
    match word {
        "none" => Ok(Auth::Open),
        "new" => Ok(Auth::AtSession),
        "prompt" => Ok(Auth::AtPrompt),
        _ => Err(format!("--auth takes none, new or prompt, not {word}")),
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option} needs a number, not {text}"))
}

fn seconds(option: &str, text: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number(option, text)?).map_err(|e| format!("{option} {text}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::{Auth, Options};
    use std::time::Duration;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn options_are_read_in_any_order() {
        let o = parse("--models a,b --store /s --auth prompt --start-delay 0.5 --caps load").unwrap();
        assert_eq!((o.models.len(), o.auth, o.start_delay), (2, Auth::AtPrompt, Duration::from_millis(500)));
        assert!(o.can("load") && !o.can("resume"));
    }

    #[test]
    fn a_wrong_word_is_named() {
        assert_eq!(parse("--modles a").unwrap_err(), "unknown option --modles");
        assert_eq!(parse("--store").unwrap_err(), "--store needs a value");
        assert_eq!(parse("--protocol x").unwrap_err(), "--protocol needs a number, not x");
        assert!(parse("--start-delay -1").is_err());
    }
}
