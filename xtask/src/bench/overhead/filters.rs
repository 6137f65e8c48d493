//! The filters that Postfix needs for the same work, and the names that everybody looks up.

use super::super::servers::{self, Way};
use crate::process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whose letters come.
pub(super) const SENDER: &str = "sender.example";
/// Somebody else, whose letters come from here too.
pub(super) const ELSEWHERE: &str = "elsewhere.example";
/// The selector of its key.
pub(super) const SELECTOR: &str = "s";

/// Where opendkim finds the name server: its resolver asks none on a loopback address, and knows by itself that there is no `test.`
const OUTSIDE: &str = "192.0.2.53";

/// The name server of the world, which ends with it.
pub(super) struct Names {
    folder: PathBuf,
    server: Child,
}

/// The running filters.
pub(super) struct Filters(Vec<Child>);

/// Makes a key and serves the records of its owner.
pub(super) fn world(folder: &Path) -> anyhow::Result<Names> {
    fs::create_dir_all(folder)?;
    let at = folder.display();
    let make = format!(
        "openssl genrsa -traditional -out {at}/key.pem 2048 2>/dev/null && openssl rsa -in {at}/key.pem -pubout -outform DER 2>/dev/null | base64 -w0"
    );
    let key = process::output(Command::new("sh").args(["-c", &make]))?;
    let (first, second) = key.trim().split_at(key.trim().len() / 2);
    let zone = format!(
        "$ORIGIN example.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 600\n@ NS ns\nns A 127.0.0.53\n\
         sender TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n{SELECTOR}._domainkey.sender TXT \"v=DKIM1; k=rsa; p={first}\" \"{second}\"\n\
         elsewhere TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n\
         _dmarc.sender TXT \"v=DMARC1; p=reject\"\n"
    );
    fs::write(folder.join("example.zone"), zone)?;
    fs::write(
        folder.join("test.zone"),
        "$ORIGIN test.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 600\n@ NS ns\nns A 127.0.0.53\n",
    )?;
    fs::write(folder.join("reverse.zone"), include_str!("../../../../crates/server/tests/peers/conf/reverse.zone"))?;
    let conf = include_str!("../../../../crates/server/tests/peers/conf/nsd.conf").replace("@DIR@", &at.to_string());
    let conf = conf.replace("127.0.0.53\n", &format!("127.0.0.53\n    ip-address: {OUTSIDE}\n"));
    fs::write(folder.join("nsd.conf"), conf + "zone:\n    name: \"example.\"\n    zonefile: \"example.zone\"\n")?;
    process::run(Command::new("ip").args(["address", "add", &format!("{OUTSIDE}/32"), "dev", "lo"]))?;
    let server = Command::new("nsd").args(["-d", "-c"]).arg(folder.join("nsd.conf")).stderr(Stdio::null()).spawn()?;
    let names = Names { folder: folder.to_owned(), server };
    servers::listening_at("127.0.0.53", 53, Duration::from_secs(10))?;
    Ok(names)
}

impl Drop for Names {
    fn drop(&mut self) {
        // Gone already: all the better.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Filters {
    pub(super) fn start(world: &Names, way: Way) -> anyhow::Result<Filters> {
        let at = world.folder.display();
        // Loopback stands for the world outside: nothing is internal, nobody is passed over.
        fs::write(world.folder.join("nobody"), "192.0.2.1\n")?;
        let common = "Background no\nSyslog no\n";
        let mode = if way == Way::Signed {
            format!("Mode s\nDomain load.test\nSelector s\nKeyFile {at}/key.pem\nInternalHosts 127.0.0.0/8\nRequireSafeKeys no\n")
        } else {
            format!("Mode v\nInternalHosts {at}/nobody\nNameservers {OUTSIDE}\nAlwaysAddARHeader yes\n")
        };
        let dkim =
            format!("{common}{mode}AuthservID mail.load.test\nSocket inet:8891@127.0.0.1\nCanonicalization relaxed/relaxed\n");
        fs::write(world.folder.join("opendkim.conf"), dkim)?;
        let mut filters = Filters(Vec::new());
        filters.add(Command::new("opendkim").args(["-f", "-x"]).arg(world.folder.join("opendkim.conf")), 8891)?;
        if way == Way::Verified {
            let dmarc = format!(
                "AuthservID mail.load.test\nTrustedAuthservIDs mail.load.test\nIgnoreHosts {at}/nobody\nRejectFailures true\n\
                 SPFSelfValidate false\nSocket inet:8893@127.0.0.1\nSyslog false\nBackground false\n"
            );
            fs::write(world.folder.join("opendmarc.conf"), dmarc)?;
            filters.add(Command::new("opendmarc").args(["-f", "-c"]).arg(world.folder.join("opendmarc.conf")), 8893)?;
            let spf = "debugLevel = 0\nHELO_reject = Fail\nMail_From_reject = Fail\nPermError_reject = False\nTempError_Defer = False\n\
                       skip_addresses = 192.0.2.1/32\nHeader_Type = AR\nAuthserv_Id = mail.load.test\n";
            fs::create_dir_all("/etc/postfix-policyd-spf-python")?;
            fs::write("/etc/postfix-policyd-spf-python/policyd-spf.conf", spf)?;
        }
        Ok(filters)
    }

    fn add(&mut self, command: &mut Command, port: u16) -> anyhow::Result<()> {
        self.0.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        servers::listening_at("127.0.0.1", port, Duration::from_secs(10))
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        for filter in &mut self.0 {
            let _ = filter.kill();
            let _ = filter.wait();
        }
    }
}
