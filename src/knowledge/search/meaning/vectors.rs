//! Embeddings in memory, a byte a number, and how like each is to a question's.

/// Sections of an entry that are embedded, at most.
pub const SECTIONS: usize = 2;

/// An embedding of length 1, a byte a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    scale: f32,
    numbers: Box<[i8]>,
}

impl Embedding {
    /// Of the numbers that a model gave.
    pub fn of(numbers: &[f32]) -> Self {
        let largest = numbers.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
        let scale = largest / f32::from(i8::MAX);
        Self { scale, numbers: numbers.iter().map(|x| (x / scale).round() as i8).collect() }
    }

    /// As it is kept: the scale, then the numbers.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.numbers.iter().map(|number| number.cast_unsigned());
        self.scale.to_le_bytes().into_iter().chain(numbers).collect()
    }

    /// From what was kept of `size` numbers; `None` if it is none of them.
    pub fn from_bytes(bytes: &[u8], size: usize) -> Option<Self> {
        let (scale, numbers) = bytes.split_first_chunk::<4>()?;
        let scale = f32::from_le_bytes(*scale);
        let numbers: Box<[i8]> = numbers.iter().map(|byte| byte.cast_signed()).collect();
        (numbers.len() == size && scale.is_finite()).then_some(Self { scale, numbers })
    }
}

/// The embeddings of all entries, by slot, one after the other in memory.
#[derive(Debug, Default)]
pub struct Vectors {
    size: usize,
    numbers: Vec<i8>,
    /// A bit a number, set where it is below zero: what is far apart in these is unlike.
    signs: Vec<u64>,
    /// 0 where there is no section.
    scales: Vec<[f32; SECTIONS]>,
    entries: usize,
}

impl Vectors {
    /// None yet; each will have `size` numbers.
    pub fn new(size: usize) -> Self {
        Self { size, ..Self::default() }
    }

    /// How many words of 64 bits the signs of an embedding take.
    fn words(&self) -> usize {
        self.size.div_ceil(64)
    }

    /// How many entries have some.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Sets the embeddings of an entry.
    pub fn set(&mut self, slot: u32, sections: &[Embedding]) {
        let slot = slot as usize;
        if self.scales.len() <= slot {
            self.scales.resize(slot + 1, [0.0; SECTIONS]);
            self.numbers.resize((slot + 1) * SECTIONS * self.size, 0);
            self.signs.resize((slot + 1) * SECTIONS * self.words(), 0);
        }
        self.forget(slot as u32);
        let sections = sections.iter().filter(|section| section.numbers.len() == self.size);
        for (at, section) in sections.take(SECTIONS).enumerate() {
            let from = (slot * SECTIONS + at) * self.size;
            self.numbers[from..from + self.size].copy_from_slice(&section.numbers);
            let words = self.words();
            let from = (slot * SECTIONS + at) * words;
            self.signs[from..from + words].copy_from_slice(&signs(&section.numbers));
            self.scales[slot][at] = section.scale;
        }
        self.entries += usize::from(has_some(&self.scales[slot]));
    }

    /// Forgets the embeddings of an entry.
    pub fn forget(&mut self, slot: u32) {
        if let Some(scales) = self.scales.get_mut(slot as usize) {
            self.entries -= usize::from(has_some(scales));
            *scales = [0.0; SECTIONS];
        }
    }

    /// The cosine between `question` and the section of an entry that is most like it.
    pub fn likeness(&self, slot: u32, question: &Embedding) -> Option<f32> {
        let slot = slot as usize;
        let known = self.scales.get(slot)?.iter().enumerate().filter(|(_, scale)| **scale > 0.0);
        let cosines = known.map(|(at, own)| {
            let from = (slot * SECTIONS + at) * self.size;
            let section = &self.numbers[from..from + self.size];
            dot(section, &question.numbers) as f32 * own * question.scale
        });
        cosines.reduce(f32::max)
    }

    /// The entries most like `question`, about `most` of them, with their cosines, the most like
    /// first. Whom to compare is told by the signs alone, a thirtieth of the work.
    pub fn nearest(&self, question: &Embedding, most: usize) -> Vec<(u32, f32)> {
        let (words, of_question) = (self.words().max(1), signs(&question.numbers));
        let apart = |section: &[u64]| -> u32 {
            section.iter().zip(&of_question).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        let of_slots = self.signs.chunks_exact(SECTIONS * words).zip(&self.scales);
        let mut far: Vec<(u32, u32)> = Vec::with_capacity(self.entries);
        for (slot, (sections, scales)) in (0u32..).zip(of_slots) {
            let known = sections.chunks_exact(words).zip(scales).filter(|(_, own)| **own > 0.0);
            far.extend(known.map(|(section, _)| apart(section)).min().map(|apart| (apart, slot)));
        }
        if far.len() > most {
            far.select_nth_unstable(most);
            far.truncate(most);
        }
        let near = far.into_iter().map(|(_, slot)| slot);
        let mut near: Vec<(u32, f32)> =
            near.filter_map(|slot| Some((slot, self.likeness(slot, question)?))).collect();
        near.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        near
    }
}

fn signs(numbers: &[i8]) -> Vec<u64> {
    let bits = |word: &[i8]| -> u64 {
        word.iter().enumerate().map(|(bit, number)| u64::from(*number < 0) << bit).sum()
    };
    numbers.chunks(64).map(bits).collect()
}

fn has_some(scales: &[f32; SECTIONS]) -> bool {
    scales.iter().any(|scale| *scale > 0.0)
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(numbers: [f32; 3]) -> Vec<f32> {
        let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
        numbers.map(|x| x / length).to_vec()
    }

    #[test]
    fn a_byte_a_number_keeps_the_cosine_to_a_hundredth() {
        let (a, b) = (unit([0.3, -0.8, 0.1]), unit([0.5, -0.2, 0.9]));
        let exact: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
        let (a, b) = (Embedding::of(&a), Embedding::of(&b));
        let mut vectors = Vectors::new(3);
        vectors.set(2, &[b.clone(), a.clone()]);
        vectors.set(0, std::slice::from_ref(&b));
        assert!((vectors.likeness(2, &a).unwrap() - 1.0).abs() < 0.01);
        assert!((vectors.likeness(0, &a).unwrap() - exact).abs() < 0.01);
        assert_eq!((vectors.likeness(1, &a), vectors.len()), (None, 2));
        let slots = |most| -> Vec<u32> {
            vectors.nearest(&a, most).into_iter().map(|(slot, _)| slot).collect()
        };
        assert_eq!((slots(5), slots(1).len()), (vec![2, 0], 1));
        vectors.set(2, &[]);
        vectors.forget(7);
        assert_eq!((vectors.likeness(2, &a), vectors.len()), (None, 1));
    }

    #[test]
    fn an_embedding_comes_back_from_its_bytes() {
        let embedding = Embedding::of(&unit([0.3, -0.8, 0.1]));
        let bytes = embedding.to_bytes();
        assert_eq!(Embedding::from_bytes(&bytes, 3), Some(embedding));
        assert_eq!(Embedding::from_bytes(&bytes, 4), None);
        assert_eq!(Embedding::from_bytes(&bytes[..3], 3), None);
    }
}
