use super::reports::{Waiting, outbox};
use super::*;
use crate::config::Surroundings;
use crate::conversation::testing::{House, created};
use crate::delivery::Plugins;
use akk_proto::api::DeliverySubscribeParams;
use akk_proto::delivery::DeliveryState::{self, Handed, Parked, Pending, Uncertain};
use akk_proto::delivery::{DeliveryItem, DeliveryView, SinkKind};
use akk_proto::event::Created;
use akk_proto::version::VERSION;

/// A house with a desk, and a configuration of this text.
struct Practice {
    house: House,
    paths: Paths,
    config: ConfigSource,
    deliveries: Deliveries,
}

impl Practice {
    fn new(config: &str) -> Self {
        let house = House::new();
        let environment =
            akk_proto::paths::Environment { akk_home: Some(house.dir.path().to_owned()), ..Default::default() };
        let paths = Paths::resolve(&environment);
        std::fs::write(&paths.config, config).unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let config = ConfigSource::open(paths.config.clone(), Surroundings { akkctl: "/akkctl".into(), env }).unwrap();
        let deliveries = Deliveries {
            store: house.store.clone(),
            conversations: house.conversations.clone(),
            plugins: Plugins::new(house.clock.clone()),
            clock: house.clock.clone(),
        };
        Self { house, paths, config, deliveries }
    }

    async fn look(&self) -> Vec<Check> {
        let Self { house, paths, config: source, deliveries } = self;
        let started = Moment::now(&house.clock);
        let doctor = Doctor { paths, config: source, deliveries, clock: &house.clock, started };
        // The configuration and the way of a report: the rest is what this machine has.
        let mut checks = config(paths, source.surroundings(), true).0;
        checks.extend(doctor.reports().await.unwrap().0);
        checks
    }

