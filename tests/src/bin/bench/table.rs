//! The table: what, bar, measured, verdict.

use serde_json::{Value, json};
use std::time::Duration;

/// What must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// No bar is set: for comparison.
    None,
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    Megabytes,
    Kilobytes,
    Each,
    PerSecond,
    Times,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value < 10.0 => format!("{value:.2} ms"),
            Self::Milliseconds if value < 1000.0 => format!("{value:.0} ms"),
            Self::Milliseconds => format!("{:.2} s", value / 1000.0),
            Self::Microseconds if value < 10.0 => format!("{value:.1} µs"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Kilobytes => format!("{value:.0} KB"),
            Self::Each if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Each => format!("{value:.1}"),
            Self::PerSecond if value < 10.0 => format!("{value:.1}/s"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Times => format!("{value:.1} ×"),
        }
    }

    fn show_bar(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value} ms"),
            Self::Microseconds => format!("{value} µs"),
            Self::Megabytes => format!("{value} MB"),
            Self::Kilobytes => format!("{value} KB"),
            Self::Each => format!("{value}"),
            Self::PerSecond => format!("{value}/s"),
            Self::Times => format!("{value} ×"),
        }
    }
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Microseconds.
pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Megabytes of 1,000,000 bytes, as the bars count them.
pub(crate) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Kilobytes of 1,000 bytes.
pub(crate) fn kb(bytes: f64) -> f64 {
    bytes / 1e3
}

/// Prints rows as they come, or keeps them for one JSON document.
#[derive(Debug)]
pub(crate) struct Table {
    json: bool,
    quick: bool,
    machine: String,
    rows: Vec<Value>,
    missed: usize,
    judged: usize,
}

impl Table {
    pub(crate) fn new(json: bool, quick: bool, machine: String) -> Self {
        if !json {
            println!("{machine}\n\n| what | bar | measured | verdict |\n| --- | --- | --- | --- |");
        }
        Self { json, quick, machine, rows: Vec::new(), missed: 0, judged: 0 }
    }

    /// A figure. `note` says what belongs to it: how often, the worst of them, what it is made of.
    pub(crate) fn row(&mut self, what: &str, bar: Bar, unit: Unit, value: f64, note: &str) {
        let (shown, met) = match bar {
            Bar::None => (String::new(), None),
            Bar::AtMost(most) => (format!("≤ {}", unit.show_bar(most)), Some(value <= most)),
            Bar::AtLeast(least) => (format!("≥ {}", unit.show_bar(least)), Some(value >= least)),
        };
        // On homes that are smaller than the bar speaks of nothing can be said.
        let verdict = match met.filter(|_| !self.quick) {
            None => "",
            Some(true) => "met",
            Some(false) => "missed",
        };
        self.judged += usize::from(!verdict.is_empty());
        self.missed += usize::from(verdict == "missed");
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        self.add(what, &shown, &format!("{}{note}", unit.show(value)), verdict, Some((value, unit)));
    }

    /// Something that cannot be measured here, and why.
    pub(crate) fn not_measured(&mut self, what: &str, why: &str) {
        self.add(what, "", &format!("not measured: {why}"), "", None);
    }

    fn add(&mut self, what: &str, bar: &str, measured: &str, verdict: &str, value: Option<(f64, Unit)>) {
        if self.json {
            let value = value.map(|(value, unit)| json!({"value": value, "unit": format!("{unit:?}").to_lowercase()}));
            self.rows
                .push(json!({"what": what, "bar": bar, "measured": measured, "verdict": verdict, "figure": value}));
        } else {
            println!("| {what} | {bar} | {measured} | {verdict} |");
        }
    }

    /// The end: how many bars are met, and what the machine did meanwhile.
    pub(crate) fn end(self, load: &str) {
        let met = self.judged - self.missed;
        if self.json {
            let whole = json!({
                "machine": self.machine, "load_at_the_end": load, "quick": self.quick, "rows": self.rows,
                "bars": {"met": met, "missed": self.missed},
            });
            println!("{whole:#}");
        } else if self.quick {
            println!("\nQuick: few repetitions on small homes. Nothing is judged. {load}");
        } else {
            println!("\n{met} bars met, {} missed. {load}", self.missed);
        }
    }
}
