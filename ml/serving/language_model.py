"""Asks a large language model behind an OpenAI-compatible URL; whatever goes wrong, the answer goes out without it.

Protocol: https://platform.openai.com/docs/api-reference/chat (`POST <url>/chat/completions`); many servers speak it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import httpx

from ml.config import Settings
from ml.contract import Chat, JsonObject

TOKENS = 400  # of an answer
LONGEST = 8000  # characters of an answer that are read
MOST_BYTES = 256 * 1024  # of a response; one with more is not read to its end

log = logging.getLogger(__name__)


def open_chat(settings: Settings) -> Chat | None:
    """Return how to ask the model of the settings; none where they name none."""
    return LanguageModel(settings) if settings.llm_url else None


class LanguageModel:
    """One model; safe to use from many threads. No message is logged.

    All are asked on an event loop of its own, since only there a request can be given up wherever it stands: httpx's timeouts
    begin anew with each byte that arrives.
    """

    def __init__(self, settings: Settings) -> None:
        key = settings.llm_key.get_secret_value() if settings.llm_key else ""
        self._model = settings.llm_model
        self._seconds = settings.llm_timeout_s
        self._http = httpx.AsyncClient(
            base_url=f"{str(settings.llm_url).rstrip('/')}/",
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=self._seconds,
            follow_redirects=False,
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="language-model", daemon=True).start()

    def __call__(self, instructions: str, text: str) -> str | None:
        """Return the model's answer; none where there is no answer in time, or none that can be read."""
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        body = {"model": self._model, "messages": messages, "temperature": 0, "max_tokens": TOKENS}
        try:
            response = asyncio.run_coroutine_threadsafe(self._post(body), self._loop).result()
            content = json.loads(response)["choices"][0]["message"]["content"]
        except (httpx.HTTPError, TimeoutError, LookupError, TypeError, ValueError, RecursionError) as error:
            log.warning("language model not heeded kind=%s", type(error).__name__)
            return None
        return content[:LONGEST] if isinstance(content, str) else None

    async def _post(self, body: JsonObject) -> bytes:
        """Return the response's body, as it is sent.

        Raises:
            TimeoutError: It was not complete in time, however much of it had arrived.
            ValueError: It is longer than `MOST_BYTES`.
        """
        read = bytearray()
        async with asyncio.timeout(self._seconds), self._http.stream("POST", "chat/completions", json=body) as response:
            response.raise_for_status()
            async for part in response.aiter_raw():
                read += part
                if len(read) > MOST_BYTES:
                    raise ValueError(f"at most {MOST_BYTES} bytes of an answer")
        return bytes(read)
