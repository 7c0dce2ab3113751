use std::time::Duration;

/// Limits of calls to clients.
#[derive(Debug, Clone)]
pub struct CallbackLimits {
    /// How long an answer is waited for. The slot of a callback that is not answered stays in use as long as its connection lasts.
    pub reply_timeout: Duration,
    /// How long a callback waits for a slot of a backchannel.
    pub slot_wait: Duration,
    /// How long a callback whose connection was lost waits for another one, where no other session of the client can take it.
    pub rebind_wait: Duration,
    /// How long a request for a delegation waits for the first answer of a client that has just said how it is called.
    pub proof_wait: Duration,
    /// How often a callback is tried that the client does not take.
    pub tries: u32,
    /// How long to wait before the second try; each time twice as long.
    pub retry_after: Duration,
    /// The longest wait between two tries.
    pub retry_after_max: Duration,
    /// Callbacks to one client that are carried out at the same time.
    pub per_client: usize,
}

impl Default for CallbackLimits {
    fn default() -> Self {
        Self {
            reply_timeout: Duration::from_secs(10),
            slot_wait: Duration::from_secs(10),
            rebind_wait: Duration::from_secs(10),
            proof_wait: Duration::from_millis(500),
            tries: 5,
            retry_after: Duration::from_millis(100),
            retry_after_max: Duration::from_secs(5),
            per_client: 16,
        }
    }
}

impl CallbackLimits {
    /// How long to wait after the try with this number, which begins at 0.
    pub(crate) fn backoff(&self, tried: u32) -> Duration {
        let factor = 1_u32.checked_shl(tried).unwrap_or(u32::MAX);
        self.retry_after.saturating_mul(factor).min(self.retry_after_max)
    }
}
