//! The soak: several conversations at work, while akkd is killed in mid-turn again and again, or its agents are; and then
//! a count of what was lost, told twice, prompted twice, or left behind.

use crate::agent::Line;
use crate::daemon::{Daemon, Plan};
use crate::home::Home;
use crate::processes;
use crate::user::User;
use crate::wait::wait_for;
use akk_proto::ConversationId;
use akk_proto::api::DelegateParams;
use akk_proto::conversation::Status;
use akk_proto::delivery::{DeliveryBody, DeliveryState};
use akk_proto::event::{EventBody, Origin};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

/// Conversations at once.
const CONVERSATIONS: usize = 4;
/// A kill comes after a pause of less than this, in milliseconds: turns take about as long.
const LONGEST_PAUSE: u64 = 250;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// akkd, which is started again.
    Akkd,
    /// Agents, in the middle of their turns.
    Agents,
}

/// What the soak came to.
#[derive(Debug, Default)]
pub struct Figures {
    /// What decided about pauses and victims; the same number decides the same again.
    pub seed: u64,
    /// Processes that were killed, each while a turn was open.
    pub kills: usize,
    /// Messages to agents.
    pub messages: usize,
    /// Messages that a person was asked about, because their prompt may have arrived or their agent died.
    pub asked: usize,
    /// Reports that were said by an agent.
    pub reports: usize,
    /// Of those that were to come, what the history lacks.
    pub lost: Vec<String>,
    /// Reports that stand there more than once.
    pub doubled: Vec<String>,
    /// Turns that were prompted more than once.
    pub prompted_twice: Vec<String>,
    /// Rows that the sink never got.
    pub untold: Vec<String>,
    /// Deliveries that the command was given again, under the same key.
    pub repeated: usize,
    /// Processes that were left when every conversation was closed.
    pub orphans: Vec<String>,
    /// From the start of an akkd to its first answer.
    pub starts: Vec<Duration>,
}

impl Figures {
    /// Whether nothing was lost, done twice, or left behind.
    pub fn are_clean(&self) -> bool {
        [&self.lost, &self.doubled, &self.prompted_twice, &self.untold, &self.orphans].iter().all(|w| w.is_empty())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let at = |part: usize| {
            let at = (starts.len() * part / 100).min(starts.len().saturating_sub(1));
            starts.get(at).map_or(0, Duration::as_millis)
        };
        writeln!(f, "seed                        {}", self.seed)?;
        writeln!(f, "killed in mid-turn          {}", self.kills)?;
        writeln!(f, "messages to agents          {}", self.messages)?;
        writeln!(f, "a person was asked          {}", self.asked)?;
        writeln!(f, "reports                     {}", self.reports)?;
        writeln!(f, "lost                        {} {:?}", self.lost.len(), self.lost)?;
        writeln!(f, "doubled                     {} {:?}", self.doubled.len(), self.doubled)?;
        writeln!(f, "turns prompted twice        {} {:?}", self.prompted_twice.len(), self.prompted_twice)?;
        writeln!(f, "never told                  {} {:?}", self.untold.len(), self.untold)?;
        writeln!(f, "told again, same key        {}", self.repeated)?;
        writeln!(f, "processes left behind       {} {:?}", self.orphans.len(), self.orphans)?;
        if starts.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "start to first answer       median {} ms, 95 of 100 below {} ms, longest {} ms",
            at(50),
            at(95),
            at(100)
        )
    }
}

/// One of the conversations.
struct Talk {
    id: ConversationId,
    /// What its agent was or is to say, by messages.
    said: Vec<String>,
}

/// Splitmix: the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A message, and what the agent reports for it, once.
fn message(talk: usize, n: usize) -> (String, String) {
    let said = format!("report {talk}-{n}.");
    let script = match n % 4 {
        0 => format!("tool ls\nsleep 0.1\nsay {said}"),
        1 => format!("sleep 0.05\ncallback done {said}\nsleep 0.05"),
        2 => format!("callback progress on the way to {talk}-{n}\ntool make\nsleep 0.1\nask {said}"),
        _ => format!("think about it\nsleep 0.15\ncallback done {said}"),
    };
    (script, said)
}

