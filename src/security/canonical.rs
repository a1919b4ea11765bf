//! The JSON text that the old orchestrator signed: object keys sorted at every level, no white
//! space, everything else as JavaScript's `JSON.stringify` writes it.
//!
//! This reads a body before its sender is proven, so it holds no tree of it: values are written
//! as they are read, and only the members of the objects around the current place are known.
//! Memory stays within a few times the body's size; depth and number of members are bounded.
//!
//! Not covered, and then the signature does not match: texts with lone surrogates (`"\ud800"`),
//! numbers beyond what a double holds (`1e999`), and a fraction of 17 significant digits or an
//! extreme exponent that the reader rounds to the neighbouring double. Names that look like
//! numbers (`"10"`) are sorted as texts, not put first.

use std::io::Write;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deeper than any sender of alerts nests: Alertmanager's payload has four levels.
const MAX_DEPTH: usize = 32;
/// More than the most that a valid payload can hold: 1000 alerts of 50 labels and 50 annotations.
const MAX_MEMBERS: usize = 128 * 1024;

/// The canonical text of `body`, or `None` if it is not JSON or is beyond the bounds.
pub(super) fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    let mut writer = Writer { out: Vec::with_capacity(body.len()), depth: 0, members: 0 };
    let mut json = serde_json::Deserializer::from_slice(body);
    Value(&mut writer).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(writer.out)
}

struct Writer {
    out: Vec<u8>,
    depth: usize,
    members: usize,
}

/// A member of an object: its name, and where in the output its value stands.
struct Member {
    name: String,
    from: usize,
    to: usize,
}

