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
    /// 0 where there is no section.
    scales: Vec<[f32; SECTIONS]>,
    entries: usize,
}

impl Vectors {
    /// None yet; each will have `size` numbers.
    pub fn new(size: usize) -> Self {
        Self { size, ..Self::default() }
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
        }
        self.forget(slot as u32);
        let sections = sections.iter().filter(|section| section.numbers.len() == self.size);
        for (at, section) in sections.take(SECTIONS).enumerate() {
            let from = (slot * SECTIONS + at) * self.size;
            self.numbers[from..from + self.size].copy_from_slice(&section.numbers);
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

    /// By slot, the cosine between `question` and the section that is most like it.
    pub fn likeness(&self, question: &Embedding) -> Vec<Option<f32>> {
        let of_slots = self.numbers.chunks_exact((SECTIONS * self.size).max(1));
        let cosines = of_slots.zip(&self.scales).map(|(numbers, scales)| {
            let sections = numbers.chunks_exact(self.size.max(1)).zip(scales);
            let known = sections.filter(|(_, scale)| **scale > 0.0);
            let cosines = known.map(|(section, own)| {
                dot(section, &question.numbers) as f32 * own * question.scale
            });
            cosines.reduce(f32::max)
        });
        cosines.collect()
    }
}

fn has_some(scales: &[f32; SECTIONS]) -> bool {
    scales.iter().any(|scale| *scale > 0.0)
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(i16::from(*x) * i16::from(*y))).sum()
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
        let likeness = vectors.likeness(&a);
        assert!((likeness[2].unwrap() - 1.0).abs() < 0.01);
        assert!((likeness[0].unwrap() - exact).abs() < 0.01);
        assert_eq!((likeness[1], vectors.len()), (None, 2));
        vectors.set(2, &[]);
        vectors.forget(7);
        assert_eq!((vectors.likeness(&a)[2], vectors.len()), (None, 1));
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
