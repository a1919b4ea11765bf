//! Embeddings in memory, a byte a number, and how like each is to a question's.

/// The embeddings of one entry's sections: each of `dimensions` bytes, with its scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sections {
    numbers: Box<[i8]>,
    scales: Box<[f32]>,
}

impl Sections {
    /// Keeps embeddings of length 1.
    pub fn new(embeddings: &[Vec<f32>]) -> Self {
        let mut numbers = Vec::new();
        let mut scales = Vec::new();
        for embedding in embeddings {
            let largest = embedding.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
            let scale = largest / f32::from(i8::MAX);
            numbers.extend(embedding.iter().map(|x| (x / scale).round() as i8));
            scales.push(scale);
        }
        Self { numbers: numbers.into(), scales: scales.into() }
    }

    /// The cosine between the section that is most like `question` and it; `None` if there is no
    /// section.
    pub fn likeness(&self, question: &Self) -> Option<f32> {
        let scale = question.scales.first()?;
        let sections = self.numbers.chunks_exact(question.numbers.len().max(1));
        let cosines = sections.zip(&self.scales).map(|(section, own)| {
            let products = section.iter().zip(&question.numbers);
            let sum: i32 = products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            sum as f32 * own * scale
        });
        cosines.reduce(f32::max)
    }
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
        let kept = Sections::new(&[b, a.clone()]);
        let question = Sections::new(&[a]);
        assert!((kept.likeness(&question).unwrap() - 1.0).abs() < 0.01);
        let other = Sections::new(&[unit([0.5, -0.2, 0.9])]);
        assert!((other.likeness(&question).unwrap() - exact).abs() < 0.01);
        assert_eq!(Sections::default().likeness(&question), None);
    }
}
