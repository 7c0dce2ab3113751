use super::{ClientId, NFS4_OPAQUE_LIMIT, NfsTime, SessionId, Verifier4};
use crate::attr::Bitmap;
use crate::xdr::{Opaque, Utf8, XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};
use crate::{xdr_enum, xdr_struct, xdr_union};

bitflags::bitflags! {
    /// EXCHGID4_FLAG_*: bits of eia_flags and eir_flags (RFC 8881 section 18.35.1, RFC 7862 section 14.1.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ExchangeIdFlags: u32 {
        /// Can deal with referrals.
        const SUPP_MOVED_REFER = 0x0000_0001;
        /// Can deal with migration.
        const SUPP_MOVED_MIGR = 0x0000_0002;
        /// Operations are fenced by the end of their session; minor version 2 and later.
        const SUPP_FENCE_OPS = 0x0000_0004;
        /// Stateids are bound to principals.
        const BIND_PRINC_STATEID = 0x0000_0100;
        /// The role without pNFS.
        const USE_NON_PNFS = 0x0001_0000;
        /// The role of a pNFS metadata server.
        const USE_PNFS_MDS = 0x0002_0000;
        /// The role of a pNFS data server.
        const USE_PNFS_DS = 0x0004_0000;
        /// In arguments only: change the properties of a confirmed record.
        const UPD_CONFIRMED_REC_A = 0x4000_0000;
        /// In results only: the client ID is a confirmed one.
        const CONFIRMED_R = 0x8000_0000;
    }

    /// CREATE_SESSION4_FLAG_*: bits of csa_flags and csr_flags (RFC 8881 section 18.36.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CreateSessionFlags: u32 {
        /// A reply cache that survives a restart of the server.
        const PERSIST = 1;
        /// The connection serves the backchannel too.
        const CONN_BACK_CHAN = 2;
        /// The connection changes to RDMA mode.
        const CONN_RDMA = 4;
    }

    /// SEQ4_STATUS_*: bits of sr_status_flags (RFC 8881 section 18.46.2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SequenceStatus: u32 {
        /// The client has no backchannel in any session.
        const CB_PATH_DOWN = 0x0000_0001;
        /// The backchannel's GSS contexts end within a lease.
        const CB_GSS_CONTEXTS_EXPIRING = 0x0000_0002;
        /// The backchannel's GSS contexts have ended.
        const CB_GSS_CONTEXTS_EXPIRED = 0x0000_0004;
        /// All state went with the lease.
        const EXPIRED_ALL_STATE_REVOKED = 0x0000_0008;
        /// Some state went after the lease.
        const EXPIRED_SOME_STATE_REVOKED = 0x0000_0010;
        /// An administrator revoked state.
        const ADMIN_STATE_REVOKED = 0x0000_0020;
        /// Delegations or layouts were revoked because they were not returned.
        const RECALLABLE_STATE_REVOKED = 0x0000_0040;
        /// Another server has taken over the lease of a file system.
        const LEASE_MOVED = 0x0000_0080;
        /// The server restarted: state is to be reclaimed.
        const RESTART_RECLAIM_NEEDED = 0x0000_0100;
        /// This session has no backchannel.
        const CB_PATH_DOWN_SESSION = 0x0000_0200;
        /// This session's backchannel is broken for good.
        const BACKCHANNEL_FAULT = 0x0000_0400;
        /// A device ID changed its mapping.
        const DEVID_CHANGED = 0x0000_0800;
        /// A device ID was deleted.
        const DEVID_DELETED = 0x0000_1000;
    }
}

/// A flag word that keeps bits which no RFC defines: whether they matter is the operation's to say.
macro_rules! flags_codec {
    ($($t:ty),*) => {$(
        impl XdrDecode for $t {
            fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
                r.u32().map(Self::from_bits_retain)
            }
        }
        impl XdrEncode for $t {
            #[inline]
            fn encode(&self, w: &mut XdrWriter) {
                w.u32(self.bits());
            }
        }
    )*};
}
flags_codec!(ExchangeIdFlags, CreateSessionFlags, SequenceStatus);

/// `item<1>`: an array that holds one item or none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtMostOne<T>(pub Option<T>);

impl<T: XdrDecode> XdrDecode for AtMostOne<T> {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let item = (r.array_len(1, T::MIN_SIZE)? == 1).then(|| T::decode(r)).transpose()?;
        Ok(Self(item))
    }
}

impl<T: XdrEncode> XdrEncode for AtMostOne<T> {
    fn encode(&self, w: &mut XdrWriter) {
        self.0.encode(w);
    }
}

/// An opaque identifier of the client's or the server's making.
pub type OpaqueId = Opaque<NFS4_OPAQUE_LIMIT>;

xdr_struct! {
    /// client_owner4 (RFC 8881 section 3.3.11).
    #[derive(Clone, PartialEq, Eq)]
    pub struct ClientOwner4 {
        /// Changes with every incarnation of the client.
        pub verifier: Verifier4,
        /// Names the client for ever.
        pub ownerid: OpaqueId,
    }
}

