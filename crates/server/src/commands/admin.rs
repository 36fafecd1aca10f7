//! `doorward admin`: the first administrator, and ways back in.

use super::CommandError;
use super::terminal::Out;
use crate::app::App;
use clap::Subcommand;
use doorward_broker::{BrokerError, Caller, Credential, NewPerson, NewUser};
use doorward_domain::{Password, Role, Timestamp, User, UserId, UserState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum AdminCommand {
    /// Create an administrator; the password is read from standard input
    Create {
        #[arg(long)]
        email: String,
        /// The e-mail address, where it is left out
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Print a one-time link by which a person sets a new password
    ResetPassword {
        #[arg(long)]
        email: String,
        /// Whoever opens the link loses their second factor, too: for who has neither app nor recovery codes
        #[arg(long)]
        remove_second_factor: bool,
    },
    /// Print a one-time link by which its bearer becomes the first administrator
    SetupLink,
}

/// `input` is what was read from standard input: the password.
pub(super) async fn perform(
    command: AdminCommand,
    input: Option<Password>,
    app: &App,
    out: &Out,
) -> Result<(), CommandError> {
    match command {
        AdminCommand::Create { email, name } => create(app, email, name, input, out).await,
        AdminCommand::ResetPassword { email, remove_second_factor } => {
            let person = person(app, &email).await?.user.id;
            let link = app.broker().create_reset_link(&operator(), person, remove_second_factor).await?;
            Ok(out.say(link.as_str())?)
        }
        AdminCommand::SetupLink if app.broker().setup_needed().await? => {
            Ok(out.say(app.broker().create_setup_link().await?.as_str())?)
        }
        AdminCommand::SetupLink => Err(CommandError::Refused(
            "there is an administrator already: use 'doorward admin reset-password --email EMAIL'".to_owned(),
        )),
    }
}

async fn create(
    app: &App,
    email: String,
    name: String,
    input: Option<Password>,
    out: &Out,
) -> Result<(), CommandError> {
    let password = input.unwrap_or_else(|| Password::new(""));
    let first = NewPerson { email: email.clone(), name: name.clone(), password: password.clone() };
    if app.broker().create_first_administrator(first).await? {
        return Ok(out.say(&format!("{email} is the first administrator"))?);
    }
    let new = NewUser { email: email.clone(), name, role: Role::Administrator, password: Some(password) };
    app.broker().create_user(&operator(), new).await?;
    Ok(out.say(&format!("{email} is an administrator"))?)
}

/// The person whom a command is about.
pub(super) async fn person(app: &App, email: &str) -> Result<Caller, CommandError> {
    let caller = app.broker().caller_on_command_line(email).await?;
    Ok(caller.ok_or(BrokerError::NotFound { what: "person" })?)
}

/// Whoever can run commands on the machine, and so holds the database and its keys anyway. The audit
/// trail names the command line, and no row of this user exists.
pub(super) fn operator() -> Caller {
    let start = Timestamp::from_millis(0);
    let user = User {
        id: UserId(Uuid::nil()),
        email: "command line".to_owned(),
        name: "command line".to_owned(),
        role: Role::Administrator,
        state: UserState::Active,
        password_hash: None,
        has_second_factor: false,
        created_at: start,
        updated_at: start,
        version: 0,
    };
    Caller { user: Arc::new(user), credential: Credential::CommandLine, address: None }
}
