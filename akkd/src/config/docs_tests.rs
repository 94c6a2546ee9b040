//! The reference in `docs/configuration.md` and the parser say the same.

use super::*;
use std::collections::BTreeSet;

/// A section of the reference: the head that its keys stand under in the file, the rows of its table, its examples.
struct Section {
    head: String,
    rows: Vec<Row>,
    examples: Vec<String>,
}

struct Row {
    key: String,
    /// As TOML, where the default is a value.
    default: Option<String>,
}

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(file)).unwrap()
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    let around = Surroundings { akkctl: "/opt/akk/akkctl".into(), env: BTreeMap::new() };
    Config::parse(Path::new("/c/config.toml"), text, &around)
}

/// What stands between the one pair of backticks that is the whole cell.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|code| !code.contains('`'))
}

/// The blocks of TOML in a document.
fn blocks(text: &str) -> Vec<String> {
    text.split("\n```toml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

fn sections() -> Vec<Section> {
    let text = read("docs/configuration.md");
    let parts = text.split("\n## ").skip(1).filter(|part| part.contains("\n| key |"));
    let section = |part: &str| {
        let title = part.lines().next().unwrap();
        let head = code(title).unwrap_or_default().replace("agents.NAME", "agents.codex");
        let rows = part.lines().skip_while(|l| !l.starts_with("| key |")).skip(2).take_while(|l| l.starts_with('|'));
        let rows = rows.map(|line| {
            let cells: Vec<_> = line.split(" | ").map(|c| c.trim_matches(['|', ' '])).collect();
            assert_eq!(cells.len(), 4, "a key, its default, its limits, its meaning: {line}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
            Row { key: code(cells[0]).unwrap().to_owned(), default: code(cells[1]).map(str::to_owned) }
        });
        Section { head, rows: rows.collect(), examples: blocks(part) }
    };
    parts.map(section).collect()
}

/// The keys that the parser knows under `head`: its hint names them when it is given another.
fn known(head: &str) -> BTreeSet<String> {
    let hint = match parse(&format!("{head}\nno_such_key = 1\n")) {
        Err(ConfigError::Wrong { hint, .. }) => hint,
        other => panic!("{head}: {other:?}"),
    };
    let names = hint.split_once("Known are: ").unwrap_or_else(|| panic!("{head}: {hint}")).1;
    names.trim_end_matches('.').split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_has_every_key_that_the_parser_takes_and_no_other() {
    let sections = sections();
    // The top level knows the tables too.
    let tables: BTreeSet<String> =
        sections.iter().filter_map(|s| s.head.trim_matches(['[', ']']).split('.').next().map(str::to_owned)).collect();
    assert!(tables.len() > 7, "{tables:?}");
    for section in &sections {
        let told: BTreeSet<String> = section.rows.iter().map(|row| row.key.clone()).collect();
        let mut known = known(&section.head);
        if section.head.is_empty() {
            let (in_sections, of_the_top): (BTreeSet<_>, BTreeSet<_>) =
                known.into_iter().partition(|key| tables.contains(key));
            let named: BTreeSet<_> = tables.iter().filter(|table| !table.is_empty()).cloned().collect();
            assert_eq!(in_sections, named, "every table has its section");
            known = of_the_top;
        }
        assert_eq!(told, known, "{}", section.head);
    }
}

#[test]
fn every_key_has_an_example_that_is_taken() {
    for section in sections() {
        for example in &section.examples {
            parse(example).unwrap_or_else(|e| panic!("{e}:\n{example}"));
        }
        for row in &section.rows {
            let set = |line: &str| {
                line.strip_prefix(row.key.as_str()).is_some_and(|rest| rest.starts_with(" = ") || rest.starts_with('.'))
            };
            let shown = section.examples.iter().flat_map(|e| e.lines()).any(set);
            assert!(shown, "{} {} has no example", section.head, row.key);
        }
    }
}

#[test]
fn a_default_that_the_reference_names_is_the_one_that_holds_without_it() {
    let shown = |text: &str| {
        let mut config = parse(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
        // A time limit without a command is remarked on.
        config.warnings.clear();
        format!("{config:?}")
    };
    let mut compared = 0;
    for section in sections() {
        for Row { key, default } in &section.rows {
            let Some(default) = default else { continue };
            assert_eq!(shown(&format!("{}\n{key} = {default}\n", section.head)), shown(""), "{} {key}", section.head);
            compared += 1;
        }
    }
    assert!(compared >= 9, "the reference names defaults: {compared}");
}

#[test]
fn whatever_toml_a_document_shows_is_a_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in docs.filter(|path| path.extension().is_some_and(|e| e == "md")).chain([root.join("README.md")]) {
        for block in blocks(&std::fs::read_to_string(&path).unwrap()) {
            parse(&block).unwrap_or_else(|e| panic!("{}: {e}:\n{block}", path.display()));
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn the_reference_names_every_variable_that_agents_get() {
    let text = read("docs/configuration.md");
    let families = ["codex", "claude", "gemini", "cursor"];
    for name in environment::FOR_ALL.iter().chain(families.iter().flat_map(|f| environment::for_family(f))) {
        // The small letters are named with the large ones.
        let written = text.contains(&format!("`{name}`")) || name.ends_with("_proxy");
        assert!(written, "{name}");
    }
}
