"""A browser without scripts, for pages that run none: it keeps cookies and fills in forms."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx


class Browser:
    """Fills in forms as a browser does: hidden fields, cookies, the origin."""

    def __init__(self, url: Any) -> None:
        self.http = httpx.Client(base_url=url, headers={"Origin": url.rstrip("/")}, follow_redirects=True)
        self.page = ""

    def open(self, path: Any) -> Any:
        return self.took(self.http.get(path))

    def send(self, path: Any, **fields: Any) -> Any:
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.page))
        kept = {
            name: unescape(value)
            for name, value in hidden.items()
            if name in ("turns", "conversation_id", "message_id")
        }
        return self.took(self.http.post(path, data={**kept, **fields}))

    def took(self, response: Any) -> Any:
        self.page = response.text
        return response
