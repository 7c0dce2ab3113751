//! WRITE: RFC 8881 section 18.32, RFC 7530 section 16.36.

use bytes::Bytes;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_FBIG, OP_WRITE, Stateid, Verifier4};
use dittofs_framework::xdr::Opaque;
use dittofs_framework::{register_operation, xdr_struct};

use crate::io::StableHow4;
use crate::{errors, io};

xdr_struct! {
    /// WRITE4args.
    #[derive(Clone)]
    pub struct Write4Args {
        /// On whose state.
        pub stateid: Stateid,
        /// Where the first byte goes.
        pub offset: u64,
        /// How durable the data must be when the answer comes.
        pub stable: StableHow4,
        /// The data.
        pub data: Opaque<{ u32::MAX }>,
    }
}

xdr_struct! {
    /// WRITE4resok.
    #[derive(PartialEq, Eq)]
    pub struct Write4ResOk {
        /// Bytes written: fewer than sent by a limit of the server.
        pub count: u32,
        /// How durable they are: at least as asked.
        pub committed: StableHow4,
        /// Tells by its change that unstable data may have been lost.
        pub writeverf: Verifier4,
    }
}

/// WRITE: writes to a regular file.
pub struct Write;

impl Operation for Write {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::USES_STATEID.union(OpFlags::MODIFIES),
        max_reply: 16,
        ..OpDescriptor::new(OP_WRITE, errors::WRITE)
    };
    type Args = Write4Args;
    type Res = Write4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Write4Args) -> OpResult<Write4ResOk> {
        let row = &Self::DESCRIPTOR;
        let permit = io::check_write(cx, row, args.stateid).await?;
        let mut data = unpinned(args.data.0, cx.record_len());
        // More than the server takes at once is a short write ("the server MAY write fewer bytes").
        data.truncate(usize::try_from(cx.service().limits().max_io).unwrap_or(usize::MAX));
        if u64::try_from(data.len()).ok().and_then(|len| args.offset.checked_add(len)).is_none() {
            return Err(NFS4ERR_FBIG.into());
        }
        let at = cx.current()?;
        // Taken before the data is: a loss after this moment shows as another verifier at COMMIT.
        let writeverf = at.fs().write_verifier();
        let stability = args.stable.into();
        let written =
            at.fs().write(&cx.request, &at.node, args.offset, data, stability, permit.authority).await;
        let written = written.map_err(|error| io::data_error(cx, row, error))?;
        Ok(Write4ResOk { count: written.count, committed: written.committed.into(), writeverf })
    }
}

/// The data, in a buffer that it makes up at least half of: a file system may keep it, and with it the whole request.
fn unpinned(data: Bytes, record_len: u32) -> Bytes {
    let is_most = usize::try_from(record_len).is_ok_and(|record_len| data.len() >= record_len / 2);
    if is_most { data } else { Bytes::copy_from_slice(&data) }
}

register_operation!(Write);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nearly_all_of_its_request(1000, 1200, true)]
    #[case::half(600, 1200, true)]
    #[case::a_small_part(599, 1200, false)]
    #[case::nothing(0, 1200, false)]
    fn data_keeps_its_request(#[case] len: usize, #[case] record_len: u32, #[case] keeps: bool) {
        let record = Bytes::from(vec![7; 1200]);
        let data = unpinned(record.slice(..len), record_len);
        assert_eq!(data, record.slice(..len));
        assert_eq!(data.as_ptr() == record.as_ptr(), keeps);
    }
}
