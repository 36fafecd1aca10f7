-- One text for SQLite and PostgreSQL: TEXT, BIGINT, BOOLEAN and BYTEA only.
-- Ids are UUIDv7 as text, times are epoch milliseconds, lists and maps are JSON as text.
-- A secret is a pair of columns: sealed bytes, and the id of the key they were sealed with.
-- Until the first release this file may be edited; afterwards migrations only go up.

-- Numbers that are given out in the writing transaction, so that their order is the order of commits.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL,
    hash BYTEA                            -- of `audit` alone: the newest event's; none before the first
);
INSERT INTO counters (name, value) VALUES ('changes', 0), ('audit', 0), ('first_administrator', 0), ('sealing', 0);
-- Each restore from a backup begins the next one.
INSERT INTO counters (name, value) VALUES ('epoch', 1);
-- Whether cleanup holds what it would delete until an administrator says so (0: no, 1: the database was
-- restored, 2: the clock jumped), and the time at which a cleanup job last looked, so that a jump is noticed.
INSERT INTO counters (name, value) VALUES ('cleanup_hold', 0), ('cleanup_beat', 0);

-- People ---------------------------------------------------------------------------------------

-- Roles beside the built-in ones, which have no rows.
CREATE TABLE roles (
    name TEXT NOT NULL PRIMARY KEY,
    permissions TEXT NOT NULL,            -- JSON list
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,       -- lower case: what is compared and searched
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,               -- lower case: what is searched
    role TEXT NOT NULL,                   -- administrator | operator | auditor | user, or the name of one in roles
    state TEXT NOT NULL,                  -- active | disabled
    password_hash TEXT,                   -- Argon2id, PHC form; none for people who sign in elsewhere
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX users_by_creation ON users (created_at, id);
CREATE INDEX users_by_role ON users (role);

-- Who a person is elsewhere (a later issue signs people in by it).
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);

