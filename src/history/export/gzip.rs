//! A stream of bytes, compressed as it passes.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::ExportError;

/// Compresses; a stream that fails has no trailer, so that it does not look whole.
pub fn gzip(
    bytes: BoxStream<'static, Result<Bytes, ExportError>>,
) -> BoxStream<'static, Result<Bytes, ExportError>> {
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    let pieces = bytes.map(Some).chain(stream::iter([None]));
    let compressed = pieces.scan(encoder, |encoder, piece| {
        let compressed = match piece {
            Some(Ok(bytes)) => compress(encoder, &bytes),
            Some(Err(error)) => {
                *encoder = None;
                Err(error)
            }
            None => encoder.take().map_or(Ok(Vec::new()), |encoder| Ok(encoder.finish()?)),
        };
        futures::future::ready(Some(compressed.map(Bytes::from)))
    });
    // What the compressor holds back gives an empty piece.
    let told = compressed.filter(|piece| {
        futures::future::ready(!piece.as_ref().is_ok_and(|bytes| bytes.is_empty()))
    });
    told.boxed()
}

fn compress(
    encoder: &mut Option<GzEncoder<Vec<u8>>>,
    bytes: &[u8],
) -> Result<Vec<u8>, ExportError> {
    let Some(encoder) = encoder else { return Ok(Vec::new()) };
    encoder.write_all(bytes)?;
    Ok(std::mem::take(encoder.get_mut()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures::TryStreamExt;

    use super::*;
    use crate::store::StoreError;

    fn stream_of(
        pieces: Vec<Result<Bytes, ExportError>>,
    ) -> BoxStream<'static, Result<Bytes, ExportError>> {
        stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn what_was_compressed_comes_back() {
        let pieces = (0..100).map(|n| Ok(Bytes::from(format!("line {n}\n").repeat(50))));
        let pieces: Vec<Bytes> = gzip(stream_of(pieces.collect())).try_collect().await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(pieces.concat().as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 5000);
    }

    #[tokio::test]
    async fn a_stream_that_fails_does_not_look_whole() {
        let broken = Err(StoreError::unavailable("gone").into());
        let pieces: Vec<_> = gzip(stream_of(vec![Ok(Bytes::from("text")), broken])).collect().await;
        assert!(pieces.last().unwrap().is_err());
        let bytes: Vec<u8> = pieces.into_iter().flatten().flatten().collect();
        let mut text = String::new();
        assert!(flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).is_err());
    }
}
