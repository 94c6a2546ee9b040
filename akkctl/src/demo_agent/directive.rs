//! What a script can tell the agent to do.

use std::time::Duration;

/// One line of a script. `\n` in a text stands for a line break; sizes take `k` and `m` (powers of 1024).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Directive {
    /// `say TEXT`: agent text.
    Say(String),
    /// `stream N [MS]`: N pieces of text, MS milliseconds apart (50).
    Stream { pieces: u32, pause: Duration },
    /// `think TEXT`: private thinking.
    Think(String),
    /// `tool [kind=K] TITLE`: a tool call that succeeds.
    Tool(Call),
    /// `toolfail [kind=K] TITLE`: a tool call that fails.
    ToolFail(Call),
    /// `perm [kind=K] TITLE`: asks for permission (allow once, reject once), then does or leaves it.
    Permission(Call),
    /// `perm2 [kind=K] TITLE`: the same with more choices, in an order and with names that mislead.
    Permission2(Call),
    /// `plan`: a plan with three entries.
    Plan,
    /// `usage`: tokens and cost so far.
    Usage,
    /// `update JSON`: any payload of `session/update`.
    Update(serde_json::Value),
    /// `callback TYPE TEXT`: reports through `akkctl callback`.
    Callback { kind: String, text: String },
    /// `callbackraw TEXT`: the same with a text of any form instead of the message.
    CallbackRaw(String),
    /// `akkctl WORD…`: runs akkctl against the akkd that this agent works for, and says what it came to.
    Akkctl(String),
    /// `mcp TOOL TEXT`: reports with a tool of the MCP server that the client offered.
    Mcp { tool: String, text: String },
    /// `ask TEXT`: reports a question and ends the turn.
    Ask(String),
    /// `sleep S`: waits; a cancel ends the wait and the turn.
    Sleep(Duration),
    /// `until FILE`: waits for a file in the session's directory; a cancel ends the wait and the turn.
    Until(String),
    /// `block S`: waits, deaf to a cancel.
    Block(Duration),
    /// `hang`: never goes on, deaf to a cancel.
    Hang,
    /// `ignorecancel`: from here on the turn takes no notice of a cancel.
    IgnoreCancel,
    /// `stderr TEXT`: a line on standard error.
    Stderr(String),
    /// `junk [TEXT]`: a line on standard output that is not JSON.
    Junk(String),
    /// `half [S]`: half of a message, S seconds later (0.2) the rest of the line.
    Half(Duration),
    /// `stump`: half of a message and nothing after it, until something else is written.
    Stump,
    /// `big N`: one piece of text of N bytes.
    Big(usize),
    /// `flood N`: N bytes of text in pieces of 8 KiB.
    Flood(usize),
    /// `len`: says how long the prompt is, in bytes.
    Len,
    /// `crash [CODE]`: a word on standard error and exit at once (3).
    Crash(i32),
    /// `exit [CODE]`: exit at once (0), without a word.
    Exit(i32),
    /// `kill9`: SIGKILL to itself.
    Kill9,
    /// `rpcerror [CODE [MESSAGE]]`: answers the prompt with an error.
    RpcError { code: i64, message: String },
    /// `stop REASON`: ends the turn with this stop reason.
    Stop(String),
    /// `late S DIRECTIVE`: S seconds after the prompt was answered. `late FILE DIRECTIVE`: when it was answered and the
    /// file is there in the session's directory.
    Late(Wait, Box<Self>),
    /// `twice`: the prompt is answered twice.
    Twice,
    /// `spawn S [own]`: a grandchild that lives S seconds, with `own` in its own session.
    Spawn { linger: Duration, own_session: bool },
    /// `modelrefused [MODEL]`: ends the turn as Codex does when the account may not use the model (only when MODEL is
    /// the session's model, if one is named).
    ModelRefused(Option<String>),
    /// `write FILE TEXT`: a file in the session's directory.
    Write { file: String, text: String },
    /// `env NAME`: says what the variable holds.
    Env(String),
    /// `envfile NAME FILE`: writes it into a file in the session's directory instead.
    EnvFile { name: String, file: String },
    /// `once NAME DIRECTIVE`: only the first time in this store (`--store`), whichever process it is.
    Once(String, Box<Self>),
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// Some time.
    Time(Duration),
    /// A file in the session's directory.
    File(String),
}

/// What a tool call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The protocol's kind: `execute` unless said otherwise.
    pub(super) kind: String,
    /// What it does.
    pub(super) title: String,
}

impl Call {
    pub(super) fn new(kind: &str, title: &str) -> Self {
        Self { kind: kind.to_owned(), title: title.to_owned() }
    }

    fn parse(rest: &str, default_title: &str) -> Self {
        let (kind, title) = match rest.strip_prefix("kind=") {
            Some(named) => named.split_once(' ').unwrap_or((named, "")),
            None => ("execute", rest),
        };
        Self::new(kind, if title.is_empty() { default_title } else { title })
    }
}