xdr_struct! {
    /// server_owner4 (RFC 8881 section 3.3.12).
    #[derive(Clone, PartialEq, Eq)]
    pub struct ServerOwner4 {
        /// Equal on two connections: sessions may be shared between them, if the major id is equal too.
        pub minor_id: u64,
        /// Equal on two connections: the client ID is the same on both.
        pub major_id: OpaqueId,
    }
}

xdr_struct! {
    /// nfs_impl_id4 (RFC 8881 section 3.3.21): who wrote the peer, for people to read.
    #[derive(Clone, PartialEq, Eq)]
    pub struct NfsImplId4 {
        /// DNS name of the maker.
        pub domain: Utf8,
        /// Product and version.
        pub name: Utf8,
        /// When it was built.
        pub date: NfsTime,
    }
}

xdr_struct! {
    /// state_protect_ops4: which operations state protection is about.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StateProtectOps4 {
        /// They must be protected.
        pub must_enforce: Bitmap,
        /// They may be.
        pub must_allow: Bitmap,
    }
}

xdr_struct! {
    /// ssv_sp_parms4: what the client asks of SSV protection.
    #[derive(Clone, PartialEq, Eq)]
    pub struct SsvSpParms4 {
        /// The operations.
        pub ops: StateProtectOps4,
        /// Hash algorithms, as object identifiers, in the client's order.
        pub hash_algs: Vec<Utf8>,
        /// Encryption algorithms, as object identifiers, in the client's order.
        pub encr_algs: Vec<Utf8>,
        /// Versions of the SSV at a time.
        pub window: u32,
        /// GSS handles wanted.
        pub num_gss_handles: u32,
    }
}

xdr_union! {
    /// state_protect4_a: what the client asks.
    #[derive(Clone, PartialEq, Eq)]
    pub enum StateProtect4A {
        /// No protection.
        0 => None(()),
        /// By the machine credential.
        1 => MachCred(StateProtectOps4),
        /// By a secret state verifier.
        2 => Ssv(SsvSpParms4),
    }
}

xdr_union! {
    /// state_protect4_r: what the server does. Only no protection is offered: the other arms need RPCSEC_GSS.
    #[derive(Clone, PartialEq, Eq)]
    pub enum StateProtect4R {
        /// No protection.
        0 => None(()),
    }
}

xdr_struct! {
    /// EXCHANGE_ID4args.
    #[derive(Clone)]
    pub struct ExchangeId4Args {
        /// Who the client says it is.
        pub client_owner: ClientOwner4,
        /// What it asks.
        pub flags: ExchangeIdFlags,
        /// How its state is to be protected.
        pub state_protect: StateProtect4A,
        /// Who wrote it.
        pub client_impl_id: AtMostOne<NfsImplId4>,
    }
}

xdr_struct! {
    /// EXCHANGE_ID4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct ExchangeId4ResOk {
        /// The client ID.
        pub clientid: ClientId,
        /// csa_sequence of the CREATE_SESSION that confirms it.
        pub sequenceid: u32,
        /// Properties of the client ID.
        pub flags: ExchangeIdFlags,
        /// How its state is protected.
        pub state_protect: StateProtect4R,
        /// Which server this is.
        pub server_owner: ServerOwner4,
        /// Where its client IDs mean something.
        pub server_scope: OpaqueId,
        /// Who wrote it.
        pub server_impl_id: AtMostOne<NfsImplId4>,
    }
}

xdr_struct! {
    /// channel_attrs4 (RFC 8881 section 18.36.1): the limits of one direction of a session.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct ChannelAttrs4 {
        /// Padding before payloads.
        pub header_pad_size: u32,
        /// Bytes of a request, RPC header included.
        pub max_request_size: u32,
        /// Bytes of a reply, RPC header included.
        pub max_response_size: u32,
        /// Bytes of a reply that the reply cache takes, RPC header included.
        pub max_response_size_cached: u32,
        /// Operations in a compound, SEQUENCE included.
        pub max_operations: u32,
        /// Requests at a time.
        pub max_requests: u32,
        /// RDMA read queue depth.
        pub rdma_ird: AtMostOneU32,
    }
}

/// `uint32_t<1>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AtMostOneU32(pub Option<u32>);

impl XdrDecode for AtMostOneU32 {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        AtMostOne::decode(r).map(|AtMostOne(item)| Self(item))
    }
}

impl XdrEncode for AtMostOneU32 {
    fn encode(&self, w: &mut XdrWriter) {
        self.0.encode(w);
    }
}

xdr_struct! {
    /// authsys_parms (RFC 5531 appendix A).
    #[derive(Clone, PartialEq, Eq)]
    pub struct AuthSysParms {
        /// Arbitrary.
        pub stamp: u32,
        /// The machine.
        pub machine_name: Opaque<255>,
        /// The user.
        pub uid: u32,
        /// The group.
        pub gid: u32,
        /// More groups.
        pub gids: Gids,
    }
}

/// `unsigned int gids<16>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gids(pub Vec<u32>);

impl XdrDecode for Gids {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let len = r.array_len(16, size_of::<u32>())?;
        (0..len).map(|_| r.u32()).collect::<Result<_, _>>().map(Self)
    }
}

