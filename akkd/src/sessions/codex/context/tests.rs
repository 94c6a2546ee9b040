use super::super::testing::{
    ABORTED, CODE_MODE, EXEC, EXEC_ID, EXEC_ZST, FORKS, Home, IN_FLIGHT, OLD, REFUSED, SUB_AGENT, THREE_TURNS, append,
    filler,
};
use super::*;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

fn of(content: &str) -> ForkContext {
    let home = Home::new();
    context(&home.home, &home.rollout(EXEC_ID, content), ContextLimits::default()).unwrap()
}

fn said(context: &ForkContext) -> Vec<String> {
    context.messages.iter().map(|m| format!("{}: {}", m.role, m.text)).collect()
}

fn ran(context: &ForkContext) -> Vec<(&str, Option<i32>, Option<&str>)> {
    context.commands.iter().map(|c| (c.command.as_str(), c.exit_code, c.output.as_deref())).collect()
}

/// A turn as codex 0.169 records it: what was said stands twice.
fn turn(n: usize, request: &str, answer: &str) -> String {
    let about = r#""internal_chat_message_metadata_passthrough":{"content_item_kinds":["user.text"]}"#;
    let request = serde_json::to_string(request).unwrap();
    let answer = serde_json::to_string(answer).unwrap();
    let records = [
        ("event_msg", r#"{"type":"task_started"}"#.to_owned()),
        (
            "response_item",
            format!(
                r#"{{"type":"message","id":"msg_u{n}","role":"user","content":[{{"type":"input_text","text":{request}}}],{about}}}"#
            ),
        ),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"UserMessage","id":"u{n}","content":[{{"type":"text","text":{request}}}]}}}}"#
            ),
        ),
        (
            "response_item",
            format!(
                r#"{{"type":"function_call","name":"exec_command","arguments":"{{\"cmd\":\"run {n}\"}}","call_id":"call_{n}"}}"#
            ),
        ),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"CommandExecution","id":"call_{n}","command":["/bin/bash","-lc","run {n}"],"aggregated_output":"out {n}\n","exit_code":{n}}}}}"#
            ),
        ),
        (
            "response_item",
            format!(
                r#"{{"type":"function_call_output","call_id":"call_{n}","output":"Process exited with code {n}\nOutput:\nout {n}\n"}}"#
            ),
        ),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"AgentMessage","id":"msg_a{n}","content":[{{"type":"Text","text":{answer}}}],"phase":"final_answer"}}}}"#
            ),
        ),
        (
            "response_item",
            format!(
                r#"{{"type":"message","id":"msg_a{n}","role":"assistant","content":[{{"type":"output_text","text":{answer}}}],"phase":"final_answer"}}"#
            ),
        ),
        ("event_msg", r#"{"type":"task_complete"}"#.to_owned()),
    ];
    let record = |(kind, payload): &(&str, String)| {
        format!(r#"{{"timestamp":"2026-11-22T17:00:00.{n:03}Z","type":"{kind}","payload":{payload}}}{}"#, "\n")
    };
    records.iter().map(record).collect()
}

fn turns(range: std::ops::Range<usize>) -> String {
    range.map(|n| turn(n, &format!("request {n}"), &format!("answer {n}"))).collect()
}

#[test]
fn a_short_session_is_told_whole_and_once() {
    let context = of(EXEC);
    assert_eq!(
        said(&context),
        [
            "user: THINK pondering ;; COMMENT I will look ;; RUN echo one; echo two >&2; exit 3 ;; PATCH new.txt hello ;; SAY finished",
            "assistant: I will look",
            "assistant: finished",
        ]
    );
    let commands = ran(&context);
    assert_eq!(commands[0], ("echo one; echo two >&2; exit 3", Some(3), Some("one\ntwo")));
    assert!(commands[1].0.starts_with("apply_patch <<'EOF'"), "{commands:?}");
    let done = "Success. Updated the following files:\nA new.txt";
    assert_eq!((commands.len(), commands[1].1, commands[1].2), (2, Some(0), Some(done)));
    assert_eq!((context.truncated, context.skipped_records), (false, 0));
    assert_eq!(context.messages[0].ts.unwrap().to_string(), "2026-11-22T16:50:37.849Z");
    for part in ["Goal", "Work done", "State and findings", "Constraints", "Next step", "fork_summary"] {
        assert!(context.prompt.contains(part), "{part}");
    }
    assert!(!context.prompt.contains("excerpt"));
}

