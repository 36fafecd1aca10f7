//! The command line. Results go to standard output, everything else to standard error.

mod admin;
mod audit;
mod backup;
mod cleanup;
mod control;
mod demo;
mod doctor;
mod doctor_reach;
mod keys;
mod openapi;
mod operator;
mod run;
mod serve;
mod terminal;
mod token;

use crate::app::{App, StartError};
use crate::settings::{Environment, RawSettings, SettingError, Settings};
use crate::telemetry;
use clap::{Parser, Subcommand};
use doorward_broker::BrokerError;
use doorward_domain::{Clock, Entropy};
use std::io;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// Worker threads at most: what there is to do waits for the network, and each idle one costs memory.
const WORKERS_MAX: usize = 8;

/// Doorward: the MCP gateway that keeps the keys.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, about, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: RawSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the gateway
    Serve,
    /// Try everything on this machine: a gateway, an authorization server and an MCP server
    Demo,
    #[command(flatten)]
    Operator(operator::OperatorCommand),
    /// Put a backup in the place of the database, while no server runs
    Restore(backup::RestoreCommand),
    /// Print the OpenAPI document
    Openapi,
}

/// Why a command ends without success. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("cannot collect metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error("{0}")]
    Refused(String),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    match begin(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn begin(line: CommandLine) -> Result<(), CommandError> {
    if let Command::Openapi = line.command {
        return Ok(openapi::print()?);
    }
    let settings = line.settings.check(&Environment::of_process())?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(Box::pin(perform(line.command, settings)))
}

async fn perform(command: Command, settings: Settings) -> Result<(), CommandError> {
    telemetry::start(&settings)?;
    match command {
        Command::Serve => serve::serve(settings).await,
        Command::Demo => demo::demo(settings).await,
        Command::Operator(command) => operator::run(command, settings).await,
        Command::Restore(command) => backup::restore(command, settings).await,
        Command::Openapi => Ok(openapi::print()?),
    }
}

/// Everything wired. It takes the lock of the data directory.
pub(crate) async fn open(settings: Settings) -> Result<App, CommandError> {
    Ok(App::build(settings, Clock::System, Entropy).await?)
}
