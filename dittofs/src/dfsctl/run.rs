use std::error::Error;
use std::io;

use dittofs::api::types::{Client, Clients, Delegation, Delegations, Grace, Recalled};
use dittofs::api_client::{ApiClient, ApiClientError};
use thiserror::Error as ThisError;

use crate::cli::{Cli, ClientCommand, Command, DelegationCommand, Format, GraceCommand};
use crate::output::{Row, write};

/// Why a command failed.
#[derive(Debug, ThisError)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Api(#[from] ApiClientError),
    #[error("{0:?} is not the stateid of a delegation, as `dfsctl delegation list` shows it")]
    NoStateid(String),
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
        Command::Delegation(DelegationCommand::List { client }) => list_delegations(&api, cli.output, client),
        Command::Delegation(DelegationCommand::Recall { stateid }) => recall(&api, cli.output, &stateid),
        Command::Client(ClientCommand::List) => list_clients(&api, cli.output),
        Command::Grace(command) => grace(&api, cli.output, command),
    }
}

/// Most delegations of one request.
const PAGE: usize = 10_000;

fn list_delegations(api: &ApiClient, format: Format, client: Option<u64>) -> Result<(), ControlError> {
    let of = client.map(|client| format!("&client={client}")).unwrap_or_default();
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page: Delegations = api.get(&format!("/api/v1/delegations?limit={PAGE}{of}{after}"))?;
        all.extend(page.delegations);
        let Some(next) = page.next else { break };
        after = format!("&after={next}");
    }
    write(format, &all, &all)
}

impl Row for Delegation {
    const HEADS: &'static [&'static str] =
        &["STATEID", "TYPE", "RECALLED", "CLIENT", "EXPORT", "FILE", "CLIENT NAME"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.stateid.clone(),
            self.kind.clone(),
            self.recalled_s.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds}s ago")),
            self.clientid.clone(),
            self.export.clone(),
            self.file.clone(),
            self.client.clone(),
        ]
    }
}

fn recall(api: &ApiClient, format: Format, stateid: &str) -> Result<(), ControlError> {
    // It goes into a path.
    if !stateid.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(ControlError::NoStateid(stateid.to_owned()));
    }
    let recalled: Recalled = api.post(&format!("/api/v1/delegations/{stateid}/recall"))?;
    write(format, &recalled, std::slice::from_ref(&recalled))
}

impl Row for Recalled {
    const HEADS: &'static [&'static str] = &["STATEID", "OUTCOME"];

    fn cells(&self) -> Vec<String> {
        vec![self.stateid.clone(), self.outcome.clone()]
    }
}

fn list_clients(api: &ApiClient, format: Format) -> Result<(), ControlError> {
    let Clients { clients } = api.get("/api/v1/clients")?;
    write(format, &clients, &clients)
}

impl Row for Client {
    const HEADS: &'static [&'static str] =
        &["CLIENT", "VERSION", "UID", "IDLE", "LEASE", "CALLBACKS", "OPENS", "LOCKS", "DELEGATIONS", "NAME"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.clientid.clone(),
            self.protocol.clone(),
            self.uid.to_string(),
            format!("{}s", self.idle_s),
            if self.expired { "expired" } else { "valid" }.to_owned(),
            self.callbacks.clone(),
            self.opens.to_string(),
            self.locks.to_string(),
            self.delegations.to_string(),
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
