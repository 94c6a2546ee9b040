//! Drops and answers on a real store.

use super::{DropFolders, Intake};
use crate::conversation::testing::{House, created, normal};
use crate::store::{LaunchRow, LaunchState};
use akk_core::decide::{Input, Send};
use akk_proto::api::{AwaitParams, ConfirmParams, ReportParams};
use akk_proto::drops::{self, Drop, Place};
use akk_proto::error::ErrorKind;
use akk_proto::event::{EventBody, EventRecord, Origin};
use akk_proto::limits::MAX_UNDELIVERED;
use akk_proto::{ConversationId, LaunchId, MessageId, RequestId, Timestamp, TurnId};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const TICKET: &str = "the ticket";

struct Desk {
    house: House,
    intake: Intake,
    folders: DropFolders,
    id: ConversationId,
}

impl Desk {
    /// A conversation whose first turn is open.
    async fn new() -> Self {
        let house = House::new();
        let folders = DropFolders::new(&house.dir.path().join("state"), &house.dir.path().join("tmp"));
        let intake = Intake::new(house.store.clone(), house.conversations.clone(), folders.clone());
        let id = house.begin(created(1)).await;
        let desk = Self { house, intake, folders, id };
        desk.launches(TICKET).await;
        desk
    }

    /// An agent of the conversation is started with this ticket.
    async fn launches(&self, ticket: &str) {
        let launch = LaunchRow {
            launch_id: LaunchId::new(Uuid::now_v7()),
            conversation_id: self.id.clone(),
            facts: serde_json::Value::Null,
            state: LaunchState::Live,
            identity: None,
            ticket_hash: hex::encode(Sha256::digest(ticket)),
            created_at: Timestamp(0),
            offset: 0,
            reader: serde_json::Value::Null,
        };
        self.house.store.launch_begin(launch).await.unwrap();
    }

    fn report_with(&self, ticket: &str, body: &str) -> ReportParams {
        let message = serde_json::json!({"type": "progress", "body": body}).to_string();
        ReportParams { ticket: ticket.into(), ..self.report(&message) }
    }

    async fn refused_drops(&self) -> usize {
        self.bodies().await.iter().filter(|b| matches!(b, EventBody::DropRefused { .. })).count()
    }

    fn folder(&self) -> PathBuf {
        self.folders.folder(&self.id, Place::Own).unwrap()
    }

    fn report(&self, message: &str) -> ReportParams {
        ReportParams {
            conversation_id: self.id.clone(),
            ticket: TICKET.into(),
            turn_id: None,
            attempt_id: RequestId::parse(Uuid::now_v7().to_string()).ok(),
            message: message.into(),
            waits: false,
        }
    }

    /// Leaves it as an agent does.
    fn leave(&self, drop: &Drop) -> PathBuf {
        let file = self.folder().join(drops::file_name(Uuid::now_v7()));
        std::fs::write(&file, serde_json::to_vec(drop).unwrap()).unwrap();
        file
    }

