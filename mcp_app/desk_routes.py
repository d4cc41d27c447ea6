"""The addresses of the desk, a page for people: its files, its login and its data."""

import html
import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app.core.errors import NoAnswer, OrderFlowError
from app.core.settings import Settings
from mcp_app.desk_data import DeskData
from mcp_app.desk_guard import FILE, LOGIN_PATH, GuardDesk
from mcp_app.desk_login import COOKIE_SECONDS, Logins, cookie_name
from mcp_app.limits import LimitTime, client_of
from mcp_app.work_pool import Busy

FOLDER: Final = Path(str(files("mcp_app").joinpath("desk")))
"""The page's files."""
MAX_FORM_BYTES: Final = 4096
MAX_QUERY_LETTERS: Final = 64
MESSAGE: Final = "<!-- message -->"
"""What the login page holds in place of what went wrong."""
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
_MIN_GZIP_BYTES: Final = 2048
_GZIP_LEVEL: Final = 1
_NO_STORE: Final = {"Cache-Control": "no-store"}


def desk_app(settings: Settings, tokens: Sequence[str]) -> ASGIApp:
    """Return the desk as an ASGI application; it connects to nothing before the first question."""
    logins = Logins(tokens)
    data, pages = DeskData(settings), _Pages(FOLDER)
    login = _Login(logins, FOLDER)
    router = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/desk")),
            Route("/desk", pages.index),
            Route(LOGIN_PATH, login.form, methods=["GET"]),
            Route(LOGIN_PATH, login.log_in, methods=["POST"]),
            Route("/desk/logout", login.log_out, methods=["POST"]),
            *_data_routes(data),
            Route("/desk/{name}", pages.file),
        ],
        exception_handlers={HTTPException: _no_such_address},
    )
    router.router.redirect_slashes = False
    zipped = GZipMiddleware(router, _MIN_GZIP_BYTES, _GZIP_LEVEL)
    return GuardDesk(LimitTime(zipped), logins, tokens)


def _data_routes(data: DeskData) -> list[Route]:
    async def now(request: Request) -> bytes:
        since, sparks = _time(request, "since"), _time(request, "sparks")
        return await data.now(_ticker(request), since, sparks)

    async def history(request: Request) -> bytes:
        ticker, end = _ticker(request), _time(request, "end")
        if ticker is None or end is None:
            raise _BadQuery("ticker and end, a time in epoch milliseconds, are needed")
        return await data.history(ticker, end)

    async def event(request: Request) -> bytes:
        return await data.event(request.path_params["event_id"])

    async def answers(request: Request) -> bytes:
        return await data.answers(_time(request, "since"))

    async def answer(request: Request) -> bytes:
        return await data.answer(request.path_params["answer_id"])

    async def health(_: Request) -> bytes:
        return await data.health()

    return [
        Route("/desk/now", _answered(now)),
        Route("/desk/history", _answered(history)),
        # A ticker's name, and so an event's id, may hold a slash.
        Route("/desk/event/{event_id:path}", _answered(event)),
        Route("/desk/answers", _answered(answers)),
        Route("/desk/answers/{answer_id}", _answered(answer)),
        Route("/desk/health", _answered(health)),
    ]


class _BadQuery(Exception):
    """A query can't be read."""


def _ticker(request: Request) -> str | None:
    ticker = request.query_params.get("ticker")
    if ticker is not None and not 0 < len(ticker) <= MAX_QUERY_LETTERS:
        raise _BadQuery(f"ticker: 1 to {MAX_QUERY_LETTERS} characters")
    return ticker


def _time(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text):
        raise _BadQuery(f"{name} {text[:40]!r} is no time in epoch milliseconds")
    return int(text)


def _answered(
    ask: Callable[[Request], Awaitable[bytes]],
) -> Callable[[Request], Awaitable[Response]]:
    """Return a route that answers JSON, or one sentence of what is wrong."""

    async def respond(request: Request) -> Response:
        try:
            body = await ask(request)
        except _BadQuery as error:
            return _refused(str(error), HTTPStatus.BAD_REQUEST)
        except NoAnswer as error:
            return _refused(str(error), HTTPStatus.NOT_FOUND)
        except Busy as error:
            retry = {"Retry-After": str(error.wait_seconds)}
            return _refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE, retry)
        except OrderFlowError as error:
            return _refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
        except TimeoutError:
            too_slow = "no answer in time: Redis or this machine is too slow"
            return _refused(too_slow, HTTPStatus.SERVICE_UNAVAILABLE)
        return Response(body, headers=_NO_STORE, media_type="application/json")

    return respond


def _refused(why: str, status: HTTPStatus, more: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers=_NO_STORE | (more or {}))


async def _no_such_address(_: Request, error: Exception) -> Response:
    """Answer what no route serves, or not by the method that was used."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    return _refused("no such address, or not by this method", HTTPStatus(status))


class _Pages:
    """Serves the page and its files, which browsers ask anew whether they changed."""

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def index(self, request: Request) -> Response:
        return await self._served("index.html", request)

    async def file(self, request: Request) -> Response:
        if not FILE.fullmatch(request.scope["path"]):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return await self._served(request.path_params["name"], request)

    async def _served(self, name: str, request: Request) -> Response:
        response = await self._files.get_response(name, request.scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


class _Login:
    """The login: a form, and what becomes of it."""

    def __init__(self, logins: Logins, folder: Path) -> None:
        self._logins = logins
        self._page = folder / "login.html"

    async def form(self, request: Request) -> Response:
        if self._logins.is_valid(request.cookies.get(_cookie_of(request))):
            return RedirectResponse("/desk", HTTPStatus.SEE_OTHER)
        return self._form()

    async def log_in(self, request: Request) -> Response:
        if not self._logins.is_needed:
            return RedirectResponse("/desk", HTTPStatus.SEE_OTHER)
        wait_seconds = self._logins.wait_seconds(client_of(request.scope))
        if wait_seconds:
            seconds = int(wait_seconds) + 1
            return self._form(
                f"Too many attempts. Try again in {seconds} s.",
                HTTPStatus.TOO_MANY_REQUESTS,
                {"Retry-After": str(seconds)},
            )
        value = self._logins.cookie_for(_token_in(await _body(request)))
        if value is None:
            return self._form("This token is not known.", HTTPStatus.UNAUTHORIZED)
        response = RedirectResponse("/desk", HTTPStatus.SEE_OTHER)
        response.set_cookie(
            _cookie_of(request),
            value,
            max_age=COOKIE_SECONDS,
            path="/desk",
            secure=_is_over_tls(request),
            httponly=True,
            samesite="strict",
        )
        return response

    async def log_out(self, request: Request) -> Response:
        response = RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
        response.delete_cookie(_cookie_of(request), path="/desk", httponly=True, samesite="strict")
        return response

    def _form(
        self,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
        more: dict[str, str] | None = None,
    ) -> Response:
        page = self._page.read_text(encoding="utf-8").replace(MESSAGE, html.escape(message))
        return HTMLResponse(page, status, headers=_NO_STORE | (more or {}))


def _cookie_of(request: Request) -> str:
    return cookie_name(request.headers.get("host", ""))


async def _body(request: Request) -> bytes:
    """Return a form's body; what is longer than a token can be is cut, and so no known one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return b""
    return body


def _token_in(body: bytes) -> str:
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("token", [""])[0].strip()


def _is_over_tls(request: Request) -> bool:
    """Return whether the browser asks over TLS, also where a proxy ends it."""
    return request.url.scheme == "https" or Headers(scope=request.scope).get(
        "origin", ""
    ).startswith("https://")
