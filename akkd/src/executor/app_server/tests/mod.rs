//! Stories of turns in a daemon of the user, which the test plays.

mod outliving;

use self::outliving::die_in_the_turn;
use crate::config::AgentSpec;
use crate::executor::testing::House;
use crate::executor::{Executors, RecoveredTurn, TurnOrder};
use crate::sessions::codex::app_server::testing::{Mishap, ScriptedDaemon, THREAD};
use crate::store::PromptFate;
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::Timestamp;
use akk_proto::TurnId;
use akk_proto::conversation::{PermissionPolicy, Transport};
use akk_proto::event::{Activity, CancelStep, SessionReached};
use akk_proto::session::{NativeAttachment, Strategy};
use serde_json::{Value, json};
use std::time::Duration;

const APPROVAL: &str = "item/commandExecution/requestApproval";
const REFUSAL: &str = "{\"detail\":\"The 'gpt-9' model is not supported when using Codex with a ChatGPT account.\"}";

/// A house, a daemon of the user, and a conversation that is attached to the session in it.
struct Scene {
    house: House,
    daemon: ScriptedDaemon,
}

impl Scene {
    fn new() -> Self {
        Self { house: House::new(), daemon: ScriptedDaemon::start() }
    }

    fn order(&self, turn: u32) -> TurnOrder {
        let order = self.house.order(turn, Some(THREAD), &format!("prompt {turn}"));
        let attachment = NativeAttachment {
            agent: "codex".into(),
            session_id: THREAD.into(),
            home: self.daemon.home().to_string_lossy().into_owned(),
            cwd: "/".into(),
            title: None,
            strategy: Strategy::Attach,
            evidence: Vec::new(),
            model: None,
            sandbox: None,
            overrides: Vec::new(),
            control_socket: Some(self.daemon.socket().to_string_lossy().into_owned()),
            cwd_only_confirmed: false,
            attached_at: Timestamp(0),
            steps: Vec::new(),
        };
        let agent = AgentSpec { transport: Transport::Codex, ..order.agent.clone() };
        TurnOrder { agent, attachment: Some(attachment), ..order }
    }

    /// One life of akkd.
    fn live<F: Future<Output = ()>>(&self, life: impl FnOnce(Executors) -> F) {
        self.house.live_and_die(life);
    }

    async fn ended(&self, turn: u32) -> Ended {
        self.house.told.end_of(turn).await
    }

    fn recovered(&self, turn: u32, cancelling: bool) -> Vec<RecoveredTurn> {
        vec![RecoveredTurn { order: self.order(turn), cancelling, permissions: Vec::new() }]
    }

    fn activities(&self) -> Vec<Activity> {
        let all = self.house.told.all().into_iter();
        all.filter_map(|r| match r {
            ExecutorReport::Activity { activity, .. } => Some(activity),
            _ => None,
        })
        .collect()
    }

