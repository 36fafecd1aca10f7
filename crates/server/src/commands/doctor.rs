//! `doorward doctor`: what an operator should know of this installation, in plain sentences. What is wrong
//! ends the command without success, advice does not.

use super::CommandError;
use super::admin::operator;
use super::doctor_reach;
use super::terminal::Out;
use crate::app::{App, StartError};
use crate::data_dir::DataDirError;
use clap::Args;
use doorward_broker::{BrokerError, Caller, CertificateEnd, CheckFinding, CheckVerdict, KeyStatus};
use doorward_domain::{Gateway, GatewayAuthorization, PageRequest, Timestamp};
use doorward_storage::{AuditFilter, SchemaReport};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// So far may another clock, or an event, be from ours before one of them is wrong: clocks differ a little.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Good(String),
    Advice(String),
    Wrong(String),
}

impl Finding {
    fn of(found: CheckFinding) -> Self {
        let text = format!("{}: {}", found.subject.replace('_', " "), found.text);
        match found.verdict {
            CheckVerdict::Good => Self::Good(text),
            CheckVerdict::Advice => Self::Advice(text),
            CheckVerdict::Wrong => Self::Wrong(text),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Good(text) => format!("good\t{text}"),
            Self::Advice(text) => format!("advice\t{text}"),
            Self::Wrong(text) => format!("WRONG\t{text}"),
        }
    }
}

/// `doorward doctor`
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct DoctorCommand {
    /// Examine the setup of one gateway instead: its server, provider and client. Nobody logs in for it
    #[arg(long, value_name = "SLUG")]
    gateway: Option<String>,
}

pub(super) async fn perform(command: DoctorCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    match command.gateway {
        Some(slug) => examine_gateway(app, &slug, out).await,
        None => examine(app, out).await,
    }
}

/// What is wrong with one gateway.
async fn examine_gateway(app: &App, slug: &str, out: &Out) -> Result<(), CommandError> {
    let caller = operator();
    let gateway = app.broker().gateway_by_slug(&caller, slug).await?;
    let check = app.broker().check_gateway(&caller, gateway.id).await?;
    let findings: Vec<Finding> = check.findings.into_iter().map(Finding::of).collect();
    say(&findings, out)
}

async fn examine(app: &App, out: &Out) -> Result<(), CommandError> {
    let caller = operator();
    let mut findings = database(app).await;
    findings.push(files(app));
    findings.extend(key_place(app));
    findings.extend(proxy(app));
    findings.extend(doctor_reach::public_url(app).await);
    findings.extend(doctor_reach::forwarding(app));
    findings.extend(replicas(app).await?);
    findings.extend(keys(app, &caller).await?);
    findings.extend(cleanup(app, &caller).await?);
    findings.extend(providers(app, &caller).await?);
    findings.extend(clock(app, &caller).await?);
    say(&findings, out)
}

fn say(findings: &[Finding], out: &Out) -> Result<(), CommandError> {
    for finding in findings {
        out.say(&finding.line())?;
    }
    match findings.iter().filter(|finding| matches!(finding, Finding::Wrong(_))).count() {
        0 => Ok(()),
        1 => Err(CommandError::Refused("one thing is wrong".to_owned())),
        count => Err(CommandError::Refused(format!("{count} things are wrong"))),
    }
}

/// Whoever opens the database brings its schema up to date; a newer program may have gone further meanwhile.
async fn database(app: &App) -> Vec<Finding> {
    let report = match app.storage().schema_report().await {
        Ok(report) => report,
        Err(error) => return vec![Finding::Wrong(error.to_string())],
    };
    let SchemaReport { database, applied, known } = report;
    let version = env!("CARGO_PKG_VERSION");
    let here = format!("doorward {version} on {database}");
    vec![match applied.cmp(&known) {
        Ordering::Equal => {
            Finding::Good(format!("the database answers, and its schema is up to date ({here})"))
        }
        Ordering::Less => Finding::Wrong(format!(
            "migrations are pending: the database is at {applied}, this program at {known} ({here}); restart the server"
        )),
        Ordering::Greater => Finding::Advice(format!(
            "the database is at migration {applied}, which a newer doorward made; this one knows {known} ({here}): update it"
        )),
    }]
}

