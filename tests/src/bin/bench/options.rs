//! The command line.

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Few repetitions of everything, on small homes: shows that it can be measured, and judges nothing.
    pub(crate) quick: bool,
    /// One JSON document instead of the table.
    pub(crate) json: bool,
    /// These parts only; all when empty.
    pub(crate) only: Vec<String>,
}

impl Options {
    /// Reads the words; `parts` are the names that `--only` takes.
    ///
    /// # Errors
    /// How to use it.
    pub(crate) fn parse(words: impl Iterator<Item = String>, parts: &[&str]) -> Result<Self, String> {
        let usage = || format!("usage: bench [--quick] [--json] [--only NAME]…\nNAME is one of: {}", parts.join(", "));
        let mut options = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => {
                    let name = words.next().filter(|n| parts.contains(&n.as_str())).ok_or_else(usage)?;
                    options.only.push(name);
                }
                _ => return Err(usage()),
            }
        }
        Ok(options)
    }
}
