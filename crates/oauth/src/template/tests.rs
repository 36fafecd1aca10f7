use super::*;
use doorward_domain::may_be_told;

fn inputs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn examples(template: &ProviderTemplate) -> BTreeMap<String, String> {
    template.inputs.iter().map(|(name, input)| (name.clone(), input.example.clone())).collect()
}

const ACME: &str = r#"
version = 3
name = "Acme"
[inputs.host]
label = "Host"
example = "acme.example"
kind = "host"
[oauth]
authorization_url = "https://{host}/authorize"
token_url = "https://{host}/token"
scopes = ["read"]
[oauth.authorize_params]
audience = "https://{host}/"
[facts]
replay_safe = true
user_apps_url = "https://{host}/apps"
[sources]
"facts.replay_safe" = { sure = "low", from = "hearsay" }
"#;

#[test]
fn s9_every_provider_of_the_list_is_shipped_and_github_exactly() {
    let templates = ProviderTemplates::shipped();
    let names: Vec<&str> = templates.all().iter().map(|template| template.id.as_str()).collect();
    assert_eq!(names[..5], ["github", "google", "microsoft", "okta", "auth0"], "these come first");
    assert_eq!(names.last(), Some(&"custom"));
    for wanted in [
        "asana",
        "atlassian",
        "bitbucket",
        "box",
        "discord",
        "dropbox",
        "figma",
        "github-enterprise",
        "gitlab",
        "hubspot",
        "keycloak",
        "linear",
        "notion",
        "salesforce",
        "slack",
        "zoom",
    ] {
        assert!(names.contains(&wanted), "{wanted}");
    }
    let github = templates.get("github").unwrap().fill(&BTreeMap::new()).unwrap().oauth;
    assert_eq!(github.authorization_url.unwrap(), "https://github.com/login/oauth/authorize");
    assert_eq!(github.token_url.unwrap(), "https://github.com/login/oauth/access_token");
}

#[test]
fn a_shipped_template_is_https_sends_tokens_to_no_stranger_and_says_how_sure_it_is() {
    for template in ProviderTemplates::shipped().all() {
        let filled = template.fill(&examples(template)).unwrap();
        let Some(token_url) = &filled.oauth.token_url else {
            assert_eq!(template.id, "custom");
            continue;
        };
        let url = |text: &str| text.parse::<Url>().unwrap();
        let token_url = url(token_url);
        for text in [&filled.oauth.authorization_url, &filled.oauth.revocation_url, &filled.oauth.issuer] {
            assert!(text.as_ref().is_none_or(|text| text.starts_with("https://")), "{}", template.id);
        }
        if let Some(revocation_url) = &filled.oauth.revocation_url {
            assert!(may_be_told(&token_url, filled.oauth.issuer.as_deref(), &url(revocation_url)));
        }
        let facts = &filled.facts;
        assert!(facts.refresh_url.as_ref().is_none_or(|url| url.origin() == token_url.origin()));
        assert!(!facts.replay_safe || facts.refresh_rotation.keeps_the_old_one(), "{}", template.id);
        let known = |field: &&str| template.sources.contains_key(*field);
        assert!(["oauth.authorization_url", "oauth.token_url"].iter().all(&known));
        assert!(facts.whoami.is_none() || known(&"facts.whoami"), "{}", template.id);
    }
}

