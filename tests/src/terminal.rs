//! A program in a terminal of its own: a real pseudo-terminal, a screen that understands what is drawn on it, and
//! answers to the questions that programs ask their terminal.

use crate::wait::{came, wait_for};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use vt100::{Callbacks, Parser, Screen};

const ROWS: NonZero<u16> = NonZero::new(50).expect("50 is not 0");
const COLUMNS: NonZero<u16> = NonZero::new(250).expect("250 is not 0");
/// How long a program may need to end when its terminal is closed.
const HANG_UP_LIMIT: Duration = Duration::from_secs(5);

/// A terminal with a program in it. Closed when dropped, as if its window had been.
pub struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    screen: Arc<Mutex<Parser<Answers>>>,
}

impl Terminal {
    /// Runs `argv` in a fresh terminal, with exactly this environment.
    pub fn open(argv: &[String], environment: &[(String, String)], cwd: &Path) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("there is a pseudo-terminal");
        pty.resize(Size::new(ROWS.get(), COLUMNS.get())).expect("a terminal can be resized");
        let child = Command::new(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(environment.iter().cloned())
            .env("TERM", "xterm-256color")
            .current_dir(cwd)
            .spawn(pts)
            .expect("the program can be run");
        let terminal = Self {
            child,
            pty: Arc::new(pty),
            screen: Arc::new(Mutex::new(Parser::new_with_callbacks(ROWS, COLUMNS, 0, Answers::default()))),
        };
        let (pty, screen) = (Arc::clone(&terminal.pty), Arc::clone(&terminal.screen));
        std::thread::spawn(move || draw(&pty, &screen));
        terminal
    }

    /// The pid of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the screen shows.
    pub fn shown(&self) -> String {
        locked(&self.screen).screen().contents()
    }

    /// Whether it is as programs find it: the main screen, a cursor, and pasted text that comes as keys.
    pub fn is_given_back(&self) -> bool {
        let parser = locked(&self.screen);
        let screen = parser.screen();
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
    }

    /// Waits until the screen shows this.
    pub async fn shows(&self, text: &str) {
        let what = format!("{text:?} on the screen");
        let shown = wait_for(&what, async || self.shown().contains(text).then_some(()));
        shown.await;
    }

    /// Types these keys.
    pub fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until the program has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of the program in the terminal", async || child.try_wait().expect("it can be waited for"))
            .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- a terminal\n{}", self.shown());
        }
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // A program in a fresh terminal leads a group of its own. What is gone already needs no signal.
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGHUP);
        if !came(HANG_UP_LIMIT, || matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Draws what the program writes, and answers what it asks, until it is gone.
fn draw(mut pty: &Pty, screen: &Mutex<Parser<Answers>>) {
    let mut bytes = [0; 8192];
    // Reading fails on Linux, and ends on macOS, when nobody has the terminal open any more.
    while let Ok(n @ 1..) = pty.read(&mut bytes) {
        let answers = {
            let mut screen = locked(screen);
            screen.process(&bytes[..n]);
            std::mem::take(&mut screen.callbacks_mut().0)
        };
        // A program that is gone needs no answer.
        let _ = pty.write_all(&answers);
    }
}

fn locked(screen: &Mutex<Parser<Answers>>) -> MutexGuard<'_, Parser<Answers>> {
    screen.lock().expect("no holder panics")
}

/// What the program is to be told.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Callbacks for Answers {
    fn unhandled_csi(&mut self, screen: &mut Screen, mark: Option<u8>, _: Option<u8>, params: &[&[u16]], end: char) {
        match (mark, params.first().and_then(|p| p.first()), end) {
            // Where is the cursor?
            (None, Some(6), 'n') => {
                let (row, column) = screen.cursor_position();
                self.0.extend(format!("\x1b[{};{}R", row + 1, column + 1).bytes());
            }
            // What are you? A VT102; this also says no to questions before it that were not answered.
            (None, _, 'c') => self.0.extend(b"\x1b[?6c"),
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, params: &[&[u8]]) {
        // Which colours have text and background?
        match params {
            [b"10", b"?"] => self.0.extend(b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
            [b"11", b"?"] => self.0.extend(b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
            _ => {}
        }
    }
}
