//! What an agent reads: the bootstrap, later prompts, and the replay for a fresh session.
//!
//! Every prompt names the turn that it belongs to, in the command that the agent runs to report back, so that an old
//! report cannot settle a new turn.

use crate::conversation::{Conversation, Origin};
use crate::redact::cut;
use akk_proto::TurnId;
use akk_proto::message::Message;
use akk_proto::session::Strategy;
use std::fmt::Write as _;

/// Messages of the history in a replay.
pub const REPLAY_MESSAGES: usize = 40;
/// Characters of each of them.
pub const REPLAY_CHARS: usize = 700;

/// What a prompt is about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The conversation.
    pub conversation: &'a Conversation,
    /// The turn that the prompt opens.
    pub turn_id: &'a TurnId,
    /// Absolute path of akkctl: the agent's PATH is not ours.
    pub akkctl: &'a str,
}

/// The first prompt of an agent session.
pub fn bootstrap(facts: Facts<'_>, controls: &[Message], message: &Message) -> String {
    let mut out = rules(facts);
    push_origin(&mut out, facts.conversation);
    out.push_str("\n# Your task\n\n");
    push_messages(&mut out, controls, message);
    out
}

/// A prompt in a session that has seen the bootstrap.
pub fn follow_up(facts: Facts<'_>, controls: &[Message], message: &Message) -> String {
    let mut out = format!(
        "A message from the orchestrator ({} of {} rounds are used). The rules of the first message still hold.\n\n",
        facts.conversation.rounds_used, facts.conversation.settings.soft_limit
    );
    push_messages(&mut out, controls, message);
    if is_joined(facts.conversation) {
        out.push_str("\nReport back as before, with the final text of your turn.\n");
    } else {
        let turn = facts.turn_id;
        let example = command(facts, EXAMPLE_DONE);
        let _ =
            write!(out, "\nReport back as before, now for {turn} (turn \"{turn}\" of a reporting tool):\n\n{example}");
    }
    out
}

/// The first prompt of a session that replaces a lost one.
pub fn replay(facts: Facts<'_>, history: &[Message], controls: &[Message], message: &Message) -> String {
    let mut out = rules(facts);
    if matches!(facts.conversation.origin, Some(Origin::Forked { .. })) {
        push_origin(&mut out, facts.conversation);
    }
    out.push_str(
        "\n# What happened before\n\nThis is a new agent session for a task that began earlier; the earlier session is \
         not available. Work of it may already be in the workspace: look before you repeat anything. ",
    );
    let _ = write!(
        out,
        "The request was:\n\n{}\n\nThe last messages, oldest first, each cut at {REPLAY_CHARS} characters:\n\n",
        indent(&cut(&facts.conversation.settings.user_request, 4000)),
    );
    for m in history.iter().rev().take(REPLAY_MESSAGES).collect::<Vec<_>>().into_iter().rev() {
        if m.id != message.id {
            let _ = writeln!(out, "* {} → {}, {}: {}", m.from, m.to, m.kind, one_line(&cut(&m.body, REPLAY_CHARS)));
        }
    }
    out.push_str("\n# The message to work on now\n\n");
    push_messages(&mut out, controls, message);
    out
}

/// What the agent must know of the native session that its conversation came from.
fn push_origin(out: &mut String, conversation: &Conversation) {
    match &conversation.origin {
        None => {}
        Some(Origin::Attached { .. }) => out.push_str(
            "\n# This session existed before\n\nA person worked with you in this session until now. What was said and \
             done in it still holds. From here on the messages come from the orchestrator, under the rules above; the \
             person may come back to this session later.\n",
        ),
        Some(Origin::Forked { fork, .. }) => {
            let _ = write!(
                out,
                "\n# What was handed over\n\nThis is a new session. A person worked on this with another agent session \
                 before; it goes on without you. The person confirmed this summary of it, and you get nothing else of \
                 it. Work of it may be in the workspace: look before you repeat anything.\n\n{}\n",
                indent(&fork.summary)
            );
        }
    }
}

/// Whether the agent runs in a process of the person's, which has no ticket to report with.
fn is_joined(conversation: &Conversation) -> bool {
    conversation.attachment().is_some_and(|a| a.strategy == Strategy::Attach)
}

const EXAMPLE_DONE: &str = r#"{"type":"done","body":"What changed: … How it was verified: … What remains: nothing."}"#;
const EXAMPLE_QUESTION: &str = r#"{"type":"question","body":"Shall the old API stay? I recommend yes, because …"}"#;

fn rules(facts: Facts<'_>) -> String {
    let c = facts.conversation;
    let s = &c.settings;
    let actor = &s.actor;
    format!(
        "You are {actor}, a coding agent that works on a task in {workspace} for an orchestrator called openclaw. The \
orchestrator owns the product: requirements, scope, acceptance, trade-offs. You own the engineering: reading and \
editing files, running commands, fixing tests. {watched}; what the orchestrator must know, you report.

# Rules

* Work on your own as far as you can. Use the fewest rounds that need an answer: {used} of {soft} are used, and at \
{hard} the task fails.
* Ask (`question`) or report that you cannot go on (`blocked`) when: requirements are ambiguous or conflict; product \
behaviour, scope or acceptance needs interpretation; a compromise, degraded behaviour, a narrower scope or a \
workaround would be needed; a decision on architecture, risk, permissions, a dependency or the environment affects the \
product; you cannot go on. Put everything you need to know into one question, with the choices and your \
recommendation. After a `question` or `blocked` that brought no answer, end your turn: the answer comes as your next \
message.
* Report `progress` at milestones of long work. It needs no answer; go on working.
* When the round is complete, report `done`. It must say what changed, how it was verified, and what remains.
* When something fails for good, report `error` with the cause.
* Do not poll and do not wait for answers inside a turn.

# How to report back

{report}",
        watched = if is_joined(c) { "The person may watch this session" } else { "Nobody watches your terminal" },
        workspace = s.workspace,
        used = c.rounds_used,
        soft = s.soft_limit,
        hard = s.hard_limit,
        report = if is_joined(c) { by_final_text() } else { by_command(facts) },
    )
}

