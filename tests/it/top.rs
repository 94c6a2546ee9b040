//! `akkctl top` in a terminal of its own.

use akk_proto::ConversationId;
use akk_proto::conversation::{Need, Status};
use akk_tests::binaries::binaries;
use akk_tests::terminal::Terminal;
use akk_tests::{Daemon, Plan, processes, strs, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::num::NonZero;

const WIDE: (u16, u16) = (80, 24);

fn cells((columns, rows): (u16, u16)) -> (NonZero<u16>, NonZero<u16>) {
    (NonZero::new(columns).unwrap(), NonZero::new(rows).unwrap())
}

/// Top in a shell that tells afterwards how top ended, and how it finds its terminal.
fn top_in(akkd: &Daemon, size: (u16, u16)) -> Terminal {
    let argv = ["/bin/sh", "-c", "\"$0\" top; echo left with $?; stty -a", &binaries().akkctl.to_string_lossy()];
    Terminal::of_size(cells(size), &strs(&argv), &akkd.home.environment(), &akkd.home.workspace())
}

/// Waits for the end of it, and looks whether the terminal is as it was.
async fn leaves(mut terminal: Terminal, code: u8) {
    terminal.shows(&format!("left with {code}")).await;
    assert!(terminal.ended().await.success());
    terminal.shows("echoctl").await;
    let left = terminal.shown();
    assert!(
        ["icanon", "echo", "isig", "icrnl", "opost"].iter().all(|m| left.split_whitespace().any(|w| w == *m)),
        "{left}"
    );
    assert!(!left.contains("NEEDS YOU") && terminal.is_given_back(), "{left}");
}

fn short(id: &ConversationId) -> &str {
    &id.as_str()[id.as_str().len() - 8..]
}

/// Selects this one: up or down the list until it is marked.
async fn select(terminal: &Terminal, id: &ConversationId) {
    let place = |row: &str| terminal.shown().lines().position(|l| l.starts_with(row));
    let marked = format!("▸ {}", short(id));
    loop {
        // The list may move while it is looked at.
        let row = format!("  {}", short(id));
        let next = wait_for("the mark and the row", async || {
            // One look: a screen may be painted by halves.
            let shown = terminal.shown();
            let at = |what: &str| shown.lines().position(|l| l.starts_with(what));
            if at(&marked).is_some() { Some(None) } else { Some(Some((at("▸ ")?, at(&row)?))) }
        })
        .await;
        let Some((mark, wanted)) = next else { break };
        terminal.keys(if wanted > mark { "j" } else { "k" });
        wait_for("the mark to move", async || place("▸ ").is_some_and(|at| at != mark).then_some(())).await;
    }
    terminal.shows(&marked).await;
    // Its keys mean this one from now on, and its history is there.
    terminal.shows(&format!("── {}", short(id))).await;
}

#[tokio::test]
async fn who_must_act_is_seen_and_helped_on_one_screen() {
    let akkd = Plan::default().cancel_grace(1).start().await;
    let (done, _) = akkd.done("say the parser is ready").await;
    let asks = akkd.delegate("ask Which of the two stores\\nshall stay?").await.conversation.conversation_id;
    akkd.wait_need(&asks, Need::Question).await;
    akkd.turn_over(&asks).await;
    let works = akkd.delegate("tool kind=execute cargo test --workspace\nsleep 600").await;
    let works = works.conversation.conversation_id;
    akkd.prompted("tool kind=execute cargo test --workspace\nsleep 600").await;
    let wants = akkd.delegate("perm2 rm -rf build\nsay went on").await.conversation.conversation_id;
    akkd.wait_need(&wants, Need::Permission).await;

    let terminal = top_in(&akkd, WIDE);
    terminal.shows("2 need you · 1 working · 1 done").await;
    // What happened before top was there is asked for.
    terminal.shows("may it? rm -rf build").await;
    terminal.shows("cargo test --workspace").await;
    terminal.shows("the parser is ready").await;
    let groups = terminal.shown();
    let place = |text: &str| groups.find(text).unwrap_or_else(|| panic!("{text} in {groups}"));
    let order = ["NEEDS YOU", "WORKING", short(&works), "DONE", short(&done)].map(place);
    assert!(order.is_sorted(), "{groups}");
    assert!(place(short(&wants)) < order[1] && place(short(&asks)) < order[1], "{groups}");

    // A permission, of the one that is selected at the start.
    terminal.shows("demo waits for a permission").await;
    terminal.keys("p");
    terminal.shows("may it do this?").await;
    terminal.shows("that is all").await;
    assert!(terminal.shown().contains("\"command\": \"rm -rf build\""), "{}", terminal.shown());
    terminal.shows("y allow").await;
    terminal.keys("y");
    terminal.shows("allowed, this once").await;
    terminal.shows("1 need you · 1 working · 2 done").await;
    assert_eq!(akkd.agent().all("permission").len(), 1);
    assert_eq!(akkd.wait_need(&wants, Need::Done).await.message.unwrap().body, "permission: allow_once\nwent on");

    // A question: its text is there whole, the answer is typed.
    select(&terminal, &asks).await;
    terminal.shows("shall stay?").await;
    terminal.keys("s");
    terminal.shows("To demo").await;
    terminal.keys("say sqlite stays");
    terminal.shows("say sqlite stays").await;
    terminal.keys("\r");
    terminal.shows("Sent to").await;
    assert_eq!(akkd.wait_need(&asks, Need::Done).await.message.unwrap().body, "sqlite stays");
    terminal.shows("0 need you · 1 working · 3 done").await;

    // A turn is stopped, when it is meant.
    select(&terminal, &works).await;
    terminal.keys("c");
    terminal.shows("Stop the turn of").await;
    terminal.keys("n");
    wait_for("the question to go", async || (!terminal.shown().contains("Stop the turn of")).then_some(())).await;
    terminal.shows("q quit").await;
    assert_eq!(akkd.get(&works).await.status, Status::WaitingForAgent);
    terminal.keys("c");
    terminal.shows("Stop the turn of").await;
    terminal.keys("y");
    akkd.until(&works, Status::Idle).await;
    terminal.shows("0 need you · 0 working · 4 done").await;

    // What is done is closed, and goes.
    select(&terminal, &done).await;
    terminal.keys("x");
    terminal.shows("y yes").await;
    assert!(terminal.shown().contains("Close "), "{}", terminal.shown());
    terminal.keys("y");
    akkd.until(&done, Status::Closed).await;
    terminal.shows("0 need you · 0 working · 3 done").await;
    wait_for("the closed one to go", async || {
        let list = terminal.shown();
        (!list.contains(&format!("▸ {}", short(&done)))).then_some(())
    })
    .await;

    terminal.keys("q");
    leaves(terminal, 0).await;
}

#[tokio::test]
async fn a_long_request_is_allowed_from_the_screen_only_when_it_was_read_to_its_end() {
    let akkd = Daemon::start().await;
    // Longer than what `conversation.get` tells: the rest is in the history.
    let command = format!("echo {} LAST-WORD", "0123456789 ".repeat(500));
    let id = akkd.delegate(&format!("perm2 {command}\nsay went on")).await.conversation.conversation_id;
    let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    assert!(c.permission_requests[0].truncated && !c.permission_requests[0].text.contains("LAST-WORD"));

    let terminal = top_in(&akkd, (40, 24));
    terminal.shows("demo waits for a permission").await;
    terminal.keys("\r");
    terminal.shows("read on").await;
    terminal.keys("y");
    terminal.shows("Read it to its end first").await;
    let mut pages = 1;
    while !terminal.shown().contains("that is all") {
        let before = terminal.shown();
        terminal.keys(" ");
        wait_for("the next page", async || (terminal.shown() != before).then_some(())).await;
        pages += 1;
    }
    assert!(pages > 5 && terminal.shown().contains("LAST-WORD"), "{pages} pages: {}", terminal.shown());
    assert!(akkd.agent().all("permission").is_empty(), "nothing was answered before");
    // Another size breaks the lines elsewhere: reading begins again, what was read counts.
    let (columns, rows) = cells(WIDE);
    terminal.resize(columns, rows);
    terminal.shows("more lines").await;
    terminal.keys("a");
    terminal.shows("allowed, from now on").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "permission: allow_always\nwent on");
    terminal.keys("\u{3}");
    leaves(terminal, 0).await;
}