fn files(app: &App) -> Finding {
    match app.directory().check_modes() {
        Ok(()) => Finding::Good("the data directory and its files are for their owner alone".to_owned()),
        Err(error) => Finding::Wrong(error.to_string()),
    }
}

/// Whoever gets the disk gets both: then the ring protects nothing.
fn key_place(app: &App) -> Option<Finding> {
    let device = |path: &std::path::Path| std::fs::metadata(path).map(|metadata| metadata.dev());
    let (ring, data) = (app.directory().ring_file().path().to_owned(), app.directory().database());
    if !app.keeps_ring() {
        return Some(Finding::Good(
            "the key ring comes from a setting, apart from the data directory".to_owned(),
        ));
    }
    match (device(&ring), device(&data)) {
        (Ok(ring_on), Ok(data_on)) if ring_on == data_on => Some(Finding::Advice(format!(
            "{} is on the disk of the data it protects: keep its backup apart from the database's, or give the \
             ring from elsewhere (DOORWARD_KEY_RING_FILE)",
            ring.display()
        ))),
        (Ok(_), Ok(_)) => Some(Finding::Good("the key ring and the data are on different disks".to_owned())),
        (Err(source), _) => {
            Some(Finding::Wrong(StartError::from(DataDirError::Io { path: ring, source }).to_string()))
        }
        // PostgreSQL: there is no file of ours.
        (Ok(_), Err(_)) => None,
    }
}

/// Through a proxy the guard sees names, not the addresses behind them.
fn proxy(app: &App) -> Option<Finding> {
    let proxy = app.proxy()?;
    Some(Finding::Advice(format!(
        "outbound calls go through {}, which resolves names itself: whether a public name leads inside cannot be seen \
         from here, so let the proxy refuse private addresses",
        proxy.host()
    )))
}

async fn keys(app: &App, caller: &Caller) -> Result<Vec<Finding>, CommandError> {
    let report = app.broker().keys(caller).await?;
    let mut findings = Vec::new();
    for KeyStatus { id, seals, rows, in_ring, .. } in &report.keys {
        if !in_ring {
            findings.push(Finding::Wrong(format!(
                "the key ring lacks '{id}', which {rows} sealed values need: put it back"
            )));
        } else if !seals && *rows > 0 {
            findings.push(Finding::Advice(format!(
                "{rows} sealed values are still on '{id}'; a running server seals them anew"
            )));
        } else if !seals {
            findings.push(Finding::Advice(format!(
                "nothing needs '{id}': once no backup does either, doorward keys retire {id}"
            )));
        }
    }
    if report.keys.iter().all(|key| key.in_ring) {
        findings.insert(0, Finding::Good("the key ring has every key that is needed".to_owned()));
    }
    Ok(findings)
}

async fn cleanup(app: &App, caller: &Caller) -> Result<Vec<Finding>, CommandError> {
    let overview = app.broker().cleanup_overview(caller).await?;
    let mut findings: Vec<Finding> = overview
        .overdue
        .into_iter()
        // Where it has never run, Doorward may only just have been set up.
        .map(|overdue| {
            if overview.last_finished.is_some() { Finding::Wrong(overdue) } else { Finding::Advice(overdue) }
        })
        .collect();
    if let Some(reason) = app.storage().cleanup_hold().await.map_err(StartError::from)? {
        findings.push(Finding::Advice(format!(
            "cleanup holds what it would end ({}): look with doorward cleanup --dry-run, then give your word",
            reason.as_str()
        )));
    }
    if findings.is_empty() {
        findings.push(Finding::Good("cleanup is in time".to_owned()));
    }
    Ok(findings)
}

