//! When grants and API tokens were last used: noted in memory by every served call, written in batches.

use crate::{Broker, BrokerError};
use doorward_domain::{ApiTokenId, GrantId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct LastUsed {
    grants: Mutex<HashMap<GrantId, Timestamp>>,
    api_tokens: Mutex<HashMap<ApiTokenId, Timestamp>>,
}

impl LastUsed {
    pub(crate) fn grant(&self, id: GrantId, now: Timestamp) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    pub(crate) fn api_token(&self, id: ApiTokenId, now: Timestamp) {
        self.api_tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }
}

impl Broker {
    /// Writes the uses noted since the last time. Called about once a minute, and at the end.
    pub async fn flush_last_used(&self) -> Result<(), BrokerError> {
        let grants =
            std::mem::take(&mut *self.last_used.grants.lock().unwrap_or_else(PoisonError::into_inner));
        let tokens =
            std::mem::take(&mut *self.last_used.api_tokens.lock().unwrap_or_else(PoisonError::into_inner));
        if !grants.is_empty() {
            self.storage().touch_grants(&grants.into_iter().collect::<Vec<_>>()).await?;
        }
        if !tokens.is_empty() {
            self.storage().touch_api_tokens(&tokens.into_iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}
