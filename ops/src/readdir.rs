//! READDIR: RFC 8881 section 18.23.

mod junctions;
mod page;
mod sink;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportId;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation, built};
use dittofs_framework::proto::{
    Component4, Fattr4, Minor, NFS4ERR_BAD_COOKIE, NFS4ERR_TOOSMALL, OP_READDIR, Status, Verifier4,
};
use dittofs_framework::xdr::{XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};
use dittofs_framework::{register_operation, xdr_struct};

use crate::attributes::check_readable;
use crate::errors;
use page::{EMPTY_LEN, Page, PageLimits};

xdr_struct! {
    /// READDIR4args.
    #[derive(Clone)]
    pub struct Readdir4Args {
        /// Where to go on; 0 for the start.
        pub cookie: u64,
        /// What came with the cookie; zeros for the start.
        pub cookieverf: Verifier4,
        /// A hint: most bytes of names and cookies, 0 for no limit.
        pub dircount: u32,
        /// Most bytes of READDIR4resok.
        pub maxcount: u32,
        /// Which attributes of each entry are wanted.
        pub attr_request: Bitmap,
    }
}

xdr_struct! {
    /// entry4, without the pointer to the next.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Entry4 {
        /// Where to go on after it.
        pub cookie: u64,
        /// Its name.
        pub name: Component4,
        /// Those of the wanted attributes that are supported.
        pub attrs: Fattr4,
    }
}

/// READDIR4resok.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readdir4ResOk {
    /// Verifies the cookies.
    pub cookieverf: Verifier4,
    /// The entries.
    pub entries: Vec<Entry4>,
    /// Whether there are no more.
    pub eof: bool,
}

impl XdrDecode for Readdir4ResOk {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let cookieverf = r.fixed()?;
        let mut entries = Vec::new();
        while let Some(entry) = Option::decode(r)? {
            entries.push(entry);
        }
        Ok(Self { cookieverf, entries, eof: r.bool()? })
    }
}

impl XdrEncode for Readdir4ResOk {
    fn encode(&self, w: &mut XdrWriter) {
        w.fixed(&self.cookieverf);
        for entry in &self.entries {
            w.bool(true);
            entry.encode(w);
        }
        w.bool(false);
        w.bool(self.eof);
    }
}

/// The operation.
pub struct ReadDir;

impl Operation for ReadDir {
    const DESCRIPTOR: OpDescriptor = OpDescriptor::new(OP_READDIR, errors::READDIR);
    type Args = Readdir4Args;
    type Res = Readdir4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Readdir4Args) -> OpResult<Readdir4ResOk> {
        built(self, cx, args).await
    }

    async fn call_into(
        &self,
        cx: &mut CompoundContext<'_>,
        args: Readdir4Args,
        reply: &mut XdrWriter,
    ) -> OpResult<()> {
        check_args(cx.minor(), &args)?;
        let mut page = Page::begin(reply, limits(cx, &args));
        let dir = cx.current()?;
        let end = if dir.export.id == ExportId::PSEUDO {
            junctions::list(cx, dir, &args, &mut page).await?
        } else {
            sink::list(cx, dir, &args, &mut page).await?
        };
        page.end(end)?;
        Ok(())
    }
}

fn check_args(minor: Minor, args: &Readdir4Args) -> Result<(), Status> {
    check_readable(minor, args.attr_request)?;
    // Cookies 1 and 2 are never given out. The start of a directory has no verifier but zeros.
    let is_valid = match args.cookie {
        0 => args.cookieverf == Verifier4::default(),
        1 | 2 => false,
        _ => true,
    };
    if !is_valid {
        return Err(NFS4ERR_BAD_COOKIE);
    }
    if usize::try_from(args.maxcount).is_ok_and(|maxcount| maxcount < EMPTY_LEN) {
        return Err(NFS4ERR_TOOSMALL);
    }
    Ok(())
}

fn limits(cx: &CompoundContext<'_>, args: &Readdir4Args) -> PageLimits {
    let to_usize = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    PageLimits {
        // Without a session nothing else bounds the reply.
        maxcount: to_usize(args.maxcount.min(cx.service().limits().max_io)),
        room: cx.reply_room(),
        dircount: if args.dircount == 0 { usize::MAX } else { to_usize(args.dircount) },
    }
}

register_operation!(ReadDir);

#[cfg(test)]
mod tests {
    use dittofs_framework::attr::FATTR4_TIME_ACCESS_SET;
    use dittofs_framework::proto::NFS4ERR_INVAL;
    use rstest::rstest;

    use super::*;

    const ZEROS: Verifier4 = [0; 8];
    const OTHER: Verifier4 = [1; 8];

    #[rstest]
    #[case::start(0, ZEROS, 16, Ok(()))]
    #[case::on(3, OTHER, 16, Ok(()))]
    #[case::start_with_verifier(0, OTHER, 16, Err(NFS4ERR_BAD_COOKIE))]
    #[case::reserved_1(1, ZEROS, 16, Err(NFS4ERR_BAD_COOKIE))]
    #[case::reserved_2(2, ZEROS, 16, Err(NFS4ERR_BAD_COOKIE))]
    #[case::no_room_for_the_end(0, ZEROS, 15, Err(NFS4ERR_TOOSMALL))]
    fn arguments_are(
        #[case] cookie: u64,
        #[case] cookieverf: Verifier4,
        #[case] maxcount: u32,
        #[case] expected: Result<(), Status>,
    ) {
        let args = Readdir4Args { cookie, cookieverf, dircount: 0, maxcount, attr_request: Bitmap::EMPTY };
        assert_eq!(check_args(Minor::V2, &args), expected);
    }

    #[test]
    fn a_write_only_attribute_cannot_be_asked_for() {
        let attr_request = Bitmap::of(&[FATTR4_TIME_ACCESS_SET]);
        let args = Readdir4Args { cookie: 0, cookieverf: ZEROS, dircount: 0, maxcount: 4096, attr_request };
        assert_eq!(check_args(Minor::V2, &args), Err(NFS4ERR_INVAL));
    }
}