/// Kills so many times, lets everything come to rest, and counts.
pub async fn soak(victim: Victim, kills: usize, seed: u64) -> Figures {
    let home = Home::new();
    let told = home.root().join("told");
    let script = format!("line=$(cat); test -n \"$line\" && printf '%s\\n' \"$line\" >> {}", told.display());
    let plan = Plan::default().cancel_grace(10);
    let plan = plan.tables(&format!("[delivery]\ncommand = {}\n", json!(["sh", "-c", script])));
    let mut user = User::start(Daemon::not_started(plan, home), &[]).await;
    let mut chance = Chance(seed);
    let mut figures = Figures { seed, ..Figures::default() };
    let mut talks = Vec::new();
    for talk in 0..CONVERSATIONS {
        let (script, said) = message(talk, 0);
        let limits = (Some(1_000_000), Some(1_000_000));
        let task = DelegateParams { soft_limit: limits.0, hard_limit: limits.1, ..user.akkd.task(&script) };
        talks.push(Talk { id: user.delegate(task).await, said: vec![said] });
    }
    while figures.kills < kills {
        for (n, talk) in talks.iter_mut().enumerate() {
            if user.goes_on(&talk.id).await {
                let (script, said) = message(n, talk.said.len());
                user.send(&talk.id, &script).await;
                talk.said.push(said);
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.below(LONGEST_PAUSE))).await;
        let mut open = 0;
        for talk in &talks {
            open += usize::from(user.get(&talk.id).await.turn.is_some_and(|t| t.ended_at.is_none()));
        }
        if open == 0 {
            continue;
        }
        match victim {
            Victim::Akkd => {
                let begun = Instant::now();
                user.restart().await;
                figures.starts.push(begun.elapsed());
            }
            Victim::Agents => {
                let agents = at_work(&user);
                let chosen = chance.below(agents.len().max(1) as u64) as usize;
                let Some(agent) = agents.get(chosen) else { continue };
                processes::end(*agent);
            }
        }
        figures.kills += 1;
    }
    for talk in &talks {
        user.settled(&talk.id).await;
        count(&mut user, talk, &mut figures).await;
        user.close(&talk.id).await;
    }
    count_told(&mut user, &talks, &told, &mut figures).await;
    figures.asked = user.asked.len();
    figures.orphans = left_behind(&user).await;
    figures
}

/// The agents that work on a prompt.
fn at_work(user: &User) -> Vec<u32> {
    let mut at_work = BTreeSet::new();
    for Line { ev, pid, .. } in user.akkd.agent().lines() {
        match ev.as_str() {
            "prompt" => at_work.insert(pid),
            "answer" => at_work.remove(&pid),
            _ => false,
        };
    }
    at_work.into_iter().filter(|pid| processes::lives(*pid)).collect()
}

/// What stands in the history of a conversation.
async fn count(user: &mut User, talk: &Talk, figures: &mut Figures) {
    let events = user.events(&talk.id).await;
    let mut reports: BTreeMap<String, usize> = BTreeMap::new();
    let mut turns = 0;
    for event in &events {
        match &event.body {
            EventBody::Message(m) if matches!(m.origin, Origin::Callback | Origin::Derived) => {
                *reports.entry(m.message.body.clone()).or_default() += 1;
            }
            EventBody::TurnStarted(_) => turns += 1,
            _ => {}
        }
    }
    figures.messages += talk.said.len();
    figures.reports += reports.values().sum::<usize>();
    for said in &talk.said {
        match reports.get(said) {
            None => figures.lost.push(said.clone()),
            Some(1) => {}
            Some(times) => figures.doubled.push(format!("{said} {times} times")),
        }
    }
    let mut heard: BTreeMap<String, usize> = BTreeMap::new();
    let prompts = user.akkd.agent().all("prompt");
    for prompt in prompts.iter().filter(|p| p.text("conversation") == talk.id.as_str()) {
        *heard.entry(prompt.text("turn").to_owned()).or_default() += 1;
    }
    let twice = heard.iter().filter(|(_, times)| **times > 1);
    figures.prompted_twice.extend(twice.map(|(turn, times)| format!("{} {turn}: {times}", talk.id)));
    if heard.len() > turns {
        figures.prompted_twice.push(format!("{}: {} turns heard, {turns} recorded", talk.id, heard.len()));
    }
}

/// What the sink was given.
async fn count_told(user: &mut User, talks: &[Talk], told: &std::path::Path, figures: &mut Figures) {
    let mut rows = Vec::new();
    for talk in talks {
        let of_talk = wait_for("every delivery", async || {
            let rows = user.deliveries(&talk.id).await;
            rows.iter().all(|r| r.state == DeliveryState::Acknowledged).then_some(rows)
        });
        rows.extend(of_talk.await);
    }
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(told).unwrap_or_default().lines() {
        let body: DeliveryBody = serde_json::from_str(line).expect("the sink is given whole deliveries");
        *given.entry(body.key.to_string()).or_default() += 1;
    }
    let untold = rows.iter().filter(|r| !given.contains_key(r.delivery_id.as_str()));
    figures.untold = untold.map(|r| r.delivery_id.to_string()).collect();
    figures.repeated = given.values().map(|times| times - 1).sum();
}

/// Every process that is not akkd itself, some time after the last conversation was closed.
async fn left_behind(user: &User) -> Vec<String> {
    let (root, pid) = (user.akkd.home.root(), user.akkd.pid());
    let others = || processes::of(root).into_iter().filter(|p| p.pid != pid).collect::<Vec<_>>();
    let end = Instant::now() + Duration::from_secs(20);
    while !others().is_empty() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    others().into_iter().map(|p| format!("{} {}", p.pid, p.command)).collect()
}

impl User {
    /// Whether the agent is at rest and can be told more; a conversation that waits for a decision goes on.
    async fn goes_on(&mut self, id: &ConversationId) -> bool {
        let c = self.get(id).await;
        let open = c.turn.as_ref().is_some_and(|t| t.ended_at.is_none());
        match c.status {
            Status::Idle | Status::WaitingForOpenclaw => !open && c.queued.is_empty(),
            Status::Stalled | Status::NeedsRecovery if !open => {
                self.recover(id, c.stalled_reason.unwrap_or_default()).await;
                false
            }
            _ => false,
        }
    }
}
