//! `akkctl demo`: a delegation from beginning to end, as it happens, with a built-in agent and on a temporary home.

mod stage;

use super::Context;
use super::delegate::Watch;
use crate::akkd::{Akkd, new_request_id};
use crate::error::{Error, Result, exit};
use crate::output::{self, Transcript, View, print};
use akk_proto::ConversationId;
use akk_proto::api::{
    DelegateAnswer, DelegateParams, HistoryAnswer, HistoryParams, ResultAnswer, ResultParams, SendAnswer, SendParams,
    WaitAnswer,
};
use akk_proto::conversation::Need;
use anstyle::Style;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stage::Stage;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

/// What the built-in agent is asked to do; its story fits.
const REQUEST: &str = "Write a greeting for our visitors into greeting.txt.";
/// What it is answered when the person says nothing.
const DEFAULT_ANSWER: &str = "friendly";
/// How long the person may think.
const THINKING_TIME: Duration = Duration::from_secs(10);

/// Fits every terminal, and a page of documentation.
const COLUMNS: usize = 80;

pub(super) fn run(view: View) -> Result<u8> {
    let mut view = view;
    view.width = Some(view.width.map_or(COLUMNS, |w| w.min(COLUMNS)));
    let stage = Stage::set()?;
    let told = tell_it(&stage, view);
    // Whatever happened: nothing is left behind.
    let struck = stage.strike();
    told?;
    struck?;
    Ok(exit::OK)
}

fn tell_it(stage: &Stage, view: View) -> Result<()> {
    let context = Context { surroundings: stage.surroundings(), json: false, view };
    let view = &context.view;
    say(&context, output::BOLD, "Agent Knock Knock: one task, from beginning to end.\n")?;
    say(&context, output::DIM, "The agent is built in; everything lies in a temporary folder and goes away.\n\n")?;

    stage.start()?;
    let mut akkd = context.akkd();
    typed(&context, &format!("akkctl delegate --wait \"{REQUEST}\""))?;
    let delegated: DelegateAnswer = akkd.call("conversation.delegate", &task(stage.workspace()))?.read()?;
    let id = delegated.conversation.conversation_id;
    let mut watch = Watch::from_the_start(&id, &context, view.clone())?;

    let (answer, need) = watch.until_needed(None, print)?;
    expect(need, Need::Question)?;
    let asked = answer.read::<WaitAnswer>()?.message.map(|m| m.body).unwrap_or_default();
    watch.until_turn_over(print)?;
    say(&context, output::WARN, &format!("\nThe agent asks:\n  {}\n", output::one_line(&asked)))?;
    let reply = ask_the_person(&context)?;

    typed(&context, &format!("akkctl send @last \"{}\"", output::one_line(&reply)))?;
    let _: SendAnswer = akkd.call("conversation.send", &message(&id, reply))?.read()?;
    let (_, need) = watch.until_needed(None, print)?;
    expect(need, Need::Done)?;
    watch.until_turn_over(print)?;

    print("\n")?;
    typed(&context, "akkctl result")?;
    let params = ResultParams { conversation_id: id.to_string(), turn_id: None };
    let result: ResultAnswer = akkd.call("conversation.result", &params)?.read()?;
    print(&output::result(&result, view))?;

    print("\n")?;
    typed(&context, "akkctl transcript")?;
    print(&transcript(&mut akkd, &id, view)?)?;

    say(&context, output::BOLD, "\nNow with an agent of yours, in a project of yours:\n")?;
    print("  akkctl delegate --agent codex --wait \"Fix the failing tests.\"\n")?;
    say(&context, output::DIM, "  (codex, claude, cursor, gemini, or any ACP agent; see the README)\n")
}

fn task(workspace: &Path) -> DelegateParams {
    DelegateParams {
        request_id: new_request_id(),
        request: REQUEST.to_owned(),
        workspace: workspace.to_string_lossy().into_owned(),
        ..DelegateParams::default()
    }
}

fn message(id: &ConversationId, text: String) -> SendParams {
    SendParams {
        request_id: new_request_id(),
        conversation_id: id.to_string(),
        message: Some(text),
        ..SendParams::default()
    }
}

fn transcript(akkd: &mut Akkd<'_>, id: &ConversationId, view: &View) -> Result<String> {
    let params = HistoryParams { conversation_id: id.to_string(), after_seq: 0, limit: None };
    let page: HistoryAnswer = akkd.call("conversation.transcript", &params)?.read()?;
    let mut shown = Transcript::new(view);
    let text: String = page.events.iter().map(|e| shown.push(e)).collect();
    Ok(format!("{}{}", text.strip_prefix('\n').unwrap_or(&text), shown.finish()))
}

/// The person's answer; the default after a while, at once where nobody can type.
fn ask_the_person(context: &Context<'_>) -> Result<String> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        say(context, output::DIM, &format!("Nobody is at the keyboard: the answer is \"{DEFAULT_ANSWER}\".\n\n"))?;
        return Ok(DEFAULT_ANSWER.to_owned());
    }
    let seconds = THINKING_TIME.as_secs();
    print(&format!("Your answer, or \"{DEFAULT_ANSWER}\" in {seconds} seconds: "))?;
    let line = typed_line(THINKING_TIME).map_err(|source| Error::file("read", Path::new("/dev/stdin"), source))?;
    match line.as_deref().map(str::trim) {
        Some("") => print(&format!("{DEFAULT_ANSWER}\n\n"))?,
        Some(answer) => {
            print("\n")?;
            return Ok(answer.to_owned());
        }
        None => print(&format!("\n{DEFAULT_ANSWER}\n\n"))?,
    }
    Ok(DEFAULT_ANSWER.to_owned())
}

/// A line from the terminal, if one is typed in this time.
fn typed_line(patience: Duration) -> io::Result<Option<String>> {
    let stdin = io::stdin();
    let patience = Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    // A signal that should end the demo is served by another thread.
    let ready = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&patience)))?;
    if ready == 0 {
        return Ok(None);
    }
    let mut line = String::new();
    // The end of the input is no answer either.
    let read = stdin.lock().read_line(&mut line)?;
    Ok((read > 0).then_some(line))
}

fn expect(need: Need, expected: Need) -> Result<()> {
    if need == expected {
        return Ok(());
    }
    Err(Error::Program {
        message: format!("the demo went another way than it should: {need:?} instead of {expected:?}"),
        hint: "this is a defect: please report it, with what stands above".to_owned(),
    })
}

fn say(context: &Context<'_>, style: Style, text: &str) -> Result<()> {
    let (body, end) = text.split_at(text.trim_end().len());
    print(&format!("{}{end}", context.view.paint(style, body)))
}

/// The command that a person would type for the next step.
fn typed(context: &Context<'_>, command: &str) -> Result<()> {
    say(context, output::BUSY, &format!("$ {command}\n"))
}
