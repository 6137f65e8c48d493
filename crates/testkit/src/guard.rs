//! A process of our own, gone when the test is.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A running program. Dropping it kills it, and only it, by its id.
#[derive(Debug)]
pub struct Guard {
    name: String,
    child: Child,
    said: Arc<Said>,
}

#[derive(Debug, Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

impl Guard {
    /// Starts it; what it prints on both outputs is kept.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Guard {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| panic!("cannot start {name}: {why}"));
        let said = Arc::new(Said::default());
        listen(child.stdout.take(), &said);
        listen(child.stderr.take(), &said);
        Guard { name, child, said }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it printed so far.
    ///
    /// # Panics
    /// When a reading thread has panicked.
    #[must_use]
    pub fn output(&self) -> String {
        self.said.text.lock().unwrap().clone()
    }

    /// Waits until it has printed this.
    ///
    /// # Panics
    /// When it did not in time, or has ended; with what it printed.
    pub fn expect(&mut self, text: &str, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let guard = self.said.text.lock().unwrap();
            if guard.contains(text) {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            let (guard, _) = self.said.more.wait_timeout(guard, left.min(Duration::from_millis(100))).unwrap();
            if guard.contains(text) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && !left.is_zero(), "{}: no {text:?} ({ended:?}); it said:\n{guard}", self.name);
        }
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(mut self, within: Duration) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait(within)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is no longer there.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap_or_else(|why| panic!("{}: {why}", self.name));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time; with what it printed.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "{} does not end; it said:\n{}", self.name, self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: Option<impl Read + Send + 'static>, said: &Arc<Said>) {
    let (pipe, said) = (pipe.expect("a pipe"), Arc::clone(said));
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            said.text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            said.more.notify_all();
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests;
