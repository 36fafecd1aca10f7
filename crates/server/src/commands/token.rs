//! `doorward token`: API tokens of a person, made and ended on the machine itself.

use super::CommandError;
use super::admin::person;
use super::terminal::Out;
use crate::app::App;
use clap::{Subcommand, ValueEnum};
use doorward_broker::NewApiToken;
use doorward_domain::{ApiTokenId, Audience};
use serde::{Deserialize, Serialize};

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum TokenCommand {
    /// Make an API token and print it, alone: it is not shown again
    Create {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        /// What it opens
        #[arg(long, value_enum, default_value = "mcp")]
        audience: AudienceName,
        /// Days until it ends [default: 90]
        #[arg(long)]
        days: Option<u32>,
    },
    /// List a person's API tokens
    List {
        #[arg(long)]
        email: String,
    },
    /// End one of a person's API tokens
    Revoke {
        #[arg(long)]
        email: String,
        #[arg(long)]
        id: ApiTokenId,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
pub(crate) enum AudienceName {
    Mcp,
    #[value(name = "self")]
    Own,
    Admin,
}

impl From<AudienceName> for Audience {
    fn from(name: AudienceName) -> Self {
        match name {
            AudienceName::Mcp => Self::Mcp,
            AudienceName::Own => Self::Own,
            AudienceName::Admin => Self::Admin,
        }
    }
}

pub(super) async fn perform(command: TokenCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    match command {
        TokenCommand::Create { email, name, audience, days } => {
            let caller = person(app, &email).await?;
            let new = NewApiToken { name, audience: audience.into(), gateways: None, days };
            let made = app.broker().create_api_token(&caller, new).await?;
            Ok(out.say(crate::reveal::api_token(&made.plain))?)
        }
        TokenCommand::List { email } => {
            let caller = person(app, &email).await?;
            for token in app.broker().api_tokens(&caller).await? {
                let end = match token.ended_at {
                    Some(ended) => format!("ended {ended}"),
                    None => format!("until {}", token.expires_at),
                };
                let audience = token.audience.as_str();
                out.say(&format!("{}\tdw_{}...\t{audience}\t{end}\t{}", token.id, token.hint, token.name))?;
            }
            Ok(())
        }
        TokenCommand::Revoke { email, id } => {
            let caller = person(app, &email).await?;
            app.broker().end_api_token(&caller, id).await?;
            Ok(out.say("ended")?)
        }
    }
}
