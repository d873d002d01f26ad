"""Asks a large language model behind an OpenAI-compatible URL; whatever goes wrong, the answer goes out without it.

Protocol: https://platform.openai.com/docs/api-reference/chat (`POST <url>/chat/completions`); many servers speak it.
"""

from __future__ import annotations

import logging

import httpx

from ml.config import Settings
from ml.contract import Chat

TOKENS = 400  # of an answer
LONGEST = 8000  # characters of an answer that are read

log = logging.getLogger(__name__)


def open_chat(settings: Settings) -> Chat | None:
    """Return how to ask the model of the settings; none where they name none."""
    return LanguageModel(settings) if settings.llm_url else None


class LanguageModel:
    """One model; safe to use from many threads. No message is logged."""

    def __init__(self, settings: Settings) -> None:
        key = settings.llm_key.get_secret_value() if settings.llm_key else ""
        self._model = settings.llm_model
        self._http = httpx.Client(
            base_url=f"{str(settings.llm_url).rstrip('/')}/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=settings.llm_timeout_s,
            follow_redirects=False,
        )

    def __call__(self, instructions: str, text: str) -> str | None:
        """Return the model's answer; none where there is no answer in time, or none that can be read."""
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        body = {"model": self._model, "messages": messages, "temperature": 0, "max_tokens": TOKENS}
        try:
            response = self._http.post("chat/completions", json=body).raise_for_status()
            content = response.json()["choices"][0]["message"]["content"]
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
            log.warning("language model not heeded kind=%s", type(error).__name__)
            return None
        return content[:LONGEST] if isinstance(content, str) else None
