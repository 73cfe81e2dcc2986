//! What time does to secrets: expiry and rotation.

use super::State;
use crate::model::Timestamp;

impl State {
    /// Destroys what has expired and rotates what is due. Called before every request.
    ///
    /// A lock postpones expiry, but not that of certificates; a lock on the previous version postpones rotation.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        for id in self.index.due(now.millis()) {
            let Some(secret) = self.items.secrets.get(&id) else { continue };
            let expired = secret.expiration_date.is_some_and(|date| date <= now);
            let held = secret.locks_total() > 0 && secret.secret_type != "imported_cert";
            if expired {
                if !held {
                    self.destroy(now, &id);
                }
            } else {
                // Refused when the previous version is locked: tried again at the next sweep.
                drop(self.rotate(now, &id));
            }
        }
    }
}
