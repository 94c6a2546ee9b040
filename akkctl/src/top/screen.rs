//! The terminal and the clock around the model: threads that wait, and one loop that draws.

use super::calls::{self, Akkd};
use super::draw::{Shown, draw};
use super::model::{Action, Model, News};
use crate::environment::{Surroundings, set};
use crate::error::{Error, Result, exit};
use crate::output::View;
use crate::start;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, Terminal};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal as _};
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long news are gathered before they are drawn: a crowd of agents shall not draw a thousand times a second.
const GATHER: Duration = Duration::from_millis(30);

/// What wakes the loop.
pub(super) enum Wake {
    /// A key, pasted text, another size.
    Terminal(Event),
    /// akkd told something.
    News(News),
    /// A signal came.
    Signal(i32),
    /// The terminal is gone.
    TerminalLost(io::Error),
}

/// Shows the screen until the user leaves it.
///
/// # Errors
/// No terminal that can be drawn on, or no akkd to begin with.
pub(crate) fn run(surroundings: &Surroundings, json: bool, view: &View) -> Result<u8> {
    check_terminal(json)?;
    // Before the screen is taken: that akkd cannot be started, or is of another version, is told like everywhere else.
    let first = Akkd::new(surroundings, start::connect_or_start(surroundings)?).list()?;
    let (wakes, woken) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCONT]).map_err(Error::Output)?;
    let heard = wakes.clone();
    std::thread::spawn(move || signals.forever().try_for_each(|s| heard.send(Wake::Signal(s))));
    let (at, heard) = (surroundings.clone(), wakes.clone());
    std::thread::spawn(move || calls::follow(&at, &heard));
    // Two connections: what a person does shall not wait behind questions, nor the picture behind a slow agent.
    let asks = Asks { questions: server(surroundings, &wakes, view), changes: server(surroundings, &wakes, view) };
    let screen = Taken::take()?;
    // Keys are read last: nothing is taken from the terminal before it is in raw mode.
    std::thread::spawn(move || read_keys(&wakes));
    let ended = show(screen, first, &woken, &asks, view);
    // The screen is given back by now.
    if let Ok(Some(signal)) = ended {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    ended.map(|_| exit::OK)
}

fn check_terminal(json: bool) -> Result<()> {
    if json {
        let hint = "use `akkctl events --follow --json`, or `akkctl list --json`";
        return Err(Error::usage("top is a screen for people: it has no JSON", hint));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::usage("top needs a terminal", "use `akkctl list`, or `akkctl events --follow` in a script"));
    }
    if set("TERM").is_none_or(|t| t == "dumb") {
        return Err(Error::usage(
            "this terminal cannot be drawn on (TERM is dumb or not set)",
            "use `akkctl list`, or set TERM to what your terminal is, such as xterm-256color",
        ));
    }
    Ok(())
}

/// Where actions go.
struct Asks {
    questions: Sender<Action>,
    changes: Sender<Action>,
}

fn server(surroundings: &Surroundings, wakes: &Sender<Wake>, view: &View) -> Sender<Action> {
    let (actions, asked) = channel();
    let (at, heard) = (surroundings.clone(), wakes.clone());
    // What an action comes to is a line of the picture, which has its own colours.
    let mut view = view.clone();
    view.colour = false;
    std::thread::spawn(move || calls::serve(&at, &asked, &heard, &view));
    actions
}

/// The screen while it is ours; given back when dropped, and before a panic is told.
///
/// The terminal itself is never dropped: where its window is gone, it would say so to a standard error that is gone too,
/// and that ends in a panic.
struct Taken(ManuallyDrop<DefaultTerminal>);

impl Taken {
    fn take() -> Result<Self> {
        let tell = std::panic::take_hook();
        let terminal = ratatui::try_init().map_err(|e| {
            // It may have got half way.
            let _ = ratatui::try_restore();
            Error::Output(e)
        })?;
        // Without it a pasted line break would send half a message, and the rest would be keys.
        let _ = execute!(io::stdout(), EnableBracketedPaste);
        // In place of the hook of `try_init`, which panics where standard error is gone. A thread that is gone would leave
        // a screen that looks alive and is not.
        std::panic::set_hook(Box::new(move |panic| {
            Self::give_back();
            tell(panic);
            std::process::exit(101);
        }));
        Ok(Self(ManuallyDrop::new(terminal)))
    }

