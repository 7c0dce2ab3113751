//! TEST_STATEID: RFC 8881 section 18.48.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{NFS4ERR_REQ_TOO_BIG, OP_TEST_STATEID, Stateid, Status};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;

xdr_struct! {
    /// TEST_STATEID4args.
    #[derive(Clone)]
    pub struct TestStateid4Args {
        /// The stateids.
        pub ts_stateids: Vec<Stateid>,
    }
}

xdr_struct! {
    /// TEST_STATEID4resok.
    #[derive(Clone)]
    pub struct TestStateid4ResOk {
        /// For each stateid, what its use would be answered with.
        pub tsr_status_codes: Vec<Status>,
    }
}

/// The operation.
pub struct TestStateid;

impl Operation for TestStateid {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::NO_CURRENT_FH,
        ..OpDescriptor::new(OP_TEST_STATEID, errors::TEST_STATEID)
    };
    type Args = TestStateid4Args;
    type Res = TestStateid4ResOk;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: TestStateid4Args,
    ) -> OpResult<TestStateid4ResOk> {
        // Each costs a look into the table, which a request of the longest kind could ask for 65,000 times.
        if args.ts_stateids.len() > cx.service().limits().state.stateids_per_test {
            return Err(NFS4ERR_REQ_TOO_BIG.into());
        }
        let caller = cx.caller();
        let state = cx.service().state();
        let test = |stateid| state.test_stateid(caller, stateid);
        Ok(TestStateid4ResOk { tsr_status_codes: args.ts_stateids.iter().map(test).collect() })
    }
}

register_operation!(TestStateid);
