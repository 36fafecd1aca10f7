//! TLS of our own, as a client sees it.

use doorward_server::listener;
use doorward_server::tls::{Tls, TlsFiles};
use doorward_testkit::app::TestApp;
use doorward_testkit::certificates::Certificates;
use reqwest::{Certificate, Version};
use std::net::Ipv4Addr;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn tls_serves_http_2_and_http_1_and_nothing_in_plain_text() {
    let app = TestApp::start().await;
    let certificates = Certificates::make();
    let files = TlsFiles { certificate: certificates.certificate(), key: certificates.key() };
    let tls = Tls::load(files).unwrap();
    let listening = listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listening.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ingress = listener::Ingress { tls: Some(tls.acceptor()), ..Default::default() };
    let serving = listener::serve_with(listening, ingress, app.app.router(), stop.clone());

    let authority = std::fs::read(certificates.authority()).unwrap();
    let trusting = || reqwest::Client::builder().tls_certs_only([Certificate::from_pem(&authority).unwrap()]);
    let url = format!("https://{address}/health");
    let modern = trusting().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((modern.status().as_u16(), modern.version()), (200, Version::HTTP_2));
    let older = trusting().http1_only().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((older.status().as_u16(), older.version()), (200, Version::HTTP_11));
    let plain = reqwest::get(format!("http://{address}/health")).await;
    assert!(plain.is_err(), "plain text is not answered");
    stop.cancel();
    serving.await.unwrap();
}