    fn leave_report(&self, kind: &str, body: &str) -> PathBuf {
        self.leave(&Drop::Report(self.report(&format!(r#"{{"type":"{kind}","body":"{body}"}}"#))))
    }

    /// What the agent reported, in the order of the record.
    async fn reported(&self) -> Vec<String> {
        self.bodies()
            .await
            .into_iter()
            .filter_map(|body| match body {
                EventBody::Message(m) | EventBody::LateCallback(m) if m.origin == Origin::Callback => {
                    Some(m.message.body)
                }
                _ => None,
            })
            .collect()
    }

    async fn bodies(&self) -> Vec<EventBody> {
        let page = self.house.store.events(&self.id, 0, 1000, 1 << 20).await.unwrap();
        page.events.into_iter().map(|e| e.body).collect()
    }

    async fn status(&self) -> String {
        self.house.conversations.state(&self.id).await.unwrap().status().as_str().to_owned()
    }

    /// A question over the socket.
    async fn ask(&self) -> MessageId {
        self.intake.report(self.report(r#"{"type":"question","body":"A or B?"}"#)).await.unwrap().message_id
    }

    async fn send(&self, text: &str) -> MessageId {
        let send = Send { message: Some(text.into()), ..Default::default() };
        self.house.conversations.ask(&self.id, Input::Send(send), None).await.unwrap().said.message_id.unwrap()
    }

    fn awaiting(&self, question: &MessageId, wait_ms: u64) -> AwaitParams {
        let (conversation_id, ticket) = (self.id.clone(), TICKET.to_owned());
        AwaitParams { conversation_id, ticket, message_id: question.clone(), wait_ms }
    }

    fn confirming(&self, question: &MessageId, answer: &MessageId) -> ConfirmParams {
        let (conversation_id, ticket) = (self.id.clone(), TICKET.to_owned());
        ConfirmParams { conversation_id, ticket, message_id: question.clone(), answer_id: answer.clone() }
    }
}

#[tokio::test]
async fn drops_go_in_by_their_order_and_before_what_comes_over_the_socket() {
    let desk = Desk::new().await;
    for body in ["one", "two", "three"] {
        desk.leave_report("progress", body);
    }
    desk.intake.report(desk.report(r#"{"type":"progress","body":"four"}"#)).await.unwrap();
    assert_eq!(desk.reported().await, ["one", "two", "three", "four"]);
    assert_eq!(std::fs::read_dir(desk.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_came_over_the_socket_and_was_left_too_is_recorded_once() {
    let desk = Desk::new().await;
    let report = desk.report(r#"{"type":"progress","body":"once"}"#);
    desk.intake.report(report.clone()).await.unwrap();
    let file = desk.leave(&Drop::Report(report));
    desk.intake.take_drops(&desk.id).await;
    assert_eq!(desk.reported().await, ["once"]);
    assert!(!file.exists());
}

#[tokio::test]
async fn what_two_take_in_at_once_is_recorded_once() {
    let desk = Desk::new().await;
    for n in 0..20 {
        desk.leave_report("progress", &n.to_string());
    }
    tokio::join!(desk.intake.take_drops(&desk.id), desk.intake.take_drops(&desk.id), desk.intake.take_drops(&desk.id));
    assert_eq!(desk.reported().await.len(), 20);
    assert!(!desk.bodies().await.iter().any(|b| matches!(b, EventBody::DuplicateCallback { .. })));
}

#[tokio::test]
async fn a_drop_of_an_ended_turn_is_late() {
    let desk = Desk::new().await;
    let mut report = desk.report(r#"{"type":"done","body":"of the first"}"#);
    report.turn_id = Some(TurnId::nth(1));
    desk.house.ends(&desk.id, normal()).await;
    desk.send("the second").await;
    desk.leave(&Drop::Report(report));
    desk.intake.take_drops(&desk.id).await;
    assert_eq!(desk.status().await, "waiting_for_agent", "the second turn is not settled by it");
    assert!(desk.bodies().await.iter().any(|b| matches!(b, EventBody::LateCallback(_))));
}

#[tokio::test]
async fn what_is_refused_is_set_aside_with_the_reason_and_the_rest_goes_in() {
    let desk = Desk::new().await;
    let other = ConversationId::new(Timestamp(0), 99);
    let mut bad = vec![
        desk.leave(&Drop::Report(ReportParams { ticket: "another".into(), ..desk.report("{}") })),
        desk.leave(&Drop::Report(ReportParams { conversation_id: other, ..desk.report("{}") })),
        desk.leave(&Drop::Report(desk.report("no report at all"))),
        desk.leave(&Drop::Report(desk.report(&"x".repeat(300_000)))),
    ];
    let junk = desk.folder().join("00.json");
    std::fs::write(&junk, "junk").unwrap();
    bad.push(junk);
    desk.leave_report("done", "good");
    desk.intake.take_drops(&desk.id).await;
    assert_eq!(desk.reported().await, ["good"]);
    let told = desk.bodies().await.into_iter().filter(|b| matches!(b, EventBody::DropRefused { .. })).count();
    assert_eq!(told, bad.len());
    for file in bad {
        let aside = file.with_file_name(format!("{}.refused", file.file_name().unwrap().to_str().unwrap()));
        assert!(!file.exists() && aside.exists(), "{}", file.display());
    }
    desk.intake.take_drops(&desk.id).await;
    let again = desk.bodies().await.into_iter().filter(|b| matches!(b, EventBody::DropRefused { .. })).count();
    assert_eq!(again, told, "it is told once");
}

#[tokio::test]
async fn a_hint_is_enough_to_take_a_drop_in() {
    let desk = Desk::new().await;
    let folder = desk.folder();
    let mut events = desk.house.store.subscribe_events();
    let stop = CancellationToken::new();
    let (_nobody, at_work) = watch::channel(BTreeSet::new());
    let watching = tokio::spawn(desk.intake.clone().watch_drops(at_work, stop.clone()));
    let drop = Drop::Report(desk.report(r#"{"type":"done","body":"seen"}"#));
    std::fs::write(folder.join(".x.json"), serde_json::to_vec(&drop).unwrap()).unwrap();
    std::fs::rename(folder.join(".x.json"), folder.join("x.json")).unwrap();
    seen(&mut events, "seen").await;
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn without_a_hint_a_drop_is_found_while_its_agent_is_at_work() {
    let desk = Desk::new().await;
    desk.leave_report("done", "unheard");
    // Nobody told these that there is something to watch.
    let deaf = DropFolders::new(&desk.house.dir.path().join("state"), &desk.house.dir.path().join("tmp"));
    let intake = Intake::new(desk.house.store.clone(), desk.house.conversations.clone(), deaf);
    let mut events = desk.house.store.subscribe_events();
    let stop = CancellationToken::new();
    let (works, at_work) = watch::channel(BTreeSet::new());
    let watching = tokio::spawn(intake.watch_drops(at_work, stop.clone()));
    works.send_replace(BTreeSet::from([desk.id.clone()]));
    seen(&mut events, "unheard").await;
    stop.cancel();
    watching.await.unwrap();
}

/// Waits until a message that says this is recorded.
async fn seen(events: &mut Receiver<Arc<EventRecord>>, body: &str) {
    let seen = async {
        while !matches!(&events.recv().await.unwrap().body, EventBody::Message(m) if m.message.body == body) {}
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
}

#[tokio::test]
async fn a_start_takes_everything_in_and_removes_folders_that_nobody_needs() {
    let desk = Desk::new().await;
    desk.leave_report("done", "left behind");
    let deleted = desk.folders.folder(&ConversationId::new(Timestamp(0), 77), Place::Temporary).unwrap();
    std::fs::write(deleted.join("x.json"), "whatever").unwrap();
    desk.intake.take_all_drops().await;
    assert_eq!(desk.reported().await, ["left behind"]);
    assert!(!deleted.exists() && desk.folder().exists());
    desk.house.ends(&desk.id, normal()).await;
    desk.house.conversations.ask(&desk.id, Input::Close { reason: "x".into() }, None).await.unwrap();
    let folder = desk.folder();
    desk.intake.close_drops(&desk.id).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn an_answer_reaches_who_waits_and_is_told_once() {
    let desk = Desk::new().await;
    let question = desk.ask().await;
    let waiting = tokio::spawn({
        let (intake, params) = (desk.intake.clone(), desk.awaiting(&question, 20_000));
        async move { intake.await_answer(params).await }
    });
    while !desk.intake.waits().is_on(&desk.id) {
        tokio::task::yield_now().await;
    }
    let sent = desk.send("B").await;
    let answer = waiting.await.unwrap().unwrap().answer.unwrap();
    assert_eq!((&answer.id, answer.body.as_str()), (&sent, "B"));
    assert!(!desk.intake.waits().is_on(&desk.id));
    let confirm = desk.confirming(&question, &sent);
    assert!(desk.intake.confirm_answer(confirm.clone()).await.unwrap().confirmed);
    assert_eq!(desk.status().await, "waiting_for_agent");
    // The answer to it was lost with a connection, and it is left as a drop besides.
    assert!(desk.intake.confirm_answer(confirm.clone()).await.unwrap().confirmed);
    desk.leave(&Drop::ConfirmAnswer(confirm));
    desk.intake.take_drops(&desk.id).await;
    let told = desk.bodies().await.into_iter().filter(|b| matches!(b, EventBody::QuestionAnswered { .. })).count();
    assert_eq!(told, 1);
    assert!(!desk.bodies().await.iter().any(|b| matches!(b, EventBody::DropRefused { .. })));
}

#[tokio::test]
async fn an_answer_that_went_another_way_is_not_confirmed() {
    let desk = Desk::new().await;
    let question = desk.ask().await;
    let sent = desk.send("B").await;
    desk.house.ends(&desk.id, normal()).await;
    assert!(!desk.intake.confirm_answer(desk.confirming(&question, &sent)).await.unwrap().confirmed);
    let state = desk.house.conversations.state(&desk.id).await.unwrap();
    assert_eq!((state.turns, state.queue.len()), (2, 0));
}

#[tokio::test]
async fn a_confirmation_that_was_left_counts_before_the_turn_ends() {
    let desk = Desk::new().await;
    let question = desk.ask().await;
    let sent = desk.send("B").await;
    desk.leave(&Drop::ConfirmAnswer(desk.confirming(&question, &sent)));
    desk.intake.take_drops(&desk.id).await;
    desk.house.ends(&desk.id, normal()).await;
    let state = desk.house.conversations.state(&desk.id).await.unwrap();
    assert_eq!((state.turns, state.queue.len()), (1, 0), "it is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_time_and_with_the_turn() {
    let desk = Desk::new().await;
    let question = desk.ask().await;
    let nothing = desk.intake.await_answer(desk.awaiting(&question, 40_000)).await.unwrap();
    assert!(nothing.answer.is_none() && !nothing.over);
    desk.house.conversations.ask(&desk.id, Input::Cancel, None).await.unwrap();
    let over = desk.intake.await_answer(desk.awaiting(&question, 40_000)).await.unwrap();
    assert!(over.answer.is_none() && over.over);
    let stranger = AwaitParams { ticket: "another".into(), ..desk.awaiting(&question, 1) };
    assert_eq!(desk.intake.await_answer(stranger).await.unwrap_err().kind, ErrorKind::TicketRefused);
    let stranger = ConfirmParams { ticket: "another".into(), ..desk.confirming(&question, &question) };
    assert_eq!(desk.intake.confirm_answer(stranger).await.unwrap_err().kind, ErrorKind::TicketRefused);
}

#[tokio::test]
async fn a_ticket_of_an_earlier_process_counts_until_the_session_is_replaced_and_then_on_no_way() {
    let desk = Desk::new().await;
    desk.launches("the next ticket").await;
    desk.intake.report(desk.report_with(TICKET, "an old process that still lives")).await.unwrap();
    desk.leave(&Drop::Report(desk.report_with(TICKET, "and left something")));
    desk.intake.take_drops(&desk.id).await;
    assert_eq!(desk.reported().await, ["an old process that still lives", "and left something"]);

    desk.house.ends(&desk.id, akk_core::How::Failed { reason: "gone".into() }).await;
    let recover = Input::Recover { session: "akk-codex-another".into() };
    desk.house.conversations.ask(&desk.id, recover, None).await.unwrap();
    desk.launches("the newest ticket").await;
    for ticket in [TICKET, "the next ticket", "no ticket of anybody", ""] {
        let refused = desk.intake.report(desk.report_with(ticket, "me?")).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::TicketRefused, "{ticket}: {refused:?}");
        desk.leave(&Drop::Report(desk.report_with(ticket, "me?")));
    }
    desk.leave(&Drop::Report(desk.report_with("the newest ticket", "the agent that works now")));
    desk.intake.take_drops(&desk.id).await;
    assert_eq!(desk.reported().await[2..], ["the agent that works now"]);

    let asks =
        ReportParams { ticket: "the newest ticket".into(), ..desk.report(r#"{"type":"question","body":"A or B?"}"#) };
    let question = desk.intake.report(asks).await.unwrap().message_id;
    let answer = desk.send("B").await;
    let former = desk.intake.confirm_answer(desk.confirming(&question, &answer)).await.unwrap();
    let now = ConfirmParams { ticket: "the newest ticket".into(), ..desk.confirming(&question, &answer) };
    assert_eq!((former.confirmed, desk.intake.confirm_answer(now).await.unwrap().confirmed), (false, true));
    assert_eq!(desk.refused_drops().await, 4);
}

#[tokio::test]
async fn another_akkd_of_the_same_user_leaves_alone_what_was_not_left_for_it() {
    let (one, two) = (Desk::new().await, House::new());
    let temporary = one.house.dir.path().join("tmp");
    let folder = one.folders.folder(&one.id, Place::Temporary).unwrap();
    let file = folder.join(drops::file_name(Uuid::now_v7()));
    let left = Drop::Report(one.report(r#"{"type":"done","body":"x"}"#));
    std::fs::write(&file, serde_json::to_vec(&left).unwrap()).unwrap();
    let folders = DropFolders::new(two.dir.path(), &temporary);
    Intake::new(two.store.clone(), two.conversations.clone(), folders).take_all_drops().await;
    assert!(file.exists());
    one.intake.take_all_drops().await;
    assert_eq!(one.reported().await, ["x"]);
}

#[tokio::test]
async fn what_was_left_waits_while_too_much_is_undelivered_and_is_not_refused() {
    let desk = Desk::new().await;
    for n in 0..MAX_UNDELIVERED {
        desk.intake.report(desk.report(&format!(r#"{{"type":"error","body":"{n}"}}"#))).await.unwrap();
    }
    let file = desk.leave_report("error", "the last");
    let over_the_socket = desk.intake.report(desk.report(r#"{"type":"error","body":"more"}"#)).await.unwrap_err();
    assert_eq!((over_the_socket.kind, file.exists(), desk.refused_drops().await), (ErrorKind::TooLarge, true, 0));
    let due = desk.house.store.outbox_due_for_command(Timestamp(i64::MAX), 1).await.unwrap().remove(0);
    desk.house.store.outbox_told(&due.delivery_id).await.unwrap();
    desk.intake.take_drops(&desk.id).await;
    let state = desk.house.conversations.state(&desk.id).await.unwrap();
    assert_eq!((file.exists(), state.heard.last().map(|h| h.attempt.is_some())), (false, Some(true)));
}

/// Names and contents of files that an agent, or what it runs, could put into its drop folder.
fn any_files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        "[ -.0-~]{1,20}\\.json",
        "[a-z]{240,250}\\.json",
        "[\u{1}-\u{1f}é\u{202e}]{1,8}\\.json",
        Just("..json".to_owned()),
        Just("x.json.refused".to_owned()),
        Just("x.json".to_owned()),
    ];
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let mut drop =
                br#"{"drop":"report","conversation_id":"task-19700101T000000-00000001","ticket":"t","message":"m"}"#
                    .to_vec();
            let at = at.index(drop.len());
            drop[at] = byte;
            drop
        }),
        Just(br#"{"drop":"confirm_answer"}"#.to_vec()),
    ];
    prop::collection::vec((name, content), 0..6)
}

proptest! {
    // Each makes a database.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(16), ..ProptestConfig::default() })]

    #[test]
    fn whatever_lies_in_a_drop_folder_goes_out_of_the_way_once_and_what_is_good_is_taken(
        files in any_files(), occupied in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new().await;
            let folder = desk.folder();
            for (name, content) in &files {
                std::fs::write(folder.join(name), content).unwrap();
            }
            if occupied {
                std::fs::create_dir_all(folder.join("x.json.refused/full")).ok();
            }
            desk.leave_report("progress", "good");
            // Behind all the others.
            let last = serde_json::to_vec(&Drop::Report(desk.report_with(TICKET, "last"))).unwrap();
            std::fs::write(folder.join("~~~~~~~~~~~~~~~~~~~~~~~~.json"), last).unwrap();
            desk.intake.take_drops(&desk.id).await;
            let mut reported = desk.reported().await;
            reported.sort_unstable();
            prop_assert_eq!(reported, ["good", "last"]);
            let told = desk.refused_drops().await;
            prop_assert!(told <= files.len());
            desk.intake.take_drops(&desk.id).await;
            prop_assert_eq!(desk.refused_drops().await, told, "each is told once");
            let left = std::fs::read_dir(&folder).unwrap().flatten().map(|e| e.path());
            let is_drop = |path: &PathBuf| {
                let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                !hidden && path.extension().is_some_and(|ext| ext == "json")
            };
            let waiting: Vec<_> = left.filter(is_drop).collect();
            prop_assert!(waiting.is_empty(), "{:?}", waiting);
            Ok(())
        })?;
    }
}
