//! What an operator may set of filters over HTTP.

use std::path::PathBuf;

use posthouse_config::{ByteSize, Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::settings::{OnFailure, every_listener};
use crate::context::ListenerKind;

/// `[[intake.http-filter]]`: a filter that is asked over HTTP before the 250, when a letter has come: rspamd, or a program of one's own. They are asked in this order,
/// behind the milters, each about what the one before has made of the letter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpFilterSettings {
    /// What it is called in the timeline and the log.
    pub name: String,
    /// Where it is asked, such as `http://127.0.0.1:11333/checkv2`. `http://` is taken for hosts of this machine and of private networks alone.
    pub url: String,
    /// What it speaks.
    pub form: FilterForm,
    /// `hook`: what it gets of a letter.
    #[serde(default)]
    pub send: Send,
    /// The largest letter that it gets. A larger one goes on without rspamd; a `hook` gets its header alone.
    #[serde(default = "letter_max")]
    pub letter_max: ByteSize,
    /// The listeners whose letters it sees.
    #[serde(default = "every_listener")]
    pub listeners: Vec<ListenerKind>,
    /// How long it may take, in all, over a letter.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// What becomes of letters while it cannot be asked, or answers what cannot be understood: `defer` puts them off (451), `accept` takes them without it,
    /// `reject` refuses them (554).
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The value of the field `Authorization`, such as `Bearer TOKEN`.
    #[serde(default)]
    pub authorization: Option<Secret>,
    /// A file with the certificate authorities that the web server is believed by. Not set: those that the system knows.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// What a filter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FilterForm {
    /// rspamd's `/checkv2`, of its `normal` worker (port 11333).
    Rspamd,
    /// JSON for a program of one's own: see the guide "Strangers".
    Hook,
}

/// What a hook gets of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Send {
    /// All of it.
    #[default]
    Whole,
    /// Its header.
    Header,
    /// Nothing: the envelope and what was found of the sender are enough.
    Envelope,
}

fn letter_max() -> ByteSize {
    ByteSize(20 << 20)
}

fn timeout() -> Period {
    Period::seconds(30)
}