    fn notices(&self) -> String {
        let all = self.activities().into_iter();
        all.filter_map(|a| if let Activity::Notice { text } = a { Some(text) } else { None })
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Nothing may ever be prompted twice, and nobody's process is touched.
    fn prompted_once(&self) {
        assert_eq!(self.daemon.our_turns(), 1);
        assert_eq!(self.daemon.called("turn/start") + self.daemon.called("turn/steer"), 0);
        assert!(self.house.ledger.rows().is_empty(), "no process, no launch");
    }
}

fn cannot_start(ended: &Ended) -> &str {
    match &ended.how {
        How::CannotStart { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn cancel_steps(report: &ExecutorReport) -> Option<CancelStep> {
    if let ExecutorReport::CancelStep { step, .. } = report { Some(*step) } else { None }
}

#[test]
fn a_turn_runs_in_the_daemon_and_is_told_as_it_happens() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        assert_eq!(scene.daemon.wait_for_our_turn(), "prompt 1");
        let daemon = &scene.daemon;
        daemon.item(json!({ "type": "reasoning", "id": "r" }));
        daemon.item(json!({ "type": "agentMessage", "id": "a", "text": "I look first", "phase": "commentary" }));
        let mut command = json!({
            "type": "commandExecution", "id": "c", "command": "/bin/bash -lc 'ls'", "status": "inProgress",
            "commandActions": [{ "type": "listFiles", "command": "ls" }],
        });
        daemon.tell("item/started", json!({ "item": command }));
        command["status"] = json!("completed");
        command["aggregatedOutput"] = json!("a\nb\n");
        daemon.tell("item/completed", json!({ "item": command }));
        for used in [100, 20] {
            let last = json!({ "inputTokens": used, "outputTokens": 1, "totalTokens": used + 1 });
            daemon.tell("thread/tokenUsage/updated", json!({ "tokenUsage": { "last": last } }));
        }
        daemon.finish("all done");
        let ended = scene.ended(1).await;
        assert_eq!(ended.how, How::Normal { stop_reason: "end_turn".into() });
        assert_eq!((ended.text.as_deref(), ended.thoughts, ended.activity_seen), (Some("all done"), 1, true));
        assert_eq!(ended.usage, Some(json!({ "inputTokens": 120, "outputTokens": 2, "totalTokens": 122 })));
    });
    let tool = |status: &str, preview: Option<&str>| Activity::Tool {
        id: "c".into(),
        title: "ls".into(),
        kind: Some("execute".into()),
        status: status.into(),
        preview: preview.map(str::to_owned),
    };
    assert_eq!(scene.activities(), [tool("in_progress", None), tool("completed", Some("a b"))]);
    let told = &scene.house.told;
    assert_eq!(told.count(|r| matches!(r, ExecutorReport::PromptSent { bytes: 8, .. })), 1);
    assert_eq!(
        told.count(|r| matches!(r, ExecutorReport::SessionReady(s) if s.how == SessionReached::Kept
        && s.native_session_id == THREAD && s.model.as_deref() == Some("gpt-5-fake"))),
        1
    );
    assert_eq!(scene.house.ledger.fates(), [PromptFate::Finishing, PromptFate::Written, PromptFate::Ended]);
    scene.prompted_once();
}

#[test]
fn a_follow_up_goes_into_the_same_session() {
    let scene = Scene::new();
    scene.live(async |executors| {
        for turn in 1..=2 {
            executors.start_turn(scene.order(turn));
            assert_eq!(scene.daemon.wait_for_our_turn(), format!("prompt {turn}"));
            scene.daemon.finish(&format!("answer {turn}"));
            assert_eq!(scene.ended(turn).await.text, Some(format!("answer {turn}")));
        }
    });
    assert_eq!(scene.daemon.our_turns(), 2);
}

#[test]
fn nothing_is_written_into_a_turn_of_the_user() {
    let scene = Scene::new();
    scene.daemon.user_starts("I am at work");
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        let ended = scene.ended(1).await;
        assert!(cannot_start(&ended).starts_with("a turn of the user runs in this session"), "{ended:?}");
    });
    assert_eq!(scene.daemon.called("thread/queue/add"), 0);
    assert!(scene.house.ledger.fates().is_empty(), "no prompt was begun");
}

#[test]
fn a_user_who_was_faster_by_a_moment_is_not_disturbed() {
    let scene = Scene::new();
    scene.daemon.state().mishaps.insert("thread/queue/add", Mishap::UserWasFaster);
    scene.live(async |executors| {
        let order = TurnOrder { model: Some("gpt-9".into()), ..scene.order(1) };
        executors.start_turn(order);
        let ended = scene.ended(1).await;
        assert!(cannot_start(&ended).starts_with("a turn of the user runs in this session"), "{ended:?}");
    });
    let state = scene.daemon.state();
    assert!(state.queue.is_empty(), "what was handed over was taken back");
    assert_eq!(state.turns.len(), 1);
    assert_eq!(state.turns[0]["items"].as_array().unwrap().len(), 1, "the user's turn is as it was");
    assert_eq!(state.model, "gpt-5-fake", "and so is the model");
    drop(state);
    assert_eq!(scene.house.ledger.fates(), [PromptFate::Finishing, PromptFate::Accepted]);
}

