"""The fault server as a Hugging Face hub: branches, signed redirects, small files, a token."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from .fault_server import Action, FaultServer, Request, after, answers, redirects, serve

COMMITS = ("a1" * 20, "b2" * 20)
"""The commit that the branch `main` is at, and one that it may move on to."""

_RESOLVE = re.compile(r"/datasets/ns/ocean/resolve/([^/]+)/(.+)")
_SMALL = re.compile(r"/api/resolve-cache/datasets/ns/ocean/([^/]+)/(.+)")
_REVISION = "/api/datasets/ns/ocean/revision/main"


class Hub(FaultServer):
    """Serves a dataset `ns/ocean` as a hub does.

    Level tables and granules come by a signed redirect to the other origin, small text files by a
    relative one, empty files at once.

    Args:
        token: if not None, what requests need to carry.
        lifetime: seconds until a signed address expires.
        tells_commit: whether answers name the commit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None = None,
        lifetime: float = 3600,
        tells_commit: bool = True,
    ) -> None:
        super().__init__(folder)
        self.token, self.lifetime, self.tells_commit = token, lifetime, tells_commit
        self.commit = COMMITS[0]
        self.slow = 0.0
        self.valid: set[str] = set()
        self._signatures = itertools.count()

    @property
    def root(self) -> str:
        return f"{self.home}/datasets/ns/ocean/resolve/main"

    def content(self, path: str) -> bytes | None:
        for pattern in (_RESOLVE, _SMALL):
            if found := pattern.fullmatch(path):
                path = found[2]
        return super().content(path.removeprefix("/cdn/"))

    def answer(self, request: Request) -> Action:
        chosen = super().answer(request)
        chosen = self._as_a_hub(request) if chosen is serve else chosen
        return after(self.slow, chosen) if self.slow else chosen

    def _as_a_hub(self, request: Request) -> Action:
        if request.origin == "elsewhere":
            signature = parse_qs(urlsplit(request.target).query).get("Signature", [""])[0]
            return serve if signature in self.valid else answers(403, {}, b"Request has expired")
        if (
            self.token is not None
            and request.headers.get("authorization") != f"Bearer {self.token}"
        ):
            return answers(401, {"X-Error-Code": "RepoNotFound"})
        if request.path == _REVISION:
            return answers(200, {}, json.dumps({"id": "ns/ocean", "sha": self.commit}).encode())
        return self._file(request)

    def _expected(self) -> str:
        return f"Bearer {self.token}"

    def _file(self, request: Request) -> Action:
        if _SMALL.fullmatch(request.path):
            return serve
        found = _RESOLVE.fullmatch(request.path)
        if found is None:
            return answers(404, {"X-Error-Code": "RepoNotFound"})
        revision, path = found[1], found[2]
        commit = self.commit if revision == "main" else revision
        if commit not in COMMITS:
            return answers(404, {"X-Error-Code": "RevisionNotFound"})
        content = self.content(request.path)
        if content is None:
            return answers(404, {"X-Error-Code": "EntryNotFound"})
        said = {"X_Repo_Commit": commit} if self.tells_commit else {}
        if path.endswith(".json"):
            small = f"/api/resolve-cache/datasets/ns/ocean/{commit}/{quote(path)}"
            return redirects(307, lambda _: small, **said)
        signature = f"s{next(self._signatures)}"
        self.valid.add(signature)
        query = f"Expires={int(time.time() + self.lifetime)}&Signature={signature}"
        signed = f"{self.elsewhere}/cdn/{quote(path)}?{query}"
        said |= {"X_Linked_Size": str(len(content)), "X_Linked_Etag": '"e"'}
        return redirects(302, lambda _: signed, **said)
