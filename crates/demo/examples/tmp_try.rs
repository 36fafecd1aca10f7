use doorward_demo::*;
#[tokio::main]
async fn main() {
    let any = "127.0.0.1:0".parse().unwrap();
    let demo = Demo::start(any, any, AuthorizationServerOptions::default()).await.unwrap();
    let open = McpServer::start(any, None, McpServerOptions{answer: AnswerForm::Sse, ..Default::default()}).await.unwrap();
    let l = McpServer::start(any, None, McpServerOptions::only(Revision::V2025_06_18)).await.unwrap();
    let m = McpServer::start(any, None, McpServerOptions::only(Revision::V2026_07_28)).await.unwrap();
    let a: Vec<_> = demo.authorization_server.accounts().iter().map(|a| format!("{}:{}", a.name, a.password)).collect();
    #[expect(clippy::print_stdout, reason = "x")]
    { println!("{{\"auth\":\"{}\",\"mcp\":\"{}\",\"open\":\"{}\",\"legacy\":\"{}\",\"modern\":\"{}\",\"accounts\":{:?}}}", demo.authorization_server.authorization_url(), demo.mcp_server.url(), open.url(), l.url(), m.url(), a); }
    std::future::pending::<()>().await;
}
