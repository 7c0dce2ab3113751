use std::fs;
use std::io;
use std::path::Path;

use bytes::Buf;
use xxhash_rust::xxh3::xxh3_128;

/// The kind of checksum that the engine writes.
const XXH3: u8 = 0;

/// Checks the engine's lists of its tables. It writes their checksums beside them, but does not look at them when it opens: a list that is
/// damaged would stop the process, or leave tables out.
pub(super) fn verify(engine: &Path) -> io::Result<()> {
    let spaces = match fs::read_dir(engine.join("keyspaces")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        spaces => spaces?,
    };
    for space in spaces {
        let space = space?.path();
        match fs::read(space.join("current")) {
            Ok(current) => verify_list(&space, &current)?,
            // A crash while it was made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `current`: number of the list u64, its checksum u128, kind of checksum u8. All little-endian.
fn verify_list(space: &Path, current: &[u8]) -> io::Result<()> {
    let damaged = || {
        let what = format!("list of tables in {}", space.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    let mut rest = current;
    let number = rest.try_get_u64_le().map_err(|_| damaged())?;
    let checksum = rest.try_get_u128_le().map_err(|_| damaged())?;
    if rest != [XXH3] || xxh3_128(&fs::read(space.join(format!("v{number}")))?) != checksum {
        return Err(damaged());
    }
    Ok(())
}