#[test]
fn a_session_of_several_turns_is_told_in_order() {
    let context = of(THREE_TURNS);
    assert_eq!(
        said(&context),
        [
            "user: RUN sleep 20; echo done ;; SAY tui finished",
            "assistant: tui finished",
            "user: RUN sleep 8; echo done2 > tui2.txt ;; SAY tui finished 2",
            "assistant: tui finished 2",
            "user: SAY queued msg",
            "assistant: queued msg",
        ]
    );
    let commands = ran(&context);
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[1].0, "sleep 8; echo done2 > tui2.txt");
}

#[test]
fn a_command_that_has_not_ended_has_no_exit_code() {
    assert_eq!(ran(&of(IN_FLIGHT)), [("sleep 6; echo bg", None, None)]);
    let aborted = of(ABORTED);
    assert_eq!(said(&aborted), ["user: RUN sleep 30 ;; SAY x"], "what Codex says of the interruption is left out");
    assert_eq!((aborted.commands[0].command.as_str(), aborted.commands.len()), ("sleep 30", 1));
}

#[test]
fn a_model_that_calls_its_tools_from_a_script_is_told_alike() {
    let context = of(CODE_MODE);
    assert_eq!(
        said(&context),
        ["user: RUN echo via gpt-6.1-sol ;; PATCH p_gpt-6.1-sol.txt hey ;; SAY fin", "assistant: fin"]
    );
    assert_eq!(ran(&context), [("echo via gpt-6.1-sol", Some(0), Some("via gpt-6.1-sol"))]);
    assert_eq!(of(REFUSED).messages.len(), 1);
    assert_eq!(said(&of(SUB_AGENT)), ["user: SPAWN2", "assistant: parent done"]);
}

#[test]
fn the_shapes_of_old_versions_are_read() {
    let context = of(OLD);
    assert_eq!(said(&context), ["user: list the files", "assistant: There are two files."]);
    assert_eq!(
        ran(&context),
        [
            ("ls", Some(0), Some("a.rs\nb.rs")),
            ("cat a.rs", Some(1), Some("no such file")),
            ("make test", Some(2), Some("failed")),
            ("git status", Some(0), Some("clean")),
        ]
    );
    assert_eq!((context.truncated, context.skipped_records), (false, 0));
}

#[test]
fn of_a_long_session_the_first_and_the_newest_are_told() {
    let context = of(&turns(0..100));
    let mut expected = vec!["user: request 0".to_owned(), "assistant: answer 0".to_owned()];
    expected.extend((95..100).flat_map(|n| [format!("user: request {n}"), format!("assistant: answer {n}")]));
    assert_eq!(said(&context), expected);
    let commands: Vec<_> = context.commands.iter().map(|c| (c.command.clone(), c.exit_code)).collect();
    assert_eq!(commands, (92..100).map(|n| (format!("run {n}"), Some(n))).collect::<Vec<_>>());
    assert!(context.truncated && context.prompt.contains("excerpt"));
}

#[test]
fn what_just_fits_is_not_truncated() {
    let limits = ContextLimits { messages: 12, commands: 6, chars: 1200 };
    let home = Home::new();
    for (turns_of, truncated) in [(6, false), (7, true)] {
        let context = context(&home.home, &home.rollout(EXEC_ID, turns(0..turns_of)), limits).unwrap();
        assert_eq!((context.messages.len(), context.commands.len(), context.truncated), (12, 6, truncated));
    }
}

#[test]
fn the_same_words_said_twice_are_told_twice() {
    let context = of(&[turn(1, "go on", "done"), turn(2, "go on", "done")].concat());
    assert_eq!(said(&context), ["user: go on", "assistant: done", "user: go on", "assistant: done"]);
}

