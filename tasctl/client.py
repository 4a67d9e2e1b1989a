"""The HTTP API as tasctl uses it: GET and POST of JSON with a bearer token."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from common.contracts.wire import FAULTS

TIMEOUT_S: Final = 3.0


class ApiError(Exception):
    """A process that could not be asked or refused to answer; `status` is 0 when it was not reached."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def get(url: str, path: str, token: str) -> Any:
    """GET url/path; raises ApiError."""
    return ask(url, path, token)[1]


def ask(url: str, path: str, token: str, *, accept: Sequence[int] = ()) -> tuple[int, Any]:
    """Status and JSON of a GET; statuses beyond 2xx raise ApiError unless in `accept`."""
    address = url.rstrip("/") + path
    try:
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, _decode(address, answer.read())
    except urllib.error.HTTPError as error:
        body = error.read()
        if error.code in accept:
            return error.code, _decode(address, body)
        raise _refused(address, error, body) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ApiError(f"{address}: {getattr(error, 'reason', error) or type(error).__name__}") from error


def refusal(address: str, error: urllib.error.HTTPError) -> ApiError:
    """What a process said when it refused."""
    return _refused(address, error, error.read())


def _refused(address: str, error: urllib.error.HTTPError, body: bytes) -> ApiError:
    return ApiError(f"{address}: {error.code} {_reason(body) or error.reason}", error.code)


def get_list(url: str, path: str, token: str) -> list[dict[str, Any]]:
    """GET of a list of objects; raises ApiError, also for an answer of another shape."""
    found = get(url, path, token)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ApiError(f"{url.rstrip('/')}{path}: answers with something else than a list: is it an OpenTAS process?")
    return found


def first(urls: Sequence[str], path: str, token: str) -> list[dict[str, Any]]:
    """The first list that any of `urls` gives; raises the last ApiError, or one that says there is nobody to ask."""
    failure = ApiError(f"nobody to ask for {path}")
    for url in urls:
        try:
            return get_list(url, path, token)
        except ApiError as error:
            failure = error
    raise failure


def _decode(address: str, body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except FAULTS as error:
        raise ApiError(f"{address}: not JSON: {error}") from error


def _reason(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"])
    except (*FAULTS, KeyError, TypeError):
        return ""
