"""Debian's `glewlwyd` on loopback: own SQLite file, own configuration, provisioned over its REST API.

It is the deliberately awkward counterpart: one-time refresh tokens, empty error bodies, `token_type` in
lower case, resources only with https or http://localhost, no RFC 8414 metadata.

Options, as JSON in the first argument: client_id, client_secret, redirect_uris, resources (what the scope
`notes` may be asked for), access_token_seconds (3600).
It prints one JSON line { issuer, authorization_endpoint, token_endpoint, control } and ends with its stdin.

`control` is for the test and for the MCP server under test, never for the gateway:
  POST /introspect  token=...          -> { active, account, resource, scope }
  POST /authorize   url=... account=.. -> { location }: alice or bob logs in and consents, without a browser
  GET  /log                            -> { grants: { authorization_code, refresh_token } }
"""

import base64
import http.cookiejar
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPTIONS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
CLIENT_ID = OPTIONS.get("client_id", "gateway")
CLIENT_SECRET = OPTIONS.get("client_secret", "gateway-secret")
REDIRECT_URIS = OPTIONS.get("redirect_uris", ["http://localhost:4444/oauth/callback"])
RESOURCES = OPTIONS.get("resources", [])
ACCESS_TOKEN_SECONDS = OPTIONS.get("access_token_seconds", 3600)

SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
PLUGIN = "oidc"
# How the server numbers the grants in its own table.
CODE, REFRESH = 0, 6
SCOPES = ["openid", "notes"]
ACCOUNTS = ["alice", "bob"]
PASSWORD = "password-of-a-test"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Session:
    """One person's cookies at the server."""

    def __init__(self, origin, name, password):
        self.origin = origin
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(NoRedirect, jar)
        self.send("POST", "/api/auth/", {"username": name, "password": password})

    def send(self, method, path, body=None, accept=(200,)):
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.origin + path
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            answer = self.opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        if answer.status not in accept:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {answer.read()[:300]!r}")
        return answer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(home, port, origin):
    return f"""
port={port}
bind_address="127.0.0.1"
external_url="{origin}/"
login_url="login.html"
api_prefix="api"
log_mode="file"
log_level="INFO"
log_file="{home}/glewlwyd.log"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database={{ type="sqlite3" path="{home}/glewlwyd.db" }};
"""


def start(home):
    """Starts the server in its own home and waits until it answers."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with closing(sqlite3.connect(f"{home}/glewlwyd.db")) as database, open(SCHEMA, encoding="utf-8") as schema:
        database.executescript(schema.read())
    with open(f"{home}/glewlwyd.conf", "w", encoding="utf-8") as file:
        file.write(configuration(home, port, origin))
    server = subprocess.Popen(
        ["glewlwyd", f"--config-file={home}/glewlwyd.conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, origin
        if server.poll() is not None:
            break
        time.sleep(0.05)
    server.kill()
    raise RuntimeError(f"glewlwyd did not start; see its log:\n{open(f'{home}/glewlwyd.log').read()[-2000:]}")


def provision(origin):
    """Scopes, people, the client and the OpenID Connect plugin; the first administrator is Debian's."""
    admin = Session(origin, "admin", "password")
    for scope in SCOPES[1:]:
        admin.send("POST", "/api/scope/", {"name": scope, "display_name": scope, "password_required": True, "scheme": {}})
    for name in ACCOUNTS:
        person = {"username": name, "name": name, "email": f"{name}@example.com", "password": PASSWORD}
        admin.send("POST", "/api/user/", person | {"scope": SCOPES, "enabled": True})
    client = {
        "client_id": CLIENT_ID,
        "name": "Gateway under test",
        "confidential": True,
        "enabled": True,
        "password": CLIENT_SECRET,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": REDIRECT_URIS,
        "authorization_type": ["code", "refresh_token"],
        "token_endpoint_auth_method": ["client_secret_basic"],
        "scope": [],
    }
    admin.send("POST", "/api/client/", client)
    admin.send("POST", "/api/mod/plugin/", {
        "module": "oidc",
        "name": PLUGIN,
        "display_name": "OpenID Connect",
        "enabled": True,
        "parameters": plugin_parameters(origin),
    })


