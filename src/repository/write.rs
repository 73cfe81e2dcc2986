//! Writes an object and confirms that it is stored.

use std::time::Duration;

use bytes::Bytes;

use super::{RepositoryError, Store, StoreError};

/// Delays before an object that was just written is read again: a store may lag behind its own answers.
const READ_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Writes an object and confirms it by reading it back: after a timeout it may exist or not, and a store may report
/// success and keep something else.
pub(super) async fn write_confirmed(
    store: &Store,
    path: &str,
    bytes: Bytes,
    limit: usize,
) -> Result<(), RepositoryError> {
    let written = store.put(path, bytes.clone()).await;
    match written {
        Ok(()) | Err(StoreError::Unreachable { .. } | StoreError::Other { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let path = path.to_owned();
    let mut read = store.get_fitting(&path, limit, |back| *back == bytes).await;
    for wait in READ_AGAIN_AFTER {
        let lags = match &read {
            Ok(back) => *back != bytes,
            Err(error) => error.is_not_found() && written.is_ok(),
        };
        if !lags {
            break;
        }
        tokio::time::sleep(wait).await;
        read = store.get_fitting(&path, limit, |back| *back == bytes).await;
    }
    match (read, written) {
        (Ok(back), _) if back == bytes => Ok(()),
        (Ok(_), _) => {
            let why = "what was just written comes back as other bytes".to_owned();
            Err(RepositoryError::Damaged { path, why })
        }
        (Err(error), Err(first)) if error.is_not_found() => Err(first.into()),
        (Err(source), _) => Err(RepositoryError::Unconfirmed { path, source }),
    }
}
