//! One loopback listener that serves a router until it is dropped.
//!
//! It drives the connections itself, because a fault needs what a framework rightly refuses: to
//! process a request and then close the connection without an answer.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tower::{ServiceExt, service_fn};

/// Put into a response's extensions, it closes the connection instead of sending the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloseUnanswered;

/// A running listener; dropping it closes the port and every connection.
pub(crate) struct Serving(#[expect(dead_code, reason = "held for its drop")] AbortOnDropHandle<()>);

/// Binds a loopback address; everything here is demo data and never leaves the machine.
pub(crate) async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    if !listen.ip().is_loopback() {
        let why = format!("the demo servers listen on loopback only, and {listen} is not: use 127.0.0.1");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    TcpListener::bind(listen).await
}

/// Serves `router` on a bound listener.
pub(crate) fn serve(listener: TcpListener, router: Router) -> Serving {
    Serving(AbortOnDropHandle::new(tokio::spawn(accept(listener, router))))
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve_connection(stream, router.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Answers are small and awaited: Nagle's delay would show in every measurement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), request));
    // A broken connection is the client's affair, or the fault that was asked for.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

async fn answer(router: Router, request: Request<Incoming>) -> io::Result<Response> {
    let response = match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions().get::<CloseUnanswered>() {
        Some(CloseUnanswered) => Err(io::ErrorKind::ConnectionAborted.into()),
        None => Ok(response),
    }
}
