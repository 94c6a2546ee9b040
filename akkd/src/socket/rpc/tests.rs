use super::*;
use crate::config::Surroundings;
use crate::conversation::testing::{House, created};
use crate::socket::audit;
use crate::takeover::Outside;
use akk_core::ExecutorReport;
use akk_proto::event::{SessionEnsured, SessionReached};
use akk_proto::paths::Environment;
use std::collections::BTreeMap;

pub(super) fn control(house: &House) -> Control {
    let around = Surroundings { akkctl: "akkctl".into(), env: BTreeMap::new() };
    let home = house.dir.path().to_owned();
    Control {
        store: house.store.clone(),
        conversations: house.conversations.clone(),
        sessions: Sessions::new(Vec::new()),
        takeovers: Takeovers::new(
            house.store.clone(),
            house.conversations.clone(),
            Sessions::new(Vec::new()),
            Outside {
                environment: BTreeMap::new(),
                joining: Arc::new(|_, _| Box::pin(async { Err("nobody listens".to_owned()) })),
            },
            house.clock.clone(),
        ),
        deliveries: Deliveries {
            store: house.store.clone(),
            conversations: house.conversations.clone(),
            plugins: crate::delivery::Plugins::new(house.clock.clone()),
            clock: house.clock.clone(),
        },
        waits: Waits::default(),
        config: Arc::new(ConfigSource::open(home.join("config.toml"), around).unwrap()),
        clock: house.clock.clone(),
        paths: Paths::resolve(&Environment { akk_home: Some(home), ..Environment::default() }),
        started_at: house.clock.wall(),
        started: Moment::now(&house.clock),
        agents: Arc::new(|| 0),
        stop: watch::channel(StopAsked::No).0,
    }
}

/// A new method has to stand here: nobody forgets to say whether it changes something.
const LOOK: &[&str] = &[
    "callback.await_answer",
    "conversation.get",
    "conversation.list",
    "conversation.result",
    "conversation.search",
    "conversation.trace",
    "conversation.transcript",
    "conversation.wait",
    "daemon.audit",
    "daemon.doctor",
    "daemon.info",
    "delivery.list",
    "delivery.probed",
    "delivery.subscribe",
    "delivery.unsubscribe",
    "events.subscribe",
    "events.unsubscribe",
    "sessions.discover",
    "sessions.unwatch",
    "sessions.watch",
];

#[tokio::test]
async fn of_every_method_it_is_known_whether_the_audit_notes_it() {
    let house = House::new();
    let folders = crate::callback::DropFolders::new(house.dir.path(), &house.dir.path().join("tmp"));
    let intake = Intake::new(house.store.clone(), house.conversations.clone(), folders);
    let callback = Callback { intake, heard: Arc::new(|_| ()) }.into_rpc();
    let control = control(&house).into_rpc();
    let methods = control.method_names().chain(callback.method_names());
    let looks: std::collections::BTreeSet<_> = methods.filter(|m| !audit::is_noted(m)).collect();
    assert_eq!(looks, LOOK.iter().copied().collect());
}

#[tokio::test]
async fn the_schema_names_every_method_that_is_served() {
    let house = House::new();
    let folders = crate::callback::DropFolders::new(house.dir.path(), &house.dir.path().join("tmp"));
    let intake = Intake::new(house.store.clone(), house.conversations.clone(), folders);
    let callback = Callback { intake, heard: Arc::new(|_| ()) }.into_rpc();
    let control = control(&house).into_rpc();
    let of = |socket: &str| -> std::collections::BTreeSet<String> {
        let schema = akk_proto::schema::openrpc();
        let methods = schema["methods"].as_array().unwrap().clone();
        let ours = methods.iter().filter(|m| m["x-socket"] == socket);
        let names = ours.flat_map(|m| [m["name"].as_str(), m["x-unsubscribe"].as_str()]).flatten();
        names.map(str::to_owned).collect()
    };
    assert_eq!(of("akkd.sock"), control.method_names().map(str::to_owned).collect());
    assert_eq!(of("callback.sock"), callback.method_names().map(str::to_owned).collect());
}

fn delegation(house: &House) -> DelegateParams {
    let workspace = house.dir.path().to_str().unwrap().to_owned();
    DelegateParams { request: "x".into(), workspace, agent: Some("codex".into()), ..DelegateParams::default() }
}

#[tokio::test]
async fn every_name_that_a_client_gives_is_short_and_printable() {
    let house = House::new();
    let control = control(&house);
    for bad in ["x".repeat(501), "a\nb".into(), "\u{1b}[2J".into(), "--approve-all".into(), " ".into()] {
        let mut cases = vec![delegation(&house); 4];
        cases[0].model = Some(bad.clone());
        cases[1].session = Some(bad.clone());
        cases[2].orchestrator = Some(bad.clone());
        cases[3].proxy = Some(bad.clone());
        for params in cases {
            let error = control.begin(params).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidParams, "{bad:?}");
            assert!(error.message.len() < 500 && !error.message.contains('\u{1b}'), "{}", error.message);
        }
    }
    let error = control.begin(DelegateParams { label: Some("a\nb".into()), ..delegation(&house) }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidParams);
    assert_eq!(house.store.counts().await.unwrap().conversations, 0);
    let id = house.begin(created(1)).await;
    let model = Some("x".repeat(501));
    let send =
        SendParams { conversation_id: id.to_string(), message: Some("x".into()), model, ..SendParams::default() };
    assert_eq!(control.say(send).await.unwrap_err().kind, ErrorKind::InvalidParams);
}

