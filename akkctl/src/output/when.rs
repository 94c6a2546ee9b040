//! Times for people.

use super::View;
use akk_proto::Timestamp;

impl View {
    /// How long ago: `now`, `42s`, `5m`, `3h`, `2d`, `6w`.
    pub(crate) fn age(&self, at: Timestamp) -> String {
        match self.now.millis_since(at) {
            ..1000 => "now".to_owned(),
            ms => coarse(ms),
        }
    }

    /// In how many milliseconds [`Self::age`] says something else.
    pub(crate) fn age_lasts(&self, at: Timestamp) -> i64 {
        let age = self.now.millis_since(at);
        let unit = match age {
            ..60_000 => 1000,
            60_000..3_600_000 => 60_000,
            3_600_000..172_800_000 => 3_600_000,
            _ => 86_400_000,
        };
        unit - age.rem_euclid(unit)
    }

    /// `5m ago`.
    pub(crate) fn ago(&self, at: Timestamp) -> String {
        match self.age(at).as_str() {
            "now" => "now".to_owned(),
            age => format!("{age} ago"),
        }
    }

    /// The time of day where the reader is, with the date unless it is today's.
    pub(crate) fn clock(&self, at: Timestamp) -> String {
        let (then, now) = (self.zoned(at), self.zoned(self.now));
        let format = if then.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        then.strftime(format).to_string()
    }
}

fn coarse(ms: i64) -> String {
    let s = ms / 1000;
    match s {
        ..60 => format!("{s}s"),
        60..3600 => format!("{}m", s / 60),
        3600..172_800 => format!("{}h", s / 3600),
        172_800..3_628_800 => format!("{}d", s / 86_400),
        _ => format!("{}w", s / 604_800),
    }
}

/// A span with two units: `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    match s {
        ..10 => format!("{:.1} s", ms.max(0) as f64 / 1000.0),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit_and_a_clock_that_went_back_is_now() {
        let view = View::fixed(Timestamp(10_000_000_000));
        let age = |ms: i64| view.age(Timestamp(10_000_000_000 - ms));
        assert_eq!([-5000, 0, 999].map(age), ["now"; 3]);
        assert_eq!([1000, 59_999, 60_000, 3_599_999].map(age), ["1s", "59s", "1m", "59m"]);
        assert_eq!([3_600_000, 90_000_000, 172_800_000, 3_628_800_000].map(age), ["1h", "25h", "2d", "6w"]);
    }

    #[test]
    fn an_age_lasts_until_it_says_something_else() {
        let view = View::fixed(Timestamp(10_000_000_000));
        for ms in [-5, 0, 1, 999, 1000, 59_999, 60_000, 61_001, 3_599_999, 3_600_000, 172_799_999, 172_800_000] {
            let at = Timestamp(10_000_000_000 - ms);
            let later = |by: i64| View::fixed(Timestamp(10_000_000_000 + by)).age(at);
            let lasts = view.age_lasts(at);
            assert!(lasts > 0, "{ms}");
            assert_eq!(later(lasts - 1), view.age(at), "{ms}");
            assert!(ms < 0 || later(lasts) != view.age(at), "{ms}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        assert_eq!([-1, 400, 9_999, 42_000].map(span), ["0.0 s", "0.4 s", "10.0 s", "42 s"]);
        assert_eq!([200_000, 7_500_000, 273_600_000].map(span), ["3 min 20 s", "2 h 5 min", "3 d 4 h"]);
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let view = View::fixed(Timestamp(1_781_964_325_758));
        assert_eq!(view.clock(Timestamp(1_781_964_000_000)), "14:00:00");
        assert_eq!(view.clock(Timestamp(1_781_800_000_000)), "2026-06-18 16:26:40");
    }
}