/// For an agent that cannot reach akkd: the end of its turn is its report.
fn by_final_text() -> String {
    format!(
        "You cannot reach the orchestrator from inside this session. What you say last in your turn is your report: a \
plain text counts as `done`. To ask, or to report that you are blocked or that something failed for good, make that \
last text exactly one JSON object and nothing else:

    {EXAMPLE_QUESTION}

The types are question, blocked, done, error.
"
    )
}

fn by_command(facts: Facts<'_>) -> String {
    format!(
        "If you have the reporting tools of akk (report_progress, ask_question, report_blocked, report_done, report_error), use them. \
For example: report_done with turn \"{turn}\" and body \"What changed: … How it was verified: … What remains: nothing.\" \
ask_question waits a little for the answer; if it brings one, go on with your work in the same turn.

Otherwise run this command, with one shell-quoted JSON object:

{example}
When quoting gets hard, use a heredoc:

{heredoc}
or write the JSON to a file and give `--message-file FILE`. The types are question, blocked, progress, done, error. \
The command prints `ok` when the message is safely recorded; if it fails, read what it says and try again. \
If you cannot run it at all, end your turn with a final text that says what you would have reported.
",
        turn = facts.turn_id,
        example = command(facts, EXAMPLE_DONE),
        heredoc = heredoc(facts, EXAMPLE_QUESTION),
    )
}

fn call(facts: Facts<'_>) -> String {
    let id = &facts.conversation.settings.conversation_id;
    format!("{} callback --conversation {id} --turn {}", quote(facts.akkctl), facts.turn_id)
}

fn command(facts: Facts<'_>, json: &str) -> String {
    format!("    {} '{json}'\n", call(facts))
}

fn heredoc(facts: Facts<'_>, json: &str) -> String {
    format!("    {} <<'AKK'\n    {json}\n    AKK\n", call(facts))
}

/// `path` as one word for a POSIX shell.
fn quote(path: &str) -> String {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@%:,".contains(&b));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn push_messages(out: &mut String, controls: &[Message], message: &Message) {
    for m in controls.iter().chain([message]) {
        // A message holds nothing that could fail to become JSON.
        let json = serde_json::to_string(m).unwrap_or_default();
        let _ = writeln!(out, "{json}");
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{delegated, given};

    fn facts(c: &Conversation) -> Facts<'_> {
        Facts { conversation: c, turn_id: &c.open_turn.as_ref().unwrap().turn_id, akkctl: "/opt/akk/akkctl" }
    }

    fn task(c: &Conversation) -> Message {
        crate::testing::message_of(c, "fix the tests")
    }

    #[test]
    fn the_bootstrap_says_who_when_to_ask_and_how_to_report() {
        let c = delegated(&given(1)).state;
        let text = bootstrap(facts(&c), &[], &task(&c));
        for part in [
            "You are codex",
            "owns the product",
            "You own the engineering",
            "fewest rounds",
            "ambiguous",
            "degraded behaviour",
            "dependency",
            "needs no answer",
            "what changed, how it was verified, and what remains",
            "1 of 50 are used, and at 100",
            "report_done with turn \"turn-1\"",
            "/opt/akk/akkctl callback --conversation task-19700101T000000-00000001 --turn turn-1 '{\"type\":\"done\"",
            "<<'AKK'",
            "--message-file",
            "\"body\":\"fix the tests\"",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
        assert!(!text.starts_with(['[', '{', '-']), "acpx takes a JSON array or a dash for something else");
    }

    #[test]
    fn later_prompts_are_short_and_name_their_turn() {
        let c = delegated(&given(1)).state;
        let text = follow_up(facts(&c), &[], &task(&c));
        assert!(text.contains("--turn turn-1") && text.contains("\"type\":\"task\""), "{text}");
        assert!(text.len() < 1500);
    }

    #[test]
    fn a_replay_holds_the_request_the_last_messages_and_the_pending_one() {
        let c = delegated(&given(1)).state;
        let mut old = task(&c);
        old.id = akk_proto::MessageId::message(uuid::Uuid::from_u128(77));
        old.body = "y".repeat(2000);
        let history: Vec<Message> = std::iter::repeat_n(old, 60).collect();
        let text = replay(facts(&c), &history, &[], &task(&c));
        assert_eq!(text.matches("* openclaw → codex, task: yyy").count(), REPLAY_MESSAGES);
        assert!(
            text.contains(&format!("{}…", "y".repeat(REPLAY_CHARS - 1))) && !text.contains(&"y".repeat(REPLAY_CHARS))
        );
        assert!(text.contains("The request was") && text.contains("\"body\":\"fix the tests\""));
    }

    #[test]
    fn a_path_with_spaces_is_quoted() {
        assert_eq!(quote("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(quote("/usr/bin/akkctl"), "/usr/bin/akkctl");
    }
}
