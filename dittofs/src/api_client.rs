//! The client's side of the API.

use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;
use ureq::Agent;
use ureq::http::Response;

use crate::api::types::ErrorBody;

/// How long a request may take: longer than the server lets it run.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Most bytes of an answer.
const MAX_ANSWER: u64 = 64 << 20;

/// Where the API of a server is: `ADDR:PORT`, or the same as a URL with `http://` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAddress(String);

impl std::fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ApiAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let authority = match text.split_once("://") {
            Some(("http", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err("the API is reached by http:// alone"),
            None => text,
        };
        let is_port = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
        let is_plain = !authority.contains(['/', '@', '?', '#', ' ']);
        if is_plain && authority.rsplit_once(':').is_some_and(is_port) {
            Ok(Self(authority.to_owned()))
        } else {
            Err("not ADDR:PORT or http://ADDR:PORT")
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ApiClientError {
    /// Nobody answers.
    #[error("no answer from the API at {0}: {1}; does the server run, and with --api?")]
    Unreachable(ApiAddress, ureq::Error),
    /// The server says why.
    #[error("{0}")]
    Refused(String),
    /// It is another program, or another version.
    #[error("the answer from {0} cannot be read: {1}")]
    Unreadable(ApiAddress, String),
}

/// Asks the API of a server.
pub struct ApiClient {
    address: ApiAddress,
    agent: Agent,
}

impl ApiClient {
    /// Of the server at this address. Connects with the first request.
    pub fn new(address: ApiAddress) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            // That of the environment is for the world, not for a server's own address.
            .proxy(None)
            .build();
        Self { address, agent: config.into() }
    }

    /// Where it asks.
    pub fn address(&self) -> &ApiAddress {
        &self.address
    }

    /// What is at a path.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiClientError> {
        let answer = self.agent.get(self.url(path)).call();
        self.read(answer)
    }

    /// Has something done.
    pub fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiClientError> {
        let answer = self.agent.post(self.url(path)).send_empty();
        self.read(answer)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, ApiClientError> {
        let mut answer = answer.map_err(|error| ApiClientError::Unreachable(self.address.clone(), error))?;
        let unreadable = |error: String| ApiClientError::Unreadable(self.address.clone(), error);
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| unreadable(error.to_string()))?;
        if let Ok(ErrorBody { error }) = serde_json::from_slice(&body) {
            return Err(ApiClientError::Refused(error));
        }
        serde_json::from_slice(&body).map_err(|error| unreadable(format!("status {status}, {error}")))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: what people may write. RFC: none.
    #[rstest]
    #[case::address("127.0.0.1:20490", Some("127.0.0.1:20490"))]
    #[case::name("localhost:1", Some("localhost:1"))]
    #[case::v6("[::1]:20490", Some("[::1]:20490"))]
    #[case::url("http://127.0.0.1:20490", Some("127.0.0.1:20490"))]
    #[case::url_with_slash("http://127.0.0.1:20490/", Some("127.0.0.1:20490"))]
    #[case::no_port("127.0.0.1", None)]
    #[case::no_host(":20490", None)]
    #[case::bad_port("localhost:65536", None)]
    #[case::tls("https://127.0.0.1:20490", None)]
    #[case::path("http://127.0.0.1:20490/api", None)]
    #[case::user("http://me@127.0.0.1:20490", None)]
    fn addresses(#[case] text: &str, #[case] expected: Option<&str>) {
        let address = text.parse::<ApiAddress>().ok();
        assert_eq!(address.map(|address| address.to_string()).as_deref(), expected);
    }
}
