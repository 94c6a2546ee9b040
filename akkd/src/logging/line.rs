//! One event as one line: JSON for the file, words for people.

use akk_core::redact;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

/// Longest value of one field, in characters.
const MAX_FIELD_CHARS: usize = 1000;

/// The fields of an event, redacted and cut.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.rest.insert(field.name().to_owned(), value);
    }
}

/// Text as a log may hold it.
fn safe(text: &str) -> String {
    // Cut first, generously, so that a huge value does not cost a pass of every pattern over all of it.
    let head = redact::cut(text, 4 * MAX_FIELD_CHARS);
    redact::cut(&redact::redact(&head), MAX_FIELD_CHARS)
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = safe(value),
            // A value is judged together with its name, as it stands in the line.
            name => {
                let named = safe(&format!("{name}={value}"));
                let shown = named.strip_prefix(name).and_then(|n| n.strip_prefix('=')).unwrap_or(redact::REDACTED);
                self.put(field, Value::from(shown));
            }
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}

/// Writes events as NDJSON, with the time in UTC and as the clock on the wall shows it.
pub(super) struct Ndjson<W>(W);

impl<W> Ndjson<W> {
    pub(super) fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<S: Subscriber, W: for<'w> MakeWriter<'w> + 'static> Layer<S> for Ndjson<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = jiff::Timestamp::now();
        let local = now.to_zoned_datetime(TimeZone::system());
        let fields = Fields::of(event);
        let mut line = Map::new();
        line.insert("ts".into(), format!("{now:.3}").into());
        line.insert("local".into(), local.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string().into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        line.insert("message".into(), fields.message.into());
        for (name, value) in fields.rest {
            // A field must not stand in for one of the line's own.
            line.entry(name).or_insert(value);
        }
        let mut text = Value::from(line).to_string();
        text.push('\n');
        let _ = self.0.make_writer().write_all(text.as_bytes());
    }
}

/// Writes events to standard error.
pub(super) struct ForPeople {
    /// Whether systemd's journal reads it.
    pub(super) for_journal: bool,
}

impl<S: Subscriber> Layer<S> for ForPeople {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let fields = Fields::of(event);
        let mut line = if self.for_journal {
            // sd-daemon(3): the level in angle brackets at the start of a line.
            let priority = match level {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                _ => 7,
            };
            format!("<{priority}>")
        } else {
            let now = jiff::Timestamp::now().to_zoned_datetime(TimeZone::system());
            format!("{} {level:>5} ", now.strftime("%H:%M:%S%.3f"))
        };
        line.push_str(&plain(&fields.message));
        for (name, value) in &fields.rest {
            let _ = match value {
                Value::String(text) => write!(line, " {name}={}", plain(text)),
                other => write!(line, " {name}={other}"),
            };
        }
        line.push('\n');
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Text without control characters: what an agent wrote must not steer a terminal or begin a line of its own.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Value {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry().with(Ndjson::new(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        assert_eq!(String::from_utf8_lossy(&bytes).lines().count(), 1, "one event, one line");
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_line_has_both_times_level_message_and_fields() {
        let line = logged(|| tracing::info!(pid = 7, path = "/x\ny", "agent started"));
        assert_eq!(line["message"], "agent started");
        assert_eq!(line["level"], "INFO");
        assert_eq!((&line["pid"], &line["path"]), (&Value::from(7), &Value::from("/x\ny")));
        assert!(line["ts"].as_str().unwrap().ends_with('Z'));
        let local: jiff::Timestamp = line["local"].as_str().unwrap().parse().unwrap();
        let utc: jiff::Timestamp = line["ts"].as_str().unwrap().parse().unwrap();
        assert_eq!(local, utc);
    }

    #[test]
    fn secrets_and_long_values_do_not_reach_the_log() {
        let line = logged(|| {
            tracing::warn!(token = "geheim-geheim", body = "x".repeat(1_000_000), "Bearer abcdefghijklmnop refused");
        });
        let text = line.to_string();
        assert!(!text.contains("geheim") && !text.contains("abcdefghijklmnop"), "{text}");
        assert!(text.len() < 2_000);
        assert_eq!(line["token"], redact::REDACTED);
    }

    #[test]
    fn a_field_cannot_stand_in_for_the_level() {
        let line = logged(|| tracing::info!(level = "ERROR", "calm"));
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mred\nb"), "a [31mred b");
    }
}
