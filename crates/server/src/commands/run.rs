//! Running a wired Doorward until it is told to stop.

use super::{CommandError, control};
use crate::app::{App, StartError};
use crate::listener::Ingress;
use crate::settings::Settings;
use crate::tls::Tls;
use crate::{jobs, listener, metrics_listener};
use doorward_broker::BrokerError;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Bound listeners: whoever has them can say where to go before anything is served.
pub(super) struct Listeners {
    public: Vec<TcpListener>,
    tls: Option<Tls>,
    metrics: TcpListener,
}

impl Listeners {
    pub(super) async fn bind(settings: &Settings) -> io::Result<Self> {
        let mut public = Vec::new();
        for address in &settings.listen {
            match listener::bind(*address).await {
                Ok(listener) => public.push(listener),
                // A machine without IPv6 still serves on the other address.
                Err(error) if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable => {
                    tracing::info!(%address, "this address is not available here");
                }
                Err(error) => return Err(error),
            }
        }
        if public.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "DOORWARD_LISTEN: no address is available here",
            ));
        }
        let tls = settings.tls.clone().map(Tls::load).transpose().map_err(io::Error::other)?;
        Ok(Self { public, tls, metrics: listener::bind(settings.metrics_listen).await? })
    }
}

/// Serves until SIGINT or SIGTERM, lets answers finish, writes what is in memory.
pub(super) async fn until_stopped(app: &Arc<App>, listeners: Listeners) -> Result<(), CommandError> {
    // Before anything is served: whoever can reach the server can also stop it.
    let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let stop = CancellationToken::new();
    let handle = metrics_listener::install()?;
    tokio::spawn(metrics_listener::upkeep(handle.clone()));
    jobs::start(app, &stop);
    app.begins_to_serve();
    tell_of_replicas(app).await?;
    let router = app.router();
    let mut serving =
        vec![listener::serve(listeners.metrics, metrics_listener::router(handle), stop.clone())];
    for public in listeners.public {
        let tls = listeners.tls.as_ref().map(Tls::acceptor);
        let ingress = Ingress { tls, header_kib: app.broker().policy().limits.header_kib };
        serving.push(listener::serve_with(public, ingress, router.clone(), stop.clone()));
    }
    if let Some(tls) = listeners.tls {
        serving.push(tokio::spawn(tls.follow(stop.clone())));
    }
    let commands = control::bind(app.directory()).map_err(StartError::from)?;
    serving.push(control::serve(commands, Arc::clone(app), stop.clone()));
    told_to_stop(signals).await;
    tracing::info!("stopping");
    stop.cancel();
    for server in serving {
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener failed");
        }
    }
    app.checkpoints().write_if_new(app.broker()).await?;
    Ok(app.close().await?)
}

/// What is limited is counted in each process: whoever runs several should know.
async fn tell_of_replicas(app: &App) -> Result<(), CommandError> {
    let replicas = app.storage().replicas().await.map_err(BrokerError::Storage)?.unwrap_or(1);
    if replicas > 1 {
        tracing::info!(
            replicas,
            "other processes share the database; each counts calls and rates for itself"
        );
    }
    Ok(())
}

async fn told_to_stop([mut interrupt, mut terminate]: [Signal; 2]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
