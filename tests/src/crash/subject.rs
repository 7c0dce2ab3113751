use std::net::SocketAddr;
use std::time::Duration;

/// What is killed and comes back.
pub(super) trait Subject {
    /// A server from its start to its end.
    type Life: Life;

    /// Starts the server; `None` if it was killed as it started.
    async fn start(&mut self) -> Result<Option<Self::Life>, String>;

    /// Looks for damage in what the server left.
    async fn check(&mut self) -> Result<(), String>;
}

pub(super) trait Life {
    /// Where it listens, once it does.
    async fn ready(&mut self) -> Result<SocketAddr, String>;

    /// Ends it without warning. An error is that it had ended before.
    async fn kill(&mut self) -> Result<(), String>;

    /// Whether the grace period goes on.
    async fn is_in_grace(&self) -> Result<bool, String>;

    /// Ends the grace period.
    async fn end_grace(&self) -> Result<(), String>;

    /// Whether something was made to fail, so that operations may be refused.
    fn may_refuse(&self) -> bool;

    /// How long it may leave clients without an answer; `None` if it may not.
    fn silence(&self) -> Option<Duration>;

    /// What it said last.
    fn last_lines(&self) -> String;
}
