//! Real mail programs for the tests, from Debian, unpacked into `target/peers/root`; and those that Debian does not have, by npm and pip, in `target/peers/npm` and
//! `target/peers/pypi`.
//!
//! Nothing is installed: packages are downloaded and unpacked, and the tests lay them over `/usr` in a world of
//! their own (`xtask/world.sh`), where even programs that exclude each other stand side by side. Not on Debian,
//! or no way to download: the state says so and the tests name what they skipped.

use crate::process;
use anyhow::{Context, bail};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages; what they need and the machine lacks comes with them.
const PACKAGES: [&str; 49] = [
    "postfix",
    "exim4-daemon-heavy",
    "opensmtpd",
    "dovecot-core",
    "dovecot-lmtpd",
    "dovecot-submissiond",
    // Postfix's logins.
    "libsasl2-modules",
    "sasl2-bin",
    "slapd",
    "python3-aiosmtpd",
    "mutt",
    "ripmime",
    "nsd",
    "bind9",
    // Another time for one process.
    "faketime",
    "ldnsutils",
    "unbound",
    "swaks",
    "libnet-ssleay-perl",
    "curl",
    "msmtp",
    "s-nail",
    "bsd-mailx",
    "git-email",
    // What git send-email cannot do without, and only recommends.
    "libmailtools-perl",
    "php-cli",
    "nodejs",
    "node-nodemailer",
    "fetchmail",
    "getmail6",
    "python3",
    "python3-dkim",
    "python3-authres",
    "opendkim-tools",
    "pebble",
    "openssl",
    "iproute2",
    "perl",
    "haproxy",
    "opendkim",
    "python3-milter",
    "opendmarc",
    "postfix-policyd-spf-python",
    "rspamd",
    "clamav-daemon",
    "clamav-milter",
    "testssl.sh",
    "postsrsd",
    // systemd-analyze, systemd-journald.
    "systemd",
];

/// What is only there for node. Their node is this machine's, since Debian's is too old for the first.
const NPM_PACKAGES: [&str; 4] = ["Haraka", "mailauth", "mailparser", "postal-mime"];

/// What is only there for Python, and what of it is imported.
const PYPI_PACKAGES: [(&str, &str); 4] =
    [("opentelemetry-proto", "opentelemetry.proto"), ("parsedmarc", "parsedmarc"), ("scramp", "scramp"), ("sslyze", "sslyze")];

/// Whether anything may be downloaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    Allowed,
    Forbidden,
}

/// Where the peers are, or why not.
pub(crate) enum State {
    Ready(PathBuf),
    Missing(String),
}

impl State {
    /// The folder to lay over `/`.
    pub(crate) fn root(&self) -> Option<&Path> {
        match self {
            State::Ready(root) => Some(root),
            State::Missing(_) => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Ready(root) => write!(f, "peers: unpacked in {}", root.display()),
            State::Missing(why) => write!(f, "peers: none ({why}); their tests are skipped by name"),
        }
    }
}

/// Downloads and unpacks what is missing.
pub(crate) fn fetch(install: Install) -> anyhow::Result<State> {
    let folder = process::target().join("peers");
    let (root, stamp) = (folder.join("root"), folder.join("stamp"));
    let python = PYPI_PACKAGES.map(|(package, _)| package);
    let wanted = [&PACKAGES[..], &NPM_PACKAGES[..], &["python:"], &python[..]].concat().join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(State::Ready(root));
    }
    if install == Install::Forbidden {
        return Ok(State::Missing("--no-install".into()));
    }
    if !process::answers("apt-get", &["--version"]) || !process::answers("dpkg", &["--version"]) {
        return Ok(State::Missing("this is not Debian".into()));
    }
    std::fs::create_dir_all(&folder)?;
    match unpack(&folder, &root) {
        Ok(()) => {
            npm(&folder)?;
            pypi(&folder)?;
            std::fs::write(&stamp, wanted)?;
            Ok(State::Ready(root))
        }
        Err(why) => Ok(State::Missing(format!("{why:#}"))),
    }
}

fn unpack(folder: &Path, root: &Path) -> anyhow::Result<()> {
    println!("peers: downloading them from Debian …");
    let debs = folder.join("debs");
    for place in [root, debs.as_path()] {
        if place.exists() {
            std::fs::remove_dir_all(place)?;
        }
    }
    for place in [root.to_owned(), debs.join("partial"), folder.join("apt/lists/partial")] {
        std::fs::create_dir_all(place)?;
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1", "-o"]);
        // Lists of our own: the machine's may be empty or old, and only root may renew them.
        apt.arg(format!("Dir::State::Lists={}", folder.join("apt/lists").display())).arg("-o");
        apt.arg(format!("Dir::Cache={}", folder.join("apt").display())).env("LC_ALL", "C").current_dir(&debs);
        apt
    };
    process::output(apt().arg("update"))?;
    let mut names = Vec::new();
    // One by one: Debian lets only one of the mail servers be installed.
    for package in PACKAGES {
        let plan = process::output(apt().args(["--simulate", "--no-install-recommends", "install", package]))?;
        names.extend(plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next().map(str::to_owned)));
    }
    names.sort_unstable();
    names.dedup();
    process::output(apt().arg("download").args(&names)).context("downloading")?;
    for entry in std::fs::read_dir(&debs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "deb") {
            process::output(Command::new("dpkg").arg("-x").arg(&path).arg(root))?;
        }
    }
    merge(root)
}

/// Where there is no npm, the tests that need it are skipped by name. No script of a package is run.
fn npm(folder: &Path) -> anyhow::Result<()> {
    let (node, place) = (Path::new("/usr/bin/node"), folder.join("npm"));
    if !process::answers("npm", &["--version"]) || !node.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&place)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional", "--prefix"]);
    process::run(npm.arg(&place).args(NPM_PACKAGES))?;
    // The world lays Debian's over it.
    std::fs::copy(node, place.join("node"))?;
    Ok(())
}

/// Where there is no pip, or one of another Python than Debian's, the tests that need it are skipped by name. Each package has a folder of its own: one that were to go
/// together with the others' libraries might be a very old one.
fn pypi(folder: &Path) -> anyhow::Result<()> {
    let place = folder.join("pypi");
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    if !process::answers("pip3", &["--version"]) {
        return Ok(());
    }
    for (package, module) in PYPI_PACKAGES {
        let own = place.join(package);
        let mut pip = Command::new("pip3");
        pip.args(["install", "--quiet", "--no-compile", "--target"]).arg(&own).arg(package);
        process::run(&mut pip)?;
        let mut seen = Command::new("/usr/bin/python3");
        seen.args(["-c", &format!("import {module}")]).env("PYTHONPATH", &own);
        let output = seen.output();
        if !output.as_ref().is_ok_and(|output| output.status.success()) {
            println!("peers: Debian's Python cannot import {module}: {output:?}");
            std::fs::remove_dir_all(&own)?;
        }
    }
    Ok(())
}

/// Debian's `/lib` is `/usr/lib`, but packages still name both.
fn merge(root: &Path) -> anyhow::Result<()> {
    for name in ["lib", "bin", "sbin", "lib64"] {
        let (from, to) = (root.join(name), root.join("usr").join(name));
        if from.is_dir() {
            std::fs::create_dir_all(&to)?;
            process::run(Command::new("cp").arg("-a").arg(from.join(".")).arg(&to))?;
        }
    }
    // What the machine has installed already is not downloaded: it is seen through the layer.
    if ![root, Path::new("/")].iter().any(|place| place.join("usr/sbin/nsd").exists()) {
        bail!("the packages were unpacked, but nsd is not where it should be");
    }
    Ok(())
}
