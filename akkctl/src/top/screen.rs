//! The terminal, the clock and akkd around the model: threads that wait, and one loop that draws.

use super::draw::draw;
use super::model::{Action, Model, News};
use crate::akkd::{Akkd, new_request_id};
use crate::environment::Surroundings;
use crate::error::{Error, Result, exit};
use crate::output::View;
use crate::start;
use akk_proto::api::{
    CloseParams, ConversationParams, GetAnswer, ListAnswer, ListParams, PermitParams, SendParams, StreamItem,
    SubscribeParams,
};
use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the ages are drawn again; nothing else waits for it.
const TICK: Duration = Duration::from_secs(1);
/// Between two attempts to reach akkd, each of which may wait for it by itself.
const BREATH: Duration = Duration::from_millis(500);
/// How long a stopped akkd may take to come back before that counts as one more failed attempt.
const RECONNECT: Duration = Duration::from_secs(10);
/// The longest page that akkd gives.
const PAGE: u32 = 1_000;

/// What wakes the loop.
enum Wake {
    Terminal(Event),
    News(News),
    Signal(i32),
    TerminalLost(io::Error),
}

/// Shows the screen until the user leaves it.
///
/// # Errors
/// No terminal that can be drawn on, or no akkd to begin with.
pub(crate) fn run(surroundings: &Surroundings, view: &View) -> Result<u8> {
    check_terminal()?;
    // Before the screen is taken: that akkd cannot be started is told like everywhere else.
    start::connect_or_start(surroundings)?;
    let (wakes, woken) = channel();
    let (actions, asked) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Error::Output)?;
    let heard = wakes.clone();
    std::thread::spawn(move || signals.forever().try_for_each(|s| heard.send(Wake::Signal(s))));
    let (at, heard) = (surroundings.clone(), wakes.clone());
    std::thread::spawn(move || follow(&at, &heard));
    let (at, heard) = (surroundings.clone(), wakes.clone());
    std::thread::spawn(move || serve(&at, &asked, &heard));
    let screen = Taken::take()?;
    // Keys are read last: nothing is taken from the terminal before it is in raw mode.
    std::thread::spawn(move || read_keys(&wakes));
    let ended = show(screen, &woken, &actions, view);
    // The screen is given back by now.
    if let Ok(Some(signal)) = ended {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    ended.map(|_| exit::OK)
}

fn check_terminal() -> Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::usage("top needs a terminal", "use `akkctl list`, or `akkctl events --follow` in a script"));
    }
    if std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb") {
        return Err(Error::usage(
            "this terminal cannot be drawn on (TERM is dumb or not set)",
            "use `akkctl list`, or set TERM to what your terminal is, such as xterm-256color",
        ));
    }
    Ok(())
}

/// The screen while it is ours; given back when dropped, and before a panic is told.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> Result<Self> {
        let terminal = ratatui::try_init().map_err(|e| {
            // It may have got half way.
            let _ = ratatui::try_restore();
            Error::Output(e)
        })?;
        // Without it a pasted line break would send half a message, and the rest would be keys.
        let _ = execute!(io::stdout(), EnableBracketedPaste);
        // The hook of `try_init` gives the screen back. Behind it: a thread that is gone would leave a screen that
        // looks alive and is not.
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = execute!(io::stdout(), DisableBracketedPaste, Show);
            tell(panic);
            std::process::exit(101);
        }));
        Ok(Self(terminal))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), DisableBracketedPaste, Show);
        // A terminal that is gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

/// Draws until the user leaves or a signal comes, which is returned.
fn show(mut screen: Taken, woken: &Receiver<Wake>, actions: &Sender<Action>, view: &View) -> Result<Option<i32>> {
    let mut model = Model::default();
    loop {
        let now = view.at_this_moment();
        screen.0.draw(|frame| draw(&model, &now, frame.buffer_mut())).map_err(Error::Output)?;
        let first = match woken.recv_timeout(TICK) {
            Ok(wake) => wake,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        };
        // What came together is drawn once.
        for wake in [first].into_iter().chain(woken.try_iter()) {
            let wanted = match wake {
                Wake::Terminal(Event::Key(key)) => model.press(key),
                Wake::Terminal(Event::Paste(text)) => {
                    model.paste(&text);
                    Vec::new()
                }
                Wake::Terminal(_) => Vec::new(),
                Wake::News(news) => model.hear(news),
                Wake::Signal(signal) => return Ok(Some(signal)),
                Wake::TerminalLost(e) => return Err(Error::Output(e)),
            };
            for action in wanted {
                if action == Action::Quit || actions.send(action).is_err() {
                    return Ok(None);
                }
            }
        }
    }
}

