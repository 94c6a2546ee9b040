//! Identifiers. Each is checked before it becomes anything else; a path is made of our own ids only.

use crate::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// What was wrong with an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {what}: {rule}")]
pub struct InvalidId {
    /// The kind of identifier that was expected.
    pub what: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The offending text, cut at 80 characters.
    pub value: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it has this id's form.
            ///
            /// # Errors
            /// [`InvalidId`] with the rule that `text` breaks.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId { what: $what, rule: $rule, value: text.chars().take(80).collect() })
                }
            }

            /// The id as it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Self::parse(s)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// `task-YYYYMMDDTHHMMSS-xxxxxxxx`: creation time (UTC) and 8 random hex digits. akkd makes every one.
    ConversationId,
    "conversation id",
    "it must look like task-20260620T140525-0a1b2c3d",
    is_conversation_id
);
id!(
    /// `turn-N`: the N-th turn of its conversation, from 1. Unique inside the conversation only.
    TurnId,
    "turn id",
    "it must look like turn-1",
    |s| s.strip_prefix("turn-").is_some_and(|n| is_number(n, 9) && !n.starts_with('0'))
);
id!(
    /// `msg-<uuid>`, or `ntc-<uuid>` for a notice in the outbox.
    MessageId,
    "message id",
    "it must look like msg-<uuid> or ntc-<uuid>",
    |s| s.strip_prefix("msg-").or_else(|| s.strip_prefix("ntc-")).is_some_and(is_uuid)
);
id!(
    /// `launch-<uuid>`: one start of an agent process.
    LaunchId,
    "launch id",
    "it must look like launch-<uuid>",
    |s| s.strip_prefix("launch-").is_some_and(is_uuid)
);
id!(
    /// A client's own name for a mutating call, so that a repeat is answered and not repeated. 1 to 128 of
    /// `A-Z a-z 0-9 . _ : -`.
    RequestId,
    "request id",
    "it must be 1 to 128 of A-Z a-z 0-9 . _ : -",
    |s| (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
);
id!(
    /// `akk:<conversation>:<message>`: the deterministic key of an outbox row.
    DeliveryId,
    "delivery id",
    "it must look like akk:<conversation id>:<message id>",
    |s| {
        s.strip_prefix("akk:").and_then(|r| r.split_once(':')).is_some_and(|(c, m)| is_conversation_id(c) && MessageId::parse(m).is_ok())
    }
);

impl ConversationId {
    /// The id of a conversation that begins at `at`, with 32 random bits.
    pub fn new(at: Timestamp, random: u32) -> Self {
        let text = at.to_string();
        let digits: String = text.chars().take(19).filter(|c| c.is_ascii_digit() || *c == 'T').collect();
        Self(format!("task-{digits}-{random:08x}"))
    }
}

impl TurnId {
    /// The id of the `ordinal`-th turn (from 1).
    pub fn nth(ordinal: u32) -> Self {
        Self(format!("turn-{}", ordinal.max(1)))
    }

    /// Which turn of its conversation it is, from 1.
    pub fn ordinal(&self) -> u32 {
        self.0.strip_prefix("turn-").and_then(|n| n.parse().ok()).unwrap_or(1)
    }
}

impl MessageId {
    /// The id of a message with this uuid.
    pub fn message(uuid: uuid::Uuid) -> Self {
        Self(format!("msg-{uuid}"))
    }

    /// The id of a notice with this uuid.
    pub fn notice(uuid: uuid::Uuid) -> Self {
        Self(format!("ntc-{uuid}"))
    }

    /// The uuid behind the prefix.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::parse_str(&self.0[4..]).unwrap_or_default()
    }
}

impl LaunchId {
    /// The id of a launch with this uuid.
    pub fn new(uuid: uuid::Uuid) -> Self {
        Self(format!("launch-{uuid}"))
    }
}

impl DeliveryId {
    /// The key of the delivery of `message` to the orchestrator of `conversation`.
    pub fn of(conversation: &ConversationId, message: &MessageId) -> Self {
        Self(format!("akk:{conversation}:{message}"))
    }

    /// The conversation whose delivery it is.
    pub fn conversation(&self) -> Option<ConversationId> {
        // Every key has its form; there is always one.
        ConversationId::parse(self.0.split(':').nth(1)?).ok()
    }
}

fn is_number(s: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
}

fn is_uuid(s: &str) -> bool {
    s.len() == 36 && uuid::Uuid::try_parse(s).is_ok() && s.bytes().all(|b| !b.is_ascii_uppercase())
}