    fn give_back() {
        let _ = execute!(io::stdout(), DisableBracketedPaste, Show);
        // A terminal that is gone needs nothing.
        let _ = ratatui::try_restore();
    }

    /// Takes it again after somebody else had it.
    fn take_again(&mut self) -> Result<()> {
        enable_raw_mode().map_err(Error::Output)?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Clear(ClearType::All))
            .map_err(Error::Output)?;
        // Its own `clear` asks the terminal where the cursor is, and the answer goes to whoever reads the keys.
        self.0 = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout())).map_err(Error::Output)?);
        Ok(())
    }

    /// Stops this process as Ctrl-Z does elsewhere. Where no shell could ever go on with it, nothing happens.
    fn suspend(&mut self) -> Result<()> {
        Self::give_back();
        let _ = signal_hook::low_level::raise(SIGTSTP);
        self.take_again()
    }

    fn draw(&mut self, model: &Model, view: &View) -> Result<Shown> {
        let mut shown = Shown::default();
        let drawn = self.0.draw(|frame| {
            shown = draw(model, view, frame.buffer_mut());
            if let Some(cursor) = shown.cursor {
                frame.set_cursor_position(cursor);
            }
        });
        drawn.map_err(Error::Output)?;
        Ok(shown)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        Self::give_back();
    }
}

/// Draws until the user leaves or a signal comes, which is returned.
fn show(
    mut screen: Taken,
    first: akk_proto::api::ListAnswer,
    woken: &Receiver<Wake>,
    asks: &Asks,
    view: &View,
) -> Result<Option<i32>> {
    let mut model = Model::default();
    let mut wakes = vec![Wake::News(News::Listed(first))];
    loop {
        for wake in wakes {
            let wanted = match wake {
                Wake::Terminal(Event::Key(key)) => model.press(key),
                Wake::Terminal(Event::Paste(text)) => {
                    model.paste(&text);
                    Vec::new()
                }
                Wake::Terminal(Event::Resize(..)) => {
                    model.resized();
                    Vec::new()
                }
                Wake::Terminal(_) => Vec::new(),
                Wake::News(news) => model.hear(news),
                Wake::Signal(SIGCONT) => {
                    screen.take_again()?;
                    Vec::new()
                }
                Wake::Signal(signal) => return Ok(Some(signal)),
                Wake::TerminalLost(e) => return Err(Error::Output(e)),
            };
            for action in wanted {
                match action {
                    Action::Quit => return Ok(None),
                    Action::Suspend => screen.suspend()?,
                    Action::Redraw => screen.take_again()?,
                    action => {
                        let to = if action.changes() { &asks.changes } else { &asks.questions };
                        if to.send(action).is_err() {
                            return Ok(None);
                        }
                    }
                }
            }
        }
        let now = view.at_this_moment();
        let shown = screen.draw(&model, &now)?;
        // Once a request was read, there are more keys for it.
        if model.shown(&shown) {
            screen.draw(&model, &now)?;
        }
        wakes = match next(woken, model.stands_for(&now)) {
            Some(wakes) => wakes,
            None => return Ok(None),
        };
    }
}

/// What comes next, or nothing when the picture grows old before; none when nothing can come any more.
fn next(woken: &Receiver<Wake>, stands_for: Option<Duration>) -> Option<Vec<Wake>> {
    let first = match stands_for {
        None => woken.recv().ok()?,
        Some(time) => match woken.recv_timeout(time) {
            Ok(wake) => wake,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        },
    };
    let end = Instant::now() + GATHER;
    let mut all = vec![first];
    // Whoever presses a key sees at once what it did.
    while all.iter().all(|w| matches!(w, Wake::News(_))) {
        match woken.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(wake) => all.push(wake),
            Err(_) => break,
        }
    }
    all.extend(woken.try_iter());
    Some(all)
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
