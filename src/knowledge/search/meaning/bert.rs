//! A sentence-embedding model of the BERT family, as `sentence-transformers` publishes them:
//! `model.safetensors`, `config.json` and `vocab.txt` in one folder, with the checksums of all
//! three in `SHA256SUMS`.
//!
//! The embedding of a text is the mean over its tokens, of length 1. It is computed by one thread:
//! the other processors are for those who wait for something.

use std::{fs, path::Path};

use half::f16;
use ndarray::{Array1, Array2, Axis, Slice};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::tokens::Vocabulary;

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const VOCABULARY: &str = "vocab.txt";
const CHECKSUMS: &str = "SHA256SUMS";

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of it is not there.
    #[error("{file} cannot be read: {error}")]
    Unreadable {
        /// Its name.
        file: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not the one that was fetched.
    #[error("{0} is not what SHA256SUMS says")]
    Changed(&'static str),
    /// It is none of BERT's family, or not whole.
    #[error("it is no model of BERT's family, or not whole: {0}")]
    Unusable(String),
}

/// The model's shape, as `config.json` has it.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    layer_norm_eps: f32,
}

/// A model that is loaded.
pub struct Model {
    vocabulary: Vocabulary,
    /// Most of it: half as large as the file has them.
    words: Array2<f16>,
    positions: Array2<f32>,
    /// Of the only kind of text there is here.
    kind: Array1<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    checksum: [u8; 32],
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    narrow_norm: Norm,
    heads: usize,
}

struct Linear {
    weights: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    weights: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

impl Model {
    /// Loads the model of a folder, after its files were compared with their checksums.
    ///
    /// # Errors
    /// If a file is not there, is another than the one fetched, or makes no model.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let sums = read(folder, CHECKSUMS)?;
        let sums = String::from_utf8_lossy(&sums);
        let config = checked(folder, CONFIG, &sums)?;
        let config: Config = serde_json::from_slice(&config).map_err(unusable)?;
        if config.num_attention_heads == 0
            || !config.hidden_size.is_multiple_of(config.num_attention_heads)
        {
            return Err(unusable("the heads do not share the hidden size"));
        }
        let vocabulary = checked(folder, VOCABULARY, &sums)?;
        let vocabulary = Vocabulary::read(&String::from_utf8_lossy(&vocabulary));
        let vocabulary = vocabulary.filter(|known| known.len() <= config.vocab_size);
        let vocabulary = vocabulary.ok_or_else(|| unusable("vocab.txt is none of this model"))?;
        let weights = checked(folder, WEIGHTS, &sums)?;
        let tensors = Tensors(SafeTensors::deserialize(&weights).map_err(unusable)?);
        let size = config.hidden_size;
        let table = |name: &str, rows| {
            tensors.matrix(&format!("embeddings.{name}_embeddings.weight"), rows, size)
        };
        let kinds = tensors.numbers("embeddings.token_type_embeddings.weight")?;
        let kind = kinds.get(..size).ok_or_else(|| unusable("no kind of text"))?;
        let layer = |at| Layer::of(&config, &tensors, at);
        Ok(Self {
            vocabulary,
            words: table("word", config.vocab_size)?.mapv(f16::from_f32),
            positions: table("position", config.max_position_embeddings)?,
            kind: Array1::from_vec(kind.to_vec()),
            norm: tensors.norm("embeddings.LayerNorm", &config)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            checksum: Sha256::digest(sums.as_bytes()).into(),
        })
    }

    /// How many numbers an embedding has.
    pub fn size(&self) -> usize {
        self.positions.ncols()
    }

    /// Tells it from other models.
    pub fn checksum(&self) -> [u8; 32] {
        self.checksum
    }

    /// The embedding of a text, of length 1.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut tokens = self.vocabulary.tokens(text);
        tokens.truncate(self.positions.nrows());
        let mut hidden = self.positions.slice_axis(Axis(0), Slice::from(..tokens.len())).to_owned();
        for (mut row, token) in hidden.rows_mut().into_iter().zip(tokens) {
            row += &self.words.row(token as usize).mapv(f16::to_f32);
        }
        hidden += &self.kind;
        self.norm.apply(&mut hidden);
        for layer in &self.layers {
            hidden = layer.apply(&hidden);
        }
        let mean = hidden.mean_axis(Axis(0)).unwrap_or_default();
        let length = mean.dot(&mean).sqrt().max(f32::MIN_POSITIVE);
        mean.into_iter().map(|x| x / length).collect()
    }
}