#[test]
fn messages_of_the_user_that_wait_are_not_overtaken() {
    let scene = Scene::new();
    {
        let mut state = scene.daemon.state();
        state.paused = true;
        state.queue.push(("s".into(), "user".into(), json!([])));
    }
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        let ended = scene.ended(1).await;
        assert!(cannot_start(&ended).starts_with("messages of the user wait"), "{ended:?}");
    });
    assert_eq!(scene.daemon.state().queue.len(), 1);
}

#[test]
fn a_queue_that_stands_still_after_a_stopped_turn_is_no_obstacle() {
    let scene = Scene::new();
    scene.daemon.user_starts("hello");
    scene.daemon.end("interrupted", Value::Null);
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        scene.daemon.finish("done");
        assert_eq!(scene.ended(1).await.text.as_deref(), Some("done"));
    });
    scene.prompted_once();
}

#[test]
fn what_cannot_be_joined_is_told_with_what_to_do() {
    type Change = fn(&mut ScriptedDaemon, &mut TurnOrder);
    let cases: [(&str, Change); 6] = [
        ("open it in a terminal again", |daemon, _| daemon.kill()),
        ("does not live in the Codex daemon any more", |daemon, _| daemon.state().loaded = false),
        ("take the session over anew", |daemon, _| {
            daemon.state().mishaps.insert("thread/queue/list", Mishap::Refuse("unknown variant"));
        }),
        ("works on", |_, order| order.attachment.as_mut().unwrap().home = "/elsewhere".into()),
        ("names no control socket", |_, order| order.attachment.as_mut().unwrap().control_socket = None),
        ("refused the prompt", |daemon, _| {
            daemon.state().mishaps.insert("thread/queue/add", Mishap::Refuse("too long"));
        }),
    ];
    for (says, change) in cases {
        let mut scene = Scene::new();
        let mut order = scene.order(1);
        change(&mut scene.daemon, &mut order);
        scene.live(async |executors| {
            executors.start_turn(order);
            let ended = scene.ended(1).await;
            assert!(cannot_start(&ended).contains(says), "{says}: {ended:?}");
        });
        assert_eq!(scene.daemon.our_turns(), 0);
    }
}

#[test]
fn a_refused_model_is_told_and_does_not_stay_with_the_user() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(TurnOrder { model: Some("gpt-9".into()), ..scene.order(1) });
        scene.daemon.wait_for_our_turn();
        assert_eq!(scene.daemon.state().model, "gpt-9");
        scene.daemon.tell("error", json!({ "error": { "message": REFUSAL }, "willRetry": false }));
        scene.daemon.end("failed", json!({ "message": REFUSAL, "codexErrorInfo": "other" }));
        let ended = scene.ended(1).await;
        assert!(matches!(&ended.how, How::ModelRefused { attempted: Some(m), .. } if m == "gpt-9"), "{ended:?}");
    });
    assert_eq!(scene.daemon.state().model, "gpt-5-fake");
    scene.prompted_once();
}

#[test]
fn a_model_that_is_refused_after_the_agent_had_worked_does_not_get_the_message_twice() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(TurnOrder { model: Some("gpt-9".into()), ..scene.order(1) });
        scene.daemon.wait_for_our_turn();
        scene.daemon.item(json!({ "type": "agentMessage", "id": "a", "text": "I look first", "phase": "commentary" }));
        scene.daemon.end("failed", json!({ "message": REFUSAL, "codexErrorInfo": "other" }));
        let ended = scene.ended(1).await;
        assert!(matches!(&ended.how, How::Failed { reason } if reason.contains("not supported")), "{ended:?}");
    });
    assert_eq!(scene.daemon.state().model, "gpt-5-fake");
}

