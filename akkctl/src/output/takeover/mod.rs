//! `akkctl takeover`: what is possible, what would be done, what was done, and what to type next.

mod context;
mod next;
mod plan;

use super::View;
use super::card::next_steps;
use super::native::{facts, field, holder, incomplete, painted, takeover_status, takeover_style};
use super::terminal::{ALERT, BOLD, DIM, WARN};
use super::text::{one_line, padded, wrapped};
use akk_proto::session::{BlockReason, TakeoverAnswer, TakeoverParams, TakeoverStatus, TakeoverStep, TerminationPlan};
use std::fmt::Write as _;

pub(crate) use plan::plan_to_confirm;

/// The answer to what was asked.
pub(crate) fn takeover(answer: &TakeoverAnswer, asked: &TakeoverParams, view: &View) -> String {
    if let Some(c) = &answer.conversation {
        let mut out = done(answer, view);
        out.push('\n');
        out.push_str(&next_steps(c, view));
        return out;
    }
    let mut out = explained(answer, asked, view);
    out.push_str(&next::commands(answer, asked, view));
    out
}

/// What would be done, without the command that does it: a question follows.
pub(crate) fn takeover_plan(answer: &TakeoverAnswer, asked: &TakeoverParams, view: &View) -> String {
    format!("{}\n", explained(answer, asked, view))
}

/// Whether to do it.
pub(crate) fn takeover_question(found: &TerminationPlan, view: &View) -> String {
    let question = format!("End {}, and take the session over? [y/N] ", plan::who_ends(found));
    view.paint(WARN, &question)
}

/// The session is a conversation now.
fn done(answer: &TakeoverAnswer, view: &View) -> String {
    let id = answer.conversation.as_ref().map(|c| c.conversation_id.as_str()).unwrap_or_default();
    let session = one_line(&answer.session.session_id);
    let came = match answer.status {
        TakeoverStatus::Forked => format!("begins with your summary of session {session}"),
        _ => format!("goes on with session {session}, by {}", answer.strategy),
    };
    let repeated = if answer.repeated { " (answer to a repeated call)" } else { "" };
    let mut out = format!("{}  {came}{repeated}\n", view.paint(BOLD, id));
    out.push_str(&painted(&wrapped(&answer.explanation, view.width, 2), DIM, view));
    out.push_str(&steps(&answer.steps, view));
    if let Some(resume) = &answer.resume {
        out.push_str(&plan::resume(resume, view));
    }
    out.push_str(&incomplete(&answer.incomplete, view));
    out
}

/// Everything but what to type next.
fn explained(answer: &TakeoverAnswer, asked: &TakeoverParams, view: &View) -> String {
    let session = &answer.session;
    let mut out = format!(
        "{}  {} {}\n",
        view.paint(BOLD, &one_line(&session.session_id)),
        view.paint(takeover_style(answer.status).bold(), takeover_status(answer.status)),
        view.paint(DIM, &format!("({}, {})", one_line(&session.agent), answer.strategy)),
    );
    out.push_str(&facts(session, view));
    for held in &session.holders {
        out.push_str(&holder(held, session, 2, view));
    }
    out.push_str(&incomplete(&answer.incomplete, view));
    out.push('\n');
    let reason = answer.reason.map(|r| format!(" ({})", r.as_str())).unwrap_or_default();
    let style = if answer.status == TakeoverStatus::Blocked { ALERT } else { BOLD };
    out.push_str(&painted(&wrapped(&format!("{}{reason}", answer.explanation), view.width, 0), style, view));
    // The commands of a way that is open stand at the end, with what was asked for so far. What is to be made readable
    // first stands nowhere else.
    let shown_below =
        |hint: &&String| answer.reason != Some(BlockReason::FactsIncomplete) && hint.contains("akkctl takeover ");
    if let Some(hint) = answer.hint.as_ref().filter(|h| !shown_below(h)) {
        out.push_str(&wrapped(&as_typed(hint, asked), view.width, 0));
    }
    if !answer.steps.is_empty() {
        out.push_str(&view.paint(WARN, "What was done before it stopped\n"));
        out.push_str(&steps(&answer.steps, view));
    } else if answer.status == TakeoverStatus::Blocked && !answer.side_effects_executed {
        out.push_str(&view.paint(DIM, "Nothing was done.\n"));
    }
    out.push_str(&strategies(answer, view));
    if let Some(found) = &answer.plan {
        out.push_str(&plan::plan(found, !answer.steps.is_empty(), view));
    }
    if let Some(context) = &answer.context {
        out.push_str(&context::context(context, view));
    }
    if let Some(resume) = answer.resume.as_ref().filter(|_| answer.status != TakeoverStatus::Blocked) {
        out.push_str(&plan::resume(resume, view));
    }
    out
}

