//! The second step of one's own sign-in: setting it up with an authenticator app, new recovery codes, removing it.

use crate::extract::{CheckedForm, SessionCaller};
use crate::reveal;
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use crate::ui::qr::Qr;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{SecondFactorSetup, SecondFactorStatus};
use doorward_domain::{RecoveryCode, Timestamp};

const PATH: &str = "/ui/second-factor";

/// What one has.
#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    since: Option<Moment>,
    codes_left: u64,
}

/// What the app is to be told, and the form for its first code.
#[derive(Template)]
#[template(path = "second_factor_set_up.html")]
struct SetUpPage {
    frame: Frame,
    qr: Qr,
    /// For who types it: in groups of four.
    secret: String,
    form: Form,
}

/// The recovery codes, on the one page that shows them.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage {
    frame: Frame,
    codes: Vec<RecoveryCode>,
}

impl SecondFactorPage {
    fn new(frame: Frame, status: &SecondFactorStatus, now: Timestamp) -> Self {
        let since = status.since.map(|since| Moment::relative(since, now));
        Self { frame, since, codes_left: status.recovery_codes_left }
    }
}

impl SetUpPage {
    fn new(frame: Frame, setup: &SecondFactorSetup, form: Form) -> Self {
        let letters: Vec<char> = reveal::totp_secret(&setup.secret).chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Self { frame, qr: Qr::of(&setup.uri), secret: groups.join(" "), form }
    }
}

fn frame(state: &AppState, session: &SessionCaller) -> Frame {
    Frame::new(state, session, Here::SecondFactor)
}

/// `GET /ui/second-factor`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let status = state.broker.second_factor(&session.caller).await?;
    let frame = frame(&state, &session).noted(&asked);
    Ok(page::page(&SecondFactorPage::new(frame, &status, state.broker.clock().now())))
}

/// The button under a question.
struct Answer {
    to: &'static str,
    button: &'static str,
    danger: bool,
}

fn ask(
    state: &AppState,
    session: &SessionCaller,
    title: &str,
    lines: &[&str],
    Answer { to, button, danger }: Answer,
) -> Result<Response, PageError> {
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    Ok(page::page(&Confirm {
        frame: frame(state, session),
        title: title.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        action: format!("{PATH}/{to}"),
        button,
        danger,
        back: PATH.to_owned(),
        version: None,
    }))
}

/// `GET /ui/second-factor/set-up`
pub(super) async fn ask_set_up(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    let lines = [
        "You need an authenticator app on your phone or computer. It shows six digits that change every half minute, \
         and the sign-in asks for them after your password.",
        "API tokens and connections stay as they are.",
    ];
    ask(
        &state,
        &session,
        "Set up a second step?",
        &lines,
        Answer { to: "set-up", button: "Begin", danger: false },
    )
}

/// `POST /ui/second-factor/set-up`
pub(super) async fn set_up(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let setup = state.broker.begin_second_factor(&session.caller).await?;
    Ok(page::page(&SetUpPage::new(frame(&state, &session), &setup, Form::blank())))
}

/// `GET /ui/second-factor/confirm`: what is being set up is shown once, so it is begun again.
pub(super) async fn begin_again() -> Redirect {
    Redirect::to(&format!("{PATH}/set-up"))
}

/// `POST /ui/second-factor/confirm`
pub(super) async fn confirm(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    match state.broker.confirm_second_factor(&session.caller, typed.text("code")).await {
        Ok(codes) => Ok(page::page(&RecoveryCodesPage { frame: frame(&state, &session), codes })),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let setup = state.broker.pending_second_factor(&session.caller).await?;
            let page = SetUpPage::new(frame(&state, &session), &setup, form);
            Ok(page::with_status(page.form.status, &page))
        }
    }
}

/// `GET /ui/second-factor/recovery-codes`
pub(super) async fn ask_codes(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    let lines = ["The codes from before work no more."];
    let answer = Answer { to: "recovery-codes", button: "Make new codes", danger: false };
    ask(&state, &session, "Make new recovery codes?", &lines, answer)
}

/// `POST /ui/second-factor/recovery-codes`
pub(super) async fn renew_codes(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let codes = state.broker.renew_recovery_codes(&session.caller).await?;
    Ok(page::page(&RecoveryCodesPage { frame: frame(&state, &session), codes }))
}

/// `GET /ui/second-factor/remove`
pub(super) async fn ask_remove(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    let lines = ["From then on your password alone signs you in. Your recovery codes work no more."];
    ask(
        &state,
        &session,
        "Remove your second step?",
        &lines,
        Answer { to: "remove", button: "Remove it", danger: true },
    )
}

/// `POST /ui/second-factor/remove`
pub(super) async fn remove(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    state.broker.remove_second_factor(&session.caller).await?;
    Ok(Redirect::to(&format!("{PATH}?note=second-factor-removed")).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::{NOW, ago};
    use doorward_domain::TotpSecret;
    let frame = || Frame::sample(Here::SecondFactor);
    let status = |since, recovery_codes_left| SecondFactorStatus { since, recovery_codes_left };
    let page = |status| SecondFactorPage::new(frame(), &status, NOW).render().unwrap();
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let setup = SecondFactorSetup {
        secret: TotpSecret::new(secret),
        uri: format!("otpauth://totp/Doorward%20localhost:a%40b?secret={secret}&issuer=Doorward%20localhost"),
    };
    let wrong = Form::blank().problem(http::StatusCode::BAD_REQUEST, "code", "<script>no</script>");
    let codes = ["abcd-efgh-ijkm-npqr", "stuv-wxyz-2345-6789"].map(RecoveryCode::new).to_vec();
    vec![
        ("second-factor-none", page(status(None, 0))),
        ("second-factor", page(status(Some(ago(86_400)), 9))),
        ("second-factor-without-codes", page(status(Some(ago(86_400)), 0))),
        ("second-factor-set-up", SetUpPage::new(frame(), &setup, wrong).render().unwrap()),
        ("recovery-codes", RecoveryCodesPage { frame: frame(), codes }.render().unwrap()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_offers_what_can_be_done() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        assert!(
            page("second-factor-none").contains("Set it up…")
                && !page("second-factor-none").contains("Remove…")
        );
        assert!(
            page("second-factor").contains("9 recovery codes left")
                && page("second-factor").contains("Remove…")
        );
        assert!(page("second-factor-without-codes").contains("No recovery codes left"));
        assert!(page("second-factor-set-up").contains("<svg class=\"qr\""));
        assert!(page("second-factor-set-up").contains("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"));
        assert!(page("recovery-codes").contains("<code>abcd-efgh-ijkm-npqr</code>"));
    }
}