#[test]
fn what_was_said_in_passing_gives_way() {
    let passing = |n: usize| turn(n, "", &format!("step {n}")).replace("final_answer", "commentary");
    let steps: String = (20..60).map(passing).collect();
    let session = turns(0..7) + &steps + &turn(7, "request 7", "answer 7");
    let context = of(&session);
    assert_eq!(context.messages.len(), 12);
    assert!(said(&context).iter().all(|m| !m.contains("step")), "{:?}", said(&context));
    assert!(context.truncated);
    let context = of(&(turns(0..1) + &steps));
    assert_eq!(context.messages.len(), 12);
    assert_eq!(said(&context)[..2], ["user: request 0", "assistant: answer 0"]);
    assert_eq!(said(&context)[11], "assistant: step 59", "what runs now is told by its newest words");
}

#[test]
fn long_texts_are_cut_and_say_so() {
    let long = "ü".repeat(5000);
    let session = turn(1, &long, "short").replace("out 1", &format!("begin {} end", "x".repeat(3000)));
    let context = of(&session);
    assert_eq!((context.messages[0].text.chars().count(), context.messages[0].truncated), (1200, true));
    assert!(!context.messages[1].truncated);
    let command = &context.commands[0];
    let output = command.output.as_deref().unwrap();
    assert!(output.starts_with('…') && output.ends_with(" end") && output.chars().count() == 1200, "{output}");
    assert!(command.truncated && context.truncated);
}

#[test]
fn secrets_are_taken_out_before_anything_is_cut() {
    let key = format!("{} token=abcdefgh12345678 after", "word ".repeat(237));
    let session = turn(1, &key, "Authorization: Bearer abc.def.ghi")
        .replace("run 1", "curl --token hunter2xyz")
        .replace("out 1", "password: 'hunter2 xyz'");
    let shown = serde_json::to_string(&of(&session)).unwrap();
    for secret in ["abcdefgh", "abc.def", "hunter2"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("[redacted]"));
}

#[test]
fn limits_are_kept_whatever_they_are() {
    let home = Home::new();
    let path = home.rollout(EXEC_ID, turns(0..30));
    for (messages, commands) in [(0, 0), (1, 0), (2, 1), (3, 3), (50, 50)] {
        let context = context(&home.home, &path, ContextLimits { messages, commands, chars: 100 }).unwrap();
        assert_eq!((context.messages.len(), context.commands.len()), (messages, commands.min(30)));
        if messages == 1 {
            assert_eq!(said(&context), ["assistant: answer 29"]);
        }
    }
}

#[test]
fn records_that_nobody_can_read_are_counted() {
    let broken = "{\"type\":\"event_msg\"\nnonsense\n";
    let new = "{\"type\":\"brand_new\",\"payload\":{}}\n{\"type\":\"event_msg\",\"payload\":{\"type\":\"item_completed\",\"item\":9}}\n";
    let context = of(&format!("{EXEC}{broken}{new}{}", filler(5 << 20)));
    assert_eq!((context.messages.len(), context.skipped_records), (3, 5));
    assert!(context.prompt.contains("could not be read"));
}

#[test]
fn a_record_that_is_being_written_is_not_missed() {
    let context = of(&format!("{EXEC}{{\"timestamp\":\"2026"));
    assert_eq!((context.messages.len(), context.skipped_records), (3, 0));
    assert_eq!(of(EXEC.trim_end()).messages.len(), 3);
}

#[test]
fn a_fork_begins_with_the_history_of_its_source() {
    let home = Home::new();
    let paths = FORKS.map(|(id, content)| home.rollout(id, content));
    // The sources went on after the forks were made.
    append(&paths[0], &turn(3, "not for the fork", "neither").replace("{\"timestamp", "{\"ordinal\":16,\"timestamp"));
    append(
        &paths[1],
        &turn(4, "not for the second", "nor this").replace("{\"timestamp", "{\"ordinal\":27,\"timestamp"),
    );
    let context = context(&home.home, &paths[2], ContextLimits::default()).unwrap();
    let expected = [
        "user: SAY resumed meta",
        "assistant: resumed meta",
        "user: SAY forked answer",
        "assistant: forked answer",
        "user: SAY second fork",
        "assistant: second fork",
    ];
    assert_eq!(said(&context), expected);
    assert!(!context.truncated);

    // A base that got cold knows records only by their numbers.
    let cold = compress_to_vec(&*std::fs::read(&paths[0]).unwrap(), CompressionLevel::Fastest);
    std::fs::write(format!("{}.zst", paths[0].display()), cold).unwrap();
    std::fs::remove_file(&paths[0]).unwrap();
    assert_eq!(said(&super::context(&home.home, &paths[2], ContextLimits::default()).unwrap()), expected);

    std::fs::remove_file(&paths[1]).unwrap();
    let context = super::context(&home.home, &paths[2], ContextLimits::default()).unwrap();
    assert_eq!(said(&context), expected[4..]);
    assert!(context.truncated, "the beginning is gone");
}

