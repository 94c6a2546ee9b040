//! What is done, and what is not: safe_resume, attach, fork, and what holds for all of them.

use super::super::testing::{ID, Scene, configured, free, held, holder, identity};
use crate::sessions::ContextLimits;
use akk_core::conversation::Origin;
use akk_core::decide::Input;
use akk_proto::conversation::{RecoveryPolicy, Transport};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::EventBody;
use akk_proto::session::{BlockReason, Evidence, ProcessKind, Strategy, TakeoverParams, TakeoverStatus};

fn look() -> TakeoverParams {
    TakeoverParams { session_id: ID.into(), ..TakeoverParams::default() }
}

fn create(strategy: Strategy) -> TakeoverParams {
    TakeoverParams { strategy: Some(strategy), create_conversation: true, ..look() }
}

fn in_a_daemon() -> crate::sessions::SessionFacts {
    let mut facts = held(vec![holder(identity(42), ProcessKind::Daemon, Evidence::Lock)]);
    facts.control_socket = Some("/run/answers.sock".into());
    facts
}

#[tokio::test]
async fn a_free_session_is_explained_and_nothing_is_done() {
    let scene = Scene::new();
    let answer = scene.ask(look()).await.unwrap();
    assert_eq!((answer.status, answer.strategy), (TakeoverStatus::Ready, Strategy::SafeResume));
    assert_eq!(answer.strategies.len(), 4);
    assert_eq!(answer.hint.unwrap(), format!("Resume it with `akkctl takeover {ID} --strategy safe_resume --create`."));
    let resume = answer.resume.unwrap();
    assert_eq!((resume.way.as_str(), resume.model.as_deref()), ("exec_resume", Some("gpt-5.5")));
    assert_eq!(resume.sandbox.as_deref(), Some("workspace-write"));
    let named = TakeoverParams { strategy: Some(Strategy::SafeResume), model: Some("m".into()), ..look() };
    let answer = scene.ask(named).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::Ready, false));
    assert_eq!(answer.resume.unwrap().model.as_deref(), Some("m"));
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_free_session_becomes_an_idle_conversation_in_its_own_directory() {
    let scene = Scene::new();
    let params = TakeoverParams { label: Some("parser".into()), soft_limit: Some(7), ..create(Strategy::SafeResume) };
    let answer = scene.ask(params).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::Attached, true));
    let conversation = answer.conversation.unwrap();
    assert_eq!((conversation.status.as_str(), conversation.workspace.as_str()), ("idle", "/"));
    assert_eq!((conversation.user_request.as_str(), conversation.label.as_deref()), ("Fix the parser", Some("parser")));
    assert_eq!((conversation.soft_limit, conversation.recovery_policy), (7, RecoveryPolicy::Explicit));
    assert_eq!(conversation.executor.transport, Transport::Codex);
    assert_eq!(conversation.executor.native_session_id.as_deref(), Some(ID));
    assert_eq!(conversation.executor_model, None, "the session keeps its own");
    assert_eq!(answer.session.conversation_id.as_ref(), Some(&conversation.conversation_id));

    let state = scene.house.conversations.state(&conversation.conversation_id).await.unwrap();
    let attachment = state.attachment().unwrap();
    assert_eq!((attachment.strategy, attachment.home.as_str()), (Strategy::SafeResume, "/home/u/.codex"));
    assert_eq!(
        (attachment.model.as_deref(), attachment.sandbox.as_deref()),
        (Some("gpt-5.5"), Some("workspace-write"))
    );
    assert_eq!(attachment.evidence, ["Nobody ran the session: its lock and the processes were looked at."]);
    assert_eq!(attachment.steps, answer.steps);
    assert!(state.origin.as_ref().unwrap().needs_bootstrap());
    let history = scene.house.store.events(&conversation.conversation_id, 0, 10, 1 << 20).await.unwrap();
    assert!(
        history
            .events
            .iter()
            .any(|e| matches!(&e.body, EventBody::NativeSessionAttached(a) if a.as_ref() == attachment))
    );
}

#[tokio::test]
async fn the_agents_own_model_is_not_forced_on_a_native_session() {
    let mut scene = Scene::new();
    let program = scene.config.codex_command[0].clone();
    let text = format!("[codex]\ncommand = [{program:?}]\n[agents.codex]\nmodel = \"configured\"\n");
    scene.config = configured(&scene.house, &text);
    let answer = scene.ask(create(Strategy::SafeResume)).await.unwrap();
    assert_eq!(answer.conversation.unwrap().executor_model, None);
}