#[tokio::test]
async fn an_error_that_names_a_huge_value_stays_short() {
    let house = House::new();
    let params = DelegateParams { workspace: "/x".repeat(1 << 20), ..delegation(&house) };
    let error = wire(control(&house).begin(params).await).unwrap_err();
    assert!(error.message().len() < 10_000);
}

#[tokio::test]
async fn the_agents_own_session_of_an_open_conversation_is_not_shared() {
    let house = House::new();
    let id = house.begin(created(1)).await;
    let session = SessionEnsured { native_session_id: "native-7".into(), how: SessionReached::Created, model: None };
    house.conversations.executor_report(&id, ExecutorReport::SessionReady(session), None).await.unwrap();
    let params = DelegateParams { session: Some("native-7".into()), ..delegation(&house) };
    assert_eq!(control(&house).begin(params).await.unwrap_err().kind, ErrorKind::ActiveWriter);
}

#[tokio::test]
async fn of_two_calls_with_one_session_at_once_one_gets_it() {
    let house = House::new();
    let control = control(&house);
    let params = || DelegateParams { session: Some("mine".into()), ..delegation(&house) };
    let (a, b) = tokio::join!(control.begin(params()), control.begin(params()));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
    assert_eq!(house.store.counts().await.unwrap().conversations, 1);
}

#[tokio::test]
async fn a_message_to_a_session_that_a_person_took_back_is_refused_and_not_recorded() {
    use crate::takeover::testing::{self, Scene};
    use akk_proto::session::{Evidence, ProcessKind, Strategy};
    let scene = Scene::new();
    let control = Control { takeovers: scene.takeovers.clone(), ..control(&scene.house) };
    let params = TakeoverParams {
        session_id: testing::ID.into(),
        strategy: Some(Strategy::SafeResume),
        create_conversation: true,
        ..TakeoverParams::default()
    };
    let id = scene.ask(params).await.unwrap().conversation.unwrap().conversation_id;
    let send = SendParams {
        request_id: Some("r-1".parse().unwrap()),
        conversation_id: id.to_string(),
        message: Some("go on".into()),
        ..SendParams::default()
    };
    let terminal = testing::holder(testing::identity(42), ProcessKind::Tui, Evidence::Lock);
    scene.provider.is(testing::held(vec![terminal.clone()]));
    let before = scene.house.conversations.state(&id).await.unwrap();
    let error = control.say(send.clone()).await.unwrap_err();
    assert_eq!((error.kind, &error.details["pid"]), (ErrorKind::ActiveWriter, &42.into()));
    assert_eq!(scene.house.conversations.state(&id).await.unwrap(), before);

    scene.provider.is(testing::free());
    tokio::time::pause();
    let sent = control.say(send.clone()).await.unwrap();
    assert!(sent.turn_id.is_some() && !sent.repeated);
    // A repeat of what was recorded is answered, whoever has the session by then.
    scene.house.ends(&id, crate::conversation::testing::normal()).await;
    scene.provider.is(testing::held(vec![terminal]));
    assert!(control.say(send).await.unwrap().repeated);
}

#[tokio::test]
async fn a_session_that_was_taken_over_is_not_delegated_to_by_its_own_id() {
    use crate::takeover::testing::{self, Scene};
    use akk_proto::session::Strategy;
    let scene = Scene::new();
    let control = Control { takeovers: scene.takeovers.clone(), ..control(&scene.house) };
    // Once it was an agent's own session, under a name of akkd's; that conversation is over.
    let former = scene.house.begin(created(1)).await;
    let name = scene.house.conversations.state(&former).await.unwrap().settings.session;
    let session = SessionEnsured { native_session_id: testing::ID.into(), how: SessionReached::Created, model: None };
    scene.house.conversations.executor_report(&former, ExecutorReport::SessionReady(session), None).await.unwrap();
    let close = akk_core::decide::Input::Close { reason: "x".into() };
    scene.house.conversations.ask(&former, close, None).await.unwrap();
    scene.house.ends(&former, crate::conversation::testing::normal()).await;
    let params = TakeoverParams {
        session_id: testing::ID.into(),
        strategy: Some(Strategy::SafeResume),
        create_conversation: true,
        ..TakeoverParams::default()
    };
    let taken = scene.ask(params).await.unwrap().conversation.unwrap().conversation_id;
    for named in [testing::ID.to_owned(), testing::ID.to_uppercase(), name] {
        let params = DelegateParams { session: Some(named.clone()), ..delegation(&scene.house) };
        let error = control.begin(params).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ActiveWriter, "{named}");
        assert!(error.message.contains(taken.as_str()), "{}", error.message);
    }
}
