//! What CREATE_SESSION makes of the channel attributes that a client asks for (RFC 8881 section 18.36.3).

use super::SessionLimits;
use crate::proto::{AtMostOneU32, ChannelAttrs4, NFS4ERR_TOOSMALL, Status};

/// The least ca_maxrequestsize: RPC call header with an empty credential and verifier (40), COMPOUND4args without a tag
/// (12) and SEQUENCE (36), and room for one small operation.
const REQUEST_FLOOR: u32 = 128;
/// The least ca_maxresponsesize: RPC reply header (24), COMPOUND4res without a tag (12), SEQUENCE (44), and the opnum, status and
/// body of one operation more that fails.
const RESPONSE_FLOOR: u32 = 92;
/// The least ca_maxoperations of the backchannel: CB_SEQUENCE and one operation.
const BACK_OPERATIONS_FLOOR: u32 = 2;

/// What a session's fore channel will be, but for ca_maxrequests, which depends on the slots that are left.
pub(super) fn negotiate_fore(asked: &ChannelAttrs4, limits: &SessionLimits) -> Result<ChannelAttrs4, Status> {
    check_sizes(asked)?;
    let max_response_size = asked.max_response_size.min(limits.max_response_size);
    Ok(ChannelAttrs4 {
        header_pad_size: 0,
        max_request_size: asked.max_request_size.min(limits.max_request_size),
        max_response_size,
        // No floor: a client may want nothing cached but what always is.
        max_response_size_cached: asked
            .max_response_size_cached
            .min(limits.max_response_size_cached)
            .min(max_response_size),
        max_operations: asked.max_operations.clamp(1, limits.max_operations),
        max_requests: asked.max_requests,
        rdma_ird: AtMostOneU32(None),
    })
}

/// What a session's backchannel will be: as asked, for the server must not change most of it and has no need to.
pub(super) fn negotiate_back(asked: &ChannelAttrs4) -> Result<ChannelAttrs4, Status> {
    check_sizes(asked)?;
    if asked.max_operations < BACK_OPERATIONS_FLOOR {
        return Err(NFS4ERR_TOOSMALL);
    }
    Ok(ChannelAttrs4 { header_pad_size: 0, rdma_ird: AtMostOneU32(None), ..*asked })
}

fn check_sizes(asked: &ChannelAttrs4) -> Result<(), Status> {
    if asked.max_request_size < REQUEST_FLOOR || asked.max_response_size < RESPONSE_FLOOR {
        return Err(NFS4ERR_TOOSMALL);
    }
    Ok(())
}
