//! `akkctl man`: the manual pages, from the same definition as the help.

use super::Context;
use crate::cli::Cli;
use crate::error::{Error, Result, exit};
use crate::output::print;
use akk_proto::version::VERSION;
use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use std::io;
use std::path::Path;

/// What every page belongs to.
const MANUAL: &str = "Agent Knock Knock";

/// What akkctl takes from its environment, for its own page.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("AKK_HOME", "one directory for everything: configuration, state, and sockets in run"),
    ("AKK_SOCKET", "another control socket; the callback socket lies beside it"),
    ("NO_COLOR", "no colours, also on a terminal"),
];

/// Where things lie without `AKK_HOME`, on Linux.
const FILES: [(&str, &str); 3] = [
    ("~/.config/akk/config.toml", "the configuration; all of it is optional"),
    ("~/.local/state/akk", "database, logs, and the output of agents"),
    ("$XDG_RUNTIME_DIR/akk", "the sockets; else run in the state directory"),
];

/// A page: the name of its file, and what stands in it.
type Page = (String, Vec<u8>);

pub(super) fn run(folder: &Path, context: &Context<'_>) -> Result<u8> {
    let pages = pages().map_err(Error::Output)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    for (name, text) in &pages {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|e| Error::file("write", &file, e))?;
    }
    if context.json {
        let names: Vec<_> = pages.iter().map(|(name, _)| name).collect();
        print(&format!("{}\n", serde_json::json!({ "files": names })))?;
    } else {
        print(&format!("wrote {} pages to {}\n", pages.len(), folder.display()))?;
    }
    Ok(exit::OK)
}

/// One page for akkctl and one for each command that the help shows.
fn pages() -> io::Result<Vec<Page>> {
    let mut akkctl = Cli::command();
    // Names the commands by their whole way, and hands the global options down.
    akkctl.build();
    let mut pages = Vec::new();
    collect(&akkctl, &[], &mut pages)?;
    Ok(pages)
}

fn collect(command: &clap::Command, above: &[&str], pages: &mut Vec<Page>) -> io::Result<()> {
    pages.push(page(command, above)?);
    let above = [above, &[name_of(command)]].concat();
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        collect(below, &above, pages)?;
    }
    Ok(())
}

fn name_of(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &clap::Command, above: &[&str]) -> io::Result<Page> {
    let man = Man::new(command.clone()).date(date()).source(format!("akkctl {VERSION}")).manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut more = Roff::default();
    if command.get_subcommands().any(|c| !c.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        more.control("SH", ["NOTES"]);
        notes(&after.to_string(), &mut more);
    }
    if above.is_empty() {
        list("ENVIRONMENT", &ENVIRONMENT, &mut more);
        list("FILES", &FILES, &mut more);
    }
    more.control("SH", ["SEE ALSO"]);
    more.text(see_also(above));
    more.to_writer(&mut text)?;
    Ok((man.get_filename(), text))
}

/// The day of `SOURCE_DATE_EPOCH`, which makes packages reproducible
/// (<https://reproducible-builds.org/specs/source-date-epoch/>), else today, in UTC.
fn date() -> String {
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let moment = told.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.unwrap_or_else(jiff::Timestamp::now).strftime("%Y-%m-%d").to_string()
}

/// Paragraphs, and lines that stay as they are where they are indented.
fn notes(text: &str, page: &mut Roff) {
    let mut as_it_is = false;
    for line in text.lines() {
        match (as_it_is, line.strip_prefix("  ")) {
            (false, Some(_)) => page.control("PP", []).control("nf", []),
            (true, None) => page.control("fi", []),
            _ => page,
        };
        as_it_is = line.starts_with("  ");
        match line.trim() {
            "" => page.control("PP", []),
            line => page.text([roman(line)]),
        };
    }
    if as_it_is {
        page.control("fi", []);
    }
}

fn list(heading: &str, rows: &[(&str, &str)], page: &mut Roff) {
    page.control("SH", [heading]);
    for (name, meaning) in rows {
        page.control("TP", []);
        page.text([bold(*name)]);
        page.text([roman(*meaning)]);
    }
}

/// The pages above this one, and the daemon's.
fn see_also(above: &[&str]) -> Vec<Inline> {
    let names = above.iter().rev().copied().chain(["akkd"]);
    let mut words = Vec::new();
    for name in names {
        if !words.is_empty() {
            words.push(roman(", "));
        }
        words.extend([bold(name), roman("(1)")]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_named(name: &str) -> String {
        let page = pages().unwrap().into_iter().find(|(file, _)| file == name);
        String::from_utf8(page.unwrap().1).unwrap()
    }

    #[test]
    fn every_command_of_the_help_has_a_page_and_no_hidden_one() {
        let names: Vec<String> = pages().unwrap().into_iter().map(|(name, _)| name).collect();
        for there in ["akkctl.1", "akkctl-delegate.1", "akkctl-daemon-stop.1", "akkctl-openclaw-install.1"] {
            assert!(names.iter().any(|n| n == there), "{there} in {names:?}");
        }
        for hidden in ["akkctl-man.1", "akkctl-report-server.1", "akkctl-help.1"] {
            assert!(!names.iter().any(|n| n == hidden), "{hidden} in {names:?}");
        }
    }

    #[test]
    fn a_page_has_the_usage_of_the_help_and_leads_to_the_others() {
        let send = page_named("akkctl-send.1");
        assert!(send.contains("[OPTIONS] \\-\\-message TEXT [ID]"), "{send}");
        assert!(!send.contains("predecessor"), "hidden options stay hidden: {send}");
        let stop = page_named("akkctl-daemon-stop.1");
        assert!(stop.contains("\\fBakkctl\\-daemon\\fR(1), \\fBakkctl\\fR(1), \\fBakkd\\fR(1)"), "{stop}");
    }

    #[test]
    fn lines_that_are_to_be_typed_stay_lines() {
        let page = page_named("akkctl-completions.1");
        let typed = page.split(".nf\n").nth(2).and_then(|rest| rest.split(".fi").next()).unwrap();
        assert_eq!(typed.trim_end().lines().count(), 2, "{typed}");
    }
}
