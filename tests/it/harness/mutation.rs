//! Inputs that are nearly right: good ones with parts changed, doubled, cut and swapped, always the
//! same from the same seed.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What means something to one of the readers.
const TOKENS: [&[u8]; 48] = [
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"%00",
    b"%ff",
    b"%",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\t",
    b" ",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"-1",
    b"0",
    b"1e999",
    b"9223372036854775808",
    b"null",
    b"true",
    b"NaN",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"../",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"javascript:",
    b"$where",
    b"' OR 1=1 --",
    b"---\n",
    b"```\n",
    b"# ",
    b"<script>",
    b"&",
    b"=",
    b"?",
    b"\xef\xbb\xbf",
];
/// However much is doubled, in bytes.
const LONGEST: usize = 64 * 1024;

/// Makes them.
pub struct Mutator(StdRng);

impl Mutator {
    pub fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of the seeds, changed in one to eight places.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(seeds).clone();
        for _ in 0..1 + self.below(8) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let until = (at + 1 + self.below(32)).min(bytes.len());
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.0.random(),
            2 => drop(bytes.drain(at..until.max(at))),
            3 => {
                let part = bytes[at..until.max(at)].to_vec();
                let times = if self.below(16) == 0 { 500 } else { 2 };
                bytes.splice(at..at, part.repeat(times));
            }
            4 if self.below(4) == 0 => bytes.truncate(at),
            5 => {
                let other = self.pick(seeds).clone();
                let from = self.below(other.len());
                let to = (from + 1 + self.below(64)).min(other.len());
                bytes.splice(at..until.max(at), other[from.min(to)..to].iter().copied());
            }
            _ => {
                let token = *self.pick(&TOKENS);
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
}