impl Directive {
    /// The directive on this line, if it is one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let directive = match word {
            "say" => Self::Say(text(rest)),
            "stream" => Self::Stream { pieces: first.parse().ok()?, pause: millis(tail, 50)? },
            "think" => Self::Think(text(rest)),
            "tool" => Self::Tool(Call::parse(rest, "ls")),
            "toolfail" => Self::ToolFail(Call::parse(rest, "false")),
            "perm" => Self::Permission(Call::parse(rest, "rm -rf build")),
            "perm2" => Self::Permission2(Call::parse(rest, "rm -rf build")),
            "plan" if rest.is_empty() => Self::Plan,
            "usage" if rest.is_empty() => Self::Usage,
            "update" => Self::Update(serde_json::from_str(rest).ok()?),
            "callback" if !tail.is_empty() => Self::Callback { kind: first.to_owned(), text: text(tail) },
            "callbackraw" => Self::CallbackRaw(text(rest)),
            "akkctl" if !rest.is_empty() => Self::Akkctl(rest.to_owned()),
            "mcp" if !tail.is_empty() => Self::Mcp { tool: first.to_owned(), text: text(tail) },
            "ask" if !rest.is_empty() => Self::Ask(text(rest)),
            "sleep" => Self::Sleep(seconds(rest, 1.0)?),
            "until" if first.contains('.') && !first.ends_with('.') && tail.is_empty() => Self::Until(first.to_owned()),
            "block" => Self::Block(seconds(rest, 1.0)?),
            "hang" if rest.is_empty() => Self::Hang,
            "ignorecancel" if rest.is_empty() => Self::IgnoreCancel,
            "stderr" => Self::Stderr(text(rest)),
            "junk" => Self::Junk(rest.to_owned()),
            "half" => Self::Half(seconds(rest, 0.2)?),
            "stump" if rest.is_empty() => Self::Stump,
            "big" => Self::Big(size(rest)?),
            "flood" => Self::Flood(size(rest)?),
            "len" if rest.is_empty() => Self::Len,
            "crash" => Self::Crash(code(rest, 3)?),
            "exit" => Self::Exit(code(rest, 0)?),
            "kill9" if rest.is_empty() => Self::Kill9,
            "rpcerror" => Self::RpcError {
                code: if first.is_empty() { -32603 } else { first.parse().ok()? },
                message: if tail.is_empty() { "Internal error".to_owned() } else { text(tail) },
            },
            "stop" => Self::Stop(stop_reason(rest)?),
            "late" => Self::Late(wait(first)?, Box::new(Self::parse(tail)?)),
            "twice" if rest.is_empty() => Self::Twice,
            "spawn" => Self::Spawn {
                linger: seconds(first, 60.0)?,
                own_session: match tail {
                    "" => false,
                    "own" => true,
                    _ => return None,
                },
            },
            "modelrefused" => Self::ModelRefused((!rest.is_empty()).then(|| rest.to_owned())),
            "write" if first.contains('.') => Self::Write { file: first.to_owned(), text: text(tail) },
            "env" if !first.is_empty() && tail.is_empty() => Self::Env(first.to_owned()),
            "envfile" if tail.contains('.') => Self::EnvFile { name: first.to_owned(), file: tail.to_owned() },
            "once" => Self::Once(plain_name(first)?, Box::new(Self::parse(tail)?)),
            _ => return None,
        };
        Some(directive)
    }
}

/// The lines of a script, if `text` is one: its first line is a directive. A later line that is none is said aloud,
/// so that a slip in a test shows itself.
pub(super) fn script(text: &str) -> Option<Vec<Directive>> {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let first = Directive::parse(lines.next()?)?;
    let rest = lines
        .map(|l| Directive::parse(l).unwrap_or_else(|| Directive::Say(format!("not a directive: {}\n", l.trim()))));
    Some(std::iter::once(first).chain(rest).collect())
}

fn text(rest: &str) -> String {
    rest.replace("\\n", "\n")
}

fn seconds(text: &str, default: f64) -> Option<Duration> {
    let number = if text.is_empty() { default } else { text.parse().ok()? };
    Duration::try_from_secs_f64(number).ok()
}

fn wait(word: &str) -> Option<Wait> {
    seconds(word, 0.2).map(Wait::Time).or_else(|| word.contains('.').then(|| Wait::File(word.to_owned())))
}

fn millis(text: &str, default: u64) -> Option<Duration> {
    if text.is_empty() { Some(default) } else { text.parse().ok() }.map(Duration::from_millis)
}

fn code(text: &str, default: i32) -> Option<i32> {
    if text.is_empty() { Some(default) } else { text.parse().ok() }
}

fn size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.strip_suffix(['k', 'm']) {
        Some(digits) => (digits, if text.ends_with('k') { 1 << 10 } else { 1 << 20 }),
        None => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// The protocol's stop reasons, so that a plain sentence with `stop` in front is no script.
fn stop_reason(word: &str) -> Option<String> {
    ["end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled"].contains(&word).then(|| word.to_owned())
}

fn plain_name(word: &str) -> Option<String> {
    (!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Call, Directive, Wait, script};
    use std::time::Duration;

    #[test]
    fn each_line_of_a_script_is_one_directive() {
        let lines =
            script("say hello\\nthere\n\n  flood 2m\ntool kind=read cat x\nlate 0.5 callback done it is done").unwrap();
        assert_eq!(
            lines,
            [
                Directive::Say("hello\nthere".into()),
                Directive::Flood(2 << 20),
                Directive::Tool(Call::new("read", "cat x")),
                Directive::Late(
                    Wait::Time(Duration::from_millis(500)),
                    Box::new(Directive::Callback { kind: "done".into(), text: "it is done".into() })
                ),
            ]
        );
    }

    #[test]
    fn a_plain_sentence_is_no_script_even_when_it_begins_with_the_word_of_a_directive() {
        for plain in [
            "fix the parser",
            "write a parser",
            "stop the server from crashing",
            "plan the release",
            "until 3.5 is out",
            "until tomorrow.",
            "",
        ] {
            assert_eq!(script(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_slip_in_a_script_is_said_aloud() {
        assert_eq!(script("think a\nslep 3").unwrap()[1], Directive::Say("not a directive: slep 3\n".into()));
    }
}
