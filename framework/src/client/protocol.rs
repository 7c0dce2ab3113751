/// By which part of the protocol a client made itself known. The two have name spaces of their own: the same owner
/// string in both is two clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// SETCLIENTID of minor version 0 (RFC 7530 section 16.33).
    V4_0,
    /// EXCHANGE_ID of minor version 1 and later (RFC 8881 section 18.35).
    Sessions,
}