#[test]
fn the_model_is_left_alone_unless_another_was_asked_for() {
    for (model, sets) in [(None, 0), (Some("gpt-5-fake"), 0), (Some("gpt-9/high"), 1)] {
        let scene = Scene::new();
        scene.live(async |executors| {
            executors.start_turn(TurnOrder { model: model.map(str::to_owned), ..scene.order(1) });
            scene.daemon.wait_for_our_turn();
            scene.daemon.finish("done");
            scene.ended(1).await;
        });
        assert_eq!(scene.daemon.called("thread/settings/update"), sets, "{model:?}");
        let set = scene.daemon.state().calls.iter().find(|(m, _)| m == "thread/settings/update").cloned();
        if let Some((_, params)) = set {
            assert_eq!((&params["model"], &params["effort"]), (&json!("gpt-9"), &json!("high")));
            assert_eq!(scene.daemon.state().model, "gpt-9", "it was taken, so it stays");
        }
    }
}

#[test]
fn an_approval_is_left_to_the_person_who_sees_it() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        let id = scene.daemon.ask(APPROVAL, json!({ "command": "rm -r x" }));
        let asked = |r: &ExecutorReport| {
            matches!(r, ExecutorReport::Activity { activity: Activity::Notice { text }, .. }
            if text.contains("rm -r x"))
        };
        scene.house.told.wait(|r| asked(r).then_some(())).await;
        scene.daemon.person_answers(&id);
        scene.daemon.finish("done");
        scene.ended(1).await;
    });
    assert_eq!(scene.daemon.state().answers, []);
}

#[test]
fn an_approval_that_nobody_answers_is_answered_by_the_policy() {
    for (permissions, decision, word) in
        [(PermissionPolicy::All, "accept", "allowed"), (PermissionPolicy::Deny, "decline", "refused")]
    {
        let mut scene = Scene::new();
        scene.house.timings.person = Duration::from_millis(50);
        scene.live(async |executors| {
            executors.start_turn(TurnOrder { permissions, ..scene.order(1) });
            scene.daemon.wait_for_our_turn();
            let id = scene.daemon.ask(APPROVAL, json!({ "command": "make" }));
            scene.daemon.wait_until("an answer", |s| s.answers == [(id.clone(), json!({ "decision": decision }))]);
            scene.daemon.finish("done");
            scene.ended(1).await;
        });
        let told = Activity::Permission { title: "make".into(), decision: word.into(), option: Some(decision.into()) };
        assert!(scene.activities().contains(&told), "{:?}", scene.activities());
    }
}

#[test]
fn what_is_asked_in_a_turn_of_the_user_is_never_answered() {
    let mut scene = Scene::new();
    scene.house.timings.person = Duration::ZERO;
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        // Asked by a sub-agent's thread, or about nothing that is ours.
        let foreign = json!({ "id": 77, "method": APPROVAL, "params": { "threadId": THREAD, "turnId": "another" } });
        scene.daemon.state().asked.push(foreign);
        scene.daemon.cut_connections();
        scene.daemon.wait_until("joined again", |s| s.calls.iter().filter(|(m, _)| m == "thread/resume").count() == 2);
        let ours = scene.daemon.ask(APPROVAL, json!({ "command": "make" }));
        scene.daemon.wait_until("an answer", |s| !s.answers.is_empty());
        scene.daemon.finish("done");
        scene.ended(1).await;
        let answered: Vec<Value> = scene.daemon.state().answers.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(answered, [ours]);
    });
}

