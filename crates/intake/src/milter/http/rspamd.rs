//! rspamd's `/checkv2` (rspamd.com, "Rspamd protocol"): the letter as it is, what is known of it in fields; JSON comes back.

use std::collections::BTreeMap;

use posthouse_http::Client;
use serde::Deserialize;
use serde_json::Value;

use super::{About, Act, FilterError, HttpFilterSettings, Judgement, Mixed, length, plain, post};
use crate::milter::letter::Held;

/// The symbols that the timeline names, the weightiest first.
const SYMBOLS_MAX: usize = 30;
/// The word that is put before a subject, where rspamd has none of its own.
const SUBJECT_MARK: &str = "***SPAM*** ";

/// The parts of its answer that mean something here.
#[derive(Deserialize)]
struct Answer {
    action: String,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    required_score: f64,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
    #[serde(default)]
    messages: Messages,
    subject: Option<String>,
    #[serde(default)]
    milter: Wishes,
    #[serde(default, rename = "dkim-signature")]
    signature: Value,
}

#[derive(Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f64,
}

#[derive(Deserialize, Default)]
struct Messages {
    smtp_message: Option<String>,
}

/// What its milter-headers module asks for.
#[derive(Deserialize, Default)]
struct Wishes {
    #[serde(default)]
    add_headers: BTreeMap<String, Value>,
    #[serde(default)]
    remove_headers: BTreeMap<String, Value>,
}

pub(super) async fn ask(
    settings: &HttpFilterSettings,
    client: &Client,
    about: &About<'_>,
    held: &Held,
) -> Result<Judgement, FilterError> {
    let mut body = Mixed::letter(held);
    if body.len > settings.letter_max.bytes() {
        let why = format!("not asked: the letter has more than {}", settings.letter_max);
        return Ok(Judgement { why, ..Judgement::default() });
    }
    let answer: Answer = post(settings, client, fields(about), &mut body).await?;
    answer.judgement(held)
}

fn fields(about: &About<'_>) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("Queue-Id", about.id.to_owned()),
        ("MTA-Name", about.hostname.to_owned()),
        ("From", about.sender.clone()),
        ("Ip", about.peer.to_string()),
        ("Helo", about.helo.to_owned()),
    ];
    fields.extend(about.name.map(|name| ("Hostname", name.to_owned())));
    fields.extend(about.account.iter().map(|account| ("User", account.clone())));
    if let Some(tls) = about.tls {
        let (version, cipher) = tls.split_once(' ').unwrap_or((tls, ""));
        fields.extend([("TLS-Version", version.to_owned()), ("TLS-Cipher", cipher.to_owned())]);
    }
    fields.extend(about.recipients.iter().map(|recipient| ("Rcpt", recipient.clone())));
    fields
}

impl Answer {
    fn judgement(self, held: &Held) -> Result<Judgement, FilterError> {
        let why = self.why();
        let says = self.messages.smtp_message.clone();
        let mut judgement = Judgement { why, ..Judgement::default() };
        match self.action.as_str() {
            "no action" | "accept" => {}
            "reject" => judgement.act = Act::Reject(says),
            "soft reject" | "greylist" => judgement.act = Act::Defer(says),
            // What Sieve scripts of others look for, and the folder for it here.
            "add header" => {
                judgement.act = Act::Quarantine;
                judgement.add.push(("X-Spam".to_owned(), "Yes".to_owned()));
            }
            "rewrite subject" => {
                let subject = self.subject.clone().unwrap_or_else(|| format!("{SUBJECT_MARK}{}", held.subject()));
                judgement.subject = Some(subject);
                judgement.add.push(("X-Spam".to_owned(), "Yes".to_owned()));
            }
            "quarantine" => judgement.act = Act::Quarantine,
            "discard" => judgement.act = Act::Discard,
            other => return Err(FilterError::Answer(format!("`{}` is no action", plain(other)))),
        }
        judgement.remove.extend(self.milter.remove_headers.into_keys());
        for (name, value) in &self.milter.add_headers {
            each(value, &mut |value| judgement.add.push((name.clone(), value.to_owned())));
        }
        each(&self.signature, &mut |value| judgement.add.push(("DKIM-Signature".to_owned(), value.to_owned())));
        Ok(judgement)
    }

