//! What the serving process may touch of this machine's files, and to which TCP ports it may connect or bind: what its configuration names and what every server needs. The kernel holds it to that
//! (Landlock; ports from Linux 6.7 on), whatever it is led to do, and neither it nor what it starts gains rights by a program's file (no new privileges).
//!
//! Rules hold for the calling thread and all that it starts, threads and processes, and are never taken back: so [`confine`] is called before there is any other
//! thread. A successor (see `serve`) has the rules of its predecessor, is told them, and adds none of its own: the kernel stacks sixteen and no more. Where
//! its configuration needs more than they allow it does not take over, and says so. To which addresses it connects, and UDP, is not restricted.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cli::{Exit, Failure};

/// Tells a successor what its predecessor may touch.
const REACH: &str = "POSTHOUSE_REACH";
/// What programs read: libraries, names of hosts and users, authorities, time zones, what the kernel says of us.
const USUAL: [&str; 9] = ["/etc", "/usr", "/lib", "/lib32", "/lib64", "/proc", "/sys", "/nix/store", "/gnu/store"];
/// Where the program that starts programs is (ld.so); shells are not there.
const LIBRARIES: [&str; 7] = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"];
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];
/// Where the DNS resolver and the authorities may be besides.
const ELSEWHERE: [&str; 1] = ["/etc/resolv.conf"];
const NAMED_BY: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "CREDENTIALS_DIRECTORY"];
/// SQLite keeps what is too large for its memory in the first of these that there is, in files without a name.
const SCRATCH_NAMED_BY: [&str; 2] = ["SQLITE_TMPDIR", "TMPDIR"];
const SCRATCH: [&str; 3] = ["/var/tmp", "/usr/tmp", "/tmp"];
/// The rights that are known here. Those to come are tried before they are asked for: one that restricts connections would cut milters off.
const KNOWN: ABI = ABI::V6;
/// What every server connects to: mail hosts (and those that an operator redirects letters to), the DNS, HTTPS.
const PORTS: [u16; 5] = [25, 53, 443, 465, 587];

/// `[sandbox]`: what the server may touch of this machine's files. What the configuration names it may: the data directory, sockets, certificates, keys and authorities, each with the
/// directory it is in.
#[derive(Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Whether the kernel holds it to that: `auto`, where it can (Landlock, Linux 5.19 or newer); `require`, or the server does not start; `off`.
    pub(crate) landlock: Landlock,
    /// Files and directories that it may read besides.
    pub(crate) read: Vec<PathBuf>,
    /// Directories in which it may write besides.
    pub(crate) write: Vec<PathBuf>,
    /// TCP ports that it may connect to, besides 25, 53, 443, 465, 587 and those that the configuration names: for `queue redirect` to a host at another port, or reports that are to be posted to one.
    pub(crate) connect: Vec<u16>,
}

/// When the kernel is asked.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Landlock {
    /// Where it can.
    #[default]
    Auto,
    /// Or there is no server.
    Require,
    /// Never.
    Off,
}

/// What may be done in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Read,
    /// Everything but starting programs and making devices.
    Write,
    /// Socket files come and go.
    Sockets,
    /// Files come and go; nothing is listed.
    Scratch,
    Device,
    Start,
}

/// What may be done with a TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    Connect,
    Bind,
}

/// What may be touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Where symbolic links lead, for the kernel asks about that.
    places: BTreeSet<(Way, PathBuf)>,
    /// `None`: every port. So it was before ports were restricted.
    ports: Option<BTreeSet<(Door, u16)>>,
}

/// What is out of reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutOfReach {
    Place(Way, PathBuf),
    Port(Door, u16),
}

/// How far the kernel holds us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// All of it.
    Whole,
    /// What an older kernel knows of.
    Partly,
    /// As it held the predecessor.
    Inherited,
    /// Not at all, and why.
    Not(String),
}

/// A process that is confined, or is not.
#[derive(Debug, Clone)]
pub(crate) struct Confined {
    pub(crate) hold: Hold,
    /// What it may touch; `None`: everything that its user may.
    reach: Option<Reach>,
}

impl Way {
    const ALL: [(Self, &str); 6] = [
        (Self::Read, "read"),
        (Self::Write, "write"),
        (Self::Sockets, "sockets"),
        (Self::Scratch, "scratch"),
        (Self::Device, "device"),
        (Self::Start, "start"),
    ];

    fn rights(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let files = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
        match self {
            Self::Read => read,
            Self::Write => {
                read | files | AccessFs::MakeDir | AccessFs::RemoveDir | AccessFs::MakeSock | AccessFs::MakeSym | AccessFs::Refer
            }
            Self::Sockets => AccessFs::ReadDir | AccessFs::MakeSock | AccessFs::RemoveFile,
            Self::Scratch => files,
            Self::Device => AccessFs::ReadFile | AccessFs::WriteFile,
            Self::Start => read | AccessFs::Execute,
        }
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(way, _)| *way == self).map_or("", |(_, name)| name)
    }
}

impl Door {
    const ALL: [(Self, &str); 2] = [(Self::Connect, "connect"), (Self::Bind, "bind")];