/// akkd's hint, its commands with the id that the user typed for the session: that was enough to name it.
pub(crate) fn as_typed(hint: &str, asked: &TakeoverParams) -> String {
    const COMMAND: &str = "akkctl takeover ";
    let typed = asked.session_id.to_lowercase();
    let mut pieces = hint.split(COMMAND);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (id, rest) = piece.split_at(piece.find([' ', '`']).unwrap_or(piece.len()));
        let is_it = !typed.is_empty() && (id.starts_with(&typed) || id.ends_with(&typed));
        let _ = write!(out, "{COMMAND}{}{rest}", if is_it { &typed } else { id });
    }
    out
}

/// Every way, with what stands for it or against it.
fn strategies(answer: &TakeoverAnswer, view: &View) -> String {
    let mut out = String::new();
    if !answer.strategies.is_empty() {
        let _ = write!(out, "\n{}\n", view.paint(BOLD, "Ways to take it over"));
    }
    for way in &answer.strategies {
        let marked = way.strategy == answer.strategy && way.status != TakeoverStatus::Blocked;
        let reason = way.reason.map(|r| format!(" ({})", r.as_str())).unwrap_or_default();
        let _ = writeln!(
            out,
            "{} {}  {}{}",
            if marked { "→" } else { " " },
            view.paint(BOLD, &padded(way.strategy.as_str(), 21)),
            view.paint(takeover_style(way.status), takeover_status(way.status)),
            view.paint(DIM, &reason)
        );
        // What was said above already is not said again for each way that it stands against.
        if way.status != TakeoverStatus::Blocked || !answer.explanation.starts_with(&way.explanation) {
            out.push_str(&painted(&wrapped(&way.explanation, view.width, 4), DIM, view));
        }
    }
    out
}