    /// `add header, 7.20 of 15.00: BAYES_SPAM 5.10, R_MIXED_CHARSET 2.10`
    fn why(&self) -> String {
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        symbols.sort_by(|(_, one), (_, other)| other.score.abs().total_cmp(&one.score.abs()));
        let named = symbols.iter().take(SYMBOLS_MAX).map(|(name, symbol)| format!("{} {:.2}", plain(name), symbol.score));
        let (named, action) = (named.collect::<Vec<_>>().join(", "), plain(&self.action));
        format!("{action}, {:.2} of {:.2}: {named}", self.score, self.required_score)
    }
}

/// A value is a text, an object that has it as `value`, or a list of these.
fn each(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(values) => {
            for value in values {
                if let Some(text) = value.as_str().or_else(|| value.get("value")?.as_str()) {
                    take(text);
                }
            }
        }
        Value::Object(object) => {
            if let Some(text) = object.get("value").and_then(Value::as_str) {
                take(text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'a> Mixed<'a> {
    /// The letter as it is.
    fn letter(held: &'a Held) -> Self {
        use super::{Step, Write};
        let len = length(&held.head()).saturating_add(held.body.len());
        Self { held, len, steps: [Step::Header, Step::Body(0)].into(), write: Write::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answer: &str) -> Result<Judgement, FilterError> {
        let held = Held::new("/nonexistent".into(), 0);
        serde_json::from_str::<Answer>(answer).map_err(|error| FilterError::Answer(error.to_string()))?.judgement(&held)
    }

    #[test]
    fn each_action_of_rspamd_has_its_end_and_one_that_is_none_is_a_failure() {
        let act = |action: &str| judged(&format!("{{\"action\":\"{action}\"}}")).map(|judgement| judgement.act);
        let rows = [
            ("no action", Act::Accept),
            ("reject", Act::Reject(None)),
            ("soft reject", Act::Defer(None)),
            ("greylist", Act::Defer(None)),
            ("add header", Act::Quarantine),
            ("rewrite subject", Act::Accept),
            ("quarantine", Act::Quarantine),
            ("discard", Act::Discard),
        ];
        for (action, right) in rows {
            assert_eq!(act(action).unwrap(), right, "{action}");
        }
        for wrong in ["{\"action\":\"explode\"}", "{}", "[]", "", "{\"action\":5}"] {
            assert!(judged(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_come_in_all_its_forms_and_the_weightiest_symbols_first() {
        let answer = r#"{"action":"rewrite subject","subject":"[SPAM] hi","score":7.25,"required_score":15,
            "symbols":{"A":{"score":-0.1},"B":{"name":"B","score":5.0,"options":["x"]},"C":{"score":-6}},"messages":{"smtp_message":"no"},
            "milter":{"add_headers":{"X-A":"1","X-B":{"value":"2","order":0},"X-C":["3",{"value":"4"},5]},"remove_headers":{"X-Old":0}},
            "dkim-signature":["v=1; a"],"is_skipped":false}"#;
        let judgement = judged(answer).unwrap();
        assert_eq!(judgement.why, "rewrite subject, 7.25 of 15.00: C -6.00, B 5.00, A -0.10");
        let add: Vec<_> = judgement.add.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(add, ["X-Spam=Yes", "X-A=1", "X-B=2", "X-C=3", "X-C=4", "DKIM-Signature=v=1; a"]);
        assert_eq!((judgement.remove, judgement.subject.as_deref()), (vec!["X-Old".to_owned()], Some("[SPAM] hi")));
    }

    #[test]
    fn what_would_break_a_header_or_is_too_much_is_no_answer() {
        let with = |name: &str, value: &str| {
            Judgement { add: vec![(name.to_owned(), value.to_owned())], ..Judgement::default() }.checked().is_ok()
        };
        assert!(with("X-Fine", "yes"));
        for name in ["", "X Y", "X:Y", "X\r\nBcc", "é", &"x".repeat(101)] {
            assert!(!with(name, "yes"), "{name}");
        }
        assert!(!with("X", &"v".repeat(16 * 1024 + 1)));
        let many = vec![("X".to_owned(), String::new()); 101];
        assert!(Judgement { add: many, ..Judgement::default() }.checked().is_err());
    }
}
