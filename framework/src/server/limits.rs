use std::time::Duration;

/// The limits of a [`Server`](super::Server). Where nothing else is said they hold for each connection. A count of
/// 0 is taken as 1.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections of the server at the same time; one more is accepted and closed at once.
    pub max_connections: usize,
    /// Bytes of the largest RPC message taken. A record that announces more closes its connection before anything
    /// is allocated for it.
    pub max_record: usize,
    /// Fragments of one record, empty ones included; a record of more closes its connection.
    pub max_fragments: usize,
    /// Requests that wait for something at the same time. At the limit nothing more is read until one ends.
    pub max_in_flight: usize,
    /// Bytes of the messages of the requests that wait for something at the same time. At or over the limit nothing
    /// more is read until some end.
    pub max_in_flight_bytes: usize,
    /// Bytes of replies and calls that the client has not yet taken. At or over the limit nothing more is read, no request is
    /// begun, and no call is sent, until it takes some. The replies of requests that already run come on top.
    pub max_unsent: usize,
    /// Bytes that all connections together may hold, counted in steps of 16 KiB for each: of messages that are not answered yet, and of
    /// replies that have not left yet. At or over the limit a connection that has requests or replies under way is not read
    /// from until there is room. One that has none may always send one request, and the replies of requests that already run
    /// come on top.
    pub max_held: usize,
    /// How long a client may send nothing in the middle of a record, while the server waits for the rest, before its connection is
    /// closed. Between records it may be quiet for as long as it likes.
    pub record_stall: Duration,
    /// How long a client may take nothing of what waits for it before its connection is closed.
    pub write_stall: Duration,
    /// Calls of the server to the client that are under way at the same time. One more is not made.
    pub max_calls: usize,
    /// Requests that are run one after the other before other tasks of the thread have their turn.
    pub max_batch: usize,
    /// How long [`serve`](super::Server::serve) waits for the server's running requests once it was told to stop.
    pub drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_record: (1 << 20) + (64 << 10),
            max_fragments: 4096,
            max_in_flight: 128,
            max_in_flight_bytes: 32 << 20,
            max_unsent: 4 << 20,
            max_held: 512 << 20,
            record_stall: Duration::from_mins(1),
            write_stall: Duration::from_mins(1),
            max_calls: 64,
            max_batch: 64,
            drain_timeout: Duration::from_secs(10),
        }
    }
}
