"""A browser's side of the desk: requests to a server in this process, with the cookies it gave."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from mcp_app import desk_routes
from mcp_app.http import http_app
from mcp_app.server import make_server

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - a test's
BASE = "http://127.0.0.1:8765"
LOGIN_PAGE = "<p><!-- message --></p>"


class DeskClient:
    """Sends requests to a server; `restart` makes a new one, which knows the old one's cookies."""

    def __init__(self, settings: Settings, token: str | None) -> None:
        self._settings = settings
        self.cookies = httpx2.Cookies()
        self.restart(token)

    def restart(self, token: str | None) -> None:
        """Start a new server."""
        changed = {"mcp_hosts_given": "desk.example", "mcp_token": token and SecretStr(token)}
        chosen = self._settings.model_copy(update=changed)
        self._app = http_app(make_server(chosen), "127.0.0.1", settings=chosen)

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request."""
        return self.ask_all([(method, path, options)])[0]

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Send one GET."""
        return self.ask("GET", path, **options)

    def json(self, path: str, **options: Any) -> dict[str, Any]:
        """Return what a GET answers, which must be well."""
        response = self.get(path, **options)
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()
        return told

    def log_in(self, token: str = TOKEN, **options: Any) -> httpx2.Response:
        """Send the login form."""
        return self.ask("POST", "/desk/login", data={"token": token}, **options)

    def ask_all(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx2.Response]:
        """Send requests at the same time."""

        async def asked() -> list[httpx2.Response]:
            transport = httpx2.ASGITransport(app=self._app)
            async with httpx2.AsyncClient(
                transport=transport, base_url=BASE, cookies=self.cookies
            ) as client:
                answers = await asyncio.gather(
                    *(client.request(method, path, **more) for method, path, more in requests)
                )
                self.cookies = client.cookies
                return list(answers)

        return asyncio.run(asked())


Desk = Callable[..., DeskClient]


def page_folder(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the desk serve small files instead of its own."""
    (folder / "index.html").write_text("<title>the desk</title>")
    (folder / "login.html").write_text(LOGIN_PAGE)
    (folder / "app.js").write_text("// script")
    (folder / "app.css").write_text("/* style */")
    (folder / "notes.txt").write_text("none of the page's")
    patch.setattr(desk_routes, "FOLDER", folder)