    fn right(self) -> AccessNet {
        match self {
            Self::Connect => AccessNet::ConnectTcp,
            Self::Bind => AccessNet::BindTcp,
        }
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(door, _)| *door == self).map_or("", |(_, name)| name)
    }
}

impl Reach {
    /// What every server needs: `program` is what a restart starts, `file` the configuration.
    pub(crate) fn usual(program: &Path, file: &Path) -> Self {
        let mut reach = Self { ports: Some(PORTS.map(|port| (Door::Connect, port)).into()), ..Self::default() };
        USUAL.iter().for_each(|place| reach.add(Way::Read, Path::new(place)));
        LIBRARIES.iter().for_each(|place| reach.add(Way::Start, Path::new(place)));
        DEVICES.iter().for_each(|place| reach.add(Way::Device, Path::new(place)));
        ELSEWHERE.iter().for_each(|place| reach.read(Path::new(place)));
        let named = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().filter_map(std::env::var_os).filter(|value| !value.is_empty()).map(PathBuf::from).collect()
        };
        named(&NAMED_BY).iter().for_each(|place| reach.read(place));
        let scratch = named(&SCRATCH_NAMED_BY).into_iter().chain(SCRATCH.map(PathBuf::from)).find(|place| place.is_dir());
        scratch.iter().for_each(|place| reach.add(Way::Scratch, place));
        // An update puts another file in the program's place.
        program.parent().into_iter().for_each(|place| reach.add(Way::Start, place));
        reach.read(file);
        reach
    }

    /// A directory to read, or a file, which somebody may replace: with the directory it is in, and the one it is really in.
    pub(crate) fn read(&mut self, path: &Path) {
        if path.is_dir() {
            return self.add(Way::Read, path);
        }
        let real = path.canonicalize().ok();
        for file in [Some(path), real.as_deref()].into_iter().flatten() {
            match file.parent() {
                // A file in the root does not open all that is below it.
                Some(parent) if parent.parent().is_some() => self.add(Way::Read, parent),
                _ => self.add(Way::Read, file),
            }
        }
    }

    /// A directory to write in. What its entries lead to elsewhere belongs to it: accounts or the spool may be on another disk.
    pub(crate) fn write(&mut self, folder: &Path) {
        self.add(Way::Write, folder);
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                self.add(Way::Write, &entry.path());
            }
        }
    }

    /// Where a socket file is made.
    pub(crate) fn socket(&mut self, path: &Path) {
        path.parent().into_iter().for_each(|folder| self.add(Way::Sockets, folder));
    }

    /// A TCP port that is connected to.
    pub(crate) fn connect(&mut self, port: u16) {
        self.ports.iter_mut().for_each(|ports| {
            ports.insert((Door::Connect, port));
        });
    }

    /// A TCP port that is listened on, or 0 for connections from an address of ours.
    pub(crate) fn bind(&mut self, port: u16) {
        self.ports.iter_mut().for_each(|ports| {
            ports.insert((Door::Bind, port));
        });
    }

    fn add(&mut self, way: Way, path: &Path) {
        self.places.insert((way, real(path)));
    }

    /// Whether it is within `held`; else the first that is not.
    fn is_within(&self, held: &Self) -> Result<(), OutOfReach> {
        let allows = |way: Way, path: &Path| {
            held.places.iter().any(|(held, place)| path.starts_with(place) && held.rights().contains(way.rights()))
        };
        if let Some((way, path)) = self.places.iter().find(|(way, path)| !allows(*way, path)) {
            return Err(OutOfReach::Place(*way, path.clone()));
        }
        let Some(held) = &held.ports else { return Ok(()) };
        match self.ports.iter().flatten().find(|port| !held.contains(port)) {
            Some((door, port)) => Err(OutOfReach::Port(*door, *port)),
            None => Ok(()),
        }
    }

    /// Without the ports to listen on: other listeners take effect with the next start and not before.
    fn without_listeners(&self) -> Self {
        let connects = |ports: &BTreeSet<(Door, u16)>| ports.iter().copied().filter(|(door, _)| *door == Door::Connect).collect();
        Self { places: self.places.clone(), ports: self.ports.as_ref().map(connects) }
    }

    /// For [`REACH`]; what cannot stand in a line is left out, and so is asked for again in vain.
    fn text(&self) -> OsString {
        let mut text = Vec::new();
        for (way, path) in self.places.iter().filter(|(_, path)| !path.as_os_str().as_bytes().contains(&b'\n')) {
            text.extend([way.name().as_bytes(), b" ", path.as_os_str().as_bytes(), b"\n"].concat());
        }
        for (door, port) in self.ports.iter().flatten() {
            text.extend(format!("{} {port}\n", door.name()).into_bytes());
        }
        OsString::from_vec(text)
    }

    fn of_text(text: OsString) -> Self {
        let text = text.into_vec();
        let words = |line: &[u8]| {
            let space = line.iter().position(|&octet| octet == b' ')?;
            Some((line.get(..space)?.to_vec(), line.get(space + 1..)?.to_vec()))
        };
        let mut reach = Self::default();
        for (name, rest) in text.split(|&octet| octet == b'\n').filter_map(words) {
            if let Some((way, _)) = Way::ALL.iter().find(|(_, known)| known.as_bytes() == name) {
                reach.places.insert((*way, PathBuf::from(OsString::from_vec(rest))));
            } else if let Some((door, _)) = Door::ALL.iter().find(|(_, known)| known.as_bytes() == name) {
                let port = str::from_utf8(&rest).ok().and_then(|port| port.parse().ok());
                reach.ports.get_or_insert_default().extend(port.map(|port| (*door, port)));
            }
        }
        reach
    }

    fn hold(&self) -> Result<RulesetStatus, RulesetError> {
        // An abstract address of the service manager lies outside.
        let calls_out = std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| name.as_bytes().starts_with(b"@"));
        let scopes = if calls_out { Scope::Signal.into() } else { Scope::from_all(KNOWN) };
        // Older kernels let no file go from one directory to another once anything is restricted, and letters do.
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            .scope(scopes)?;
        if self.ports.is_some() {
            ruleset = ruleset.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?;
        }
        let mut rules = ruleset.create()?;
        for (way, path) in &self.places {
            rules = rules.add_rules(path_beneath_rules([path], way.rights()))?;
        }
        for (door, port) in self.ports.iter().flatten() {
            rules = rules.add_rule(NetPort::new(*port, door.right()))?;
        }
        Ok(rules.restrict_self()?.ruleset)
    }
}

