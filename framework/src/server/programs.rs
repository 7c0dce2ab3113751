use std::sync::Arc;

use super::BindError;
use crate::rpc::RpcProgram;

/// The programs of a server, by number and version.
pub(super) struct Programs {
    rows: Vec<Row>,
}

struct Row {
    number: u32,
    low: u32,
    high: u32,
    program: Arc<dyn RpcProgram>,
}

/// What stands behind a program number and version.
pub(super) enum Lookup<'a> {
    Found(&'a Arc<dyn RpcProgram>),
    /// No such program.
    Unavailable,
    /// The program in other versions: the lowest and the highest (RFC 5531 section 9).
    Mismatch {
        low: u32,
        high: u32,
    },
}

impl Programs {
    pub(super) fn none() -> Self {
        Self { rows: Vec::new() }
    }

    pub(super) fn new(programs: Vec<Arc<dyn RpcProgram>>) -> Result<Self, BindError> {
        let mut rows: Vec<Row> = Vec::with_capacity(programs.len());
        for program in programs {
            let (number, versions) = (program.program(), program.versions());
            let (low, high) = versions.into_inner();
            let twice = rows.iter().find(|row| row.number == number && row.low <= high && low <= row.high);
            if let Some(other) = twice {
                return Err(BindError::VersionTwice { program: number, version: low.max(other.low) });
            }
            rows.push(Row { number, low, high, program });
        }
        Ok(Self { rows })
    }

    pub(super) fn lookup(&self, number: u32, version: u32) -> Lookup<'_> {
        let mut served: Option<(u32, u32)> = None;
        for row in self.rows.iter().filter(|row| row.number == number) {
            if (row.low..=row.high).contains(&version) {
                return Lookup::Found(&row.program);
            }
            let (low, high) = served.unwrap_or((row.low, row.high));
            served = Some((low.min(row.low), high.max(row.high)));
        }
        match served {
            Some((low, high)) => Lookup::Mismatch { low, high },
            None => Lookup::Unavailable,
        }
    }
}
