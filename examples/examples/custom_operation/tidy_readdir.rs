//! An operation in the place of another: READDIR without the copies that editors leave behind.
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::op::{OpDescriptor, OpResult, Operation};
use dittofs_ops::readdir::{ReadDir, Readdir4Args, Readdir4ResOk};

/// READDIR that leaves out names which end with `~`. They are still there: whoever knows such a name can look it up.
pub(crate) struct TidyReadDir;

impl Operation for TidyReadDir {
    // The same row: where and when it runs does not change, nor what it may answer.
    const DESCRIPTOR: OpDescriptor = ReadDir::DESCRIPTOR;
    type Args = Readdir4Args;
    type Res = Readdir4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, mut args: Readdir4Args) -> OpResult<Readdir4ResOk> {
        loop {
            let mut page = ReadDir.call(cx, args.clone()).await?;
            let last = page.entries.last().map(|entry| entry.cookie);
            page.entries.retain(|entry| !entry.name.0.ends_with(b"~"));
            match last {
                // A page without entries has no cookie to go on from: the next one is the answer.
                Some(cookie) if page.entries.is_empty() && !page.eof => {
                    (args.cookie, args.cookieverf) = (cookie, page.cookieverf);
                }
                _ => return Ok(page),
            }
        }
    }
}