#[tokio::test]
async fn a_session_that_somebody_runs_is_not_resumed() {
    let scene = Scene::new();
    scene.provider.is(held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Lock)]));
    let answer = scene.ask(create(Strategy::SafeResume)).await.unwrap();
    assert_eq!((answer.status, answer.reason), (TakeoverStatus::Blocked, Some(BlockReason::ActiveCliConflict)));
    assert!(!answer.side_effects_executed);
    assert_eq!(answer.explanation, "Process 42 (a terminal in /) runs the session.");
    assert!(answer.hint.unwrap().contains("--strategy terminate_then_resume"));
    assert_eq!(answer.strategies.len(), 4);
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_session_that_is_taken_between_the_look_and_the_record_is_not_resumed() {
    let scene = Scene::new();
    let mut looks = 0;
    scene.provider.finds(move || {
        looks += 1;
        Ok(if looks == 1 { free() } else { held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Lock)]) })
    });
    let answer = scene.ask(create(Strategy::SafeResume)).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::ActiveCliConflict));
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn while_something_cannot_be_read_nothing_is_resumed() {
    let scene = Scene::new();
    let mut facts = free();
    facts.incomplete.push("The locks cannot be read: permission denied.".into());
    scene.provider.is(facts);
    let answer = scene.ask(create(Strategy::SafeResume)).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::FactsIncomplete));
    assert_eq!(answer.incomplete, ["The locks cannot be read: permission denied."]);
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn of_two_takeovers_at_once_one_wins_and_the_other_names_it() {
    let scene = Scene::new();
    let (a, b) = tokio::join!(scene.ask(create(Strategy::SafeResume)), scene.ask(create(Strategy::SafeResume)));
    let (won, lost) = match (a.unwrap(), b.unwrap()) {
        (a, b) if a.status == TakeoverStatus::Attached => (a, b),
        (a, b) => (b, a),
    };
    assert_eq!((lost.status, lost.reason), (TakeoverStatus::Blocked, Some(BlockReason::AlreadyAdopted)));
    let id = won.conversation.unwrap().conversation_id;
    assert!(lost.explanation.contains(id.as_str()), "{}", lost.explanation);
    assert_eq!(lost.session.conversation_id.as_ref(), Some(&id));
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn a_session_can_be_taken_again_once_its_conversation_is_closed() {
    let scene = Scene::new();
    let first = scene.ask(create(Strategy::SafeResume)).await.unwrap().conversation.unwrap().conversation_id;
    let answer = scene.ask(look()).await.unwrap();
    assert_eq!(answer.strategy, Strategy::Fork);
    assert!(answer.explanation.contains(first.as_str()) && answer.hint.unwrap().contains("akkctl send"));
    scene.house.conversations.ask(&first, Input::Close { reason: "x".into() }, None).await.unwrap();
    assert_eq!(scene.ask(create(Strategy::SafeResume)).await.unwrap().status, TakeoverStatus::Attached);
}

#[tokio::test]
async fn a_repeated_call_is_answered_and_not_repeated() {
    let scene = Scene::new();
    let params = TakeoverParams { request_id: Some("r-1".parse().unwrap()), ..create(Strategy::SafeResume) };
    let first = scene.ask(params.clone()).await.unwrap();
    // Before anything is looked at: the session is gone by now.
    scene.provider.finds(|| Err(Failure::new(ErrorKind::SessionNotFound, "gone", "x.")));
    let again = scene.ask(params).await.unwrap();
    assert!(again.repeated && !first.repeated && again.side_effects_executed);
    assert_eq!((again.status, again.steps), (TakeoverStatus::Attached, first.steps));
    assert_eq!(again.conversation.unwrap().conversation_id, first.conversation.unwrap().conversation_id);
    assert_eq!(again.session.session_id, ID);
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn the_name_of_another_call_is_refused_before_anything_is_done() {
    let scene = Scene::new();
    let id = scene.house.begin(crate::conversation::testing::created(1)).await;
    let call = crate::conversation::Request { request_id: "r-1".parse().unwrap(), method: "conversation.cancel" };
    scene.house.conversations.ask(&id, Input::Cancel, Some(call)).await.unwrap();
    let params = TakeoverParams { request_id: Some("r-1".parse().unwrap()), ..create(Strategy::SafeResume) };
    assert_eq!(scene.ask(params).await.unwrap_err().kind, ErrorKind::InvalidParams);
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn a_daemon_that_answers_is_joined_while_a_turn_runs() {
    let scene = Scene::new();
    let mut facts = in_a_daemon();
    facts.session.activity = akk_proto::session::SessionActivity::Working;
    scene.provider.is(facts);
    let plan = scene.ask(look()).await.unwrap();
    assert_eq!((plan.status, plan.strategy), (TakeoverStatus::Ready, Strategy::Attach));
    assert_eq!(plan.resume.unwrap().way, "app_server");
    let answer = scene.ask(create(Strategy::Attach)).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
    let id = answer.conversation.unwrap().conversation_id;
    let state = scene.house.conversations.state(&id).await.unwrap();
    let attachment = state.attachment().unwrap();
    assert_eq!(attachment.control_socket.as_deref(), Some("/run/answers.sock"));
    assert_eq!(attachment.evidence, ["Process 42 (a shared daemon): it holds the session's writer lock."]);
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_not_joined() {
    let scene = Scene::new();
    let mut facts = in_a_daemon();
    facts.control_socket = Some("/run/dead.sock".into());
    scene.provider.is(facts);
    let answer = scene.ask(create(Strategy::Attach)).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::NoControlSocket));
    assert!(answer.explanation.ends_with("cannot be joined there: connection refused."), "{}", answer.explanation);
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_fork_gives_a_context_first_and_then_begins_with_the_summary_alone() {
    let scene = Scene::new();
    // Somebody runs it, and that does not matter.
    scene.provider.is(held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Lock)]));
    let params = TakeoverParams {
        strategy: Some(Strategy::Fork),
        max_messages: Some(3),
        max_commands: Some(0),
        max_text_length: Some(100),
        ..look()
    };
    let answer = scene.ask(params).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::AwaitingOpenclawSummary);
    let context = answer.context.unwrap();
    assert_eq!(context.messages[0].text, "fix it");
    assert!(context.prompt.contains(ID) && context.prompt.contains("Fix the parser"));
    let limits = scene.provider.limits.lock().unwrap().unwrap();
    assert_eq!(limits, ContextLimits { messages: 3, commands: 0, chars: 100 });

    // Without a summary nothing is made, also when that was asked for.
    let answer = scene.ask(create(Strategy::Fork)).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::AwaitingOpenclawSummary, false));
    assert_eq!(scene.conversations().await, 0);

    let params = TakeoverParams { fork_summary: Some("# Goal\nfix it".into()), ..create(Strategy::Fork) };
    let params = TakeoverParams { request_id: Some("r-1".parse().unwrap()), ..params };
    let answer = scene.ask(params.clone()).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::Forked, true));
    assert_eq!(answer.session.conversation_id, None, "the source belongs to nobody");
    let conversation = answer.conversation.unwrap();
    assert_eq!((conversation.status.as_str(), conversation.executor.transport), ("idle", Transport::Acp));
    assert_eq!((conversation.workspace.as_str(), conversation.executor.native_session_id), ("/", None));
    let state = scene.house.conversations.state(&conversation.conversation_id).await.unwrap();
    let Some(Origin::Forked { fork, needs_bootstrap: true }) = &state.origin else { panic!("{:?}", state.origin) };
    assert_eq!((fork.summary.as_str(), fork.session_id.as_str(), fork.cwd.as_str()), ("# Goal\nfix it", ID, "/"));
    let again = scene.ask(params).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.conversation.unwrap().conversation_id, conversation.conversation_id);
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn a_fork_of_what_cannot_be_read_says_so() {
    let scene = Scene::new();
    *scene.provider.context.lock().unwrap() =
        Err(Failure::new(ErrorKind::Storage, "the rollout cannot be read: permission denied", "Make it readable."));
    let answer = scene.ask(TakeoverParams { strategy: Some(Strategy::Fork), ..look() }).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::NotResumable));
    assert_eq!(answer.explanation, "The rollout cannot be read: permission denied.");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_bounds() {
    let scene = Scene::new();
    let base = || create(Strategy::SafeResume);
    let fork = |summary: String| TakeoverParams { fork_summary: Some(summary), ..create(Strategy::Fork) };
    let cases = [
        (TakeoverParams { create_conversation: true, ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { session_id: " ".into(), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { session_id: "nowhere".into(), ..look() }, ErrorKind::SessionNotFound),
        (TakeoverParams { agent: Some("claude".into()), ..look() }, ErrorKind::AgentUnavailable),
        (TakeoverParams { wait_ms: Some(99), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { wait_ms: Some(60_001), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { max_messages: Some(0), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { max_messages: Some(51), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { max_commands: Some(51), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { max_text_length: Some(99), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { max_text_length: Some(10_001), ..look() }, ErrorKind::InvalidParams),
        (fork(" \n".into()), ErrorKind::InvalidParams),
        (fork("x".repeat((64 << 10) + 1)), ErrorKind::TooLarge),
        (TakeoverParams { soft_limit: Some(9), hard_limit: Some(3), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { soft_limit: Some(9), hard_limit: Some(3), ..look() }, ErrorKind::InvalidParams),
        (TakeoverParams { model: Some("--yolo".into()), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { label: Some("a\nb".into()), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { orchestrator: Some("\u{1b}".into()), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { agent_timeout_minutes: Some(0), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { idle_timeout_minutes: Some(0), ..base() }, ErrorKind::InvalidParams),
        (TakeoverParams { confirm_terminate: true, ..create(Strategy::TerminateThenResume) }, ErrorKind::InvalidParams),
    ];
    for (params, kind) in cases {
        let error = scene.ask(params.clone()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{params:?}");
        assert!(!error.hint.is_empty(), "{params:?}");
    }
    assert_eq!(scene.ask(fork("x".repeat(64 << 10))).await.unwrap().status, TakeoverStatus::Forked);
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn a_message_to_an_attached_session_is_refused_while_another_process_has_it() {
    let scene = Scene::new();
    let id = scene.ask(create(Strategy::SafeResume)).await.unwrap().conversation.unwrap().conversation_id;
    let state = scene.house.conversations.state(&id).await.unwrap();
    let refused = || scene.takeovers.refuse_if_taken(&state);
    refused().await.unwrap();

    scene.provider.is(held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Lock)]));
    let error = refused().await.unwrap_err();
    assert_eq!((error.kind, &error.details["pid"]), (ErrorKind::ActiveWriter, &42.into()));
    assert!(error.message.starts_with("process 42 (a terminal in /) has the session"), "{}", error.message);

    // One that merely sits in the directory is no writer.
    scene.provider.is(held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Cwd)]));
    refused().await.unwrap();

    // What is left of the conversation's own last turn is no obstacle; another conversation's process is one.
    let works_for = |id: &akk_proto::ConversationId| {
        let mut own = holder(identity(42), ProcessKind::Exec, Evidence::Lock);
        own.view.conversation_id = Some(id.clone());
        held(vec![own])
    };
    scene.provider.is(works_for(&id));
    refused().await.unwrap();
    scene.provider.is(works_for(&crate::conversation::testing::created(9).conversation_id));
    assert_eq!(refused().await.unwrap_err().kind, ErrorKind::ActiveWriter);

    let mut unread = free();
    unread.incomplete.push("The locks cannot be read.".into());
    scene.provider.is(unread);
    assert_eq!(refused().await.unwrap_err().kind, ErrorKind::ActiveWriter);

    // A session that is gone is found out by the turn, which can be recovered then.
    scene.provider.finds(|| Err(Failure::new(ErrorKind::SessionNotFound, "gone", "x.")));
    refused().await.unwrap();
}

#[tokio::test]
async fn only_an_attached_session_without_a_turn_is_looked_at_before_a_message() {
    let scene = Scene::new();
    scene.provider.is(in_a_daemon());
    let joined = scene.ask(create(Strategy::Attach)).await.unwrap().conversation.unwrap().conversation_id;
    let own = scene.house.begin(crate::conversation::testing::created(1)).await;
    scene.provider.finds(|| panic!("nobody is to look"));
    for id in [joined, own] {
        let state = scene.house.conversations.state(&id).await.unwrap();
        scene.takeovers.refuse_if_taken(&state).await.unwrap();
    }
}
