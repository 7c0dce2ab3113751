//! The types by which minor version 0 knows clients (RFC 7530 sections 2.2 and 16.33).

use super::{NFS4_OPAQUE_LIMIT, Verifier4};
use crate::xdr::Opaque;
use crate::xdr_struct;

/// The longest netid and universal address that are taken: the longest address, of IPv6 with a port, has 47 bytes.
pub const CLIENTADDR_MAX: u32 = 128;

xdr_struct! {
    /// nfs_client_id4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NfsClientId4 {
        /// Which incarnation of the client it is.
        pub verifier: Verifier4,
        /// The client's name for itself.
        pub id: Opaque<NFS4_OPAQUE_LIMIT>,
    }
}

xdr_struct! {
    /// clientaddr4.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct ClientAddr4 {
        /// r_netid: the transport.
        pub netid: Opaque<CLIENTADDR_MAX>,
        /// r_addr: the address, as universal addresses are written.
        pub addr: Opaque<CLIENTADDR_MAX>,
    }
}

xdr_struct! {
    /// cb_client4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbClient4 {
        /// The RPC program of the callbacks.
        pub program: u32,
        /// Where it is.
        pub location: ClientAddr4,
    }
}
