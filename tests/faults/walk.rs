//! The walk: the scenario is played once for every passing of every point, and akkd dies there.

use crate::history::{Found, examine};
use crate::scenario::{Over, with_codex, with_demo};
use akk_proto::conversation::Transport;
use akk_tests::peers::peers;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scenarios that are played beside each other: with a quick agent they wait for processes most of the time.
const BESIDE: usize = 6;
/// The same for real peers, which need the processor.
const BESIDE_REAL: usize = 2;

/// Every point that akkd has. One that is never passed stands for nothing.
pub(crate) const POINTS: [&str; 10] = [
    "call.unanswered",
    "effect.taken",
    "launch.folder",
    "launch.spawned",
    "launch.tree_ended",
    "prompt.finishing",
    "prompt.half",
    "prompt.written",
    "store.before_commit",
    "store.committed",
];

/// How much is walked.
enum Extent {
    /// What fits into a run of all tests.
    Usual,
    /// Every passing of every point, on every way.
    Full,
    /// These deaths, one after the other, in one scenario.
    Only(Vec<String>),
}

impl Extent {
    /// As `AKK_FAULTS` says: `all`, or `POINT:N`, or several of them with commas.
    fn asked_for() -> Self {
        match std::env::var("AKK_FAULTS") {
            Err(_) => Self::Usual,
            Ok(all) if all == "all" => Self::Full,
            Ok(deaths) => Self::Only(deaths.split(',').map(str::to_owned).collect()),
        }
    }

    /// Of the points that were passed, where akkd is to die: one list for each scenario. `usual`: whether the `n`th
    /// passing of a point is walked when nothing is asked for.
    fn deaths(self, passed: &BTreeMap<String, usize>, usual: impl Fn(&str, usize) -> bool) -> Vec<Vec<String>> {
        let full = match self {
            Self::Only(deaths) => return vec![deaths],
            Self::Full => true,
            Self::Usual => false,
        };
        let all = passed.iter().flat_map(|(point, times)| (1..=*times).map(move |n| (point, n)));
        let walked = all.filter(|(point, n)| full || usual(point, *n));
        walked.map(|(point, n)| vec![format!("{point}:{n}")]).collect()
    }
}

/// How often each point is passed when nothing goes wrong.
fn passings(over: &Over) -> BTreeMap<String, usize> {
    let mut passings = BTreeMap::new();
    for point in over.user.points() {
        *passings.entry(point).or_default() += 1;
    }
    passings
}

/// What the runs of one point came to.
#[derive(Default)]
struct Row {
    runs: usize,
    died: usize,
    asked: usize,
    repeats: usize,
    reasons: BTreeMap<String, usize>,
}

impl Row {
    fn take(&mut self, found: Found) {
        self.died += usize::from(found.died);
        self.asked += usize::from(!found.asked.is_empty());
        self.repeats += found.repeats;
        for reason in found.asked {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }
}

/// Held by the walk that is under way: several at once starve real peers until these give up by themselves.
fn alone() -> MutexGuard<'static, ()> {
    static UNDER_WAY: Mutex<()> = Mutex::new(());
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays one scenario, in a runtime of its own.
fn play<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario)
}

/// Plays a scenario once for each list of deaths, some beside each other, and prints what came of it by points.
#[expect(clippy::print_stdout, reason = "the table is for whoever asks for it with --nocapture")]
fn walk(deaths: Vec<Vec<String>>, beside: usize, scenario: impl Fn(&[&str]) -> Found + Sync) -> BTreeMap<String, Row> {
    let waiting = Mutex::new(deaths.into_iter());
    let (table, failed) = (Mutex::new(BTreeMap::<String, Row>::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..beside {
            scope.spawn(|| {
                loop {
                    let Some(deaths) = waiting.lock().unwrap().next() else { return };
                    let orders: Vec<&str> = deaths.iter().map(String::as_str).collect();
                    let found = catch_unwind(AssertUnwindSafe(|| scenario(&orders)));
                    let mut table = table.lock().unwrap();
                    let row = table.entry(deaths[0].rsplit_once(':').unwrap().0.to_owned()).or_default();
                    row.runs += 1;
                    match found {
                        Ok(found) => row.take(found),
                        Err(why) => {
                            let said = why.downcast_ref::<String>().cloned().unwrap_or_default();
                            failed.lock().unwrap().push(format!("{deaths:?}: {said}"));
                        }
                    }
                }
            });
        }
    });
    let (table, failed) = (table.into_inner().unwrap(), failed.into_inner().unwrap());
    for (point, row) in &table {
        let Row { runs, died, asked, repeats, reasons } = row;
        println!("{point:<22} {runs:>4} runs {died:>4} deaths {asked:>3} asked {repeats:>3} repeated {reasons:?}");
    }
    assert!(failed.is_empty(), "{} runs failed:\n{}", failed.len(), failed.join("\n"));
    table
}

