//! What lies in a home is its owner's alone.

use akk_proto::conversation::Need;
use akk_tests::Daemon;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn everything(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path());
    entries.flat_map(|p| if p.is_dir() { [vec![p.clone()], everything(&p)].concat() } else { vec![p] }).collect()
}

#[tokio::test]
async fn nobody_else_can_read_or_write_what_akkd_keeps() {
    let akkd = Daemon::start().await;
    let (_, answer) = akkd.done("tool ls\nsay a secret").await;
    assert_eq!(answer.need, Some(Need::Done));
    let home = akkd.home.akk();
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.join("run")), 0o700);
    for socket in [akkd.home.control_socket(), akkd.home.callback_socket()] {
        assert_eq!(mode(&socket), 0o600, "{}", socket.display());
    }
    let others = |path: &Path| mode(path) & 0o077;
    // The owner made the home and the configuration; akkd made the rest.
    let open: Vec<_> = everything(&home)
        .into_iter()
        .filter(|p| *p != akkd.home.config() && others(p) != 0)
        .filter(|p| !p.ancestors().skip(1).take_while(|a| *a != home).any(|a| others(a) == 0))
        .map(|p| format!("{:o} {}", mode(&p), p.display()))
        .collect();
    assert!(open.is_empty(), "open to others:\n{}", open.join("\n"));
}

#[tokio::test]
async fn the_ticket_stands_in_the_agents_environment_and_in_one_file_that_goes_with_its_launch() {
    let mut akkd = Daemon::start().await;
    // The agent keeps it in a file of its own: what it says would be recorded.
    let (_, answer) = akkd.done("envfile AKK_TICKET ticket.txt\nmcp report_progress x\ncallback done ok").await;
    assert_eq!(answer.need, Some(Need::Done));
    let ticket = std::fs::read(akkd.home.workspace().join("ticket.txt")).unwrap();
    assert!(ticket.len() >= 43);
    let found = |akkd: &Daemon| -> Vec<PathBuf> {
        let files = everything(&akkd.home.akk()).into_iter().filter(|p| p.is_file());
        files.filter(|p| std::fs::read(p).unwrap().windows(ticket.len()).any(|w| w == ticket)).collect()
    };
    let files = found(&akkd);
    assert!(files.len() == 1 && files[0].starts_with(akkd.home.akk().join("launches")), "{files:?}");
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    akkd.stop(true).await;
    assert_eq!(found(&akkd), Vec::<PathBuf>::new());
}
