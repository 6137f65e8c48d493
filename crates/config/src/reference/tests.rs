use serde::Deserialize;

use super::*;
use crate::{ByteSize, Period, Secret};

/// The whole file.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
struct Root {
    /// The name | of this
    /// server.
    hostname: String,
    #[serde(default)]
    queue: Queue,
    /// Where the server listens.
    listener: Vec<Listener>,
}

/// The spool.
#[derive(Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
struct Queue {
    /// The largest letter.
    size_max: ByteSize,
    /// The first wait.
    wait: Period,
    /// A password.
    password: Option<Secret>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { size_max: ByteSize::mib(50), wait: Period::minutes(5), password: None }
    }
}

/// A port.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Listener {
    /// What it speaks.
    kind: Kind,
    /// Names.
    names: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// Mail from the world.
    Mx,
    /// Mail from users.
    Submission,
}

#[test]
fn the_reference_has_a_row_for_each_key_and_a_section_for_each_table() {
    let expected = "\
The whole file.

| Key | Type | Default | Meaning |
|---|---|---|---|
| `hostname` | text |  | The name \\| of this server. |

## `[queue]`

The spool.

| Key | Type | Default | Meaning |
|---|---|---|---|
| `size-max` | size | `\"50 MiB\"` | The largest letter. |
| `wait` | duration | `\"5m\"` | The first wait. |
| `password` | secret |  | A password. |

## `[[listener]]`

A port.

| Key | Type | Default | Meaning |
|---|---|---|---|
| `kind` | `\"mx\"`, `\"submission\"` |  | What it speaks. `mx`: Mail from the world. `submission`: Mail from users. |
| `names` | list of text |  | Names. |
";
    assert_eq!(markdown::<Root>(), expected);
}