/// What was done, in order.
fn steps(steps: &[TakeoverStep], view: &View) -> String {
    let what =
        |s: &TakeoverStep| if s.detail.is_empty() { s.step.clone() } else { format!("{}: {}", s.step, s.detail) };
    steps.iter().map(|s| field(&view.clock(s.ts), &what(s), view)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples::{self, sessions as native};
    use akk_proto::session::Strategy;

    fn asked(strategy: Option<Strategy>) -> TakeoverParams {
        TakeoverParams { session_id: "55556666".into(), strategy, ..TakeoverParams::default() }
    }

    #[test]
    fn without_a_strategy_every_way_is_explained() {
        insta::assert_snapshot!(takeover(&native::overview(), &asked(None), &samples::view()));
    }

    #[test]
    fn a_free_session_is_ready_and_shows_how_it_goes_on() {
        insta::assert_snapshot!(takeover(&native::ready(), &asked(Some(Strategy::SafeResume)), &samples::view()));
    }

    #[test]
    fn a_plan_shows_everything_that_would_be_ended_and_the_command_that_does_it() {
        let strategy = Some(Strategy::TerminateThenResume);
        insta::assert_snapshot!(takeover(&native::to_confirm(), &asked(strategy), &samples::view()));
    }

    #[test]
    fn a_plan_for_a_guess_in_a_running_turn_warns_and_names_what_it_takes() {
        let strategy = Some(Strategy::TerminateThenResume);
        let params =
            TakeoverParams { model: Some("gpt-5 (mini)".into()), label: Some("it's".into()), ..asked(strategy) };
        insta::assert_snapshot!(takeover(&native::to_confirm_boldly(), &params, &samples::view()));
    }

    #[test]
    fn at_a_terminal_the_plan_ends_with_a_question() {
        let (answer, view) = (native::to_confirm(), samples::view());
        let text = takeover_plan(&answer, &asked(None), &view);
        assert!(text.contains("4251") && !text.contains("--confirm"), "{text}");
        insta::assert_snapshot!(takeover_question(&answer.plan.unwrap(), &view), @"End process 4242 and the 2 that belong to it, and take the session over? [y/N] ");
    }

    #[test]
    fn a_fork_shows_the_context_and_asks_for_the_summary() {
        insta::assert_snapshot!(takeover(&native::to_summarise(), &asked(Some(Strategy::Fork)), &samples::view()));
    }

    #[test]
    fn what_is_blocked_says_why_and_what_is_left() {
        insta::assert_snapshot!(takeover(&native::blocked(), &asked(Some(Strategy::SafeResume)), &samples::view()));
    }

    #[test]
    fn what_is_blocked_does_not_say_how_later_messages_reach_it_nor_a_command_twice() {
        let mut answer = native::blocked();
        answer.resume = native::ready().resume;
        let id = answer.session.session_id.clone();
        answer.hint = Some(format!("See the plan with `akkctl takeover {id} --strategy terminate_then_resume`."));
        let text = takeover(&answer, &asked(Some(Strategy::SafeResume)), &samples::view());
        assert!(!text.contains("How later messages"), "{text}");
        assert_eq!(text.matches("--strategy terminate_then_resume").count(), 1, "{text}");
        // What is to be made readable stands in the hint only.
        answer.reason = Some(BlockReason::FactsIncomplete);
        answer.hint = Some(format!("Make that readable and ask again; else `akkctl takeover {id} --strategy fork`."));
        let text = takeover(&answer, &asked(Some(Strategy::SafeResume)), &samples::view());
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains("ask again; else `akkctl takeover 55556666 --strategy fork`."), "{text}");
    }

    #[test]
    fn what_a_plan_ends_besides_stays_short() {
        let mut answer = native::to_confirm();
        let child = &mut answer.plan.as_mut().unwrap().children[0];
        child.command = vec!["codex-linux-sandbox".into(), "x".repeat(2000)];
        let mut view = samples::view();
        view.width = None;
        let text = takeover(&answer, &asked(Some(Strategy::TerminateThenResume)), &view);
        assert!(text.contains("codex-linux-sandbox xxx"), "{text}");
        assert!(text.lines().all(|l| l.chars().count() < 160), "{text}");
    }

    #[test]
    fn what_stands_against_every_way_is_said_once() {
        let mut answer = native::adopted_already();
        answer.explanation = "The session belongs to the open conversation task-1 already.".into();
        for way in &mut answer.strategies {
            if way.status == TakeoverStatus::Blocked {
                way.explanation.clone_from(&answer.explanation);
            }
        }
        let mut view = samples::view();
        view.width = None;
        let text = takeover(&answer, &asked(Some(Strategy::SafeResume)), &view);
        assert_eq!(text.matches("belongs to the open conversation").count(), 1, "{text}");
    }

    #[test]
    fn an_archived_session_says_once_what_that_means() {
        let mut answer = native::blocked();
        answer.session.archived = true;
        answer.session.capability = akk_proto::session::Capability::MetadataOnly;
        answer.session.capability_reason = Some("it is archived: Codex refuses to resume it".into());
        let text = takeover(&answer, &asked(Some(Strategy::SafeResume)), &samples::view());
        assert!(text.contains("  limits     it is archived: Codex refuses to resume it\n"), "{text}");
        assert_eq!(text.matches("archived").count(), 1, "{text}");
    }

    #[test]
    fn a_hint_names_the_session_as_the_user_did() {
        let whole = "0198f3a2-0000-7000-8000-000055556666";
        let named = |id| format!("See `akkctl takeover {id} --strategy fork`, or `akkctl takeover {id}`.");
        assert_eq!(as_typed(&named(whole), &asked(None)), named("55556666"));
        let other = "0198f3a2-0000-7000-8000-00000a1b2c3d";
        assert_eq!(as_typed(&named(other), &asked(None)), named(other));
    }

    #[test]
    fn a_process_that_stays_is_told_with_what_was_signalled() {
        let strategy = Some(Strategy::TerminateThenResume);
        let params = TakeoverParams { create_conversation: true, ..asked(strategy) };
        insta::assert_snapshot!(takeover(&native::still_there(), &params, &samples::view()));
    }

    #[test]
    fn evidence_that_is_too_weak_leads_to_the_option_only_where_it_would_help() {
        use akk_proto::session::ProcessKind;
        let mut answer = native::blocked();
        answer.reason = Some(BlockReason::WeakEvidence);
        let params = asked(Some(Strategy::TerminateThenResume));
        let told = takeover(&answer, &params, &samples::view());
        assert!(told.contains("--strategy terminate_then_resume --allow-cwd-only\n"), "{told}");
        answer.session.holders[0].kind = ProcessKind::Unknown;
        assert!(!takeover(&answer, &params, &samples::view()).contains("--allow-cwd-only"));
        answer.reason = Some(BlockReason::Working);
        let told = takeover(&answer, &params, &samples::view());
        assert!(told.contains("--strategy terminate_then_resume --even-if-working\n"), "{told}");
    }

    #[test]
    fn a_session_that_is_adopted_already_leads_to_its_conversation() {
        let text = takeover(&native::adopted_already(), &asked(Some(Strategy::SafeResume)), &samples::view());
        assert!(text.contains("\n  akkctl status 0a1b2c3d\n"), "{text}");
        assert!(!text.contains("--create"), "{text}");
    }

    #[test]
    fn success_names_the_conversation_and_how_to_go_on() {
        let view = samples::view();
        let params = |s| TakeoverParams { create_conversation: true, ..asked(Some(s)) };
        let attached = takeover(&native::attached(), &params(Strategy::TerminateThenResume), &view);
        let forked = takeover(&native::forked(), &params(Strategy::Fork), &view);
        insta::assert_snapshot!(format!("{attached}\n{forked}"));
    }

    #[test]
    fn what_stands_in_a_session_cannot_command_the_terminal() {
        let view = samples::view();
        let text: String = native::every_takeover()
            .iter()
            .map(|a| {
                takeover(
                    &samples::spoilt(a),
                    &samples::spoilt(&asked(a.conversation.as_ref().map(|_| a.strategy))),
                    &view,
                )
            })
            .collect();
        assert!(text.contains('␛'), "the poison is in it");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        for answer in native::every_takeover() {
            let plain = takeover(&answer, &asked(None), &samples::view());
            let coloured = takeover(&answer, &asked(None), &samples::coloured());
            assert_ne!(plain, coloured);
            assert_eq!(plain, anstream::adapter::strip_str(&coloured).to_string());
        }
    }
}
