//! What VERIFY and NVERIFY have in common.

use dittofs_framework::attr::FATTR4_RDATTR_ERROR;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{Fattr4, NFS4ERR_ATTRNOTSUPP, NFS4ERR_INVAL, Status};
use dittofs_framework::xdr::{XdrWriter, encode_to_bytes};

use crate::attributes::{ObjectAttributes, write_only};

/// Whether the current filehandle's object has exactly these attributes: each value has one form in XDR, so that the forms are
/// compared.
pub(crate) async fn is_same(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    assumed: &Fattr4,
) -> Result<bool, Status> {
    let at = cx.current()?;
    // What cannot be compared (RFC 8881 sections 18.15.4 and 18.31.4).
    let incomparable = write_only(cx.minor()).with(FATTR4_RDATTR_ERROR);
    if !assumed.attrmask.and(incomparable).is_empty() {
        return Err(NFS4ERR_INVAL);
    }
    if !assumed.attrmask.minus(at.export.supported(cx.minor())).is_empty() {
        return Err(NFS4ERR_ATTRNOTSUPP);
    }
    let fetched = ObjectAttributes::fetch_current(cx, row, at, assumed.attrmask).await?;
    let mut actual = XdrWriter::new();
    fetched.encode(cx, at, assumed.attrmask, &mut actual);
    Ok(actual.finish().to_bytes() == encode_to_bytes(assumed))
}
