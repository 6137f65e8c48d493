use super::*;

#[test]
fn the_nearest_key_is_the_one_that_was_meant() {
    let known = ["hostname", "data", "size-max", "servers", "timeout"];
    for (typed, meant) in [
        ("hostnam", "hostname"),
        ("HOSTNAME", "hostname"),
        ("size_max", "size-max"),
        ("server", "servers"),
        ("timeuot", "timeout"),
    ] {
        assert_eq!(nearest(typed, &known), Some(meant), "{typed}");
    }
    for typed in ["colour", "x", ""] {
        assert_eq!(nearest(typed, &known), None, "{typed}");
    }
}

#[test]
fn a_sentence_of_the_reader_that_is_not_known_is_passed_on() {
    #[derive(Debug)]
    struct Odd;
    impl<'de> serde::Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("the moon is in the wrong place"))
        }
    }
    impl schemars::JsonSchema for Odd {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Odd".into()
        }
        fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
            schemars::json_schema!({ "type": "object" })
        }
    }
    let shown = crate::parse::<Odd>("a = 1", "x.toml").unwrap_err().to_string();
    assert!(shown.contains("the moon is in the wrong place") && shown.contains("x.toml"), "{shown}");
}