#[test]
fn a_long_fork_tells_how_its_source_began() {
    let home = Home::new();
    let paths = FORKS.map(|(id, content)| home.rollout(id, content));
    append(&paths[2], &turns(10..30));
    let context = context(&home.home, &paths[2], ContextLimits::default()).unwrap();
    assert_eq!(said(&context)[..3], ["user: SAY resumed meta", "assistant: resumed meta", "user: request 25"]);
    assert_eq!(context.messages.len(), 12);
}

#[test]
fn a_fork_of_itself_ends() {
    let home = Home::new();
    let content = FORKS[1].1.replace(FORKS[0].0, FORKS[1].0);
    let path = home.rollout(FORKS[1].0, content);
    let context = context(&home.home, &path, ContextLimits::default()).unwrap();
    assert_eq!((context.messages.len(), context.truncated), (2, true));
}

#[test]
fn a_compressed_session_is_told_alike() {
    let home = Home::new();
    for content in [EXEC.to_owned(), OLD.to_owned(), turns(0..100), CODE_MODE.to_owned(), turns(0..6)] {
        let plain = context(&home.home, &home.rollout(EXEC_ID, &content), ContextLimits::default()).unwrap();
        let cold = home.put("cold.jsonl.zst", compress_to_vec(content.as_bytes(), CompressionLevel::Fastest));
        assert_eq!(context(&home.home, &cold, ContextLimits::default()).unwrap(), plain);
    }
    let cold = home.put("cold.jsonl.zst", EXEC_ZST);
    assert_eq!(context(&home.home, &cold, ContextLimits::default()).unwrap(), of(EXEC));
}

#[test]
fn between_the_ends_of_a_huge_session_nothing_is_read() {
    let home = Home::new();
    // Lines that are too long to be looked at: only their length counts here.
    let content = turns(0..20) + &filler(5 << 20).repeat(15) + &turns(20..22);
    let context = context(&home.home, &home.rollout(EXEC_ID, content), ContextLimits::default()).unwrap();
    let expected: Vec<_> =
        [0, 20, 21].iter().flat_map(|n| [format!("user: request {n}"), format!("assistant: answer {n}")]).collect();
    assert_eq!(said(&context), expected);
    assert_eq!((context.truncated, context.skipped_records), (true, 13), "of 15 long lines those that were met");
}

proptest! {
    #[test]
    fn nothing_that_a_file_holds_makes_a_context_panic(
        lines in prop::collection::vec(prop::sample::select(
            [EXEC, OLD, SUB_AGENT, CODE_MODE, FORKS[1].1].iter().flat_map(|f| f.lines()).collect::<Vec<_>>()), 0..40),
        spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        messages in 0_usize..6, commands in 0_usize..6, chars in 0_usize..50,
    ) {
        let mut content = lines.join("\n").into_bytes();
        for (at, byte) in spots {
            if !content.is_empty() {
                let at = at.index(content.len());
                content[at] = byte;
            }
        }
        let home = Home::new();
        let path = home.rollout(EXEC_ID, &content);
        let limits = ContextLimits { messages, commands, chars };
        let context = context(&home.home, &path, limits).unwrap();
        prop_assert!(context.messages.len() <= messages && context.commands.len() <= commands);
        prop_assert!(context.messages.iter().all(|m| m.text.chars().count() <= chars));
        let cold = home.put("x.jsonl.zst", compress_to_vec(&*content, CompressionLevel::Fastest));
        super::context(&home.home, &cold, limits).unwrap();
    }
}
