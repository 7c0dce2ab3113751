//! COPY: RFC 7862 section 15.2. Only within this server, and always synchronous.

use bytes::Bytes;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Authority, FsError, FsResult, Stability};
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_INVAL, NFS4ERR_OFFLOAD_DENIED, OP_COPY, Stateid, Verifier4};
use dittofs_framework::xdr::Utf8;
use dittofs_framework::{register_operation, xdr_struct, xdr_union};

use crate::io::StableHow4;
use crate::transfer::{self, Authorities, Ranges, Stateids};
use crate::{errors, io};

xdr_struct! {
    /// netaddr4: a universal address (RFC 5665).
    #[derive(Clone)]
    pub struct NetAddr4 {
        /// The protocol.
        pub netid: Utf8,
        /// The address.
        pub addr: Utf8,
    }
}

xdr_union! {
    /// netloc4: where a server is.
    #[derive(Clone)]
    pub enum NetLoc4 {
        /// NL4_NAME.
        1 => Name(Utf8),
        /// NL4_URL.
        2 => Url(Utf8),
        /// NL4_NETADDR.
        3 => NetAddr(NetAddr4),
    }
}

xdr_struct! {
    /// COPY4args.
    #[derive(Clone)]
    pub struct Copy4Args {
        /// On whose state the source is read.
        pub src_stateid: Stateid,
        /// On whose state the target is written.
        pub dst_stateid: Stateid,
        /// The first byte of the source.
        pub src_offset: u64,
        /// Where it goes in the target.
        pub dst_offset: u64,
        /// How many bytes, 0 for all to the end of the source.
        pub count: u64,
        /// Whether the bytes must be copied in order.
        pub consecutive: bool,
        /// Whether the copy must be complete when the answer comes.
        pub synchronous: bool,
        /// Where the source is; empty for this server.
        pub source_server: Vec<NetLoc4>,
    }
}

xdr_struct! {
    /// write_response4.
    #[derive(PartialEq, Eq)]
    pub struct WriteResponse4 {
        /// The copy that goes on; none when it is complete.
        pub callback_id: Option<Stateid>,
        /// Bytes copied: fewer than asked for by a limit of the server.
        pub count: u64,
        /// How durable they are.
        pub committed: StableHow4,
        /// As of WRITE.
        pub writeverf: Verifier4,
    }
}

xdr_struct! {
    /// copy_requirements4.
    #[derive(PartialEq, Eq)]
    pub struct CopyRequirements4 {
        /// Whether the bytes were copied in order.
        pub consecutive: bool,
        /// Whether the copy is complete.
        pub synchronous: bool,
    }
}

xdr_struct! {
    /// COPY4resok.
    #[derive(PartialEq, Eq)]
    pub struct Copy4ResOk {
        /// What was copied.
        pub response: WriteResponse4,
        /// How.
        pub requirements: CopyRequirements4,
    }
}

/// COPY: copies a range of the saved filehandle's file into the current filehandle's.
pub struct Copy;

impl Operation for Copy {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_2,
        flags: OpFlags::NEEDS_SAVED_FH.union(OpFlags::USES_STATEID).union(OpFlags::MODIFIES),
        // No callback id: its count, wr_count, wr_committed, wr_writeverf, two booleans.
        max_reply: 4 + 8 + 4 + 8 + 4 + 4,
        ..OpDescriptor::new(OP_COPY, errors::COPY)
    };
    type Args = Copy4Args;
    type Res = Copy4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Copy4Args) -> OpResult<Copy4ResOk> {
        let row = &Self::DESCRIPTOR;
        if !args.source_server.is_empty() {
            // Of the statuses that COPY has, the one that tells the client to copy by itself (section 11.1.2.1).
            return Err(NFS4ERR_OFFLOAD_DENIED.into());
        }
        let (source, target) = (cx.saved()?, cx.current()?);
        let size = io::regular_file_size(cx, row, source).await?;
        io::regular_file_size(cx, row, target).await?;
        if source.is_same(target) {
            return Err(NFS4ERR_INVAL.into());
        }
        let stateids = Stateids { source: args.src_stateid, target: args.dst_stateid };
        let (authorities, _permit) = transfer::check(cx, row, stateids).await?;
        let ranges = Ranges { from: args.src_offset, to: args.dst_offset, count: args.count };
        let length = ranges.length(size)?;
        // Taken before the copy is, as for WRITE.
        let writeverf = target.fs().write_verifier();
        let copied = copy(cx, source, target, authorities, Ranges { count: length, ..ranges }).await;
        let count = copied.map_err(|error| io::regular_file_error(row, error))?;
        // Both requirements that a client can have are always met, so NFS4ERR_OFFLOAD_NO_REQS is never answered.
        let requirements = CopyRequirements4 { consecutive: true, synchronous: true };
        let committed = StableHow4::Unstable;
        let response = WriteResponse4 { callback_id: None, count, committed, writeverf };
        Ok(Copy4ResOk { response, requirements })
    }
}

