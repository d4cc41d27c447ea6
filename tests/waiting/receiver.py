"""A receiver of posts, on loopback."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple


class Post(NamedTuple):
    """What was posted."""

    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Posts in the order in which they came; `statuses` are answered first, then 200."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/facts?key=secret"
        self.posts: list[Post] = []
        self.statuses: list[int] = []


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    """Receive posts as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append(Post(dict(self.headers.items()), body))
            self.send_response(found.statuses.pop(0) if found.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(server.server_port)
    found.statuses = [*statuses]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