CREATE TABLE groups (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_by_user ON group_members (user_id);

-- One-time links: the first administrator's setup (no user yet), or a password reset.
CREATE TABLE setup_links (
    hash BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    removes_second_factor BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- An authenticator app (RFC 6238), and one-time codes for the day on which it is lost.
CREATE TABLE second_factors (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret BYTEA NOT NULL,
    secret_key_id TEXT NOT NULL,
    last_step BIGINT NOT NULL,            -- the newest step whose code was accepted: none is accepted twice
    confirmed BOOLEAN NOT NULL,           -- false while it is being set up: it asks nobody for anything
    created_at BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    hash BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id);

CREATE TABLE browser_sessions (
    hash BYTEA NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,              -- what people name it by: the hash is shown to nobody
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address TEXT,                         -- where the login came from
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,     -- the last time that a password or a code was shown
    expires_at BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id);

CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    audience TEXT NOT NULL,               -- mcp | self | admin
    gateways TEXT,                        -- JSON list of gateway ids; none: every gateway
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX api_tokens_by_user ON api_tokens (user_id, created_at);

-- A legacy MCP client's protocol session; nothing to do with a login in a browser.
CREATE TABLE mcp_sessions (
    hash BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    api_token_id TEXT NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    protocol_version TEXT NOT NULL,
    client_name TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);
CREATE INDEX mcp_sessions_by_user ON mcp_sessions (user_id);
CREATE INDEX mcp_sessions_by_token ON mcp_sessions (api_token_id);
CREATE INDEX mcp_sessions_by_last_seen ON mcp_sessions (last_seen_at);

-- Gateways -------------------------------------------------------------------------------------

CREATE TABLE gateways (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,               -- lower case: what is searched
    url TEXT NOT NULL,
    state TEXT NOT NULL,                  -- draft | published | disabled
    access TEXT NOT NULL,                 -- everyone | listed: those in access_rules
    catalog_sharing TEXT NOT NULL,        -- per_user | shared
    on_change TEXT NOT NULL,              -- allow | hold
    era TEXT NOT NULL,                    -- automatic | modern | legacy | http_sse
    authorization_kind TEXT NOT NULL,     -- none | static_header | oauth
    static_header_name TEXT,
    static_header BYTEA,
    static_header_key_id TEXT,
    static_header_fingerprint TEXT,       -- what the value was given for
    client_certificate BYTEA,             -- for the TLS handshake: chain and key
    client_certificate_key_id TEXT,
    client_certificate_fingerprint TEXT,  -- where it is shown
    client_certificate_subject TEXT,
    client_certificate_ends_at BIGINT,
    grant_type TEXT NOT NULL,             -- authorization_code | client_credentials | token_exchange | identity_assertion
    identity_provider_id TEXT REFERENCES gateways (id), -- with the last two: where users have what is exchanged
    authorization_url TEXT,
    token_url TEXT,
    revocation_url TEXT,
    issuer TEXT,
    iss_promised BOOLEAN NOT NULL,
    resource TEXT,
    audience TEXT,                        -- of token requests without a consent
    scopes TEXT NOT NULL,                 -- JSON list
    authorize_params TEXT NOT NULL,       -- JSON object
    facts TEXT NOT NULL,                  -- JSON: how the authorization server differs from the book
    replay_safe BOOLEAN NOT NULL,         -- these four are copies out of facts, for statements that ask by them
    revocation_method TEXT NOT NULL,      -- rfc7009 | github_delete | bearer_call | none
    revocation_reach TEXT NOT NULL,       -- this_grant | all_of_app_for_user | all_apps_for_user
    user_apps_url TEXT,
    scope_ceiling TEXT NOT NULL,          -- JSON list: what the upstream may ask for beyond scopes
    refused_scopes TEXT NOT NULL,         -- JSON list: what it asked for beyond that
    provider_template TEXT,               -- JSON: which template, its version, what was given for its placeholders
    keep_alive BOOLEAN NOT NULL,
    client_registration_id TEXT,          -- the one in use, in client_registrations
    fingerprint TEXT,                     -- where its secrets and tokens may be sent now
    registration_problem TEXT,            -- the provider's error code, while it refuses our registration
    registration_problem_since BIGINT,
    former_issuer TEXT,                   -- the issuer before, where the upstream named another, until an edit
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX gateways_by_creation ON gateways (created_at, id);

-- Our client id and secret at one issuer for one gateway; two gateways never share one.
CREATE TABLE client_registrations (
    id TEXT NOT NULL PRIMARY KEY,
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    kind TEXT NOT NULL,                   -- pre_registered | dynamic | metadata_document
    client_id TEXT NOT NULL,
    client_secret BYTEA,
    client_secret_key_id TEXT,
    handle BYTEA,                         -- dynamic: address and access token to remove it with
    handle_key_id TEXT,
    dpop_key BYTEA,                       -- what its tokens are bound to, where the upstream wants that
    dpop_key_key_id TEXT,
    fingerprint TEXT NOT NULL,            -- what the secret was given for
    token_endpoint_auth TEXT NOT NULL,    -- basic | post | none | private_key_jwt
    assertion_kid TEXT,                -- with private_key_jwt: what the server calls the key
    UNIQUE (gateway_id, issuer)
);

-- Named selections out of several gateways, each at an address of its own.
CREATE TABLE virtual_servers (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    access TEXT NOT NULL,                 -- everyone | listed: those in access_rules
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE virtual_server_items (
    virtual_server_id TEXT NOT NULL REFERENCES virtual_servers (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                   -- tool | resource | resource_template | prompt
    name TEXT NOT NULL,                   -- what the gateway calls it
    exposed TEXT,                         -- what clients see in place of the usual name
    PRIMARY KEY (virtual_server_id, position)
);
CREATE INDEX virtual_server_items_by_gateway ON virtual_server_items (gateway_id);

-- The access lists of what is not for everyone: who may use it.
CREATE TABLE access_rules (
    gateway_id TEXT REFERENCES gateways (id) ON DELETE CASCADE,
    virtual_server_id TEXT REFERENCES virtual_servers (id) ON DELETE CASCADE,
    group_id TEXT REFERENCES groups (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    CHECK ((gateway_id IS NULL) <> (virtual_server_id IS NULL)),
    CHECK ((group_id IS NULL) <> (user_id IS NULL))
);
CREATE INDEX access_rules_by_gateway ON access_rules (gateway_id);
CREATE INDEX access_rules_by_virtual_server ON access_rules (virtual_server_id);
CREATE INDEX access_rules_by_group ON access_rules (group_id);
CREATE INDEX access_rules_by_user ON access_rules (user_id);

-- Tools that are not for everyone who may use their gateway. A row that names nobody says that a tool has a list.
CREATE TABLE tool_access_rules (
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    group_id TEXT REFERENCES groups (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    CHECK (group_id IS NULL OR user_id IS NULL)
);
CREATE INDEX tool_access_rules_by_gateway ON tool_access_rules (gateway_id);
CREATE INDEX tool_access_rules_by_group ON tool_access_rules (group_id);
CREATE INDEX tool_access_rules_by_user ON tool_access_rules (user_id);

-- One catalog per gateway and user; an empty user_key is the shared one.
CREATE TABLE catalogs (
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    user_key TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    items TEXT NOT NULL,                  -- JSON list of [kind, name, item as the upstream sent it]
    instructions TEXT,
    fetched_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_id, user_key)
);
CREATE INDEX catalogs_by_user ON catalogs (user_id);

-- Each version that was seen of a tool or prompt, and whether it may be served while changes are held.
CREATE TABLE catalog_versions (
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                   -- tool | prompt
    name TEXT NOT NULL,
    hash TEXT NOT NULL,                   -- of the item with its members in order
    item TEXT NOT NULL,                   -- as the upstream sent it
    approved BOOLEAN NOT NULL,
    baseline BOOLEAN NOT NULL,            -- it was there at the first reading
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_id, kind, name, hash)
);

-- What clients see of names; a name once given stays given.
CREATE TABLE exposed_names (
    kind TEXT NOT NULL,                   -- tool | resource | resource_template | prompt
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    original TEXT NOT NULL,
    exposed TEXT NOT NULL,
    PRIMARY KEY (kind, gateway_id, original),
    UNIQUE (kind, exposed)
);
CREATE INDEX exposed_names_by_gateway ON exposed_names (gateway_id);

-- Grants ---------------------------------------------------------------------------------------

-- What the clock alone changes is stored, so that an index serves it: `health` and `access_token_status` hold
-- until `status_changes_at`. In a moment that is sorted or compared, the largest number means "never" (9223372036854775807), and
-- a use that never was is 0, because NULLs sort differently in the two databases.
CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    owner_kind TEXT NOT NULL,             -- user | service
    user_id TEXT REFERENCES users (id),
    gateway_id TEXT NOT NULL REFERENCES gateways (id),
    label TEXT NOT NULL,                  -- tells several accounts apart; empty for the default one
    state TEXT NOT NULL,                  -- active | uncertain | needs_authorization
    state_reason TEXT,                    -- with needs_authorization
    orphaned_since BIGINT,                -- whatever its state, an orphaned grant is refused
    fingerprint TEXT NOT NULL,            -- what the tokens were given for
    provider TEXT NOT NULL,               -- who gave them: the issuer, or the token endpoint's origin
    account_subject TEXT,
    account_name TEXT,
    scopes_requested TEXT NOT NULL,       -- JSON list
    scopes_granted TEXT NOT NULL,         -- JSON list
    access_token BYTEA NOT NULL,
    access_token_key_id TEXT NOT NULL,
    refresh_token BYTEA,
    refresh_token_key_id TEXT,
    id_token BYTEA,                       -- only where other gateways exchange it
    id_token_key_id TEXT,
    expires_at BIGINT NOT NULL,           -- of the access token
    expires_soon_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,              -- when the provider ends the grant by its own rules
    dies_at BIGINT NOT NULL,              -- when the connection ends and nothing renews it
    dies_soon_at BIGINT NOT NULL,
    health TEXT NOT NULL,                 -- valid | expiring_soon | expired | needs_authorization | uncertain | orphaned
    access_token_status TEXT NOT NULL,    -- valid | expiring_soon | expired
    status_changes_at BIGINT NOT NULL,
    refresh_number BIGINT NOT NULL,
    redeeming_number BIGINT,              -- the committed intent: this refresh token is being redeemed
    refresh_due_at BIGINT NOT NULL,       -- when the background looks at it next
    created_at BIGINT NOT NULL,
    authorized_at BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    last_refreshed_at BIGINT,
    retry_at BIGINT,
    failures BIGINT NOT NULL,
    last_error TEXT,
    provider_words TEXT,
    reference TEXT,                       -- leads from a client's error to the audit event
    exchanged BOOLEAN NOT NULL,           -- access tokens are got in exchange for what its user has elsewhere
    deposited_by TEXT,                    -- who stored it, where that was not its user's own consent
    version BIGINT NOT NULL
);
-- One grant per owner, gateway and label. NULLs are never equal in an index, hence the empty text.
CREATE UNIQUE INDEX grants_of_owners ON grants (gateway_id, COALESCE(user_id, ''), label);
-- It has all that a list filters and sorts by, so that the grants of many people are chosen without reading them.
CREATE INDEX grants_by_user ON grants
    (user_id, gateway_id, health, access_token_status, provider, created_at, last_used_at, expires_at, id);
CREATE INDEX grants_by_creation ON grants (created_at, id);
CREATE INDEX grants_by_end ON grants (expires_at, id);
CREATE INDEX grants_by_use ON grants (last_used_at, id);
-- The list's filters: one gateway, health and access token status is one range of each of these, sorted.
-- A filter that names less is a merge of several ranges, so that no combination ever reads what it does not show.
CREATE INDEX grants_ranged_by_creation ON grants (gateway_id, health, access_token_status, created_at, id);
CREATE INDEX grants_ranged_by_end ON grants (gateway_id, health, access_token_status, expires_at, id);
CREATE INDEX grants_ranged_by_use ON grants (gateway_id, health, access_token_status, last_used_at, id);
CREATE INDEX grants_by_provider ON grants (provider, gateway_id);
CREATE INDEX grants_by_status_change ON grants (status_changes_at);
CREATE INDEX grants_by_refresh ON grants (refresh_due_at);
CREATE INDEX grants_in_flight ON grants (redeeming_number) WHERE redeeming_number IS NOT NULL;
-- How many rows a key is still needed for, and which they are.
CREATE INDEX grants_by_access_token_key ON grants (access_token_key_id, id);
CREATE INDEX grants_by_refresh_token_key ON grants (refresh_token_key_id, id);
CREATE INDEX grants_orphaned ON grants (orphaned_since) WHERE orphaned_since IS NOT NULL;

-- What upstreams wanted of a grant and it had not: the union, asked for at the next consent.
CREATE TABLE needed_scopes (
    grant_id TEXT NOT NULL PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,                 -- JSON list
    pending BOOLEAN NOT NULL,             -- the user has not been back since
    tries BIGINT NOT NULL                 -- consents that did not help
);

-- What ended, for "Recently ended": no foreign keys, because the person or the gateway may be gone.
CREATE TABLE ended_grants (
    grant_id TEXT NOT NULL PRIMARY KEY,
    owner_kind TEXT NOT NULL,
    user_id TEXT,
    user_email TEXT,
    user_email_key TEXT,                  -- lower case: what is searched
    gateway_id TEXT NOT NULL,
    gateway_slug TEXT NOT NULL,
    provider TEXT NOT NULL,
    label TEXT NOT NULL,
    account_subject TEXT,
    account_name TEXT,
    scopes_granted TEXT NOT NULL,         -- JSON list
    authorized_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    access_token_expires_at BIGINT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT,                          -- in the words of the person who ended it
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    ended_at BIGINT NOT NULL,
    job_id TEXT,                          -- the bulk job that ended it
    receipt TEXT NOT NULL,                -- pending | ended_at_provider | no_such_call | refused | gave_up | not_told | nothing_to_tell
    receipt_detail TEXT,
    receipt_at BIGINT NOT NULL,
    user_apps_url TEXT                    -- where a person ends it by hand
);
CREATE INDEX ended_grants_by_end ON ended_grants (ended_at, grant_id);
CREATE INDEX ended_grants_by_user ON ended_grants (user_id, ended_at);
CREATE INDEX ended_grants_by_job ON ended_grants (job_id, grant_id) WHERE job_id IS NOT NULL;

-- The outbox of revocations that providers are still to be told of. The sealed tokens are the grant's own,
-- byte for byte: their place stays `grants/.../{grant id}`, and that of the secret its registration's.
CREATE TABLE provider_revocations (
    grant_id TEXT NOT NULL PRIMARY KEY,
    gateway_slug TEXT NOT NULL,
    method TEXT NOT NULL,                 -- rfc7009 | github_delete | bearer_call
    revocation_url TEXT NOT NULL,
    token_url TEXT NOT NULL,
    issuer TEXT,
    fingerprint TEXT NOT NULL,            -- what the tokens were given for
    client_id TEXT NOT NULL,
    client_registration_id TEXT NOT NULL,
    client_secret BYTEA,
    client_secret_key_id TEXT,
    client_secret_fingerprint TEXT NOT NULL,
    token_endpoint_auth TEXT NOT NULL,
    assertion_kid TEXT,
    access_token BYTEA,
    access_token_key_id TEXT,
    refresh_token BYTEA,
    refresh_token_key_id TEXT,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX provider_revocations_due ON provider_revocations (next_attempt_at);

-- Dynamic registrations that nobody uses any more and that their servers are still to remove. A row waits while
-- provider_revocations still needs its client.
CREATE TABLE registration_removals (
    registration_id TEXT NOT NULL PRIMARY KEY,
    gateway_slug TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    handle BYTEA NOT NULL,
    handle_key_id TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX registration_removals_due ON registration_removals (next_attempt_at);

-- Orders about many grants. Which ones are meant is settled when the order is given; batches work them off.
CREATE TABLE bulk_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                   -- revoke | reauthorize
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    address TEXT,
    reason TEXT NOT NULL,
    provider TEXT NOT NULL,               -- unless_wide | there_too | here_only
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX bulk_jobs_running ON bulk_jobs (created_at) WHERE finished_at IS NULL;

CREATE TABLE bulk_job_rows (
    job_id TEXT NOT NULL REFERENCES bulk_jobs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    grant_id TEXT NOT NULL,
    user_email TEXT,
    gateway_slug TEXT NOT NULL,
    result TEXT NOT NULL,                 -- waiting | done | gone
    PRIMARY KEY (job_id, number)
);
CREATE INDEX bulk_job_rows_by_result ON bulk_job_rows (job_id, result, number);

-- A link that asks one user to authorize one gateway; one is pending per (user, gateway, client).
CREATE TABLE connect_requests (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    client_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    pending BOOLEAN NOT NULL              -- false once completed, or replaced after its end
);
CREATE UNIQUE INDEX connect_requests_pending ON connect_requests (user_id, gateway_id, client_name) WHERE pending;
CREATE INDEX connect_requests_by_end ON connect_requests (expires_at);

-- The pending browser round trip to an authorization server: single use.
CREATE TABLE authorization_requests (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    gateway_id TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    connect_request_id TEXT,
    state_hash BYTEA NOT NULL UNIQUE,
    cookie_hash BYTEA NOT NULL,
    pkce_verifier BYTEA NOT NULL,
    pkce_verifier_key_id TEXT NOT NULL,
    expected_issuer TEXT,
    iss_promised BOOLEAN NOT NULL,
    fingerprint TEXT NOT NULL,
    scopes TEXT NOT NULL,                 -- JSON list
    purpose TEXT NOT NULL,                -- connect | connect_any_account | test
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX authorization_requests_by_user ON authorization_requests (user_id, gateway_id);
CREATE INDEX authorization_requests_by_end ON authorization_requests (expires_at);

-- The flow inspector: each browser round trip, from the opening of its link to its end, for administrators and
-- for 14 days. Facts are of known kinds, and those that stand for a secret have no room for a value.
CREATE TABLE authorization_attempts (
    id TEXT NOT NULL PRIMARY KEY,         -- also the id of its authorization request
    reference TEXT NOT NULL UNIQUE,       -- what the page that its user was shown calls it
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    gateway_id TEXT REFERENCES gateways (id) ON DELETE CASCADE,
    state TEXT NOT NULL,                  -- opened | set_out | connected | tested | other_account | denied | refused
    started_at BIGINT NOT NULL,
    steps BIGINT NOT NULL                 -- how many there are
);
CREATE INDEX authorization_attempts_by_start ON authorization_attempts (started_at, id);
CREATE INDEX authorization_attempts_by_user ON authorization_attempts (user_id, gateway_id, started_at);
CREATE INDEX authorization_attempts_by_gateway ON authorization_attempts (gateway_id, started_at, id);

CREATE TABLE authorization_steps (
    attempt_id TEXT NOT NULL REFERENCES authorization_attempts (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    facts TEXT NOT NULL,                  -- JSON list
    PRIMARY KEY (attempt_id, number)
);

-- Every run of cleanup, also those that found nothing.
CREATE TABLE cleanup_runs (
    id TEXT NOT NULL PRIMARY KEY,
    started_by TEXT NOT NULL,             -- scheduled | manual | command_line
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    dry_run BOOLEAN NOT NULL,
    state TEXT NOT NULL,                  -- running | done | failed
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    counts TEXT NOT NULL,                 -- JSON object: rows by kind
    held_count BIGINT NOT NULL,
    hold_reason TEXT,                     -- too_many | restored | clock_jumped
    confirms TEXT,                        -- the run whose held grants this one was told to end
    sample TEXT NOT NULL,                 -- JSON list of the names of some grants
    slowest_batch_ms BIGINT NOT NULL,
    error TEXT
);
CREATE INDEX cleanup_runs_by_start ON cleanup_runs (started_at, id);

-- What the plots are drawn from: counts by the hour, for a month. Of grants the last count of an hour stands; the
-- others are added to by every process.
CREATE TABLE tallies (
    kind TEXT NOT NULL,                   -- grants | refreshes | calls
    name TEXT NOT NULL,                   -- a health; refreshed | failed; a gateway's id
    hour BIGINT NOT NULL,                 -- its beginning
    count BIGINT NOT NULL,
    PRIMARY KEY (kind, name, hour)
);
CREATE INDEX tallies_by_hour ON tallies (hour);

-- The machine room ------------------------------------------------------------------------------

-- The change feed. seq comes from counters, in the writing transaction, and has no gaps.
CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    gateway_id TEXT,
    user_id TEXT,
    thing_id TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX changes_by_time ON changes (at);

-- The processes that share this database. Who ends a grant waits until each has applied the change.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    acknowledged_seq BIGINT NOT NULL,
    beat BIGINT NOT NULL,                 -- one more each time it is heard of: no clocks are compared
    heartbeat_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    keys TEXT                             -- JSON list of the key ids in its ring; none: it has not said yet
);

-- Short exclusive rights. No wall clock decides: a waiter steals a version that it saw stand still.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    version BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL
);

-- What each key of the ring answers to a fixed question, so that a wrong ring is noticed at start. The one that
-- began to seal last is the one that seals; none begins twice.
CREATE TABLE key_checks (
    key_id TEXT NOT NULL PRIMARY KEY,
    check_value BYTEA NOT NULL,
    sealing_since BIGINT
);

-- Who did what: one chain, in which each event's hash covers the event and the hash before it (docs/security.md).
CREATE TABLE audit_events (
    seq BIGINT NOT NULL PRIMARY KEY,      -- from counters, in the writing transaction: no gaps
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,             -- user | anonymous | system | command_line
    actor_id TEXT,
    action TEXT NOT NULL,
    subject TEXT,
    user_id TEXT,
    address TEXT,
    reference TEXT,                       -- what the error that a client was shown calls it
    detail TEXT NOT NULL,                 -- JSON object of plain facts
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (at, seq);
CREATE INDEX audit_events_by_user ON audit_events (user_id, seq);
CREATE INDEX audit_events_by_actor ON audit_events (actor_kind, actor_id, seq);
CREATE INDEX audit_events_by_subject ON audit_events (subject, seq);
CREATE INDEX audit_events_by_address ON audit_events (address, seq) WHERE address IS NOT NULL;
CREATE INDEX audit_events_by_reference ON audit_events (reference) WHERE reference IS NOT NULL;

-- How far notices were told, and when the next one may be tried again.
CREATE TABLE notice_cursor (
    name TEXT NOT NULL PRIMARY KEY,       -- webhook
    seq BIGINT NOT NULL,                  -- of the last event that was dealt with
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL
);

-- Where retention has cut the chain: the last event that is gone, signed with a key that is not in the database.
CREATE TABLE audit_anchors (
    seq BIGINT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL,
    at BIGINT NOT NULL,                   -- when it was cut
    signing_key TEXT NOT NULL,            -- its name in the key ring
    signature BYTEA NOT NULL
);
