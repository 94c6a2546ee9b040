//! `/akk` in a chat: answered without a model, whatever was meant and however it was written.

use akk_proto::conversation::Status;

calm!(a_person_has_it_all_by_the_command, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let help = room.asks("/akk help").await;
    for word in ["list", "status", "send", "cancel", "close", "sessions", "takeover", "recover"] {
        assert!(help.contains(word), "{word}: {help}");
    }

    let started = room.asks("/akk ask Which key does the box have?").await;
    room.says("Noted: question: Which key does the box have?").await;
    let id = oc.akkd.agent().prompts("ask Which key does the box have?");
    assert_eq!(id.len(), 1, "{started}");
    let row = oc.row("Which key does the box have?").await.unwrap();
    let id = row.conversation_id;
    assert_eq!(row.orchestrator, Some(room.session_key()));
    let short = id.as_str().rsplit('-').next().unwrap().to_owned();
    assert!(started.contains(&short), "{started}");

    let list = room.asks("/akk list").await;
    assert!(list.contains(&short), "{list}");
    let status = room.asks(&format!("/akk status {short}")).await;
    assert!(status.contains(&short), "{status}");
    room.asks(&format!("/akk send {short} callback done The small one.")).await;
    oc.told(&room, "The small one.").await;

    oc.akkd.turn_over(&id).await;
    let sent = room.asks(&format!("/akk send {short} sleep 600")).await;
    oc.akkd.prompted("sleep 600").await;
    let cancelled = room.asks(&format!("/akk cancel {short}")).await;
    oc.akkd.until(&id, Status::Idle).await;
    let closed = room.asks(&format!("/akk close {short} no more boxes")).await;
    let c = oc.akkd.until(&id, Status::Closed).await;
    assert_eq!(c.close_reason.as_deref(), Some("no more boxes"));
    let sessions = room.asks("/akk sessions").await;
    assert!(!sessions.is_empty());
    eprintln!("{sent}\n{cancelled}\n{closed}\n{}", room.shown());
    // The only thing that the model heard of were the reports.
    let heard = mind.asked().into_iter().filter(|a| a.body.to_string().contains(&room.session_key()));
    assert_eq!(heard.filter(|a| a.report.is_none()).count(), 0);
});

calm!(a_wrong_command_says_what_is_right, oc, {
    let room = oc.gateway.chat.group();
    for (wrong, hint) in [
        ("/akk status zzzzzzzz", "/akk list"),
        ("/akk send", "/akk send"),
        ("/akk close 99999999 for nothing", "/akk list"),
        ("/akk takeover", "/akk sessions"),
    ] {
        let answer = room.asks(wrong).await;
        eprintln!("{wrong} → {answer}");
        assert!(answer.contains(hint), "{wrong}: {answer}");
    }
});