fn is_conversation_id(s: &str) -> bool {
    let b = s.as_bytes();
    b.len() == 29
        && s.starts_with("task-")
        && b[5..13].iter().all(u8::is_ascii_digit)
        && b[13] == b'T'
        && b[14..20].iter().all(u8::is_ascii_digit)
        && b[20] == b'-'
        && b[21..].iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_new_conversation_id_has_its_time_and_reads_back() {
        let id = ConversationId::new(Timestamp(1_781_964_325_758), 0x0a1b_2c3d);
        assert_eq!(id.as_str(), "task-20260620T140525-0a1b2c3d");
        assert_eq!(ConversationId::parse(id.as_str()).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_form_is_refused_before_it_touches_anything() {
        for bad in [
            "",
            "task-",
            "../../etc",
            "task-20260620T140525-0A1B2C3D",
            "task-20260620T140525-0a1b2c3d/",
            "task-2026062ÜT140525-0a1b2c3",
        ] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
        for bad in ["turn-0", "turn-", "turn-01", "turn--1", "x"] {
            assert!(TurnId::parse(bad).is_err(), "{bad}");
        }
        assert!(MessageId::parse("msg-1").is_err());
        assert!(serde_json::from_str::<RequestId>("\"a b\"").is_err());
    }

    #[test]
    fn a_delivery_id_names_conversation_and_message() {
        let c = ConversationId::new(Timestamp(0), 1);
        let m = MessageId::message(uuid::Uuid::nil());
        let d = DeliveryId::of(&c, &m);
        assert_eq!(DeliveryId::parse(d.as_str()).unwrap(), d);
    }

    /// Ids of every form, with something else in one place; and what is none.
    fn any_id() -> impl Strategy<Value = String> {
        let good = prop_oneof![
            (0..4_000_000_000_000_i64, any::<u32>()).prop_map(|(at, random)| ConversationId::new(
                Timestamp(at),
                random
            )
            .to_string()),
            any::<u32>().prop_map(|n| TurnId::nth(n % 1_000_000_000).to_string()),
            any::<u128>().prop_map(|n| MessageId::message(uuid::Uuid::from_u128(n)).to_string()),
            any::<u128>().prop_map(|n| LaunchId::new(uuid::Uuid::from_u128(n)).to_string()),
            "[A-Za-z0-9._:-]{1,128}",
        ];
        let odd = prop_oneof![
            prop::sample::select(vec!['/', '.', '\0', '\n', '%', '\u{1b}', 'É', '0', 'A', '-']),
            any::<char>(),
        ];
        let changed = (good.clone(), any::<prop::sample::Index>(), odd, any::<bool>()).prop_map(|(id, at, c, more)| {
            let mut id: Vec<char> = id.chars().collect();
            let at = at.index(id.len());
            if more {
                id.insert(at, c);
            } else {
                id[at] = c;
            }
            id.into_iter().collect()
        });
        prop_oneof![good, changed, any::<String>(), Just("../../etc/passwd".to_owned())]
    }

    /// What akkd makes a name of a file of, or shows: one plain word.
    fn is_plain(id: &str) -> bool {
        !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b))
    }

    proptest! {
        #[test]
        fn what_is_taken_as_an_id_is_one_plain_word_that_reads_back(id in any_id()) {
            macro_rules! check {
                ($($kind:ident),*) => {$(
                    if let Ok(parsed) = $kind::parse(id.as_str()) {
                        prop_assert!(is_plain(&id), "{:?}", id);
                        prop_assert_eq!(parsed.as_str(), &id);
                        let json = serde_json::to_string(&parsed).unwrap();
                        prop_assert_eq!(&serde_json::from_str::<$kind>(&json).unwrap(), &parsed);
                    } else {
                        prop_assert!(serde_json::from_value::<$kind>(id.clone().into()).is_err());
                    }
                )*};
            }
            check!(ConversationId, TurnId, MessageId, LaunchId, RequestId);
            // These become names of folders.
            prop_assert!(ConversationId::parse(id.as_str()).is_err() || !id.contains(['.', ':']));
            prop_assert!(LaunchId::parse(id.as_str()).is_err() || !id.contains(['.', ':']));
            if let (Ok(c), m) = (ConversationId::parse(id.as_str()), MessageId::message(uuid::Uuid::nil())) {
                let delivery = DeliveryId::of(&c, &m);
                prop_assert_eq!(&DeliveryId::parse(delivery.as_str()).unwrap(), &delivery);
            }
        }

        #[test]
        fn every_id_that_is_made_is_one(at in -62_000_000_000_000_i64..253_000_000_000_000, random in any::<u32>(), n in 0..999_999_999_u32) {
            prop_assert!(at < 0 || ConversationId::parse(ConversationId::new(Timestamp(at), random).as_str()).is_ok());
            let turn = TurnId::nth(n);
            prop_assert_eq!(TurnId::parse(turn.as_str()).unwrap().ordinal(), n.max(1));
        }
    }
}
