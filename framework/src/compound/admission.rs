use crate::op::{OpDescriptor, OpFlags};
use crate::proto::{
    Minor, NFS4ERR_NOFILEHANDLE, NFS4ERR_NOT_ONLY_OP, NFS4ERR_OP_NOT_IN_SESSION, NFS4ERR_RESTOREFH,
    NFS4ERR_SEQUENCE_POS, Status,
};

/// Where an operation stands in its compound.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Its index.
    pub index: u32,
    /// How many operations the compound has.
    pub count: u32,
}

impl Position {
    /// Whether nothing follows.
    pub fn is_last(self) -> bool {
        self.index + 1 == self.count
    }
}

/// Which filehandles the compound has set so far.
#[derive(Debug, Clone, Copy)]
pub struct HandlesSet {
    /// The current filehandle.
    pub current: bool,
    /// The saved filehandle.
    pub saved: bool,
}

/// Whether an operation with this row may run here: every rule about it that is not its own (RFC 8881 sections 2.10.6.4,
/// 16.2.3 and 18.46.3). That its number exists in the minor version is known already, from the table.
pub fn admit(row: &OpDescriptor, minor: Minor, at: Position, handles: HandlesSet) -> Result<(), Status> {
    if minor.has_sessions() {
        check_position(row.flags, at)?;
    }
    if !row.flags.contains(OpFlags::NO_CURRENT_FH) && !handles.current {
        return Err(NFS4ERR_NOFILEHANDLE);
    }
    if row.flags.contains(OpFlags::NEEDS_SAVED_FH) && !handles.saved {
        // RFC 7530 section 16.29.4 has a status of its own for RESTOREFH, which minor version 1 dropped.
        let is_restorefh_v4_0 = minor == Minor::V0 && row.errors.contains(&NFS4ERR_RESTOREFH);
        return Err(if is_restorefh_v4_0 { NFS4ERR_RESTOREFH } else { NFS4ERR_NOFILEHANDLE });
    }
    Ok(())
}

fn check_position(flags: OpFlags, at: Position) -> Result<(), Status> {
    let is_first = at.index == 0;
    let is_alone = at.count == 1;
    if flags.contains(OpFlags::MUST_BE_FIRST) {
        return if is_first { Ok(()) } else { Err(NFS4ERR_SEQUENCE_POS) };
    }
    if is_first && !flags.contains(OpFlags::WITHOUT_SEQUENCE) {
        return Err(NFS4ERR_OP_NOT_IN_SESSION);
    }
    if !is_alone && (is_first || flags.contains(OpFlags::MUST_BE_ALONE)) {
        return Err(NFS4ERR_NOT_ONLY_OP);
    }
    Ok(())
}
