"""Posts are signed, repeated while that may help, and given up with the reason."""

import hashlib
import hmac

import pytest

from app.core.errors import BadQuestion
from app.waiting.webhook import ATTEMPTS, Webhook
from tests.processes import free_port
from tests.waiting.receiver import Post, receiving

SECRET = "a secret of the test"  # noqa: S105


def is_signed(post: Post) -> bool:
    """Check a post's signature as a receiver would."""
    signed = f"{post.headers['X-Orderflow-Timestamp']}.".encode() + post.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(post.headers["X-Orderflow-Signature"], f"sha256={expected}")


def test_a_post_is_signed_json_with_an_id() -> None:
    with receiving() as receiver:
        fault = Webhook(receiver.url, SECRET).post("SPY~k3f9x2ab", b'{"a":1}')

    [post] = receiver.posts
    assert fault is None
    assert (post.body, post.headers["X-Orderflow-Id"]) == (b'{"a":1}', "SPY~k3f9x2ab")
    assert post.headers["Content-Type"] == "application/json"
    assert is_signed(post)


def test_what_may_pass_is_tried_again_with_longer_pauses() -> None:
    pauses: list[float] = []
    with receiving(503, 429, 500) as receiver:
        fault = Webhook(receiver.url, SECRET, pause=pauses.append).post("id", b"{}")

    assert fault is None
    assert len(receiver.posts) == 4
    assert pauses == [1, 2, 4]
    assert all(is_signed(post) for post in receiver.posts)


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (301, 1), (500, ATTEMPTS)])
def test_what_is_not_taken_is_given_up_without_telling_the_path(status: int, attempts: int) -> None:
    pauses: list[float] = []
    with receiving(*[status] * attempts) as receiver:
        fault = Webhook(receiver.url, SECRET, pause=pauses.append).post("id", b"{}")

    assert fault == f"http://127.0.0.1 answers {status}"
    assert len(receiver.posts) == attempts


def test_a_receiver_that_is_away_is_named() -> None:
    pauses: list[float] = []
    hook = Webhook(f"http://127.0.0.1:{free_port()}/", SECRET, pause=pauses.append)

    assert hook.post("id", b"{}") == "http://127.0.0.1 can't be reached (ConnectError)"
    assert len(pauses) == ATTEMPTS - 1


@pytest.mark.parametrize("url", ["ftp://host/", "host/path", "http://", "file:///etc/passwd", "x"])
def test_what_can_not_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(BadQuestion, match="webhook: "):
        Webhook(url, SECRET)
