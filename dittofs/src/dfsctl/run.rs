use std::error::Error;
use std::io;

use dittofs::api::types::{Client, Clients, Grace};
use dittofs::api_client::{ApiClient, ApiClientError};
use thiserror::Error as ThisError;

use crate::cli::{Cli, ClientCommand, Command, Format, GraceCommand};
use crate::output::{Row, write};

/// Why a command failed.
#[derive(Debug, ThisError)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Api(#[from] ApiClientError),
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl ControlError {
    pub(crate) fn unwritable(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Output(io::Error::other(error))
    }
}

pub(crate) fn run(cli: Cli) -> Result<(), ControlError> {
    let api = ApiClient::new(cli.api);
    match cli.command {
        Command::Client(ClientCommand::List) => list_clients(&api, cli.output),
        Command::Grace(command) => grace(&api, cli.output, command),
    }
}

fn list_clients(api: &ApiClient, format: Format) -> Result<(), ControlError> {
    let Clients { clients } = api.get("/api/v1/clients")?;
    write(format, &clients, &clients)
}

impl Row for Client {
    const HEADS: &'static [&'static str] =
        &["CLIENT", "VERSION", "UID", "IDLE", "LEASE", "OPENS", "LOCKS", "NAME"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.clientid.clone(),
            self.protocol.clone(),
            self.uid.to_string(),
            format!("{}s", self.idle_s),
            if self.expired { "expired" } else { "valid" }.to_owned(),
            self.opens.to_string(),
            self.locks.to_string(),
            self.name.clone(),
        ]
    }
}

fn grace(api: &ApiClient, format: Format, command: GraceCommand) -> Result<(), ControlError> {
    let grace: Grace = match command {
        GraceCommand::Show => api.get("/api/v1/grace")?,
        GraceCommand::End => api.post("/api/v1/grace/end")?,
    };
    write(format, &grace, &[grace])
}

impl Row for Grace {
    const HEADS: &'static [&'static str] = &["IN FORCE", "REMAINING", "RECLAIMED", "ENTITLED"];

    fn cells(&self) -> Vec<String> {
        vec![
            if self.in_force { "yes" } else { "no" }.to_owned(),
            format!("{}s", self.remaining_s),
            self.completed.to_string(),
            self.entitled.to_string(),
        ]
    }
}
