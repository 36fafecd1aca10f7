use super::*;
use doorward_domain::ProviderFacts;

fn read(body: &str) -> Result<GatewayInput, ApiError> {
    let github = |choice: &TemplateChoice| {
        let templates = doorward_oauth::ProviderTemplates::shipped();
        Ok(templates.get(&choice.id).unwrap().fill(&choice.inputs).unwrap())
    };
    serde_json::from_str::<GatewayBody>(body).unwrap().input(github)
}

fn refused(body: &str) -> String {
    let Err(ApiError::BadInput { field: Some(field), .. }) = read(body) else { panic!("{body} is refused") };
    field
}

#[test]
fn a_secret_is_kept_cleared_or_set() {
    let secret = |member: &str| {
        let body = format!(
            r#"{{"authorization":{{"type":"oauth","authorization_url":"a","token_url":"t","client_id":"c"{member}}}}}"#
        );
        match read(&body).unwrap().authorization {
            Some(AuthorizationInput::OAuth(oauth)) => oauth.client_secret,
            _ => panic!("oauth is read as oauth"),
        }
    };
    assert!(matches!(secret(""), Edit::Keep));
    assert!(matches!(secret(r#","client_secret":null"#), Edit::Clear));
    assert!(matches!(secret(r#","client_secret":"s""#), Edit::Set(_)));
}

#[test]
fn s9_a_template_fills_what_is_left_out_and_nothing_else() {
    let with = |more: &str| {
        let body = format!(
            r#"{{"authorization":{{"type":"oauth","provider_template":"github","client_id":"c"{more}}}}}"#
        );
        match read(&body).unwrap().authorization {
            Some(AuthorizationInput::OAuth(oauth)) => *oauth,
            _ => panic!("oauth is read as oauth"),
        }
    };
    let plain = with("");
    assert_eq!(plain.authorization_url, "https://github.com/login/oauth/authorize");
    assert_eq!(plain.token_url, "https://github.com/login/oauth/access_token");
    assert!(plain.facts.unwrap().whoami.is_some() && plain.revocation_url.is_some());
    let own = with(r#","token_url":"https://t/","scopes":["gist"],"revocation_url":null,"facts":{}"#);
    assert_eq!((own.token_url.as_str(), own.scopes), ("https://t/", vec!["gist".to_owned()]));
    assert!(own.revocation_url.is_none() && own.facts.unwrap() == ProviderFacts::default());
    let lonely = r#"{"authorization":{"type":"oauth","provider_inputs":{},"client_id":"c"}}"#;
    assert_eq!(refused(lonely), "authorization.provider_inputs");
}

#[test]
fn each_type_has_its_own_fields() {
    assert_eq!(refused(r#"{"authorization":{"type":"oauth"}}"#), "authorization.token_url");
    assert_eq!(refused(r#"{"authorization":{"type":"oauth","value":null}}"#), "authorization.value");
    assert_eq!(
        refused(r#"{"authorization":{"type":"none","client_secret":"s"}}"#),
        "authorization.client_secret"
    );
    assert_eq!(refused(r#"{"authorization":{"type":"static_header"}}"#), "authorization.name");
    assert_eq!(refused(r#"{"authorization":{"type":"static_header","scopes":[]}}"#), "authorization.scopes");
    let header = read(r#"{"authorization":{"type":"static_header","name":"x","value":"v"}}"#).unwrap();
    assert!(matches!(
        header.authorization,
        Some(AuthorizationInput::StaticHeader { value: Edit::Set(_), .. })
    ));
    assert!(matches!(
        read(r#"{"authorization":{"type":"none"}}"#).unwrap().authorization,
        Some(AuthorizationInput::None)
    ));
    assert!(read("{}").unwrap().authorization.is_none());
}