/// The scenario without a death: how often each point is passed. A real peer may give up by itself where others take the
/// processor (acpx 0.19 waits some seconds for its queue owner); then the played person decides, as after a death.
fn undisturbed(over: impl AsyncFnOnce() -> Option<Over>) -> Option<BTreeMap<String, usize>> {
    play(async {
        let mut over = over().await?;
        let found = examine(&mut over).await;
        let Found { asked, repeats, died } = found;
        let well = asked.iter().all(|why| why.starts_with("acpx gave up"));
        assert!(well && repeats == 0 && !died, "asked {asked:#?}, repeated {repeats}");
        Some(passings(&over))
    })
}

fn over_acp(deaths: &[&str]) -> Found {
    play(async { examine(&mut with_demo(Transport::Acp, deaths).await).await })
}

#[test]
fn akkd_may_die_at_any_point_of_a_conversation() {
    let _alone = alone();
    let passed = undisturbed(async || Some(with_demo(Transport::Acp, &[]).await)).unwrap();
    let names: Vec<_> = passed.keys().map(String::as_str).collect();
    assert_eq!(names, POINTS, "akkd has these points, in a build with debug assertions");
    let extent = Extent::asked_for();
    let all_walked = !matches!(extent, Extent::Only(_));
    // What is about to be written is every step there is; what was just written, or not answered, is taken in part.
    let usual = |point: &str, n| match point {
        "store.committed" => n % 3 == 1,
        "call.unanswered" => n % 4 == 1,
        _ => true,
    };
    let table = walk(extent.deaths(&passed, usual), BESIDE, over_acp);
    for (point, row) in table.iter().filter(|_| all_walked) {
        assert!(row.died > 0, "akkd never died at {point}");
    }
}

#[test]
fn akkd_may_die_again_while_it_comes_back() {
    let _alone = alone();
    let first = ["launch.spawned:1", "prompt.half:2", "prompt.finishing:1", "store.committed:24", "effect.taken:4"];
    let again = (1..=4).flat_map(|n| ["store.before_commit", "store.committed"].map(|point| format!("{point}:{n}")));
    let pairs = again.flat_map(|second| first.map(|first| vec![first.to_owned(), second.clone()]));
    walk(pairs.collect(), BESIDE, over_acp);
}

/// The points that the ways of an agent differ in, and one in so many of the others.
fn on_slow_ways(point: &str, n: usize, one_in: usize) -> bool {
    match point {
        "store.before_commit" | "store.committed" => n % one_in == one_in / 2,
        "call.unanswered" | "launch.tree_ended" | "effect.taken" => n == 2,
        _ => n <= 2,
    }
}

#[test]
fn akkd_may_die_at_any_point_of_a_conversation_with_codex() {
    let _alone = alone();
    let story = "akkd_may_die_at_any_point_of_a_conversation_with_codex";
    let Some(passed) = undisturbed(async || with_codex(story, &[]).await) else { return };
    let deaths = Extent::asked_for().deaths(&passed, |point, n| on_slow_ways(point, n, 13));
    walk(deaths, BESIDE_REAL, |deaths| play(async { examine(&mut with_codex(story, deaths).await.unwrap()).await }));
}

#[test]
fn akkd_may_die_at_any_point_of_a_conversation_over_acpx() {
    if peers("akkd_may_die_at_any_point_of_a_conversation_over_acpx").is_none() {
        return;
    }
    let _alone = alone();
    let passed = undisturbed(async || Some(with_demo(Transport::Acpx, &[]).await)).unwrap();
    // Of the two first launches of a turn the second one is that of the prompt.
    let usual = |point: &str, n| on_slow_ways(point, n, 37) && n > 1;
    let deaths = Extent::asked_for().deaths(&passed, usual);
    // One alone: two of them slow each other down until acpx gives up.
    walk(deaths, 1, |deaths| play(async { examine(&mut with_demo(Transport::Acpx, deaths).await).await }));
}
