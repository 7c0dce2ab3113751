//! A layer around all operations: it counts them, and says on stderr who changed something. With it an operation that answers
//! what was counted, to show how the two share something.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{
    DynOperation, Minors, OpDescriptor, OpError, OpFlags, OpFuture, OpResult, Operation,
};
use dittofs_framework::proto::{NFS4ERR_BADXDR, OpNum};
use dittofs_framework::xdr::{XdrReader, XdrWriter};
use dittofs_framework::xdr_struct;

xdr_struct! {
    /// How often an operation ran.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub(crate) struct Count {
        /// In all.
        pub calls: u64,
        /// Those that failed.
        pub failed: u64,
    }
}

/// The counts of all operations.
#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<OpNum, Count>>);

impl Counts {
    fn note(&self, opnum: OpNum, failed: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(opnum).or_default();
        count.calls += 1;
        count.failed += u64::from(failed);
    }

    fn of(&self, opnum: OpNum) -> Count {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&opnum).copied().unwrap_or_default()
    }
}

/// The layer.
#[derive(Default)]
pub(crate) struct Audit {
    /// What it counted.
    pub(crate) counts: Arc<Counts>,
}

impl Layer for Audit {
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        Box::pin(async move {
            let row = next.descriptor();
            let uid = cx.request.credentials.uid;
            let result = next.run(cx, args, reply).await;
            // The answer of a retry is an `Err` too, and no failure.
            let status = match &result {
                Err(OpError::Status(status) | OpError::Body(status, _)) => Some(*status),
                _ => None,
            };
            self.counts.note(row.opnum, status.is_some());
            if row.flags.contains(OpFlags::MODIFIES) {
                let outcome = status.map_or_else(|| "done".to_owned(), |status| status.to_string());
                eprintln!("audit: uid {uid}: {}: {outcome}", row.name);
            }
            result
        })
    }
}

/// Number 901 answers how often the operation with the number in its argument ran. It has something to hold on to, so it is added to
/// the registry by the program, instead of being registered.
pub(crate) struct Tally(pub(crate) Arc<Counts>);

impl Operation for Tally {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        name: "TALLY",
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::NO_CURRENT_FH,
        ..OpDescriptor::new(OpNum::from_code(901), &[NFS4ERR_BADXDR])
    };
    type Args = u32;
    type Res = Count;

    async fn call(&self, _: &mut CompoundContext<'_>, opnum: u32) -> OpResult<Count> {
        Ok(self.0.of(OpNum::from_code(opnum)))
    }
}
