//! Programs of others, and our own client, that log in with the tokens of an issuer (OAUTHBEARER, XOAUTH2), on 587, 465 and 995.

use std::fs;
use std::process::{Command, Output};

use posthouse_client::{Mailer, Message, Roots};
use posthouse_testkit::issuer::Issuer;

use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, in_a_world, program, run_to_end};

/// A server that takes the tokens of an issuer.
struct Site {
    issuer: Issuer,
    ours: Posthouse,
}

impl Site {
    fn start(world: &World) -> Self {
        let issuer = Issuer::start();
        issuer.add_key("first", "RS256");
        let authority = world.folder("issuer").join("ca.pem");
        fs::write(&authority, issuer.authority()).unwrap();
        let more = format!(
            "[[issuer]]\nurl = \"{}\"\naudience = \"posthouse\"\nscope = \"mail\"\nca = \"{}\"\nprivate-addresses = true\nkeys-pause = \"0s\"\n",
            issuer.url(),
            authority.display()
        );
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", &more);
        Self { issuer, ours }
    }

    /// What a token says of its owner, with one text in the place of another.
    fn token(&self, key: &str, name: &str, change: (&str, &str)) -> String {
        let now = posthouse_runtime::clock::unix_millis() / 1000;
        let claims = format!(
            "{{\"iss\":\"{}\",\"aud\":\"posthouse\",\"exp\":{},\"scope\":\"openid mail\",\"email\":\"{}\"}}",
            self.issuer.url(),
            now + 300,
            self.ours.at(name)
        );
        self.issuer.token(key, &claims.replace(change.0, change.1))
    }

    fn curl(&self, url: &str, name: &str, token: &str, mechanism: &str, more: &[&str]) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--ssl-reqd", "--url", url]).arg("--cacert").arg(self.ours.ca());
        curl.args(["--user", &format!("{}:", self.ours.at(name)), "--oauth2-bearer", token]);
        curl.args(["--login-options", &format!("AUTH={mechanism}")]).args(more);
        curl.output().unwrap()
    }

    /// What the timeline says of log-ins.
    fn logins(&self) -> String {
        run_to_end(posthouse().args(["trace", &self.ours.at("alice"), "--config"]).arg(self.ours.config()))
    }
}

const SAME: (&str, &str) = ("", "");

in_a_world! {
    fn curl_and_smtplib_send_and_read_with_a_token(world) {
        let site = Site::start(world);
        let token = site.token("first", "alice", SAME);
        let letter = world.folder("letters").join("letter");
        fs::write(&letter, "Subject: by token\r\n\r\ncurl\r\n").unwrap();
        let (from, to) = (site.ours.at("alice"), site.ours.at("alice"));
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            for url in ["smtp://mx.posthouse.test:587/client.test", "smtps://mx.posthouse.test:465/client.test"] {
                let more = ["--mail-from", &from, "--mail-rcpt", &to, "--upload-file", letter.to_str().unwrap()];
                let output = site.curl(url, "alice", &token, mechanism, &more);
                assert!(output.status.success(), "{mechanism} {url}: {output:?}");
            }
            let mut send = program("send_token.py");
            send.args([&site.ours.host, "587"]).arg(site.ours.ca()).args([&from, &token, mechanism, &from, &to]);
            assert_eq!(run_to_end(&mut send), "sent\n");
        }
        // Over POP3 the same token reads what came.
        let read = |mechanism: &str| {
            let output = site.curl("pop3s://mx.posthouse.test:995/1", "alice", &token, mechanism, &[]);
            assert!(output.status.success(), "{mechanism}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let came = crate::world::attempt(|| {
            let output = site.curl("pop3s://mx.posthouse.test:995/", "alice", &token, "OAUTHBEARER", &[]);
            (String::from_utf8_lossy(&output.stdout).lines().count() == 6).then_some(())
        });
        assert!(came.is_some(), "{}", site.ours.log());
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            assert!(read(mechanism).contains("Subject: by token"), "{mechanism}");
        }
    }

    fn a_token_that_is_not_for_us_lets_nobody_in_and_the_log_says_why(world) {
        let site = Site::start(world);
        let issuer = site.issuer.url();
        let rows = [
            (("\"aud\":\"posthouse\"", "\"aud\":\"web\""), "alice", "invalid_token", "the token is not for us, by its audience"),
            (("openid mail", "openid"), "alice", "insufficient_scope", "the token lacks the scope `mail`"),
            (("alice@", "bob@"), "alice", "invalid_token", "the token is that of bob@posthouse.test"),
            (("alice@", "nobody@"), "alice", "invalid_token", "the token is that of `nobody@posthouse.test`, who has no account here"),
            ((&issuer, "https://evil.test"), "alice", "invalid_token", "the token is of no issuer that is trusted here"),
        ];
        for (change, name, status, why) in rows {
            let mut send = program("send_token.py");
            let user = site.ours.at(name);
            send.args([&site.ours.host, "587"]).arg(site.ours.ca());
            send.args([&user, &site.token("first", "alice", change), "OAUTHBEARER", &user, &user]);
            let said = run_to_end(&mut send);
            // RFC 7628 §3.2.2.
            let expected = format!("535 ['{{\"status\":\"{status}\",\"scope\":\"mail\",\"openid-configuration\":\"{issuer}/.well-known/openid-configuration\"}}']\n");
            assert_eq!(said, expected, "{change:?}");
            assert!(site.logins().contains(why), "{why}: {}", site.logins());
        }
        let output = site.curl("pop3s://mx.posthouse.test:995/", "alice", &site.token("first", "bob", SAME), "XOAUTH2", &[]);
        assert!(!output.status.success(), "{output:?}");
    }

    fn our_own_client_comes_in_with_a_token_also_when_the_issuer_has_changed_its_keys(world) {
        let site = Site::start(world);
        let send = |key: &str| {
            let token = site.token(key, "alice", SAME);
            let mailer = Mailer::builder("smtp+starttls://alice%40posthouse.test@mx.posthouse.test:587").unwrap();
            let mailer = mailer.roots(Roots::PemFile(site.ours.ca())).token(move || std::future::ready(Ok(token.clone()))).build().unwrap();
            let message = Message::builder().from("alice@posthouse.test").to("bob@posthouse.test").subject(key).text("x").build().unwrap();
            posthouse_runtime::block_on(async { mailer.send(&message).await.map(|report| report.is_complete()) }).unwrap()
        };
        assert!(send("first").unwrap());
        site.issuer.withdraw("first");
        site.issuer.add_key("second", "ES256");
        assert!(send("second").unwrap());
        let refused = send("first").unwrap_err().to_string();
        assert!(refused.contains("invalid_token") || refused.contains("535"), "{refused}");
        assert_eq!(site.ours.take(world, 2).len(), 2);
    }
}
