//! The whole REST surface, fuzzed from its own OpenAPI document by schemathesis: whatever comes, no 5xx.

use doorward_domain::{Audience, Clock};
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::rig::python_program;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn no_input_that_a_fuzzer_makes_up_gets_a_5xx() {
    let app = TestApp::with(TestAppOptions { clock: Some(Clock::System), ..Default::default() }).await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let token = app.api_token(app.administrator(), Audience::Admin).await;
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(python_program("schemathesis"))
        .args(["run", &format!("{}/openapi.json", app.origin), "--url", &app.origin])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "not_a_server_error", "--phases", "coverage,fuzzing"])
        .args(["--max-examples", "15", "--workers", "2", "--seed", "7", "--no-color", "--warnings", "off"])
        .args(["--request-timeout", "20", "--continue-on-failure", "--suppress-health-check", "all"])
        .current_dir(&scratch)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("No issues found"), "{told}");
    // The fuzzer did get in, and did not shut itself out.
    assert_eq!(app.anonymous().with_bearer(&token).get("/me").await.status, 200);
}
