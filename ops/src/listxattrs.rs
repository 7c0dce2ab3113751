//! LISTXATTRS: RFC 8276 section 8.4.3.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_REP_TOO_BIG, NFS4ERR_TOOSMALL, OP_LISTXATTRS};
use dittofs_framework::xdr::Opaque;
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::xattr::{XattrKey4, xattr_error, xattrs};

xdr_struct! {
    /// LISTXATTRS4args.
    #[derive(Clone)]
    pub struct ListXattrs4Args {
        /// After which name to go on: 0, or what an earlier answer gave.
        pub cookie: u64,
        /// Bytes that the answer may have, all of LISTXATTRS4resok with its XDR overhead.
        pub maxcount: u32,
    }
}

xdr_struct! {
    /// LISTXATTRS4resok.
    #[derive(PartialEq, Eq)]
    pub struct ListXattrs4ResOk {
        /// Where to go on.
        pub cookie: u64,
        /// The names.
        pub names: Vec<XattrKey4>,
        /// Whether there are no more.
        pub eof: bool,
    }
}

/// LISTXATTRS: the names of the extended attributes.
pub struct ListXattrs;

/// The cookie, the number of names, and eof.
const OVERHEAD: u32 = 8 + 4 + 4;

impl Operation for ListXattrs {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { minors: Minors::SINCE_V4_2, ..OpDescriptor::new(OP_LISTXATTRS, errors::LISTXATTRS) };
    type Args = ListXattrs4Args;
    type Res = ListXattrs4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: ListXattrs4Args) -> OpResult<ListXattrs4ResOk> {
        let xattrs = xattrs(cx)?;
        let room = u32::try_from(cx.reply_room()).unwrap_or(u32::MAX);
        // Whether the client or the session is to blame when not even one name fits.
        let too_small = if room < args.maxcount { NFS4ERR_REP_TOO_BIG } else { NFS4ERR_TOOSMALL };
        let budget = args.maxcount.min(room).checked_sub(OVERHEAD).ok_or(too_small)?;
        let page = xattrs.list_xattrs(&cx.request, &cx.current()?.node, args.cookie, budget).await;
        let page = page.map_err(|error| xattr_error(&Self::DESCRIPTOR, error))?;
        if page.names.is_empty() && !page.eof {
            return Err(too_small.into());
        }
        let names = page.names.into_iter().map(Opaque).collect();
        Ok(ListXattrs4ResOk { cookie: page.cookie, names, eof: page.eof })
    }
}

register_operation!(ListXattrs);
