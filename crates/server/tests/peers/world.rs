//! A world of a test's own: unpacked peers, loopback with real names and ports, processes that end with it.
//!
//! `xtask/world.sh` makes it; the test binary starts itself again inside for the one test. Where that cannot be
//! done the test is skipped by name, or fails when `POSTHOUSE_PEERS_REQUIRED` is set.

use posthouse_testkit::guard::Guard;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test has failed; a machine under load is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

const INSIDE: &str = "POSTHOUSE_WORLD";

/// Declares tests that run in a world of their own.
macro_rules! in_a_world {
    ($($(#[$meta:meta])* fn $name:ident($world:ident) $body:block)+) => {
        $($(#[$meta])*
        #[test]
        fn $name() {
            crate::world::run(concat!(module_path!(), "::", stringify!($name)), |$world: &crate::world::World| $body);
        })+
    };
}
pub(crate) use in_a_world;

/// The inside of one.
pub(crate) struct World {
    scratch: PathBuf,
    _names: Guard,
}

/// The same with the folder where the packages of npm are.
pub(crate) fn run_with_npm(path: &str, body: impl FnOnce(&World, &Path)) {
    let npm = peers().with_file_name("npm");
    if npm.join("node").exists() {
        return run(path, |world| body(world, &npm));
    }
    skip(path.split_once("::").map_or(path, |(_, name)| name), "there is no npm here");
}

/// The same with the folder where the packages of PyPI are.
pub(crate) fn run_with_pypi(path: &str, package: &str, body: impl FnOnce(&World, &Path)) {
    let pypi = peers().with_file_name("pypi").join(package);
    if pypi.exists() {
        return run(path, |world| body(world, &pypi));
    }
    skip(path.split_once("::").map_or(path, |(_, name)| name), "there is no pip here, or one of another Python than Debian's");
}

/// Where the unpacked packages are.
fn peers() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("POSTHOUSE_PEERS").map_or_else(|| root.join("target/peers/root"), PathBuf::from)
}

/// Runs the body inside a new world, under the name the test has for the runner.
pub(crate) fn run(path: &str, body: impl FnOnce(&World)) {
    if let Some(scratch) = std::env::var_os(INSIDE) {
        return body(&World::begin(PathBuf::from(scratch)));
    }
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    let scratch = tempfile::tempdir().unwrap();
    let enter = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let mut command = Command::new(root.join("xtask/world.sh"));
        command.arg(peers()).arg(scratch.path());
        command
    };
    let possible = enter().args(["sh", "-c", "command -v nsd"]).stdin(Stdio::null()).output().unwrap();
    if !possible.status.success() {
        return skip(name, String::from_utf8_lossy(&possible.stderr).trim());
    }
    let myself = std::env::current_exe().unwrap();
    let mut inside = enter();
    inside
        .arg(myself)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, scratch.path())
        .env("RUST_BACKTRACE", "0");
    let output = inside.stdin(Stdio::null()).output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A name that fits no test would run none, and pass.
    assert!(output.status.success() && said.contains("1 passed"), "inside the world:\n{said}");
}

fn skip(name: &str, why: &str) {
    let why = format!("no world to test peers in: {why} (needs Debian's packages, by `cargo xtask peers`, and root)");
    assert!(std::env::var_os("POSTHOUSE_PEERS_REQUIRED").is_none(), "{why}");
    eprintln!("skipped: {why}");
    if let Some(list) = std::env::var_os("POSTHOUSE_SKIPPED") {
        let mut list = fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        list.write_all(format!("peers::{name}: {}\n", why.replace('\n', " ")).as_bytes()).unwrap();
    }
}

impl World {
    /// Starts the name server, which everything else needs.
    fn begin(scratch: PathBuf) -> World {
        let place = scratch.join("nsd");
        fs::create_dir(&place).unwrap();
        for (name, text) in [
            ("nsd.conf", include_str!("conf/nsd.conf")),
            ("test.zone", include_str!("conf/test.zone")),
            ("reverse.zone", include_str!("conf/reverse.zone")),
        ] {
            fs::write(place.join(name), text.replace("@DIR@", place.to_str().unwrap())).unwrap();
        }
        let names = Guard::spawn(Command::new("nsd").args(["-d", "-c"]).arg(place.join("nsd.conf")));
        let world = World { scratch, _names: names };
        world.listening("127.0.0.53", 53);
        world
    }

    /// A new empty folder, readable to the users that servers change to.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.scratch.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A new empty folder that belongs to this user.
    pub(crate) fn folder_of(&self, name: &str, user: &str) -> PathBuf {
        let folder = self.folder(name);
        run_to_end(Command::new("chown").arg(format!("{user}:{user}")).arg(&folder));
        folder
    }

    /// A key and a certificate by itself for this name: `key.pem` and `cert.pem`.
    pub(crate) fn certificate(&self, folder: &Path, name: &str) {
        let words = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={name} -addext subjectAltName=DNS:{name} -addext basicConstraints=critical,CA:FALSE"
        );
        let mut openssl = Command::new("openssl");
        openssl.args(words.split(' ')).arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
        run_to_end(&mut openssl);
        // Exim reads it as its own user.
        run_to_end(Command::new("chmod").arg("644").arg(folder.join("key.pem")));
    }

    /// Writes a configuration from its template, with the words between `@` filled in.
    pub(crate) fn fill(&self, template: &str, words: &[(&str, &str)], to: &Path) {
        let filled = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value));
        fs::write(to, filled).unwrap();
    }

    /// Waits until somebody listens there.
    pub(crate) fn listening(&self, address: &str, port: u16) {
        let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
        eventually(&format!("nobody listens on {address}"), || TcpStream::connect(address).ok());
    }
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn run_to_end(command: &mut Command) -> String {
    let output = try_to_end(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Runs a program to its end, whatever that is.
pub(crate) fn try_to_end(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|why| panic!("{command:?}: {why}"))
}

/// A program of the folder `programs`, by its interpreter; the words follow.
pub(crate) fn program(name: &str) -> Command {
    // Debian's, which the packages are for.
    let interpreter = if name.ends_with(".js") { "/usr/bin/node" } else { "/usr/bin/python3" };
    let mut command = Command::new(interpreter);
    // Debian keeps packages for node there.
    command.env("NODE_PATH", "/usr/share/nodejs");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/programs").join(name));
    command
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(otherwise: &str, ask: impl FnMut() -> Option<T>) -> T {
    attempt(ask).unwrap_or_else(|| panic!("{otherwise}"))
}

/// Asks again and again until there is an answer or patience ends.
pub(crate) fn attempt<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= until {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
