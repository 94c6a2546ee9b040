//! The protocol's version and the name of this build.
//!
//! What is added (a method, a field of an answer, a parameter that may be left out) raises no version: a client of
//! before does not see it, and a client that asks for it of an older akkd hears that it has no such thing. Each side
//! says the newest version that it speaks and the oldest that it still understands; [`common`] is what they speak.

/// Version of the JSON-RPC protocol: raised when a client of the former one would misread an answer.
pub const PROTOCOL: u32 = 1;

/// Raised with everything that is added to this version of the protocol; begins anew with each.
pub const REVISION: u32 = 2;

/// The oldest protocol whose clients this akkd still answers as they expect.
pub const OLDEST_CLIENT: u32 = 1;

/// The oldest protocol whose akkd this client still understands.
pub const OLDEST_DAEMON: u32 = 1;

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The protocols that one side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// The oldest.
    pub oldest: u32,
    /// The newest.
    pub newest: u32,
}

/// The newest protocol that both sides speak; none where there is no such.
pub fn common(one: Spoken, other: Spoken) -> Option<u32> {
    let newest = one.newest.min(other.newest);
    (newest >= one.oldest && newest >= other.oldest).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_speak_the_newest_protocol_that_both_know() {
        let sides = |a: (u32, u32), b: (u32, u32)| {
            let side = |(oldest, newest)| Spoken { oldest, newest };
            assert_eq!(common(side(a), side(b)), common(side(b), side(a)), "whoever asks");
            common(side(a), side(b))
        };
        assert_eq!(sides((1, 1), (1, 1)), Some(1));
        assert_eq!(sides((1, 3), (2, 2)), Some(2));
        assert_eq!(sides((1, 2), (2, 5)), Some(2));
        assert_eq!(sides((1, 1), (2, 2)), None, "neither knows the other");
        assert_eq!(sides((3, 4), (1, 2)), None);
    }

    #[test]
    fn this_build_understands_itself() {
        let daemon = Spoken { oldest: OLDEST_CLIENT, newest: PROTOCOL };
        let client = Spoken { oldest: OLDEST_DAEMON, newest: PROTOCOL };
        assert_eq!(common(daemon, client), Some(PROTOCOL));
    }
}
