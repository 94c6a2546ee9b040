//! The order of sessions and the cursor in it: the same for every provider, so that their pages can be merged.

use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{DiscoverAnswer, SessionView};
use std::cmp::Ordering;
use std::fmt;

/// Bytes of a cursor; a path and an id fit.
const MAX_CURSOR: usize = 5000;

/// A place in the order: newest first, then by id downwards, then by home. It stays what it is while sessions come and
/// go; a session in which something happens moves to the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// When something happened in it last, milliseconds since the epoch; 0 where that is not known.
    pub(super) updated_ms: i64,
    /// The session's id.
    pub(super) session_id: String,
    /// The home that it lies in: two can hold the same id.
    pub(super) home: String,
}

impl Position {
    /// Where a session stands.
    pub(super) fn of(session: &SessionView) -> Self {
        Self {
            updated_ms: session.updated_at.map_or(0, |t| t.0),
            session_id: session.session_id.clone(),
            home: session.home.clone(),
        }
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// `invalid_params` for what is none.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let read = || {
            let mut parts = text.splitn(3, '/');
            let updated_ms = parts.next()?.parse().ok()?;
            let session_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
            Some(Self { updated_ms, session_id, home: parts.next()?.to_owned() })
        };
        Some(text).filter(|t| t.len() <= MAX_CURSOR).and_then(|_| read()).ok_or_else(|| {
            Failure::new(
                ErrorKind::InvalidParams,
                format!("{:?} is not a cursor", akk_core::redact::cut(text, 60)),
                "Give as `after` what the page before gave as `next`.",
            )
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.updated_ms, self.session_id, self.home)
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let newest_first = other.updated_ms.cmp(&self.updated_ms);
        newest_first.then_with(|| other.session_id.cmp(&self.session_id)).then_with(|| self.home.cmp(&other.home))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One page of everything that lies behind `after`.
pub(super) fn page_of(mut sessions: Vec<SessionView>, after: Option<&Position>, limit: usize) -> DiscoverAnswer {
    let total = sessions.len() as u64;
    sessions.sort_by_cached_key(Position::of);
    if let Some(after) = after {
        sessions.retain(|s| Position::of(s) > *after);
    }
    let next = (sessions.len() > limit).then(|| sessions.get(limit.saturating_sub(1)).map(Position::of)).flatten();
    sessions.truncate(limit);
    DiscoverAnswer { sessions, total, next: next.map(|p| p.to_string()), ..DiscoverAnswer::default() }
}

/// One page of the pages that providers gave for the same question.
pub fn merge(pages: Vec<DiscoverAnswer>, limit: usize) -> DiscoverAnswer {
    let mut merged = DiscoverAnswer::default();
    let mut more = false;
    for page in pages {
        merged.providers.extend(page.providers);
        merged.sessions.extend(page.sessions);
        merged.incomplete.extend(page.incomplete);
        merged.total += page.total;
        more |= page.next.is_some();
    }
    merged.sessions.sort_by_cached_key(Position::of);
    more |= merged.sessions.len() > limit;
    merged.sessions.truncate(limit);
    merged.next = merged.sessions.last().filter(|_| more).map(|s| Position::of(s).to_string());
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::Timestamp;
    use akk_proto::session::{Capability, SessionActivity, SessionSource};

    fn session(id: &str, home: &str, updated: i64) -> SessionView {
        SessionView {
            agent: "x".into(),
            session_id: id.into(),
            home: home.into(),
            cwd: None,
            title: None,
            created_at: None,
            updated_at: Some(Timestamp(updated)),
            archived: false,
            model: None,
            source: SessionSource::Cli,
            originator: None,
            parent: None,
            capability: Capability::Full,
            capability_reason: None,
            activity: SessionActivity::Idle,
            holders: Vec::new(),
            conversation_id: None,
        }
    }

    #[test]
    fn a_cursor_reads_back_whatever_the_homes_path() {
        for home in ["/home/me/.codex", "/", "/a b/ü/x"] {
            let position = Position { updated_ms: -3, session_id: "id-1".into(), home: home.into() };
            assert_eq!(Position::parse(&position.to_string()).unwrap(), position);
        }
        for bad in ["", "1", "1/x", "x/y/z", "1//z", &format!("1/x/{}", "y".repeat(6000))] {
            assert_eq!(Position::parse(bad).unwrap_err().kind, ErrorKind::InvalidParams, "{bad:.20}");
        }
    }

    #[test]
    fn pages_of_two_providers_are_one_list_without_a_hole() {
        let one: Vec<_> = (0..10).map(|n| session(&format!("a{n}"), "/one", n)).collect();
        let two: Vec<_> = (0..10).map(|n| session(&format!("a{n}"), "/two", n / 2)).collect();
        let mut expected: Vec<_> = one.iter().chain(&two).map(Position::of).collect();
        expected.sort();
        let mut seen = Vec::new();
        let mut after: Option<Position> = None;
        loop {
            let pages = vec![page_of(one.clone(), after.as_ref(), 3), page_of(two.clone(), after.as_ref(), 3)];
            let page = merge(pages, 3);
            assert_eq!(page.total, 20);
            assert!(page.sessions.len() <= 3);
            seen.extend(page.sessions.iter().map(Position::of));
            match page.next {
                Some(next) => after = Some(Position::parse(&next).unwrap()),
                None => break,
            }
        }
        assert_eq!(seen, expected);
    }
}