impl Writer {
    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(E::custom("nested too deeply")) } else { Ok(()) }
    }

    fn count_member<E: Error>(&mut self) -> Result<(), E> {
        self.members += 1;
        if self.members > MAX_MEMBERS { Err(E::custom("too many members")) } else { Ok(()) }
    }

    fn text<E: Error>(&mut self, text: &str) -> Result<(), E> {
        serde_json::to_writer(&mut self.out, text).map_err(E::custom)
    }

    /// As JavaScript writes a number: shortest digits, an exponent below 1e-6 and from 1e21 on.
    fn number<E: Error>(&mut self, number: f64) -> Result<(), E> {
        let size = number.abs();
        let written = if number == 0.0 {
            write!(self.out, "0")
        } else if (1e-6..1e21).contains(&size) {
            write!(self.out, "{number}")
        } else if size < 1.0 {
            write!(self.out, "{number:e}")
        } else {
            write!(self.out, "{}", format!("{number:e}").replace('e', "e+"))
        };
        written.map_err(E::custom)
    }

    /// Puts the members whose values were written since `start` in order; of several members of
    /// one name the last counts.
    fn sort_members<E: Error>(&mut self, start: usize, mut members: Vec<Member>) -> Result<(), E> {
        // Stable, so that the last of equal names stays the last.
        members.sort_by(|a, b| a.name.encode_utf16().cmp(b.name.encode_utf16()));
        let values = self.out.split_off(start);
        self.out.push(b'{');
        let mut first = true;
        for (place, member) in members.iter().enumerate() {
            if members.get(place + 1).is_some_and(|next| next.name == member.name) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            self.text(&member.name)?;
            self.out.push(b':');
            self.out.extend_from_slice(&values[member.from - start..member.to - start]);
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// Reads one value and writes its canonical text.
struct Value<'w>(&'w mut Writer);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.0.out.extend_from_slice(if truth { b"true" } else { b"false" });
        Ok(())
    }

    // JavaScript knows doubles only: what is beyond 2^53 is rounded there too.
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.number(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.0.number(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.enter()?;
        self.0.out.push(b'[');
        let start = self.0.out.len();
        loop {
            let end = self.0.out.len();
            if end > start {
                self.0.out.push(b',');
            }
            if items.next_element_seed(Value(self.0))?.is_none() {
                self.0.out.truncate(end);
                break;
            }
        }
        self.0.out.push(b']');
        self.0.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.0.enter()?;
        let start = self.0.out.len();
        let mut members = Vec::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.0.count_member()?;
            let from = self.0.out.len();
            fields.next_value_seed(Value(self.0))?;
            members.push(Member { name, from, to: self.0.out.len() });
        }
        self.0.sort_members(start, members)?;
        self.0.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(body: &str) -> Option<String> {
        canonical(body.as_bytes()).map(|out| String::from_utf8(out).unwrap())
    }

    fn becomes(body: &str, expected: &str) {
        assert_eq!(text(body).as_deref(), Some(expected), "{body}");
    }

    #[test]
    fn keys_are_sorted_at_every_level_and_white_space_goes() {
        becomes(
            " { \"b\" : [ { \"z\" : 1 , \"a\" : null } , [ ] ] ,\n \"a\" : { } , \"B\" : true } ",
            r#"{"B":true,"a":{},"b":[{"a":null,"z":1},[]]}"#,
        );
    }

    #[test]
    fn keys_are_sorted_by_utf_16_units_as_javascript_does() {
        // In UTF-8 the order is the other way round: U+FF5E is EF.., U+1F600 is F0...
        becomes("{\"\u{ff5e}\":1,\"\u{1f600}\":2}", "{\"\u{1f600}\":2,\"\u{ff5e}\":1}");
        becomes(r#"{"b":1,"10":2,"9":3,"":4}"#, r#"{"":4,"10":2,"9":3,"b":1}"#);
    }

    #[test]
    fn of_equal_names_the_last_counts() {
        becomes(r#"{"a":1,"b":2,"a":{"c":3},"\u0061":4}"#, r#"{"a":4,"b":2}"#);
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        becomes(
            "[0,-0,-0.0,1.0,1e2,-1.50,0.000001,0.0000001,1.5e-7,1e20,1e21,-1.5e+22,\
             9007199254740993,18446744073709551615,-9223372036854775808,1e300,123.456]",
            "[0,0,0,1,100,-1.5,0.000001,1e-7,1.5e-7,100000000000000000000,1e+21,-1.5e+22,\
             9007199254740992,18446744073709552000,-9223372036854776000,1e+300,123.456]",
        );
    }

    #[test]
    fn texts_are_escaped_as_javascript_escapes_them() {
        becomes(
            r#"["\u0041\/\"\\\b\f\n\r\t\u001F\u007f\u2028é\ud83d\ude00"]"#,
            "[\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u001f\u{7f}\u{2028}é\u{1f600}\"]",
        );
    }

    #[test]
    fn what_is_not_one_json_value_has_no_canonical_text() {
        for body in ["", "{", "{}x", "{} {}", "nul", "[1,]", "{\"a\"}", "1e999", "\"\\ud800\""] {
            assert_eq!(text(body), None, "{body}");
        }
        assert_eq!(canonical(b"\"\xff\""), None);
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(text(&nested(MAX_DEPTH)).is_some());
        assert_eq!(text(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(text(&"{\"a\":".repeat(100_000)), None);
        let members = |n| format!("{{{}\"\":0}}", "\"\":0,".repeat(n - 1));
        assert!(text(&members(MAX_MEMBERS)).is_some());
        assert_eq!(text(&members(MAX_MEMBERS + 1)), None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_text_means_the_same_and_is_its_own(value in json()) {
            let once = canonical(&serde_json::to_vec_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&once).unwrap(), value);
            prop_assert_eq!(canonical(&once).unwrap(), once);
        }

        #[test]
        fn any_double_keeps_its_value(number: f64) {
            prop_assume!(number.is_finite());
            let mut writer = Writer { out: Vec::new(), depth: 0, members: 0 };
            writer.number::<serde_json::Error>(number).unwrap();
            let text = String::from_utf8(writer.out).unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap(), number);
        }

        #[test]
        fn any_bytes_give_an_answer(body: Vec<u8>) {
            canonical(&body);
        }
    }
}
