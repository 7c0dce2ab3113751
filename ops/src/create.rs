//! CREATE: RFC 8881 section 18.4.

use dittofs_framework::attr::{Bitmap, attrset, decode_settable};
use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::NewNode;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    ChangeInfo, Component4, Fattr4, FileType, NFS4ERR_BADCHAR, NFS4ERR_BADTYPE, NFS4ERR_INVAL, NFS4ERR_MLINK,
    NFS4ERR_NAMETOOLONG, OP_CREATE, SpecData, Status,
};
use dittofs_framework::xdr::{Utf8, XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};
use dittofs_framework::{register_operation, xdr_struct};

use crate::errors;
use crate::fault::fs_error;
use crate::names::check_component;

/// The longest content of a symbolic link: PATH_MAX of the clients, without the NUL.
const MAX_LINK_TEXT: usize = 4095;

/// createtype4: what is to be created.
#[derive(Debug, Clone)]
pub enum CreateType4 {
    /// NF4LNK with its content.
    Link(Utf8),
    /// NF4BLK.
    Block(SpecData),
    /// NF4CHR.
    Char(SpecData),
    /// NF4SOCK.
    Socket,
    /// NF4FIFO.
    Fifo,
    /// NF4DIR.
    Dir,
    /// Any other type, which CREATE does not create; known or not, it decodes as void.
    Other(u32),
}

impl XdrDecode for CreateType4 {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        const LNK: u32 = FileType::Lnk as u32;
        const BLK: u32 = FileType::Blk as u32;
        const CHR: u32 = FileType::Chr as u32;
        const SOCK: u32 = FileType::Sock as u32;
        const FIFO: u32 = FileType::Fifo as u32;
        const DIR: u32 = FileType::Dir as u32;
        Ok(match r.u32()? {
            LNK => Self::Link(Utf8::decode(r)?),
            BLK => Self::Block(SpecData::decode(r)?),
            CHR => Self::Char(SpecData::decode(r)?),
            SOCK => Self::Socket,
            FIFO => Self::Fifo,
            DIR => Self::Dir,
            other => Self::Other(other),
        })
    }
}

impl XdrEncode for CreateType4 {
    fn encode(&self, w: &mut XdrWriter) {
        match self {
            Self::Link(text) => {
                FileType::Lnk.encode(w);
                text.encode(w);
            }
            Self::Block(device) => {
                FileType::Blk.encode(w);
                device.encode(w);
            }
            Self::Char(device) => {
                FileType::Chr.encode(w);
                device.encode(w);
            }
            Self::Socket => FileType::Sock.encode(w),
            Self::Fifo => FileType::Fifo.encode(w),
            Self::Dir => FileType::Dir.encode(w),
            Self::Other(other) => w.u32(*other),
        }
    }
}

xdr_struct! {
    /// CREATE4args.
    #[derive(Clone)]
    pub struct Create4Args {
        /// What to create.
        pub objtype: CreateType4,
        /// Its name in the directory that is the current filehandle.
        pub objname: Component4,
        /// What it is created with.
        pub createattrs: Fattr4,
    }
}

xdr_struct! {
    /// CREATE4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Create4ResOk {
        /// The directory around the operation.
        pub cinfo: ChangeInfo,
        /// Which attributes were set.
        pub attrset: Bitmap,
    }
}

/// The operation.
pub struct Create;

impl Operation for Create {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        errors_not_in_v4_0: &[NFS4ERR_MLINK],
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT).union(OpFlags::SETS_FH),
        // change_info4 and a bitmap of at most four words.
        max_reply: 20 + 20,
        ..OpDescriptor::new(OP_CREATE, errors::CREATE)
    };
    type Args = Create4Args;
    type Res = Create4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Create4Args) -> OpResult<Create4ResOk> {
        let dir = cx.current()?;
        let what = new_node(args.objtype)?;
        check_component(&args.objname, dir.fs().info().max_name)?;
        let set = decode_settable(&args.createattrs, &cx.attr_server(&dir.export))?;
        if set.size.is_some() {
            // "Any writable attribute valid for the object type": nothing that CREATE creates can be given a size.
            return Err(NFS4ERR_INVAL.into());
        }
        let change = cx.begin_dir_change(dir, DirEdit::Add(&args.objname)).await?;
        let created = dir.fs().create(&cx.request, &dir.node, &args.objname, &what, &set).await;
        change.end(DirOutcome::of(&created)).await;
        let (found, cinfo) = created.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        let export = dir.export.clone();
        cx.set_current(ExportNode { export, node: found.node });
        Ok(Create4ResOk { cinfo, attrset: attrset(&set) })
    }
}

fn new_node(objtype: CreateType4) -> Result<NewNode, Status> {
    Ok(match objtype {
        CreateType4::Link(text) => {
            check_link_text(&text)?;
            NewNode::Symlink(text.0)
        }
        CreateType4::Block(device) => NewNode::BlockDevice(device),
        CreateType4::Char(device) => NewNode::CharDevice(device),
        CreateType4::Socket => NewNode::Socket,
        CreateType4::Fifo => NewNode::Fifo,
        CreateType4::Dir => NewNode::Directory,
        CreateType4::Other(_) => return Err(NFS4ERR_BADTYPE),
    })
}

/// The content of a symbolic link is not interpreted (RFC 8881 section 18.24.3), but it must be one that `readlink` can return.
fn check_link_text(text: &[u8]) -> Result<(), Status> {
    match text {
        [] => Err(NFS4ERR_INVAL),
        _ if text.len() > MAX_LINK_TEXT => Err(NFS4ERR_NAMETOOLONG),
        _ if text.contains(&0) => Err(NFS4ERR_BADCHAR),
        _ => Ok(()),
    }
}

register_operation!(Create);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::relative(b"../there", Ok(()))]
    #[case::not_utf8(b"\xff", Ok(()))]
    #[case::longest(&[b'a'; MAX_LINK_TEXT], Ok(()))]
    #[case::empty(b"", Err(NFS4ERR_INVAL))]
    #[case::too_long(&[b'a'; MAX_LINK_TEXT + 1], Err(NFS4ERR_NAMETOOLONG))]
    #[case::nul(b"a\0b", Err(NFS4ERR_BADCHAR))]
    fn the_content_of_a_link_is(#[case] text: &[u8], #[case] expected: Result<(), Status>) {
        assert_eq!(check_link_text(text), expected);
    }
}
