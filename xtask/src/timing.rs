//! `cargo xtask timing`: whether the time of an answer tells a login that there is from one that there is not.
//!
//! A server of its own on loopback, as many accounts as logins that nobody has, all asked about in turn and in an order of chance. The two piles of times are compared by
//! their ranks (Mann and Whitney's test): how often an unknown login is slower than a known one, which is half of the time where nothing tells them apart, and how likely
//! a difference like that is by chance. It asserts nothing, for it depends on the machine.

mod ranks;

use crate::process;
use anyhow::{Context, bail};
use ranks::{Compared, compare};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Logins of each group.
const LOGINS: usize = 100;
const ROUNDS: usize = 5;
const DOMAIN: &str = "timing.test";
const CONFIG: &str = "\
hostname = \"localhost\"
data = \"data\"
[[listener]]
kind = \"submissions\"
address = \"127.0.0.1:0\"
[[listener]]
kind = \"pop3s\"
address = \"127.0.0.1:0\"
[logins]
wrong-per-address = 1000000
wrong-per-network = 1000000
wrong-per-account = 1000000
[pop3]
wrong-passwords-max = 1000
[log]
level = \"error\"
";

/// Measures and prints a row for each kind of question.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    let rounds = match words {
        [] => ROUNDS,
        [option, number] if option == "--rounds" => number.parse().context("--rounds wants a number")?,
        _ => bail!("cargo xtask timing [--rounds N]"),
    };
    process::run(process::cargo().args(["build", "--release", "--package", "posthouse"]))?;
    let folder = process::target().join("timing");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let server = Server::start(&folder)?;
    let mut script = Command::new("python3");
    script.arg(process::root().join("xtask/src/timing.py")).args([&server.submissions, &server.pop3s]);
    script.arg(folder.join("data/ca/ca.pem")).arg(folder.join("names")).arg(rounds.to_string());
    let times = times(&process::output(&mut script)?)?;
    println!("{} known and {} unknown logins, each asked about {rounds} times", LOGINS, LOGINS);
    println!("{:<32} {:>9} {:>9} {:>8} {:>7}", "question", "known", "unknown", "slower", "p");
    for (kind, (known, unknown)) in &times {
        let Compared { middle, slower, chance } = compare(known, unknown).context("no times")?;
        let [known, unknown] = middle.map(|nanoseconds| format!("{:.3} ms", nanoseconds / 1e6));
        println!("{kind:<32} {known:>9} {unknown:>9} {:>7.1}% {chance:>7.3}", slower * 100.0);
    }
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// By kind of question: the times of known logins, and of others.
type Times = BTreeMap<String, (Vec<f64>, Vec<f64>)>;

fn times(lines: &str) -> anyhow::Result<Times> {
    let mut times = Times::new();
    for line in lines.lines() {
        let mut words = line.split('\t');
        let (Some(kind), Some(group), Some(took)) = (words.next(), words.next(), words.next()) else { bail!("{line}") };
        let (known, unknown) = times.entry(kind.to_owned()).or_default();
        let pile = if group == "known" { known } else { unknown };
        pile.push(took.parse()?);
    }
    Ok(times)
}

/// A server that ends with the measurement.
struct Server {
    child: Child,
    submissions: String,
    pop3s: String,
}

impl Server {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join("posthouse.toml");
        std::fs::write(&config, CONFIG)?;
        let program = process::target().join("release/posthouse");
        let manage = |words: &[&str]| {
            let mut command = Command::new(&program);
            process::output(command.args(words).arg("--config").arg(&config).env("POSTHOUSE_PASSWORD", "a password of somebody"))
        };
        manage(&["domain", "add", DOMAIN])?;
        let mut names = String::new();
        for number in 0..LOGINS {
            let known = format!("k{number:03}@{DOMAIN}");
            manage(&["account", "add", &known, "--password-env", "POSTHOUSE_PASSWORD"])?;
            // As long as the other, and as likely.
            names.push_str(&format!("known {known}\nunknown u{number:03}@{DOMAIN}\n"));
        }
        std::fs::write(folder.join("names"), names)?;
        let mut child = Command::new(&program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let ready = child.stdout.take().context("no output")?;
        let mut server = Self { child, submissions: String::new(), pop3s: String::new() };
        for line in BufReader::new(ready).lines().take(2) {
            let line = line?;
            let port = line.rsplit(':').next().unwrap_or_default().to_owned();
            if line.contains("pop3s") { server.pop3s = port } else { server.submissions = port }
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
