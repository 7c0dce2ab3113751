use std::error::Error;
use std::io::{self, Write};

use dittofs::api::types::{Grace, Ready};
use dittofs::api_client::{ApiAddress, ApiClient};
use thiserror::Error as ThisError;

/// Why the status is a bad one.
#[derive(Debug, ThisError)]
enum StatusError {
    #[error("the server is stopping")]
    Stopping,
}

/// `dfs status`: fails unless the server is ready.
pub(crate) fn print(api: ApiAddress) -> Result<(), Box<dyn Error>> {
    let ready: Ready = ApiClient::new(api).get("/health/ready")?;
    if !ready.ready {
        return Err(StatusError::Stopping.into());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "dfs {} is ready", ready.version)?;
    if let Some(line) = grace_line(&ready.grace) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn grace_line(grace: &Grace) -> Option<String> {
    let Grace { in_force, remaining_s, entitled, completed } = grace;
    in_force
        .then(|| format!("Grace period: {remaining_s}s remaining ({completed}/{entitled} clients reclaimed)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Origin: the line that people look for. RFC: none.
    #[test]
    fn the_grace_period_has_a_line_while_it_lasts() {
        let grace = Grace { in_force: true, remaining_s: 47, entitled: 5, completed: 3 };
        let expected = "Grace period: 47s remaining (3/5 clients reclaimed)";
        assert_eq!(grace_line(&grace).as_deref(), Some(expected));
        assert_eq!(grace_line(&Grace { in_force: false, ..grace }), None);
    }
}
