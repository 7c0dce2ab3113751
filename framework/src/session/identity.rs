use crate::proto::{NfsImplId4, OpaqueId, ServerOwner4};

/// Who the server is to its clients. Everything but the boot epoch must be the same after a restart, or clients take
/// it for another server and do not reclaim their state (RFC 8881 sections 2.10.4 and 2.10.5).
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// eir_server_owner.
    pub owner: ServerOwner4,
    /// eir_server_scope.
    pub scope: OpaqueId,
    /// Differs from start to start: part of every client ID, so that one of another start is recognized as stale.
    pub boot_epoch: u32,
    /// eir_server_impl_id.
    pub implementation: Option<NfsImplId4>,
}

impl ServerIdentity {
    /// A server that is known by `name`, as owner and as scope.
    pub fn new(name: &[u8], boot_epoch: u32) -> Self {
        let name = OpaqueId::from(name);
        Self {
            owner: ServerOwner4 { minor_id: 0, major_id: name.clone() },
            scope: name,
            boot_epoch,
            implementation: None,
        }
    }
}