fn read_keys(wakes: &Sender<Wake>) {
    loop {
        let read = event::read();
        let last = read.is_err();
        if wakes.send(read.map_or_else(Wake::TerminalLost, Wake::Terminal)).is_err() || last {
            return;
        }
    }
}

/// Tells what happens, and whether akkd can be reached; nothing but the end of the loop ends it.
fn follow(surroundings: &Surroundings, wakes: &Sender<Wake>) {
    let mut params = SubscribeParams::default();
    let tell = |news| wakes.send(Wake::News(news)).is_ok();
    loop {
        let lost = start::reconnect(surroundings, RECONNECT)
            .and_then(|client| client.subscribe("events.subscribe", &params))
            .and_then(|mut subscription| {
                // What was missed is in the list, which is asked for now.
                let mut listens = tell(News::Back);
                while listens {
                    match subscription.next(None)?.read()? {
                        StreamItem::Event(record) => {
                            params.since = Some(record.cursor);
                            listens = tell(News::Event(record));
                        }
                        StreamItem::Live { cursor: at } | StreamItem::Gap { to: at, .. } => params.since = Some(at),
                    }
                }
                Ok(())
            });
        match lost {
            Ok(()) => return,
            Err(e) if !tell(News::Lost(e.to_string())) => return,
            Err(_) => std::thread::sleep(BREATH),
        }
    }
}

/// Does what is asked, in order; of several equal questions that wait only the last is asked.
fn serve(surroundings: &Surroundings, asked: &Receiver<Action>, wakes: &Sender<Wake>) {
    let mut akkd = Akkd::new(surroundings);
    while let Ok(first) = asked.recv() {
        let waiting: Vec<Action> = [first].into_iter().chain(asked.try_iter()).collect();
        for (at, action) in waiting.iter().enumerate() {
            let question = matches!(action, Action::List | Action::Get(_));
            if question && waiting[at + 1..].contains(action) {
                continue;
            }
            let news = perform(&mut akkd, action).unwrap_or_else(|e| News::Told(format!("{e}; {}", e.hint())));
            if wakes.send(Wake::News(news)).is_err() {
                return;
            }
        }
    }
}

fn perform(akkd: &mut Akkd<'_>, action: &Action) -> Result<News> {
    let changing = |id: &akk_proto::ConversationId| ConversationParams {
        request_id: new_request_id(),
        conversation_id: id.to_string(),
    };
    let told = match action {
        Action::List => {
            let params = ListParams { limit: Some(PAGE), ..ListParams::default() };
            return Ok(News::Listed(akkd.call("conversation.list", &params)?.read::<ListAnswer>()?));
        }
        Action::Get(id) => {
            let params = ConversationParams { request_id: None, conversation_id: id.to_string() };
            return Ok(News::Got(Box::new(akkd.call("conversation.get", &params)?.read::<GetAnswer>()?)));
        }
        Action::Send(id, text) => {
            let params = SendParams {
                request_id: new_request_id(),
                conversation_id: id.to_string(),
                message: Some(text.clone()),
                ..SendParams::default()
            };
            akkd.call("conversation.send", &params)?;
            "taken"
        }
        Action::Permit(id, nonce, decision) => {
            let params = PermitParams {
                request_id: new_request_id(),
                conversation_id: id.to_string(),
                nonce: Some(nonce.clone()),
                decision: *decision,
            };
            akkd.call("conversation.permit", &params)?;
            "answered"
        }
        Action::Cancel(id) => {
            akkd.call("conversation.cancel", &changing(id))?;
            "the agent is asked to stop"
        }
        Action::Close(id) => {
            let params = CloseParams { request_id: new_request_id(), conversation_id: id.to_string(), reason: None };
            akkd.call("conversation.close", &params)?;
            "closed"
        }
        Action::Quit => "",
    };
    Ok(News::Told(told.to_owned()))
}
