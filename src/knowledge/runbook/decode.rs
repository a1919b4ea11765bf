//! The bytes of a file to text, whatever encoding its author's editor left it in.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A file as text, with line feeds alone at the ends of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without a byte order mark.
    pub text: String,
    /// What was odd about its encoding.
    pub warning: Option<String>,
}

/// Reads `bytes` as UTF-8, as UTF-16, or else as Latin-1 (as Windows has it); `None` if that
/// gives no text.
pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let (text, warning) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => in_encoding(&bytes[mark..], encoding),
        None => match (std::str::from_utf8(bytes), utf16_without_mark(bytes)) {
            (_, Some(encoding)) => in_encoding(bytes, encoding),
            (Ok(text), None) => (text.to_owned(), None),
            (Err(_), None) => {
                let text = WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned();
                (text, Some("it is not UTF-8, and was read as Latin-1".to_owned()))
            }
        },
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    (!text.contains('\0')).then_some(Decoded { text, warning })
}

fn in_encoding(bytes: &[u8], encoding: &'static Encoding) -> (String, Option<String>) {
    let (text, malformed) = encoding.decode_without_bom_handling(bytes);
    let warning = malformed.then(|| format!("it is not {} throughout", encoding.name()));
    (text.into_owned(), warning)
}

/// The encoding of Latin text of which every other byte is zero.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let zeros = |first: usize| bytes.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match (even, odd) {
        (0, n) if n * 4 > bytes.len() => Some(UTF_16LE),
        (n, 0) if n * 4 > bytes.len() => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    fn text(bytes: &[u8]) -> Option<String> {
        decode(bytes).map(|decoded| decoded.text)
    }

    #[test]
    fn each_encoding_gives_the_same_text() {
        let want = "# Größe\nü\n";
        assert_eq!(text("# Größe\r\nü\r\n".as_bytes()).as_deref(), Some(want));
        assert_eq!(text("\u{feff}# Größe\nü\n".as_bytes()).as_deref(), Some(want));
        for bytes_of in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(text(&utf16(want, bytes_of)).as_deref(), Some(want));
            let marked = utf16(&format!("\u{feff}{want}"), bytes_of);
            assert_eq!(text(&marked).as_deref(), Some(want));
        }
        let latin: Vec<u8> = want.chars().map(|c| c as u8).collect();
        let decoded = decode(&latin).unwrap();
        assert_eq!(decoded.text, want);
        assert!(decoded.warning.unwrap().contains("Latin-1"));
    }

    #[test]
    fn what_is_no_text_is_none() {
        assert_eq!(text(b"\x7fELF\0\0\0\x01\0ab"), None);
        assert_eq!(text(b"").as_deref(), Some(""));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_stop_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            decode(&bytes);
        }
    }
}