#[test]
fn a_cancel_is_an_interrupt_and_never_a_signal() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        for (item, started) in [("ours", "item/started"), ("over", "item/completed")] {
            scene.daemon.tell(started, json!({ "item": { "type": "commandExecution", "id": item, "command": item } }));
        }
        let running = |r: &ExecutorReport| {
            matches!(r, ExecutorReport::Activity { activity: Activity::Tool { id, .. }, .. }
            if id == "over")
            .then_some(())
        };
        scene.house.told.wait(running).await;
        let terminals = [("user", "1"), ("ours", "2"), ("over", "3")];
        scene.daemon.state().terminals = terminals.map(|(i, p)| (i.to_owned(), p.to_owned())).to_vec();
        executors.cancel_turn(House::conversation(), TurnId::nth(1), Duration::from_secs(20));
        assert_eq!(scene.ended(1).await.how, How::Cancelled);
    });
    let steps: Vec<_> = scene.house.told.all().iter().filter_map(cancel_steps).collect();
    assert_eq!(steps, [CancelStep::Cooperative]);
    assert_eq!(scene.daemon.called("turn/interrupt"), 1);
    let left: Vec<String> = scene.daemon.state().terminals.iter().map(|(item, _)| item.clone()).collect();
    assert_eq!(left, ["user", "over"], "what the user began goes on, and what the turn left behind on purpose");
}

#[test]
fn a_turn_that_does_not_stop_is_let_go_of_truthfully() {
    let scene = Scene::new();
    scene.daemon.state().deaf = true;
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        executors.cancel_turn(House::conversation(), TurnId::nth(1), Duration::from_millis(100));
        let ended = scene.ended(1).await;
        assert!(matches!(&ended.how, How::Failed { reason } if reason.contains("may go on")), "{ended:?}");
    });
    assert!(scene.notices().contains("stop it in the terminal"));
    let steps: Vec<_> = scene.house.told.all().iter().filter_map(cancel_steps).collect();
    assert_eq!(steps, [CancelStep::Cooperative]);
    scene.daemon.finish("it went on, and nobody was hurt");
}

#[test]
fn a_conversation_that_is_closed_stops_its_turn() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
        executors.release(House::conversation(), "closed".into());
        assert_eq!(scene.ended(1).await.how, How::Cancelled);
    });
    assert_eq!(scene.daemon.state().turns[0]["status"], "interrupted");
}

#[test]
fn a_user_who_stops_the_turn_stops_it() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        scene.daemon.item(json!({ "type": "userMessage", "id": "u2", "clientId": "user", "content": [] }));
        scene.daemon.end("interrupted", Value::Null);
        assert_eq!(scene.ended(1).await.how, How::Cancelled);
    });
    assert!(scene.notices().contains("the user added a message"));
    assert_eq!(scene.daemon.called("turn/interrupt"), 0);
}

#[test]
fn a_cut_connection_costs_nothing() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        scene.daemon.cut_connections();
        scene.daemon.wait_until("joined again", |s| s.calls.iter().filter(|(m, _)| m == "thread/resume").count() == 2);
        scene.daemon.finish("done");
        let ended = scene.ended(1).await;
        assert_eq!((ended.text.as_deref(), ended.usage), (Some("done"), None));
    });
    scene.prompted_once();
}

#[test]
fn a_daemon_that_dies_takes_the_turn_with_it() {
    let mut scene = Scene::new();
    let order = scene.order(1);
    let Scene { house, daemon } = &mut scene;
    house.live_and_die(async |executors| {
        executors.start_turn(order);
        daemon.wait_for_our_turn();
        house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
        daemon.kill();
        let ended = house.told.end_of(1).await;
        assert!(
            matches!(&ended.how, How::Failed { reason } if reason.contains("no Codex daemon listens")),
            "{ended:?}"
        );
    });
    assert_eq!(daemon.our_turns(), 1);
}

#[test]
fn a_turn_that_a_killed_daemon_left_is_not_waited_for() {
    for loaded in [false, true] {
        let mut scene = Scene::new();
        die_in_the_turn(&scene);
        scene.daemon.kill();
        // Its record goes on saying that it runs; the user may have opened the session again.
        (scene.daemon.state().stale, scene.daemon.state().loaded) = (true, loaded);
        scene.daemon.listen();
        scene.live(async |executors| {
            executors.recover(scene.recovered(1, false)).await;
            let ended = scene.ended(1).await;
            assert!(matches!(&ended.how, How::Failed { reason } if reason.contains("in the middle")), "{ended:?}");
        });
        scene.prompted_once();
    }
}