impl Layer {
    fn of(config: &Config, tensors: &Tensors<'_>, at: usize) -> Result<Self, ModelError> {
        let (size, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{at}.{part}");
        let linear = |part: &str, from, to| tensors.linear(&name(part), from, to);
        Ok(Self {
            query: linear("attention.self.query", size, size)?,
            key: linear("attention.self.key", size, size)?,
            value: linear("attention.self.value", size, size)?,
            attended: linear("attention.output.dense", size, size)?,
            attended_norm: tensors.norm(&name("attention.output.LayerNorm"), config)?,
            wide: linear("intermediate.dense", size, wide)?,
            narrow: linear("output.dense", wide, size)?,
            narrow_norm: tensors.norm(&name("output.LayerNorm"), config)?,
            heads: config.num_attention_heads,
        })
    }

    fn apply(&self, hidden: &Array2<f32>) -> Array2<f32> {
        let (query, key, value) =
            (self.query.apply(hidden), self.key.apply(hidden), self.value.apply(hidden));
        let per_head = hidden.ncols() / self.heads;
        let mut seen = Array2::zeros(hidden.raw_dim());
        for head in 0..self.heads {
            let of = Slice::from(head * per_head..(head + 1) * per_head);
            let part = |seen: &Array2<f32>| seen.slice_axis(Axis(1), of).to_owned();
            let mut attention = part(&query).dot(&part(&key).t());
            attention /= (per_head as f32).sqrt();
            softmax(&mut attention);
            seen.slice_axis_mut(Axis(1), of).assign(&attention.dot(&part(&value)));
        }
        let mut attended = self.attended.apply(&seen);
        attended += hidden;
        self.attended_norm.apply(&mut attended);
        let mut wide = self.wide.apply(&attended);
        wide.mapv_inplace(gelu);
        let mut narrow = self.narrow.apply(&wide);
        narrow += &attended;
        self.narrow_norm.apply(&mut narrow);
        narrow
    }
}

impl Linear {
    fn apply(&self, from: &Array2<f32>) -> Array2<f32> {
        let mut to = from.dot(&self.weights.t());
        to += &self.bias;
        to
    }
}

impl Norm {
    fn apply(&self, rows: &mut Array2<f32>) {
        for mut row in rows.rows_mut() {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            row -= mean;
            let deviation = (row.dot(&row) / count + self.epsilon).sqrt();
            row /= deviation;
            row *= &self.weights;
            row += &self.bias;
        }
    }
}

fn softmax(rows: &mut Array2<f32>) {
    for mut row in rows.rows_mut() {
        let most = row.fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        row.mapv_inplace(|x| (x - most).exp());
        let sum = row.sum();
        row /= sum;
    }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The numbers of a model, by their names.
struct Tensors<'a>(SafeTensors<'a>);

impl Tensors<'_> {
    fn numbers(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let tensor = self.0.tensor(name).map_err(unusable)?;
        if tensor.dtype() != Dtype::F32 {
            return Err(unusable(format!("{name} is not of 32 bits")));
        }
        let (bytes, _) = tensor.data().as_chunks::<4>();
        Ok(bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, ModelError> {
        let numbers = self.numbers(name)?;
        match numbers.len() == length {
            true => Ok(Array1::from_vec(numbers)),
            false => Err(unusable(format!("{name} has another size"))),
        }
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, ModelError> {
        Array2::from_shape_vec((rows, columns), self.numbers(name)?).map_err(unusable)
    }

    fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear, ModelError> {
        let weights = self.matrix(&format!("{name}.weight"), to, from)?;
        Ok(Linear { weights, bias: self.vector(&format!("{name}.bias"), to)? })
    }

    fn norm(&self, name: &str, config: &Config) -> Result<Norm, ModelError> {
        let vector = |part: &str| self.vector(&format!("{name}.{part}"), config.hidden_size);
        let (weights, bias) = (vector("weight")?, vector("bias")?);
        Ok(Norm { weights, bias, epsilon: config.layer_norm_eps })
    }
}

fn unusable(error: impl std::fmt::Display) -> ModelError {
    ModelError::Unusable(error.to_string())
}

fn read(folder: &Path, file: &'static str) -> Result<Vec<u8>, ModelError> {
    fs::read(folder.join(file)).map_err(|error| ModelError::Unreadable { file, error })
}

/// A file, if it is the one that `sums`, in the form of `sha256sum`, tells of.
fn checked(folder: &Path, file: &'static str, sums: &str) -> Result<Vec<u8>, ModelError> {
    let bytes = read(folder, file)?;
    let sum = hex::encode(Sha256::digest(&bytes));
    let told = sums.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let mut told = told.map(|(sum, name)| (sum, name.trim().trim_start_matches('*')));
    match told.any(|(known, name)| name == file && known.eq_ignore_ascii_case(&sum)) {
        true => Ok(bytes),
        false => Err(ModelError::Changed(file)),
    }
}
