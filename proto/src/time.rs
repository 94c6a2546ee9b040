//! Wall-clock times on the wire.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A moment in UTC, in whole milliseconds since the Unix epoch; on the wire RFC 3339 with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Timestamp(
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "date-time")))] pub i64,
);

impl Timestamp {
    /// Milliseconds from `earlier` to this moment; negative when the clock went back.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment, later by `millis`.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The nearest moment that has a name: years go from -9999 to 9999. A far deadline must not become a past one.
    fn to_jiff(self) -> jiff::Timestamp {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(nearest)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(value: jiff::Timestamp) -> Self {
        Self(value.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse::<jiff::Timestamp>().map(Self::from).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_time_is_rfc_3339_with_milliseconds_and_reads_back() {
        let t = Timestamp(1_781_964_325_758);
        let json = serde_json::to_string(&t).unwrap();
        assert_eq!(json, "\"2026-06-20T14:05:25.758Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), t);
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_time_beyond_all_calendars_is_the_nearest_that_has_a_name() {
        let read = |t: Timestamp| serde_json::from_str::<Timestamp>(&serde_json::to_string(&t).unwrap()).unwrap();
        let (first, last) = (read(Timestamp(i64::MIN)), read(Timestamp(i64::MAX)));
        assert!(first < Timestamp(-377_000_000_000_000) && last > Timestamp(253_000_000_000_000), "{first} {last}");
        let year_10141 = Timestamp(1_781_964_325_758).plus_millis(i64::from(u32::MAX) * 60_000);
        assert_eq!(read(year_10141), last);
    }
}
