//! READLINK: RFC 8881 section 18.24.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::FsError;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{Minor, NFS4ERR_INVAL, NFS4ERR_WRONG_TYPE, OP_READLINK, Status};
use dittofs_framework::xdr::{Opaque, Utf8};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::fault::fs_error;

xdr_struct! {
    /// READLINK4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Readlink4ResOk {
        /// The content of the symbolic link.
        pub link: Utf8,
    }
}

/// The operation.
pub struct ReadLink;

impl Operation for ReadLink {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_READLINK, errors::READLINK);
    type Args = ();
    type Res = Readlink4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, (): ()) -> OpResult<Readlink4ResOk> {
        let at = cx.current()?;
        let link = at.fs().readlink(&cx.request, &at.node).await;
        let link = link.map_err(|error| readlink_error(cx.minor(), error))?;
        Ok(Readlink4ResOk { link: Opaque(link) })
    }
}

/// What is no symbolic link is NFS4ERR_INVAL in minor version 0 (RFC 7530 section 16.25.5) and NFS4ERR_WRONG_TYPE since.
fn readlink_error(minor: Minor, error: FsError) -> Status {
    match error {
        FsError::Inval | FsError::IsDir | FsError::WrongType if minor == Minor::V0 => NFS4ERR_INVAL,
        FsError::Inval | FsError::IsDir | FsError::WrongType => NFS4ERR_WRONG_TYPE,
        _ => fs_error(&ReadLink::DESCRIPTOR, error),
    }
}

register_operation!(ReadLink);
