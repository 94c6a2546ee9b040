//! What a prompt takes: by the agent itself, through akkd, through acpx; and what akkd costs for each update.

use crate::house::{House, close, wait};
use crate::process;
use crate::sample::{Sample, time};
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, ms, us};
use akk_tests::peers;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// What the agent answers at once.
const PROMPT: &str = "say hello";

/// The agent, spoken to by the shortest way there is.
struct Alone {
    agent: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Value,
}

impl Alone {
    fn start(house: &House) -> Self {
        let argv = house.agent_command();
        let mut command = house.command(Path::new(&argv[0]));
        let mut agent = command
            .args(&argv[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the agent can be run");
        let input = agent.stdin.take().expect("it has an input");
        let output = BufReader::new(agent.stdout.take().expect("it has an output"));
        let mut alone = Self { agent, input, output, session: Value::Null };
        alone.call("initialize", &json!({"protocolVersion": 1, "clientCapabilities": {}}));
        let made = alone.call("session/new", &json!({"cwd": house.workspace(), "mcpServers": []}));
        alone.session = made["sessionId"].clone();
        alone
    }

    fn prompt(&mut self) {
        let params = json!({"sessionId": self.session, "prompt": [{"type": "text", "text": PROMPT}]});
        self.call("session/prompt", &params);
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let line = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        self.input.write_all(line.as_bytes()).expect("the agent reads");
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).expect("the agent speaks"), 0, "the agent ended");
            let mut answer: Value = serde_json::from_str(&line).expect("the agent speaks JSON");
            if answer["id"] == 1 {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// Over open connections: what a client in the style of the plugin sees.
pub(crate) fn prompts(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("prompts");
    let often = scene.often(20);
    let alone = Sample::best_of(often, || Alone::start(&house).prompt());
    let mut agent = Alone::start(&house);
    let alone_warm = Sample::best_of(often, || agent.prompt());
    drop(agent);

    house.start();
    let mut wire = house.wire();
    let cold = Sample::best(often, || {
        let begin = Instant::now();
        let id = house.delegate(&mut wire, "demo", PROMPT);
        wait(&mut wire, &id);
        let took = begin.elapsed();
        close(&mut wire, &id);
        took
    });
    let id = house.delegate(&mut wire, "demo", PROMPT);
    wait(&mut wire, &id);
    let warm = Sample::best(often, || {
        let begin = Instant::now();
        wire.call("conversation.send", &json!({"conversation_id": id, "message": PROMPT}));
        wait(&mut wire, &id);
        begin.elapsed()
    });
    close(&mut wire, &id);
    let note = |sample: &Sample, alone: &Sample| {
        format!("the agent by itself {:.2} ms; the longest {:.1} ms", ms(alone.p50()), ms(sample.longest()))
    };
    let what = "one-line prompt to an ACP agent that answers at once, cold, whole round, p50";
    table.row(what, Bar::AtMost(150.0), Unit::Milliseconds, ms(cold.p50()), &note(&cold, &alone));
    let what = "the same, warm: its process runs already";
    table.row(what, Bar::None, Unit::Milliseconds, ms(warm.p50()), &note(&warm, &alone_warm));
}

/// The same agent through the command lines of akkctl and of the real acpx, whole processes.
pub(crate) fn beside_acpx(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("acpx");
    house.start();
    let often = scene.often(10);
    let cold = Sample::best(often, || time(|| house.ctl(&["delegate", PROMPT, "--wait"])));
    let warm = Sample::best(often, || {
        time(|| {
            house.ctl(&["send", "@last", PROMPT]);
            house.ctl(&["wait", "@last"]);
        })
    });
    let whats =
        ["a cold prompt by `akkctl delegate --wait`, whole process", "a warm one by `akkctl send` and `akkctl wait`"];
    for (what, sample) in whats.iter().zip([&cold, &warm]) {
        table.row(what, Bar::None, Unit::Milliseconds, ms(sample.p50()), "");
    }
    let Some(peer) = peers::peers("the bench beside acpx") else {
        return table.not_measured("the same by acpx", "the peers cannot be installed");
    };
    let folder = house.user().join(".acpx");
    std::fs::create_dir(&folder).expect("the home takes a folder");
    let config = json!({"agents": {"demo": {"argv": house.agent_command()}}});
    std::fs::write(folder.join("config.json"), config.to_string()).expect("the home takes a file");
    let acpx = |words: &[&str]| {
        let begin = Instant::now();
        let status = house.command(&peer.node).arg(&peer.acpx).args(words).status().expect("acpx can be run");
        assert!(status.success(), "acpx {words:?}: {status}");
        begin.elapsed()
    };
    let times = scene.often(3);
    let of = |once: &mut dyn FnMut() -> Duration| Sample::new((0..times).map(|_| once()).collect());
    let acpx_cold = of(&mut || acpx(&["demo", "exec", PROMPT]));
    acpx(&["demo", "sessions", "new"]);
    acpx(&["--ttl", "30", "demo", PROMPT]);
    let acpx_warm = of(&mut || acpx(&["--ttl", "30", "demo", PROMPT]));
    acpx(&["demo", "sessions", "close"]);
    let note = format!("median of {times}");
    for (word, ours, theirs) in
        [("cold (`acpx demo exec`)", cold, acpx_cold), ("warm (`acpx demo`, its queue owner runs)", warm, acpx_warm)]
    {
        table.row(&format!("acpx, {word}"), Bar::None, Unit::Milliseconds, ms(theirs.p50()), &note);
        let ratio = ms(theirs.p50()) / ms(ours.p50());
        table.row("… by how much that is longer than through akkd", Bar::None, Unit::Times, ratio, "");
    }
}

/// Processor time of akkd while an agent streams, for each piece of text.
pub(crate) fn updates(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("updates");
    house.start();
    let mut wire = house.wire();
    let id = house.delegate(&mut wire, "demo", PROMPT);
    wait(&mut wire, &id);
    let pieces = scene.size(5000) as u32;
    let mut walls = Vec::new();
    let mut costs = Vec::new();
    for _ in 0..scene.often(9) {
        let before = process::cpu(house.pid());
        let begin = Instant::now();
        wire.call("conversation.send", &json!({"conversation_id": id, "message": format!("stream {pieces} 0")}));
        wait(&mut wire, &id);
        walls.push(begin.elapsed() / pieces);
        if let (Some(before), Some(after)) = (before, process::cpu(house.pid())) {
            costs.push(after.saturating_sub(before) / pieces);
        }
    }
    close(&mut wire, &id);
    let what = "cost that akkd adds to each streamed update: its processor time, p50";
    if costs.is_empty() {
        return table.not_measured(what, "the system does not tell the processor time of a process");
    }
    let (cost, wall) = (Sample::new(costs), Sample::new(walls));
    let note = format!("of runs of {pieces} updates; {:.1} µs each by the clock, the agent included", us(wall.p50()));
    table.row(what, Bar::AtMost(200.0), Unit::Microseconds, us(cost.p50()), &note);
}
