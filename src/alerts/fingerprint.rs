//! Prometheus' identity of a label set.

use std::collections::BTreeMap;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
const SEPARATOR: u8 = 0xff;

/// FNV-1a 64 over the pairs sorted by name, each name and value followed by 0xFF, as 16 hex
/// digits: `model.LabelSet.Fingerprint` of prometheus/common.
pub fn of(labels: &BTreeMap<String, String>) -> String {
    let mut hash = OFFSET_BASIS;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    for (name, value) in labels {
        name.bytes().for_each(&mut add);
        add(SEPARATOR);
        value.bytes().for_each(&mut add);
        add(SEPARATOR);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn fingerprints_are_those_that_alertmanager_sends() {
        let first = labels(&[
            ("agent", "summarization-agent"),
            ("alertname", "HighErrorRate"),
            ("cause", "timeout"),
            ("instance", "node1:9100"),
            ("job", "orchestrator"),
            ("severity", "critical"),
        ]);
        let mut second = first.clone();
        second.insert("agent".into(), "content-agent".into());
        second.insert("instance".into(), "node2:9100".into());
        assert_eq!(of(&first), "2b75e6755e9b40dd");
        assert_eq!(of(&second), "6603445b771b1c30");
        assert_eq!(of(&BTreeMap::new()), "cbf29ce484222325");
    }

    proptest! {
        #[test]
        fn moving_a_byte_from_name_to_value_changes_it(name in "[a-z]{2,9}", value in "[a-z]{1,9}") {
            let (head, tail) = name.split_at(name.len() - 1);
            let moved = format!("{tail}{value}");
            prop_assert_ne!(of(&labels(&[(&name, &value)])), of(&labels(&[(head, &moved)])));
        }

        #[test]
        fn it_is_sixteen_hex_digits(map in prop::collection::btree_map(".{0,9}", ".{0,9}", 0..5)) {
            let print = of(&map);
            prop_assert!(print.len() == 16 && print.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