    /// The checks as lines, with the home as `HOME`.
    async fn lines(&self) -> String {
        let home = self.paths.state.to_str().unwrap();
        let line = |c: &Check| {
            let hint = c.hint.as_ref().map(|h| format!("\n    {h}")).unwrap_or_default();
            format!("{:?} {}: {}{hint}", c.level, c.name, c.found).replace(home, "HOME")
        };
        self.look().await.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    async fn reports(&self, sink: SinkKind, n: u32) {
        let id = self.house.begin(Created { sink, ..created(n) }).await;
        self.house.says(&id, r#"{"type":"done","body":"it is done"}"#).await;
    }

    /// A plugin that answers one probe with this.
    fn plugin(&self, version: &str, answer: Option<(bool, &str)>) -> tokio::task::JoinHandle<()> {
        let who = DeliverySubscribeParams {
            gateway: "gw-1".to_owned(),
            process: "p-1".to_owned(),
            plugin_version: version.to_owned(),
            openclaw_version: "2026.9.6".to_owned(),
        };
        let subscription = self.deliveries.plugins.subscribe(who).unwrap();
        let (plugins, answer) = (self.deliveries.plugins.clone(), answer.map(|(ready, d)| (ready, d.to_owned())));
        tokio::spawn(async move {
            while let Some(item) = subscription.next().await {
                if let (DeliveryItem::Probe { nonce }, Some((ready, detail))) = (item, answer.clone()) {
                    plugins.probed(&nonce, ready, detail);
                }
            }
        })
    }
}

#[tokio::test]
async fn an_akkd_without_openclaw_is_well() {
    let practice = Practice::new("");
    insta::assert_snapshot!(practice.lines().await);
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_told_with_what_waits_for_it() {
    let found = Practice::new("[delivery]\ncommand = [\"sh\", \"-c\", \"true\"]\n").look().await;
    assert_eq!((found[1].level, found[1].name.as_str()), (CheckLevel::Ok, "sink"), "{}", found[1].found);
    let missing = Practice::new("[delivery]\ncommand = [\"no-such-program\"]\n");
    missing.reports(SinkKind::Command, 1).await;
    let gone = Practice::new("");
    gone.reports(SinkKind::Command, 1).await;
    let file = Practice::new("");
    let plain = file.paths.state.join("plain");
    std::fs::write(&plain, "").unwrap();
    let text = format!("[delivery]\ncommand = [{:?}]\n", plain.to_str().unwrap());
    std::fs::write(&file.paths.config, text).unwrap();
    file.config.fresh().unwrap();
    insta::assert_snapshot!([missing.lines().await, gone.lines().await, file.lines().await].join("\n\n"));
}

#[tokio::test]
async fn a_configuration_that_became_wrong_is_told_and_what_was_read_stays() {
    let practice = Practice::new("[delivery]\ncommand = [\"sh\"]\n");
    std::fs::write(&practice.paths.config, "nonsense = 1\n").unwrap();
    let found = practice.look().await;
    assert_eq!((found[0].name.as_str(), found[0].level), ("config", CheckLevel::Fail));
    assert!(found[0].found.contains("nonsense") && found[0].hint.is_some(), "{:?}", found[0]);
    assert_eq!((found[1].name.as_str(), found[1].level), ("sink", CheckLevel::Ok));
}

#[tokio::test]
async fn a_plugin_is_asked_whether_it_reaches_its_sessions() {
    let practice = Practice::new("");
    let mut told = Vec::new();
    let cases: [(&str, (bool, &str)); 3] =
        [(VERSION, (true, "agents: main")), ("0.0.1", (true, "")), (VERSION, (false, "the gateway is starting."))];
    for (version, answer) in cases {
        let plugin = practice.plugin(version, Some(answer));
        told.push(practice.look().await.remove(2));
        plugin.abort();
        let _ = plugin.await;
    }
    assert_eq!(told.iter().map(|c| c.level).collect::<Vec<_>>(), [CheckLevel::Ok, CheckLevel::Warn, CheckLevel::Fail]);
    assert!(told.iter().all(|c| c.name == check::CONNECTION));
    insta::assert_json_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_answer_is_not_waited_for_longer_than_its_time() {
    let practice = Practice::new("");
    let _plugin = practice.plugin(VERSION, None);
    let found = practice.look().await.remove(2);
    assert_eq!((found.name.as_str(), found.level), (check::CONNECTION, CheckLevel::Fail));
    assert!(found.found.contains("did not answer within 2 s"), "{}", found.found);
}

#[tokio::test]
async fn nobody_connected_is_a_failure_once_the_plugin_is_installed_or_reports_wait() {
    let practice = Practice::new("");
    let level = |checks: Vec<Check>| checks.into_iter().find(|c| c.name == check::CONNECTION).unwrap().level;
    assert_eq!(level(practice.look().await), CheckLevel::Note);
    practice.reports(SinkKind::Plugin, 1).await;
    assert_eq!(level(practice.look().await), CheckLevel::Fail);
    let installed = Practice::new("");
    std::fs::create_dir_all(installed.paths.openclaw()).unwrap();
    std::fs::write(installed.paths.installed(), "{}").unwrap();
    insta::assert_snapshot!([practice.lines().await, installed.lines().await].join("\n\n"));
}

#[test]
fn what_waits_is_counted_with_the_command_to_run() {
    let row = |state| {
        let mut row: DeliveryView = serde_json::from_value(serde_json::json!({
            "delivery_id": "akk:task-20260620T140525-0a1b2c3d:msg-01980000-0000-7000-8000-000000000001",
            "conversation_id": "task-20260620T140525-0a1b2c3d", "kind": "done", "sink": "plugin", "state": "pending",
            "attempts": 1, "created_at": "2026-06-20T14:05:25.000Z", "overdue": false, "preview": "done"
        }))
        .unwrap();
        row.state = state;
        row
    };
    let now = "2026-06-20T16:05:25Z".parse::<jiff::Timestamp>().unwrap().into();
    let shown = |states: &[DeliveryState], overdue| {
        let rows: Vec<_> = states.iter().copied().map(row).collect();
        let check = outbox(&Waiting { undelivered: rows.len() as u64, rows, overdue }, now);
        format!("{:?} {} {}", check.level, check.found, check.hint.unwrap_or_default())
    };
    let all =
        [shown(&[], 0), shown(&[Pending, Handed], 0), shown(&[Pending], 1), shown(&[Parked, Uncertain, Pending], 2)];
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn a_look_has_every_group_in_its_order_and_names_no_line_twice_without_need() {
    let practice = Practice::new("path = \"/no/such/folder\"\n");
    let Practice { house, paths, config, deliveries } = &practice;
    let started = Moment::now(&house.clock);
    let doctor = Doctor { paths, config, deliveries, clock: &house.clock, started };
    let answer = doctor.look().await.unwrap();
    let mut groups: Vec<&str> = answer.checks.iter().map(|c| c.group.as_str()).collect();
    groups.dedup();
    assert_eq!(groups, check::GROUPS);
    let default = answer.checks.iter().find(|c| c.name == "codex (default)").unwrap();
    assert_eq!(default.level, CheckLevel::Fail, "{}", default.found);
    assert_eq!(answer.environment["PATH"], "/no/such/folder");
    for check in answer.checks.iter().filter(|c| c.level >= CheckLevel::Warn) {
        assert!(check.hint.is_some(), "{}: {}", check.name, check.found);
    }
}
