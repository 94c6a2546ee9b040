//! `akkctl top` in a terminal of its own.

use akk_proto::conversation::Need;
use akk_tests::binaries::binaries;
use akk_tests::terminal::Terminal;
use akk_tests::{Daemon, strs};

#[tokio::test]
async fn a_permission_is_answered_on_the_live_screen_and_the_terminal_is_given_back() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("perm2 rm -rf build\nsay went on").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Permission).await;

    // The shell tells afterwards how it finds its terminal.
    let argv = ["/bin/sh", "-c", "\"$0\" top; echo left with $?; stty -a", &binaries().akkctl.to_string_lossy()];
    let mut terminal = Terminal::open(&strs(&argv), &akkd.home.environment(), &akkd.home.workspace());
    terminal.shows("1 need you").await;
    terminal.shows("waits for a permission").await;
    terminal.keys("p");
    terminal.shows("MAY IT? rm -rf build").await;
    terminal.keys("y");
    akkd.wait_need(&id, Need::Done).await;
    terminal.shows("1 done").await;
    assert_eq!(akkd.agent().all("permission").len(), 1);

    terminal.keys("q");
    terminal.shows("left with 0").await;
    assert!(terminal.ended().await.success());
    terminal.shows(" icanon").await;
    let left = terminal.shown();
    assert!(left.contains(" echo ") && !left.contains("-icanon") && !left.contains("1 done"), "{left}");
    assert!(terminal.is_given_back(), "{left}");
}