impl XdrEncode for Gids {
    fn encode(&self, w: &mut XdrWriter) {
        self.0.encode(w);
    }
}

xdr_enum! {
    /// rpc_gss_svc_t (RFC 2203 section 5.2.2).
    pub enum RpcGssService {
        /// Only the header is authenticated.
        None = 1,
        /// Integrity of the body too.
        Integrity = 2,
        /// Privacy of the body too.
        Privacy = 3,
    }
}

xdr_struct! {
    /// gss_cb_handles4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct GssCbHandles4 {
        /// Service of callbacks.
        pub service: RpcGssService,
        /// Handle of the fore channel's context, which the server gave.
        pub handle_from_server: Utf8,
        /// Handle of the same context for callbacks, which the client gave.
        pub handle_from_client: Utf8,
    }
}

xdr_union! {
    /// callback_sec_parms4: credentials that the server may use in callbacks.
    #[derive(Clone, PartialEq, Eq)]
    pub enum CallbackSecParms4 {
        /// AUTH_NONE.
        0 => None(()),
        /// AUTH_SYS with this credential.
        1 => Sys(AuthSysParms),
        /// RPCSEC_GSS with this context.
        6 => Gss(GssCbHandles4),
    }
}

xdr_struct! {
    /// CREATE_SESSION4args.
    #[derive(Clone)]
    pub struct CreateSession4Args {
        /// Whose session.
        pub clientid: ClientId,
        /// Sequence of the client ID's CREATE_SESSION slot.
        pub sequence: u32,
        /// What is asked.
        pub flags: CreateSessionFlags,
        /// Limits of requests.
        pub fore_channel: ChannelAttrs4,
        /// Limits of callbacks.
        pub back_channel: ChannelAttrs4,
        /// RPC program of callbacks.
        pub cb_program: u32,
        /// Credentials of callbacks.
        pub sec_parms: Vec<CallbackSecParms4>,
    }
}

xdr_struct! {
    /// CREATE_SESSION4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CreateSession4ResOk {
        /// The session.
        pub sessionid: SessionId,
        /// csa_sequence again.
        pub sequence: u32,
        /// What is granted.
        pub flags: CreateSessionFlags,
        /// Limits of requests.
        pub fore_channel: ChannelAttrs4,
        /// Limits of callbacks.
        pub back_channel: ChannelAttrs4,
    }
}

xdr_struct! {
    /// SEQUENCE4args.
    #[derive(Clone, Copy)]
    pub struct Sequence4Args {
        /// The session.
        pub sessionid: SessionId,
        /// The request's number in its slot.
        pub sequenceid: u32,
        /// The slot.
        pub slotid: u32,
        /// The highest slot that the client has a request in.
        pub highest_slotid: u32,
        /// Whether the whole reply must be kept for a retry.
        pub cache_this: bool,
    }
}

xdr_struct! {
    /// SEQUENCE4resok.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Sequence4ResOk {
        /// sa_sessionid again.
        pub sessionid: SessionId,
        /// sa_sequenceid again.
        pub sequenceid: u32,
        /// sa_slotid again.
        pub slotid: u32,
        /// The highest slot that the server takes.
        pub highest_slotid: u32,
        /// The highest slot that the server wants used.
        pub target_highest_slotid: u32,
        /// What the client should know of its state.
        pub status_flags: SequenceStatus,
    }
}

xdr_enum! {
    /// channel_dir_from_client4.
    pub enum ChannelDirFromClient {
        /// The fore channel.
        Fore = 1,
        /// The backchannel.
        Back = 2,
        /// Both, or the fore channel alone.
        ForeOrBoth = 3,
        /// Both, or the backchannel alone.
        BackOrBoth = 7,
    }
}

xdr_enum! {
    /// channel_dir_from_server4.
    pub enum ChannelDirFromServer {
        /// The fore channel.
        Fore = 1,
        /// The backchannel.
        Back = 2,
        /// Both.
        Both = 3,
    }
}

xdr_struct! {
    /// BIND_CONN_TO_SESSION4args.
    #[derive(Clone, Copy)]
    pub struct BindConnToSession4Args {
        /// The session.
        pub sessionid: SessionId,
        /// The channels.
        pub dir: ChannelDirFromClient,
        /// Whether the connection is to change to RDMA mode.
        pub use_conn_in_rdma_mode: bool,
    }
}

xdr_struct! {
    /// BIND_CONN_TO_SESSION4resok.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct BindConnToSession4ResOk {
        /// The session.
        pub sessionid: SessionId,
        /// The channels that the connection serves now.
        pub dir: ChannelDirFromServer,
        /// Whether the connection changes to RDMA mode.
        pub use_conn_in_rdma_mode: bool,
    }
}

xdr_struct! {
    /// BACKCHANNEL_CTL4args.
    #[derive(Clone)]
    pub struct BackchannelCtl4Args {
        /// RPC program of callbacks.
        pub cb_program: u32,
        /// Credentials of callbacks.
        pub sec_parms: Vec<CallbackSecParms4>,
    }
}