async fn providers(app: &App, caller: &Caller) -> Result<Vec<Finding>, CommandError> {
    let mut findings: Vec<Finding> = Vec::new();
    for outage in app.broker().circuits() {
        findings
            .push(Finding::Advice(format!("{} has not answered since {}", outage.provider, outage.since)));
    }
    for gateway in app.broker().gateways(caller).await? {
        findings.extend(certificate(app, &gateway));
        if let GatewayAuthorization::OAuth(settings) = &gateway.authorization
            && let Some(problem) = &settings.registration_problem
        {
            findings.push(Finding::Wrong(format!(
                "the provider of '{}' has refused our client registration since {} ({}): give it a valid client",
                gateway.slug, problem.since, problem.code
            )));
        }
    }
    Ok(findings)
}

/// A client certificate that ends soon.
fn certificate(app: &App, gateway: &Gateway) -> Option<Finding> {
    let certificate = gateway.client_certificate.as_ref()?;
    let (slug, end) = (&gateway.slug, certificate.ends_at);
    match app.broker().certificate_end(certificate) {
        CertificateEnd::Over => Some(Finding::Wrong(format!(
            "the client certificate of '{slug}' ended at {end}: its server lets nobody in, so give another"
        ))),
        CertificateEnd::Near => Some(Finding::Advice(format!(
            "the client certificate of '{slug}' ends at {end}: give another before"
        ))),
        CertificateEnd::Far => None,
    }
}

/// What is limited is counted in each process.
async fn replicas(app: &App) -> Result<Option<Finding>, CommandError> {
    // A command that looks by itself has the database open as well, and serves nobody.
    let looking = u64::from(!app.is_serving());
    let replicas = app
        .storage()
        .replicas()
        .await
        .map_err(BrokerError::Storage)?
        .map_or(1, |open| open.saturating_sub(looking));
    Ok((replicas > 1).then(|| {
        Finding::Advice(format!(
            "{replicas} processes share the database, and each counts calls, rates, streams and wrong passwords for itself: \
             together they let up to {replicas} times the limits through"
        ))
    }))
}

/// Our clock beside the database's, where that is another machine's, and beside what has happened already.
async fn clock(app: &App, caller: &Caller) -> Result<Vec<Finding>, CommandError> {
    let newest = PageRequest { limit: 1, cursor: None };
    let events = app.broker().audit_events(caller, &AuditFilter::default(), &newest).await?;
    let now = app.broker().clock().now();
    let mut findings = Vec::new();
    if let Some(event) = events.items.first().filter(|event| event.at > now.plus(AHEAD)) {
        findings.push(Finding::Wrong(format!(
            "the clock says {now}, but something happened at {}: set the clock, or tokens end at the wrong time",
            event.at
        )));
    }
    let database = app.storage().database_clock().await.map_err(BrokerError::Storage)?;
    findings.extend(database.and_then(|there| differs(now, there, "the database")));
    if findings.is_empty() {
        let compared =
            if database.is_some() { "what happened and the database's clock" } else { "what happened" };
        findings.push(Finding::Good(format!("the clock agrees with {compared}")));
    }
    Ok(findings)
}

/// A clock elsewhere that differs from ours by more than clocks do.
pub(super) fn differs(here: Timestamp, there: Timestamp, whose: &str) -> Option<Finding> {
    let apart = here.until(there).max(there.until(here));
    (apart > AHEAD).then(|| {
        Finding::Wrong(format!(
            "the clock here says {here}, that of {whose} {there}: set the one that is wrong, or tokens end at the wrong time"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_minutes_apart_are_told_whichever_of_them_is_ahead() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        assert_eq!(differs(at(100), at(104), "the database"), None);
        for there in [at(94), at(106)] {
            let Some(Finding::Wrong(told)) = differs(at(100), there, "the database") else {
                panic!("it is too far off: {there}")
            };
            assert!(told.contains(&there.to_string()) && told.contains("the database"), "{told}");
        }
    }
}
