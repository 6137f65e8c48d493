//! Postfix, tuned: no delay for a full queue, processes for every connection, and as many couriers as ours.

use super::{ACCOUNTS, PORT, SINK_PORT, Setup, Way};
use crate::process;
use anyhow::bail;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

/// Its user for deliveries in the world of the measurement.
const VMAIL: &str = "vmail";

/// What comes is accepted and stays.
const HOLD: &str = "smtpd_client_restrictions = check_client_access static:HOLD\n";
const MILTERS: &str = "milter_protocol = 6\nmilter_default_action = tempfail\n";

pub(super) fn start(place: &Path, setup: &Setup<'_>) -> anyhow::Result<()> {
    let at = place.display();
    let way = match setup.way {
        Way::Verified => verified(),
        Way::Signed => format!("{HOLD}smtpd_milters = inet:127.0.0.1:8891\n{MILTERS}"),
        Way::Hold | Way::Strangers => HOLD.to_owned(),
        Way::Relay => "default_destination_concurrency_limit = 100\ninitial_destination_concurrency = 20\n\
                                 default_destination_recipient_limit = 100\n"
            .to_owned(),
        Way::Deferred => "defer_transports = smtp\n".to_owned(),
        Way::Inboxes => inboxes(place)?,
    };
    let tls = setup.tls.map_or_else(String::new, |folder| {
        let folder = folder.display();
        format!(
            "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {folder}/cert.pem\nsmtpd_tls_key_file = {folder}/key.pem\n"
        )
    });
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\nmyhostname = mail.load.test\n\
         mydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\ndisable_dns_lookups = yes\n\
         relayhost = [127.0.0.1]:{SINK_PORT}\nalias_maps =\nalias_database =\nsmtpd_relay_restrictions = permit_mynetworks reject\nmaillog_file_prefixes = {at}\n\
         maillog_file = {at}/log\nmessage_size_limit = 104857600\n\
         smtp_connection_cache_destinations = 127.0.0.1\nin_flow_delay = 0\ndefault_process_limit = 700\n{way}{tls}"
    );
    let services = include_str!("../../../../crates/server/tests/peers/conf/postfix-master.cf");
    let mut services = services.replacen("smtp      inet", &format!("127.0.0.1:{PORT} inet"), 1);
    if setup.way == Way::Verified {
        services.push_str("policyd-spf  unix  -  n  n  -  0  spawn user=nobody argv=/usr/bin/policyd-spf\n");
    }
    fs::write("/etc/postfix/main.cf", main)?;
    fs::write("/etc/postfix/master.cf", services)?;
    fs::write("/etc/postfix/dynamicmaps.cf", "")?;
    fs::create_dir_all(place.join("spool"))?;
    fs::create_dir_all(place.join("data"))?;
    process::run(Command::new("chown").arg("postfix").arg(place.join("data")))?;
    process::run(Command::new("postfix").arg("start").stderr(Stdio::null()))
}

/// As their documentation has it: SPF by a policy server, whose result the filters see, then DKIM, then DMARC.
fn verified() -> String {
    format!(
        "{HOLD}smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf, permit\npolicyd-spf_time_limit = 3600s\n\
         smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893\n{MILTERS}"
    )
}

/// A Maildir for each account, delivered to by `virtual` as many at a time as by ours.
fn inboxes(place: &Path) -> anyhow::Result<String> {
    let (boxes, table) = (place.join("boxes"), place.join("table"));
    fs::create_dir_all(&boxes)?;
    process::run(Command::new("chown").arg(VMAIL).arg(&boxes))?;
    let lines: Vec<String> = (0..ACCOUNTS).map(|number| format!("{number}box@load.test {number}/")).collect();
    fs::write(&table, lines.join("\n") + "\n")?;
    let id = process::output(Command::new("id").args(["-u", VMAIL]))?;
    let (id, boxes, table) = (id.trim(), boxes.display(), table.display());
    Ok(format!(
        "virtual_mailbox_domains = load.test\nvirtual_mailbox_base = {boxes}\nvirtual_mailbox_maps = texthash:{table}\n\
         virtual_uid_maps = static:{id}\nvirtual_gid_maps = static:{id}\nvirtual_mailbox_limit = 0\nmailbox_size_limit = 0\n\
         virtual_destination_concurrency_limit = 20\nvirtual_destination_recipient_limit = 1\n"
    ))
}

/// When the last of so many letters was in its Maildir, in milliseconds of the day.
pub(in super::super) fn last_delivered(place: &Path, letters: u32) -> anyhow::Result<f64> {
    let (mut count, mut last) = (0, 0);
    for account in fs::read_dir(place.join("boxes"))? {
        for letter in fs::read_dir(account?.path().join("new"))? {
            count += 1;
            last = letter?.metadata()?.modified()?.duration_since(UNIX_EPOCH)?.as_millis().max(last);
        }
    }
    if count < letters {
        bail!("{count} of {letters} letters came into the Maildirs");
    }
    Ok(f64::from(u32::try_from(last % 86_400_000)?))
}