def plugin_parameters(origin):
    return {
        "iss": f"{origin}/api/{PLUGIN}",
        "jwt-type": "sha",
        "jwt-key-size": "256",
        "key": base64.b64encode(os.urandom(32)).decode(),
        "access-token-duration": ACCESS_TOKEN_SECONDS,
        "refresh-token-duration": 86400,
        "code-duration": 60,
        "refresh-token-rolling": True,
        "refresh-token-one-use": "always",
        "allow-non-oidc": True,
        "auth-type-code-enabled": True,
        "auth-type-code-revoke-replayed": True,
        "auth-type-token-enabled": False,
        "auth-type-password-enabled": False,
        "auth-type-client-enabled": False,
        "auth-type-refresh-enabled": True,
        "pkce-allowed": True,
        "pkce-required": True,
        "pkce-method-plain-allowed": False,
        "scope": [{"name": "openid", "rolling-refresh": True}],
        "allowed-scope": SCOPES,
        "name-claim": "on-demand",
        "email-claim": "mandatory",
        "introspection-revocation-allowed": True,
        "introspection-revocation-allow-target-client": True,
        "resource-allowed": bool(RESOURCES),
        "resource-scope": {"notes": RESOURCES},
        "resource-client-property": "",
        "resource-scope-and-client-property": False,
    }


def introspect(origin, token):
    """RFC 7662, asked as the client, whose own tokens it may look at."""
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    data = urllib.parse.urlencode({"token": token}).encode()
    request = urllib.request.Request(
        f"{origin}/api/{PLUGIN}/introspect", data, {"Authorization": f"Basic {basic}"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError:
        return {"active": False}
    if not found.get("active") or found.get("token_type") == "refresh_token":
        return {"active": False}
    return {
        "active": True,
        "account": found.get("username"),
        "resource": found.get("aud"),
        "scope": found.get("scope", ""),
    }


def authorize(origin, url, account):
    """What a person does in the browser: log in, allow, and be sent back."""
    person = Session(origin, account, PASSWORD)
    person.send("PUT", f"/api/auth/grant/{CLIENT_ID}", {"scope": " ".join(SCOPES)})
    answer = person.send("GET", f"{url}&g_continue", accept=(302, 303))
    return {"location": answer.headers["Location"]}


def log(home):
    """Counts the access tokens that were issued, by what they were given for."""
    with closing(sqlite3.connect(f"file:{home}/glewlwyd.db?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT gpoa_authorization_type, count(*) FROM gpo_access_token"
            " WHERE gpoa_client_id = ? GROUP BY gpoa_authorization_type",
            (CLIENT_ID,),
        ).fetchall()
    counts = dict(rows)
    return {"grants": {"authorization_code": counts.get(CODE, 0), "refresh_token": counts.get(REFRESH, 0)}}


def control(home, origin):
    class Control(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(urllib.parse.parse_qsl(body))
            if self.path == "/introspect":
                self.answer(introspect(origin, form.get("token", "")))
            elif self.path == "/authorize":
                self.answer(authorize(origin, form["url"], form.get("account", "alice")))
            else:
                self.answer(None)

        def do_GET(self):
            self.answer(log(home) if self.path == "/log" else None)

        def answer(self, found):
            text = json.dumps(found).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main():
    # A test runner that gives up sends SIGTERM: leave through `finally` then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    home = tempfile.mkdtemp(prefix="doorward-glewlwyd-")
    server = None
    try:
        server, origin = start(home)
        provision(origin)
        api = f"{origin}/api/{PLUGIN}"
        print(json.dumps({
            "issuer": api,
            "authorization_endpoint": f"{api}/auth",
            "token_endpoint": f"{api}/token",
            "control": control(home, origin),
        }), flush=True)
        sys.stdin.read()
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
        shutil.rmtree(home, ignore_errors=True)


main()
