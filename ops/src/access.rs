//! ACCESS: RFC 8881 section 18.1, with the bits of RFC 8276 section 8.4.2.

use dittofs_framework::attr::{Bitmap, FATTR4_MODE, FATTR4_TYPE};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::{AccessMask, Attributes};
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_framework::proto::{FileType, Minor, NFS4ERR_INVAL, OP_ACCESS};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::fault::fs_error;

xdr_struct! {
    /// ACCESS4args.
    #[derive(Clone)]
    pub struct Access4Args {
        /// ACCESS4_*: what is asked about.
        pub access: u32,
    }
}

xdr_struct! {
    /// ACCESS4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Access4ResOk {
        /// What of it the server can tell.
        pub supported: u32,
        /// What of that the caller may do.
        pub access: u32,
    }
}

/// The bits of RFC 8276.
const XATTR_BITS: AccessMask = AccessMask::XAREAD.union(AccessMask::XAWRITE).union(AccessMask::XALIST);
const EXECUTE_BITS: u32 = 0o111;

/// The operation.
pub struct Access;

impl Operation for Access {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_ACCESS, errors::ACCESS);
    type Args = Access4Args;
    type Res = Access4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Access4Args) -> OpResult<Access4ResOk> {
        const NEEDED: Bitmap = Bitmap::of(&[FATTR4_TYPE, FATTR4_MODE]);
        let row = &Self::DESCRIPTOR;
        let asked = AccessMask::from_bits(args.access).ok_or(NFS4ERR_INVAL)?;
        if cx.minor() < Minor::V2 && asked.intersects(XATTR_BITS) {
            return Err(NFS4ERR_INVAL.into());
        }
        let at = cx.current()?;
        let attributes = at.fs().attributes(&cx.request, &at.node, NEEDED).await;
        let attributes = attributes.map_err(|error| fs_error(row, error))?;
        let mut supported = asked & meaningful(attributes.file_type);
        if at.fs().xattrs().is_none() {
            supported.remove(XATTR_BITS);
        }
        let access = at.fs().access(&cx.request, &at.node, supported).await;
        let access = access.map_err(|error| fs_error(row, error))? & supported;
        Ok(Access4ResOk {
            supported: supported.bits(),
            access: without_vain_execute(access, &attributes).bits(),
        })
    }
}

/// What there is to tell about an object of that type (RFC 8881 section 18.1.3): LOOKUP means nothing but for directories, EXECUTE
/// nothing but for regular files, and deleting is a matter of the directory (section 18.1.4).
fn meaningful(file_type: FileType) -> AccessMask {
    let of_all = AccessMask::READ | AccessMask::MODIFY | AccessMask::EXTEND;
    let of_type = match file_type {
        FileType::Dir => AccessMask::LOOKUP | AccessMask::DELETE | XATTR_BITS,
        FileType::Reg => AccessMask::EXECUTE | XATTR_BITS,
        _ => AccessMask::empty(),
    };
    of_all | of_type
}

/// "The server MUST NOT reply with ACCESS4_EXECUTE [...] unless there is at least one execute permission bit set", not even to
/// the superuser (RFC 8881 section 18.1.3).
fn without_vain_execute(access: AccessMask, attributes: &Attributes) -> AccessMask {
    if attributes.mode & EXECUTE_BITS == 0 { access - AccessMask::EXECUTE } else { access }
}

register_operation!(Access);
