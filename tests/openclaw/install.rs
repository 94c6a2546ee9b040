//! `akkctl openclaw install` puts our plugin into an OpenClaw that has never heard of it.

use akk_tests::ctl::{self, CtlOutput};
use akk_tests::leash::Leash;
use akk_tests::openclaw::{Gateway, Setup, Together, alone, wait_for};
use akk_tests::{Daemon, Home, Plan};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// Runs akkctl where a person would: with akkd's home and OpenClaw's.
async fn akkctl(akkd: &Daemon, gateway: &Gateway, words: &[&str]) -> CtlOutput {
    let mut command = ctl::command(&akkd.home, words);
    command.envs(gateway.environment());
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CtlOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A command `openclaw`, as npm puts one into the path.
fn openclaw_command(gateway: &Gateway) -> String {
    let [node, script] = gateway.program();
    let file = gateway.home.user().join("openclaw");
    std::fs::write(&file, format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", node.display(), script.display())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn one_command_connects_an_openclaw_that_is_there() {
    alone("one_command_connects_an_openclaw_that_is_there", async |peer| {
        let akkd = Daemon::start_with(Plan::default(), Home::new()).await;
        let setup = Setup { plugins: vec![], entries: json!({}), private_chats: "main" };
        let mut gateway = Gateway::new(peer, &setup);
        let leash = Leash::on(&[gateway.home.root(), akkd.home.root()]);
        gateway.start().await;
        let command = openclaw_command(&gateway);
        let install = ["openclaw", "install", "--openclaw", &command];

        let before = akkctl(&akkd, &gateway, &["--json", "doctor"]).await;
        let first = akkctl(&akkd, &gateway, &install).await.ok();
        let again = akkctl(&akkd, &gateway, &install).await.ok();
        eprintln!("{}\n{}\n{}", before.stdout, first.stdout, again.stdout);
        assert!(again.stdout.contains("Nothing was to be done."), "{}", again.stdout);

        let oc = Together::of(gateway, akkd, leash);
        wait_for("the plugin at akkd", async || {
            let doctor = akkctl(&oc.akkd, &oc.gateway, &["--json", "doctor"]).await;
            let checks: Value = serde_json::from_str(doctor.stdout.lines().next()?).ok()?;
            let plugins = checks["plugins"].as_array().is_some_and(|p| p.len() == 1);
            (plugins && doctor.code == Some(0)).then_some(())
        })
        .await;
        let room = oc.gateway.chat.private();
        oc.begin(&room, "the garden").await;
        assert!(room.asks("/akk list").await.contains("the garden"));

        akkctl(&oc.akkd, &oc.gateway, &["openclaw", "uninstall"]).await.ok();
        let config: Value = serde_json::from_slice(&std::fs::read(oc.gateway.config()).unwrap()).unwrap();
        assert!(!config["plugins"].to_string().contains("agent-knock-knock"), "{config:#}");
    });
}