/// The names of a type's fields, as it tells them to whoever writes another.
fn fields<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let unknown = serde_json::from_str::<T>(r#"{"no such field": 1}"#).err().expect("it knows its fields");
    let told = unknown.to_string();
    let (_, expected) = told.split_once("expected").expect("they are told");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_field_of_a_template_stands_in_its_documentation() {
    let documentation = include_str!("../../../../docs/providers.md");
    let all = [
        fields::<ProviderTemplate>(),
        fields::<TemplateOAuth>(),
        fields::<TemplateInput>(),
        fields::<Source>(),
        fields::<doorward_domain::ProviderFacts>(),
        fields::<doorward_domain::Whoami>(),
    ]
    .concat();
    assert!(all.len() > 40, "{all:?}");
    let stands = |field: &String| {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        documentation.split(word).any(|found| found == field)
    };
    let missing: Vec<&String> = all.iter().filter(|field| !stands(field)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn a_template_is_filled_whole_or_not_at_all() {
    let template = ProviderTemplate::parse("acme.toml", ACME).unwrap();
    let filled = template.fill(&inputs(&[("host", " a.example ")])).unwrap();
    assert_eq!(filled.oauth.token_url.unwrap(), "https://a.example/token");
    assert_eq!(filled.oauth.authorize_params["audience"], "https://a.example/");
    assert_eq!(filled.facts.user_apps_url.unwrap().as_str(), "https://a.example/apps");
    assert_eq!((filled.used.version, filled.used.inputs["host"].as_str()), (3, "a.example"));
    for (given, input) in [
        (&[][..], "host"),
        (&[("host", "https://a.example")], "host"),
        (&[("host", "a.example@evil.example")], "host"),
        (&[("host", "a.example"), ("tenant", "x")], "tenant"),
    ] {
        assert_eq!(template.fill(&inputs(given)).unwrap_err().input, input, "{given:?}");
    }
}

#[test]
fn a_draft_shows_what_is_still_to_be_given() {
    let template = ProviderTemplate::parse("acme.toml", ACME).unwrap();
    let draft = template.draft(&inputs(&[("host", "not/a/host")]));
    assert_eq!(draft.oauth.token_url.as_deref(), Some("https://{host}/token"));
    assert!(draft.facts.contains("replay_safe = true\n") && draft.facts.contains("https://{host}/apps"));
    assert_eq!(open_in("https://{host}/token").as_deref(), Some("host"));
    assert_eq!(open_in("https://a/{tenantid}/v2.0"), None, "filled by Microsoft");
    let draft = template.draft(&inputs(&[("host", "a.example")]));
    assert_eq!(draft.oauth.authorization_url.as_deref(), Some("https://a.example/authorize"));
}

#[test]
fn a_wrong_file_is_named_with_its_field() {
    for (change, named) in [
        (("version = 3", "version = \"x\""), "version"),
        (("version = 3", ""), "version"),
        (("name = \"Acme\"", "name = \" \""), "name"),
        (("replay_safe", "replay_save"), "replay_save"),
        (("token_url", "tokens_url"), "tokens_url"),
        (("[inputs.host]", "[inputs.home]"), "inputs.host"),
        (("example = \"acme.example\"", "example = \"https://acme.example\""), "inputs.host.example"),
        (("facts.replay_safe", "facts.idle"), "sources.facts.idle"),
        (("sure = \"low\"", "sure = \"maybe\""), "maybe"),
        (("kind = \"host\"", "kind = \"city\""), "city"),
        (("[facts]", "[facts"), "line"),
    ] {
        let text = ACME.replacen(change.0, change.1, 1);
        let error = ProviderTemplate::parse("acme.toml", &text).unwrap_err().to_string();
        assert!(error.starts_with("acme.toml: ") && error.contains(named), "{change:?}: {error}");
    }
    assert!(ProviderTemplate::parse("Acme Corp.toml", ACME).unwrap_err().problem.contains("name the file"));
}

#[test]
fn an_operators_own_file_adds_or_replaces() {
    let own = |name: &str| (name.to_owned(), ACME.to_owned());
    let count = ProviderTemplates::shipped().all().len();
    let added = ProviderTemplates::with(&[own("acme.toml")]).unwrap();
    assert_eq!(added.all().len(), count + 1);
    let replaced = ProviderTemplates::with(&[own("github.toml")]).unwrap();
    assert_eq!(replaced.all().len(), count);
    assert_eq!(replaced.get("github").unwrap().name, "Acme");
    assert!(ProviderTemplates::with(&[("x.toml".to_owned(), "nonsense".to_owned())]).is_err());
}