/// Copies up to `ranges.count` bytes, by the file system itself if it can. Two that differ (RFC 7862 does not confine COPY to one),
/// or two authorities that differ, are bridged by reads and writes.
async fn copy(
    cx: &CompoundContext<'_>,
    source: &ExportNode,
    target: &ExportNode,
    authorities: Authorities,
    ranges: Ranges,
) -> FsResult<u64> {
    let Ranges { from, to, count } = ranges;
    let is_one = source.export.id == target.export.id && authorities.source == authorities.target;
    if let Some(copier) = target.fs().server_side_copy().filter(|_| is_one && count > 0) {
        let authority = authorities.stricter();
        match copier.copy(&cx.request, &source.node, from, &target.node, to, count, authority).await {
            Err(FsError::NotSupported | FsError::CrossDevice) => {}
            done => return done,
        }
    }
    let mut progress = Progress::new(count, cx.service().limits().max_io);
    while let Some((done, len)) = progress.next_chunk() {
        let read = source.fs().read(&cx.request, &source.node, from + done, len, authorities.source).await;
        let written = match read {
            Ok(read) => write_chunk(cx, target, to + done, read.data, authorities.target).await,
            Err(error) => Err(error),
        };
        progress.note(written)?;
    }
    Ok(progress.copied)
}

/// Writes what was read; returns how much.
async fn write_chunk(
    cx: &CompoundContext<'_>,
    target: &ExportNode,
    offset: u64,
    data: Bytes,
    authority: Authority,
) -> FsResult<u32> {
    if data.is_empty() {
        return Ok(0);
    }
    let stability = Stability::Unstable;
    let written = target.fs().write(&cx.request, &target.node, offset, data, stability, authority).await?;
    Ok(written.count)
}

/// Most bytes that one COPY reads and writes: a request does not run for ever.
const MAX_COPY: u64 = 4 << 20;

/// How far a copy by reads and writes has come.
struct Progress {
    copied: u64,
    /// Bytes to copy in all.
    total: u64,
    /// Bytes to copy at once, at the most.
    chunk: u32,
}

impl Progress {
    fn new(count: u64, chunk: u32) -> Self {
        Self { copied: 0, total: count.min(MAX_COPY), chunk: chunk.max(1) }
    }

    /// Where the next chunk begins and how long it is; `None` when all is done.
    fn next_chunk(&self) -> Option<(u64, u32)> {
        let left = self.total.checked_sub(self.copied).filter(|left| *left > 0)?;
        Some((self.copied, u32::try_from(left).unwrap_or(u32::MAX).min(self.chunk)))
    }

    /// Notes what became of the chunk. A failure after some bytes ends the copy there ("wr_count will be set to the number of
    /// bytes copied before the error occurred"): the client meets it again when it asks for the rest. So does the end of a
    /// source that was cut meanwhile.
    fn note(&mut self, written: FsResult<u32>) -> FsResult<()> {
        match written {
            Ok(count) if count > 0 => self.copied += u64::from(count),
            Err(error) if self.copied == 0 => return Err(error),
            _ => self.total = self.copied,
        }
        Ok(())
    }
}

register_operation!(Copy);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a file system makes of a chunk: so many bytes of it, or nothing but an error.
    fn outcomes() -> impl Strategy<Value = Vec<Option<u32>>> {
        prop::collection::vec(prop::option::weighted(0.9, 0..64_u32), 0..64)
    }

    // RFC: 7862 section 15.2.3.
    proptest! {
        #[test]
        fn chunks_follow_each_other_and_end(count in 0..2 * MAX_COPY, chunk in 0..(1_u32 << 21), outcomes in outcomes()) {
            let mut progress = Progress::new(count, chunk);
            let mut expected = 0;
            for outcome in outcomes {
                let Some((done, len)) = progress.next_chunk() else { break };
                prop_assert_eq!(done, expected, "each begins where the one before ended");
                prop_assert!(len > 0 && len <= chunk.max(1));
                prop_assert!(done + u64::from(len) <= count.min(MAX_COPY));
                let written = outcome.map(|share| len / (share + 1)).ok_or(FsError::Io);
                let noted = progress.note(written);
                prop_assert_eq!(noted.is_err(), written.is_err() && expected == 0, "only a first failure is an error");
                expected += u64::from(written.unwrap_or(0));
                if !written.is_ok_and(|bytes| bytes > 0) {
                    prop_assert_eq!(noted.is_ok().then(|| progress.next_chunk()).flatten(), None);
                    break;
                }
            }
            prop_assert_eq!(progress.copied, expected);
        }

        #[test]
        fn a_copy_without_faults_is_whole_up_to_the_limit(count in 0..2 * MAX_COPY, chunk in 1_u32 << 12..1 << 20) {
            let mut progress = Progress::new(count, chunk);
            while let Some((_, len)) = progress.next_chunk() {
                progress.note(Ok(len)).expect("a good write");
            }
            prop_assert_eq!(progress.copied, count.min(MAX_COPY));
        }
    }
}
