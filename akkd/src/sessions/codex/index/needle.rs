//! A text that is looked for in ten thousand sessions at once.

/// A text that is looked for, whatever the case.
#[derive(Debug, Clone)]
pub(in crate::sessions::codex) struct Needle {
    folded: String,
    ascii: bool,
}

impl Needle {
    /// What to look for; none for nothing.
    pub(in crate::sessions::codex) fn new(text: &str) -> Option<Self> {
        let folded = text.to_lowercase();
        (!folded.is_empty()).then(|| Self { ascii: folded.is_ascii(), folded })
    }

    /// Whether it is in `text`.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if !self.ascii {
            return text.to_lowercase().contains(&self.folded);
        }
        // Ten thousand titles are searched at once: no copy is made of what has no need of one.
        let (needle, text) = (self.folded.as_bytes(), text.as_bytes());
        let Some(first) = needle.first() else { return true };
        let Some(last_start) = text.len().checked_sub(needle.len()) else { return false };
        memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text)
            .take_while(|start| *start <= last_start)
            .any(|start| text.get(start..start + needle.len()).is_some_and(|found| found.eq_ignore_ascii_case(needle)))
    }
}
