//! `akkctl sessions`: the sessions that akkd did not start, who runs them, and what happens to them.

use super::ask::absolute;
use super::{Context, show_raw};
use crate::akkd::Akkd;
use crate::cli::Sessions;
use crate::error::{Error, Result, exit};
use crate::output::{self, print};
use akk_proto::limits::MAX_PAGE;
use akk_proto::session::{DiscoverAnswer, DiscoverParams, DiscoverScope, SessionItem, SessionView, WatchParams};
use std::collections::HashSet;
use std::path::Path;

/// Rows of the newest sessions when nothing else is said: what a screen shows.
const ROWS: u32 = 30;

pub(super) fn run(args: &Sessions, context: &Context<'_>) -> Result<u8> {
    if args.watch {
        return watch(args, context);
    }
    let mut akkd = context.akkd();
    let asked = DiscoverParams {
        agent: args.agent.clone(),
        cwd: args.cwd.as_deref().map(as_recorded).transpose()?,
        text: Some(args.words.join(" ").trim().to_owned()).filter(|t| !t.is_empty()),
        archived: args.archived,
        auxiliary: args.sub_agents,
        ..DiscoverParams::default()
    };
    if args.capabilities {
        let asked = DiscoverParams { scope: DiscoverScope::Capabilities, ..asked };
        let answer = akkd.call("sessions.discover", &asked)?;
        context.show::<DiscoverAnswer>(&answer, output::capabilities)?;
        return Ok(exit::OK);
    }
    let active = DiscoverParams { scope: DiscoverScope::Active, limit: Some(MAX_PAGE), ..asked.clone() };
    if args.active {
        let found = pages(active, true, &mut akkd, context)?;
        if !context.json {
            print(&output::active_sessions(&found, &asked, &context.view))?;
        }
        return Ok(exit::OK);
    }
    let limit = if args.all { MAX_PAGE } else { args.limit.unwrap_or(ROWS) };
    let newest = DiscoverParams { limit: Some(limit), ..asked.clone() };
    let mut found = pages(newest, args.all, &mut akkd, context)?;
    if !context.json {
        // A session that somebody has open for weeks is not among the newest, and is the first that is looked for.
        match pages(active, true, &mut akkd, context) {
            Ok(live) => found = with_live(found, live),
            Err(Error::Refused(f)) => found.incomplete.push(f.message),
            Err(e) => return Err(e),
        }
        print(&output::sessions(&found, &asked, &context.view))?;
    }
    Ok(exit::OK)
}

/// The first page, or all of them as one. With `--json` each is printed as it came.
fn pages(mut params: DiscoverParams, all: bool, akkd: &mut Akkd<'_>, context: &Context<'_>) -> Result<DiscoverAnswer> {
    let mut whole = DiscoverAnswer::default();
    loop {
        let answer = akkd.call("sessions.discover", &params)?;
        if context.json {
            show_raw(&answer)?;
        }
        let page: DiscoverAnswer = answer.read()?;
        // A page that leads nowhere must not be asked for again and again.
        let more = all && !page.sessions.is_empty() && page.next.is_some() && page.next != params.after;
        whole.sessions.extend(page.sessions);
        whole.total = page.total;
        whole.next = page.next;
        for sentence in page.incomplete {
            if !whole.incomplete.contains(&sentence) {
                whole.incomplete.push(sentence);
            }
        }
        if !more {
            return Ok(whole);
        }
        params.after.clone_from(&whole.next);
    }
}

/// The page with every live session in front of it: what was looked at now counts for those that are in both.
fn with_live(mut found: DiscoverAnswer, live: DiscoverAnswer) -> DiscoverAnswer {
    let key = |s: &SessionView| (s.agent.clone(), s.home.clone(), s.session_id.clone());
    // Sessions move between two pages: each is shown once.
    let mut seen = HashSet::new();
    let rest = std::mem::take(&mut found.sessions);
    found.sessions = live.sessions.into_iter().chain(rest).filter(|s| seen.insert(key(s))).collect();
    let unknown: Vec<String> = live.incomplete.into_iter().filter(|s| !found.incomplete.contains(s)).collect();
    found.incomplete.extend(unknown);
    found
}

/// A directory as a session has it: absolute, without links, since agents ask the system where they are.
fn as_recorded(directory: &Path) -> Result<String> {
    absolute(&directory.canonicalize().unwrap_or_else(|_| directory.to_owned()))
}

fn watch(args: &Sessions, context: &Context<'_>) -> Result<u8> {
    let params = WatchParams { agent: args.agent.clone(), auxiliary: args.sub_agents };
    let mut stream = context.akkd().watch_sessions(params)?;
    let mut began = false;
    loop {
        let answer = stream.next()?;
        if context.json {
            show_raw(&answer)?;
            continue;
        }
        let item: SessionItem = answer.read()?;
        // A watch may run past midnight.
        print(&output::session_item(&item, began, &context.view.at_this_moment()))?;
        began = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples::sessions as samples;

    #[test]
    fn live_sessions_come_first_and_each_session_once() {
        let (live, mut stale, old) = (samples::live(), samples::live(), samples::old());
        stale.holders.clear();
        let page = |sessions: Vec<SessionView>, incomplete: &[&str]| DiscoverAnswer {
            total: 9,
            sessions,
            incomplete: incomplete.iter().map(|s| (*s).to_owned()).collect(),
            ..DiscoverAnswer::default()
        };
        let whole =
            with_live(page(vec![old.clone(), stale, old.clone()], &["a", "b"]), page(vec![live.clone()], &["b", "c"]));
        assert_eq!(whole.sessions, [live, old]);
        assert_eq!(whole.incomplete, ["a", "b", "c"]);
        assert_eq!(whole.total, 9);
    }

    #[test]
    fn a_directory_is_named_as_the_system_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(as_recorded(&real.join("link/.")).unwrap(), real.to_str().unwrap());
        assert_eq!(as_recorded(Path::new("/gone/away")).unwrap(), "/gone/away");
    }
}
