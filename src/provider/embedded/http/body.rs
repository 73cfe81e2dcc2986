//! Request bodies: size-limited, plain or gzip-compressed.

use std::io::Read;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

use super::super::state::Refusal;

/// Reads a body of at most `limit` bytes, both compressed and decompressed.
pub(crate) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Zeroizing<String>, Refusal> {
    // Read the body first: an answer before the end of the request would break the client's connection.
    let bytes = to_bytes(body, limit).await.map_err(|_| Refusal::too_large())?;
    let encoding = headers.get(CONTENT_ENCODING).map_or(b"identity".as_slice(), |value| value.as_bytes());
    let packed = match encoding.to_ascii_lowercase().as_slice() {
        b"identity" => false,
        b"gzip" => true,
        _ => return Err(Refusal::encoding()),
    };
    let bytes = if packed { unpack(&bytes, limit)? } else { Zeroizing::new(bytes.into()) };
    let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::invalid("The request body is not UTF-8."))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Decompresses, and stops above `limit`: a small body may expand to gigabytes.
fn unpack(packed: &[u8], limit: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // Allocate the full size, so that growing leaves no unwiped copies.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(packed).take(bound).read_to_end(&mut bytes);
    read.map_err(|_| Refusal::invalid("The request body is damaged: it cannot be unpacked with gzip."))?;
    if bytes.len() > limit { Err(Refusal::too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn send(body: Vec<u8>, encoding: Option<&str>, limit: usize) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        read(Body::from(body), &headers, limit).await.map(|text| text.to_string()).map_err(|refusal| refusal.status)
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked_and_a_plain_one_is_left_alone() {
        let text = r#"{"name":"token"}"#;
        for encoding in ["gzip", "GZIP"] {
            assert_eq!(send(packed(text.as_bytes()), Some(encoding), 100).await.as_deref(), Ok(text));
        }
        assert_eq!(send(text.into(), None, 100).await.as_deref(), Ok(text));
        assert_eq!(send(text.into(), Some("identity"), 100).await.as_deref(), Ok(text));
    }

    #[tokio::test]
    async fn what_is_damaged_unknown_or_too_large_is_refused() {
        let whole = packed(&[b'x'; 100]);
        assert_eq!(send(whole[..whole.len() - 3].to_vec(), Some("gzip"), 100).await, Err(400));
        assert_eq!(send(b"no gzip".to_vec(), Some("gzip"), 100).await, Err(400));
        let mut trailing = whole.clone();
        trailing.extend(b"more");
        assert_eq!(send(trailing, Some("gzip"), 100).await, Err(400));
        assert_eq!(send(whole.clone(), Some("br"), 100).await, Err(415));
        assert_eq!(send(whole.clone(), Some("gzip"), 100).await.map(|text| text.len()), Ok(100));
        assert_eq!(send(whole, Some("gzip"), 99).await, Err(413));
        // One megabyte compressed to a kilobyte.
        let bomb = packed(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2000);
        assert_eq!(send(bomb, Some("gzip"), 2000).await, Err(413));
    }
}
