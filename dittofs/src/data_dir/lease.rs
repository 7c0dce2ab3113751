use std::time::Duration;

use super::record::{damaged, read, write};
use super::{DataDir, DataDirError};

const SECONDS: &str = "seconds ";

impl DataDir {
    /// The longest lease that clients of an instance before this one may have; `None` if there was none.
    pub(crate) fn lease(&self) -> Result<Option<Duration>, DataDirError> {
        let path = self.path.join("lease");
        let Some(lines) = read(&path)? else { return Ok(None) };
        let seconds = lines.strip_prefix(SECONDS).and_then(|seconds| seconds.trim_end().parse().ok());
        let seconds = seconds.ok_or_else(|| damaged(&path, "it has no number of seconds"))?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// Keeps the lease that clients may have from now on; durable when this returns.
    pub(crate) fn keep_lease(&self, lease: Duration) -> Result<(), DataDirError> {
        if self.lease()? == Some(lease) {
            return Ok(());
        }
        write(&self.path.join("lease"), &format!("{SECONDS}{}\n", lease.as_secs()))
    }
}