/// Confines this process to `reach`, for good; one that has a predecessor is confined already. To be called before any thread is started.
///
/// # Errors
/// The configuration requires what the kernel cannot do, or needs what the predecessor's rules do not allow.
pub(crate) fn confine(settings: &Settings, reach: Reach, has_predecessor: bool) -> Result<Confined, Failure> {
    // Always: nothing that we start is to have more rights than we have.
    rustix::thread::set_no_new_privs(true).map_err(|error| Failure::new(Exit::Os, error))?;
    if let Some(held) = std::env::var_os(REACH).filter(|_| has_predecessor).map(Reach::of_text) {
        reach.is_within(&held).map_err(|place| Failure::say(Exit::TempFail, place))?;
        return Ok(Confined { hold: Hold::Inherited, reach: Some(held) });
    }
    let hold = match settings.landlock {
        Landlock::Off => Hold::Not("the configuration says so".to_owned()),
        Landlock::Auto | Landlock::Require => match reach.hold() {
            Ok(RulesetStatus::FullyEnforced) => Hold::Whole,
            Ok(RulesetStatus::PartiallyEnforced) => Hold::Partly,
            Ok(RulesetStatus::NotEnforced) => Hold::Not("this kernel does not enforce Landlock".to_owned()),
            Err(RulesetError::HandleAccesses(_)) => {
                Hold::Not("this kernel has no Landlock, has it switched off, or is older than Linux 5.19".to_owned())
            }
            Err(error) => Hold::Not(error.to_string()),
        },
    };
    match hold {
        Hold::Not(why) if settings.landlock == Landlock::Require => Err(Failure::say(
            Exit::Unavailable,
            format_args!("the sandbox is required (sandbox.landlock), and there is none: {why}"),
        )),
        Hold::Not(_) => Ok(Confined { hold, reach: None }),
        Hold::Whole | Hold::Partly | Hold::Inherited => Ok(Confined { hold, reach: Some(reach) }),
    }
}

/// Where a path leads; of what is not there, where it would be. That it is not there shows when it is needed.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        (Err(_), ..) => path.to_owned(),
    }
}

impl Confined {
    /// Whether all of this may be touched; other listeners apart.
    ///
    /// # Errors
    /// The first that may not.
    pub(crate) fn allows(&self, reach: &Reach) -> Result<(), OutOfReach> {
        self.reach.as_ref().map_or(Ok(()), |held| reach.without_listeners().is_within(held))
    }

    /// What a successor is told: the name and the value of a variable.
    pub(crate) fn told(&self) -> Option<(&'static str, OsString)> {
        self.reach.as_ref().map(|reach| (REACH, reach.text()))
    }
}

/// As the log and `posthouse status` say it.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("on (Landlock)"),
            Self::Partly => f.write_str("on, as far as this kernel's Landlock goes"),
            Self::Inherited => f.write_str("on (Landlock), as of the process before this one"),
            Self::Not(why) => write!(f, "none: {why}"),
        }
    }
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sandbox does not let this process ")?;
        match self {
            Self::Place(way, path) => {
                let what = match way {
                    Way::Read | Way::Device => "read",
                    Way::Write | Way::Scratch => "write in",
                    Way::Sockets => "make a socket in",
                    Way::Start => "start a program in",
                };
                write!(f, "{what} {}", path.display())?;
            }
            Self::Port(Door::Connect, port) => write!(f, "connect to port {port}")?,
            Self::Port(Door::Bind, port) => write!(f, "listen on port {port}")?,
        }
        f.write_str(": what it may touch was settled when the server was started; stop it and start it again")
    }
}

impl std::error::Error for OutOfReach {}

#[cfg(test)]
mod tests;
