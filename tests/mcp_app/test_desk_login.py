"""The desk is for its own pages, and where tokens are set for those who typed one."""

import re
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from app.core import clock
from mcp_app import desk_login
from tests.key_writer import KeyWriter
from tests.mcp_app.desk_client import TOKEN, Desk

PAGES = ["/", "/desk", "/desk/login"]
DATA = ["/desk/now", "/desk/answers", "/desk/answers/aaaaaaaa", "/desk/event/SPY~aaaaaaaa",
        "/desk/health", "/desk/history?ticker=SPY&end=1"]  # fmt: skip
FILES = ["/desk/app.js", "/desk/app.css"]


@pytest.fixture(autouse=True)
def _attempts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the time of the attempts: on a busy machine they would be allowed again meanwhile."""
    monkeypatch.setattr(desk_login, "time", SimpleNamespace(monotonic=lambda: 1000.0))


def test_on_loopback_without_a_token_the_desk_is_open(desk: Desk, writer: KeyWriter) -> None:
    writer.healthy_ticker()
    opened = desk()

    assert opened.get("/").headers["location"] == "/desk"
    assert "the desk" in opened.get("/desk").text
    assert opened.get("/desk/login").headers["location"] == "/desk"
    assert opened.log_in("anything").headers["location"] == "/desk"
    assert opened.json("/desk/now")["board"]["tickers"][0]["ticker"] == "SPY"


@pytest.mark.parametrize("path", DATA)
def test_without_a_login_no_data_is_told(desk: Desk, writer: KeyWriter, path: str) -> None:
    writer.healthy_ticker()

    refused = desk(TOKEN).get(path)

    assert refused.status_code == HTTPStatus.UNAUTHORIZED
    assert refused.json() == {"error": "log in at /desk/login"}


@pytest.mark.parametrize("end", [".js", ".css", ".svg"])
@pytest.mark.parametrize("path", ["/desk/event/SPY~", "/desk/event/QQQ~aaaaaaaa", "/desk/answers/a",
                                  "/desk/event/", "/desk/a/b"])  # fmt: skip
def test_the_name_of_a_file_opens_no_data(
    desk: Desk, writer: KeyWriter, path: str, end: str
) -> None:
    writer.healthy_ticker()

    refused = desk(TOKEN).get(path + end)

    assert refused.status_code == HTTPStatus.UNAUTHORIZED
    assert refused.json() == {"error": "log in at /desk/login"}


def test_without_a_login_the_page_leads_to_the_login(desk: Desk) -> None:
    opened = desk(TOKEN)

    assert opened.get("/").headers["location"] == "/desk"
    assert opened.get("/desk").headers["location"] == "/desk/login"
    assert opened.get("/desk/login").status_code == HTTPStatus.OK
    for path in FILES:
        assert opened.get(path).status_code == HTTPStatus.OK


def test_a_token_is_typed_once_and_the_cookie_opens_all(desk: Desk, writer: KeyWriter) -> None:
    writer.healthy_ticker()
    opened = desk(TOKEN)

    entered = opened.log_in()

    assert (entered.status_code, entered.headers["location"]) == (303, "/desk")
    assert "the desk" in opened.get("/desk").text
    assert opened.json("/desk/now")["board"]["tickers"]
    assert opened.get("/desk/login").headers["location"] == "/desk"


def test_the_cookie_is_bound_to_the_desk_and_hidden_from_scripts(desk: Desk) -> None:
    cookie = desk(TOKEN).log_in().headers["set-cookie"].lower()

    assert cookie.startswith("orderflow_desk_8765=")
    for part in ("httponly", "samesite=strict", "path=/desk", "max-age=2592000"):
        assert part in cookie
    assert TOKEN not in cookie
    assert "secure" not in cookie, "over plain HTTP a browser would drop it"


def test_desks_at_two_ports_of_a_host_keep_their_own_cookies(desk: Desk) -> None:
    opened = desk(TOKEN)
    for port in (9001, 9002):
        opened.log_in(headers={"Host": f"127.0.0.1:{port}"})

    assert sorted(opened.cookies.keys()) == ["orderflow_desk_9001", "orderflow_desk_9002"]
    for port, status in ((9002, HTTPStatus.OK), (9003, HTTPStatus.UNAUTHORIZED)):
        told = opened.get("/desk/answers", headers={"Host": f"127.0.0.1:{port}"})
        assert told.status_code == status


def test_behind_a_proxy_with_tls_the_cookie_is_sent_over_tls_only(desk: Desk) -> None:
    proxied = {"Host": "desk.example", "Origin": "https://desk.example"}

    assert "secure" in desk(TOKEN).log_in(headers=proxied).headers["set-cookie"].lower()


def test_a_cookie_survives_a_restart_and_no_change_of_the_token(desk: Desk) -> None:
    opened = desk(TOKEN)
    opened.log_in()

    opened.restart(TOKEN)
    assert opened.get("/desk/answers").status_code == HTTPStatus.OK

    opened.restart("another-token-that-nobody-guesses")
    assert opened.get("/desk/answers").status_code == HTTPStatus.UNAUTHORIZED


def test_a_cookie_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = desk(TOKEN)
    opened.log_in()
    later_ms = clock.now_ms() + 1000 * (desk_login.COOKIE_SECONDS + 1)
    monkeypatch.setattr(clock, "now_ms", lambda: later_ms)

    assert opened.get("/desk/answers").status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    "changed",
    ["", "x", "9999999999", "9999999999.", ".abc", "9999999999.é", "9" * 400, "٣٣.a", "1.2.3"],
)
def test_a_made_up_cookie_opens_nothing(desk: Desk, changed: str) -> None:
    opened = desk(TOKEN)
    header = f"orderflow_desk_8765={changed}".encode()

    told = opened.get("/desk/answers", headers={"Cookie": header})

    assert told.status_code == HTTPStatus.UNAUTHORIZED


def test_a_cookie_with_a_later_end_opens_nothing(desk: Desk) -> None:
    opened = desk(TOKEN)
    opened.log_in()
    [(name, value)] = opened.cookies.items()
    ends_at, _, proof = value.partition(".")
    later = f"{name}={int(ends_at) + 1}.{proof}"

    opened.cookies.clear()
    refused = opened.get("/desk/answers", headers={"Cookie": later})

    assert refused.status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("typed", ["", " ", "wrong", TOKEN[:-1], TOKEN + "x", "\ud800", "x" * 9000])
def test_a_wrong_token_is_told_so_and_never_repeated(desk: Desk, typed: str) -> None:
    sent = typed.encode("utf-8", "surrogatepass")

    refused = desk(TOKEN).ask(
        "POST",
        "/desk/login",
        content=b"token=" + sent,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert refused.status_code == HTTPStatus.UNAUTHORIZED
    assert refused.text == "<p>This token is not known.</p>"
    assert "set-cookie" not in refused.headers


def test_guessing_is_slowed_down_and_the_right_token_waits_too(desk: Desk) -> None:
    opened = desk(TOKEN)
    for _ in range(desk_login.ATTEMPTS_PER_MINUTE):
        assert opened.log_in("wrong").status_code == HTTPStatus.UNAUTHORIZED

    refused = opened.log_in(TOKEN)

    assert refused.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(refused.headers["retry-after"]) > 0
    assert re.search(r"Too many attempts\. Try again in [0-9]+ s\.", refused.text)
    assert "set-cookie" not in refused.headers


def test_who_logs_out_has_to_log_in_again(desk: Desk) -> None:
    opened = desk(TOKEN)
    opened.log_in()

    left = opened.ask("POST", "/desk/logout")

    assert left.headers["location"] == "/desk/login"
    assert opened.get("/desk/answers").status_code == HTTPStatus.UNAUTHORIZED


def test_a_program_may_bring_the_bearer_token_instead(desk: Desk) -> None:
    opened = desk(TOKEN)

    for token, status in ((TOKEN, HTTPStatus.OK), ("wrong", HTTPStatus.UNAUTHORIZED)):
        told = opened.get("/desk/answers", headers={"Authorization": f"Bearer {token}"})
        assert told.status_code == status


def test_guesses_of_programs_are_slowed_down_as_those_of_the_form(desk: Desk) -> None:
    opened = desk(TOKEN)
    wrong, right = ({"Authorization": f"Bearer {it}"} for it in ("wrong", TOKEN))
    for _ in range(desk_login.ATTEMPTS_PER_MINUTE):
        assert opened.get("/desk/answers", headers=wrong).status_code == HTTPStatus.UNAUTHORIZED

    refused = opened.get("/desk/answers", headers=right)

    assert refused.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(refused.headers["retry-after"]) > 0
    assert opened.log_in(TOKEN).status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_a_right_bearer_token_counts_as_no_guess(desk: Desk) -> None:
    opened = desk(TOKEN)
    right = {"Authorization": f"Bearer {TOKEN}"}

    for _ in range(2 * desk_login.ATTEMPTS_PER_MINUTE):
        assert opened.get("/desk/answers", headers=right).status_code == HTTPStatus.OK


def test_who_is_logged_in_is_not_locked_out_by_guesses_of_the_same_address(desk: Desk) -> None:
    opened = desk(TOKEN)
    opened.log_in()
    for _ in range(2 * desk_login.ATTEMPTS_PER_MINUTE):
        opened.log_in("wrong")

    assert opened.get("/desk/answers").status_code == HTTPStatus.OK


def test_the_cookie_opens_nothing_but_the_desk(desk: Desk) -> None:
    opened = desk(TOKEN)
    opened.log_in()
    [(name, value)] = opened.cookies.items()

    for path in ("/metrics", "/ready", "/mcp", "/desktop"):
        told = opened.get(path, headers={"Cookie": f"{name}={value}"})
        assert told.status_code == HTTPStatus.UNAUTHORIZED, path


@pytest.mark.parametrize("path", [*DATA, *FILES])
@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_pages_get_nothing_and_no_leave(desk: Desk, path: str, sent: dict[str, str]) -> None:
    refused = desk().get(path, headers=sent)

    assert refused.status_code == HTTPStatus.FORBIDDEN
    assert not [name for name in refused.headers if name.startswith("access-control-")]


def test_other_pages_can_log_nobody_in_or_out(desk: Desk) -> None:
    opened = desk(TOKEN)

    for path in ("/desk/login", "/desk/logout"):
        sent = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
        refused = opened.ask("POST", path, data={"token": TOKEN}, headers=sent)
        assert refused.status_code == HTTPStatus.FORBIDDEN
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("path", PAGES)
def test_a_link_on_another_page_leads_to_the_desk(desk: Desk, path: str) -> None:
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert desk().get(path, headers=sent).status_code < HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_may_ask_also_behind_a_proxy(desk: Desk, site: str) -> None:
    sent = {"Host": "desk.example", "Origin": "https://desk.example", "Sec-Fetch-Site": site}

    assert desk().get("/desk/answers", headers=sent).status_code == HTTPStatus.OK
    del sent["Sec-Fetch-Site"]
    assert desk().get("/desk/answers", headers=sent).status_code == HTTPStatus.OK


def test_another_host_name_is_refused(desk: Desk) -> None:
    refused = desk().get("/desk", headers={"Host": "evil.example"})

    assert refused.status_code == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("path", [*PAGES, *DATA, *FILES, "/desk/none", "/desk/none.js"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_every_answer_binds_the_browser(desk: Desk, path: str, token: str | None) -> None:
    headers = desk(token).get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
