//! A session that a person began with the real codex goes on from a chat.

use akk_proto::conversation::Status;
use akk_tests::openclaw::{Together, alone};
use akk_tests::{Codex, Daemon, Home, native};
use serde_json::json;

#[test]
fn a_native_session_is_found_and_goes_on_from_a_chat() {
    const STORY: &str = "a_native_session_is_found_and_goes_on_from_a_chat";
    alone(STORY, async |peer| {
        let home = Home::new();
        let Some(codex) = Codex::new(&home, STORY) else { return };
        let session = codex.session("The word is swordfish.\nSAY Noted.").await;
        let akkd = Daemon::start_with(native::plan(&home, &codex), home).await;
        let oc = Together::start_with(akkd, peer, "main").await;
        let (room, mind) = (oc.gateway.chat.private(), &oc.gateway.mind);

        let found = json!({"agent": "codex", "scope": "sessions"});
        mind.calls("Which sessions", "agent_knock_knock_agent_discover", found, "One.");
        room.write("Which sessions of codex are there?");
        assert!(mind.told("Which sessions", 1).await.result.contains(&session));
        room.says("One.").await;

        // The model shows a plan and changes nothing; the person does it.
        let plan = json!({"agent": "codex", "sessionId": session, "strategy": "safe_resume"});
        mind.calls("take it over", "agent_knock_knock_agent_takeover", plan, "It can be resumed.");
        room.write("Can you take it over?");
        let answer = mind.told("take it over", 1).await.result;
        assert!(answer.contains("\"side_effects_executed\":false") && answer.contains("ready"), "{answer}");
        room.says("It can be resumed.").await;
        assert!(room.asks("/akk sessions").await.contains(&session));
        let taken = room.asks(&format!("/akk takeover {session} resume")).await;

        let list = oc.akkd.ctl(&["--json", "list"]).await.ok().json::<serde_json::Value>();
        let id = list["conversations"][0]["conversation_id"].as_str().unwrap_or_else(|| panic!("{taken}\n{list}"));
        let id = id.parse().unwrap();
        assert_eq!(oc.akkd.get(&id).await.status, Status::Idle);
        room.asks("/akk send SAY It was swordfish.").await;
        oc.told(&room, "It was swordfish.").await;
        assert!(codex.model.prompts("It was swordfish.")[0].knows("The word is swordfish."));
        eprintln!("{}", room.shown());
    });
}
