//! HTTP/1.1 connections, with limits: how many, how long they may be silent, how long they last.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::Phase;

/// Most connections at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// How long the head of a request may take, and a connection be silent between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection lasts. A client that reads none of its replies would keep it for good.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(5);
/// How long a request that is running may take once its connection is to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing is accepted after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until the phase is [`Phase::Over`], and then those requests that are running.
pub(super) async fn serve(listener: TcpListener, router: Router, mut phase: watch::Receiver<Phase>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let over = phase.clone();
    let mut until_over = pin!(until_over(&mut phase));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            biased;
            () = &mut until_over => break,
            Some(_) = connections.join_next() => {}
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => {
                    let served = serve_connection(stream, router.clone(), over.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "the API cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.join_all().await;
}

async fn until_over(phase: &mut watch::Receiver<Phase>) {
    // An error says that nobody is left who could end it.
    drop(phase.wait_for(|phase| *phase == Phase::Over).await);
}

async fn serve_connection(stream: TcpStream, router: Router, mut phase: watch::Receiver<Phase>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async {
            tokio::select! {
                () = until_over(&mut phase) => {}
                () = tokio::time::sleep(CONNECTION_LIFETIME) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API failed");
    }
}