#[tokio::test]
async fn a_stopped_akkd_is_waited_for_and_not_started() {
    let mut akkd = Daemon::start().await;
    let (id, _) = akkd.done("say first").await;
    let terminal = top_in(&akkd, WIDE);
    terminal.shows("0 need you · 0 working · 1 done").await;
    terminal.shows("demo is done").await;
    akkd.stop(true).await;
    terminal.shows("akkd is not reachable; trying again").await;
    terminal.keys("s");
    terminal.shows("To demo").await;
    terminal.keys("say second\r");
    terminal.shows("nothing was done").await;
    assert!(!akkd.home.control_socket().exists(), "top started what somebody stopped");

    akkd.start_again().await;
    terminal.shows("0 need you · 0 working · 1 done").await;
    terminal.keys("s");
    // What was typed meanwhile is still there.
    terminal.shows("say second").await;
    terminal.keys("\r");
    terminal.shows("Sent to").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "second");
    terminal.shows("done, round").await;
    terminal.keys("q");
    leaves(terminal, 0).await;
}

#[tokio::test]
async fn whatever_ends_top_gives_the_terminal_back() {
    let akkd = Daemon::start().await;
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let terminal = top_in(&akkd, WIDE);
        terminal.shows("No open conversations").await;
        assert!(!terminal.is_given_back(), "it has the screen");
        let top = processes::of(akkd.home.root()).into_iter().find(|p| p.command.trim().ends_with("akkctl top"));
        kill(Pid::from_raw(top.unwrap().pid as i32), signal).unwrap();
        leaves(terminal, code).await;
    }
}

#[tokio::test]
async fn where_there_is_no_screen_top_says_what_to_use_instead() {
    let akkd = Daemon::start().await;
    let piped = akkd.ctl(&["top"]).await;
    assert_eq!(piped.code, Some(2));
    assert!(piped.stderr.contains("top needs a terminal") && piped.stderr.contains("akkctl list"), "{piped:?}");
    let json = akkd.ctl(&["--json", "top"]).await;
    assert_eq!(json.code, Some(2));
    assert!(json.stderr.contains("akkctl events --follow --json"), "{json:?}");

    let argv = ["/usr/bin/env", "TERM=dumb", &binaries().akkctl.to_string_lossy(), "top"];
    let mut dumb = Terminal::open(&strs(&argv), &akkd.home.environment(), &akkd.home.workspace());
    dumb.shows("TERM is dumb").await;
    assert_eq!(dumb.ended().await.code(), Some(2));
}
