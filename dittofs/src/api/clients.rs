use axum::Json;
use axum::extract::State;
use dittofs_framework::client::{CallbackPath, Protocol};
use dittofs_framework::compound::Nfs4Service;

use super::ApiState;
use super::types::{Client, Clients};

/// All confirmed clients.
pub(super) async fn list(State(state): State<ApiState>) -> Json<Clients> {
    let service = &state.service;
    let clients = service.clients().iter().map(|client| view(service, client)).collect();
    Json(Clients { clients })
}

fn view(service: &Nfs4Service, client: &dittofs_framework::client::Client) -> Client {
    let now = service.now();
    let name = client.name();
    let held = service.state().held(client.id());
    Client {
        clientid: client.id().0.to_string(),
        name: name_of(client),
        protocol: protocol(client.protocol()).to_owned(),
        uid: name.user.uid,
        idle_s: client.idle(now).as_secs(),
        expired: client.is_expired(now),
        callbacks: callbacks(client.callback_path()).to_owned(),
        opens: held.opens,
        locks: held.locks,
        delegations: held.delegations,
    }
}

/// What a client calls itself, which need not be text.
pub(super) fn name_of(client: &dittofs_framework::client::Client) -> String {
    String::from_utf8_lossy(&client.name().owner.0).into_owned()
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V4_0 => "4.0",
        Protocol::Sessions => "4.1+",
    }
}

fn callbacks(path: CallbackPath) -> &'static str {
    match path {
        CallbackPath::None => "none",
        CallbackPath::Unproven => "unproven",
        CallbackPath::Proven => "proven",
        CallbackPath::Down => "down",
    }
}
