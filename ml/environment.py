"""What a process takes over from the environment of whoever started it: a short list, and nothing else.

Locale, time zone, AWS and DVC configuration, Python's own variables and the user's dotfiles differ between
people and machines. None of them may change a result, so every entry point and every child starts from here.
"""

from __future__ import annotations

import locale
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

INHERITED = frozenset({
    *("PATH", "LD_LIBRARY_PATH", "JAVA_HOME", "TMPDIR", "HOME", "USER", "LOGNAME"),
    *("TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"),
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),  # some processors compute wrong results without them
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
})  # fmt: skip
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWN = "TRADEWIND_"
FIXED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "AWS_CONFIG_FILE": f"{os.devnull}/aws",  # an absent file: DVC asks whether there is one, and cannot read a device
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "DVC_NO_ANALYTICS": "1",
    "DVC_GLOBAL_CONFIG_DIR": "/nonexistent",
    "DVC_SYSTEM_CONFIG_DIR": "/nonexistent",
    "KERAS_HOME": f"{os.devnull}/keras",
    "NETRC": os.devnull,
}
"""The same for everybody. Nothing is below the null device, and no program makes its files there."""
HARMLESS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONFAULTHANDLER", "PYTHONUTF8")
"""Variables of the interpreter that a running process need not get rid of."""


def inherited(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child without any setting of ours: those are added by whoever starts it.

    Args:
        given: The environment of the process that starts the child.
    """
    kept = {name: value for name, value in given.items() if name in INHERITED}
    return {**kept, **_proxies(given), **FIXED}


def settings_of(given: Mapping[str, str]) -> dict[str, str]:
    """Return our own settings in an environment."""
    return {name: value for name, value in given.items() if name.startswith(OWN)}


def cleanse() -> None:
    """Reduce the environment of this very process, for an entry point before it does anything else.

    The interpreter reads some variables only when it starts; where one of them is set, or text is not UTF-8, the
    program starts again without them.
    """
    wanted = {**inherited(os.environ), **settings_of(os.environ)}
    is_stained = any(name.startswith("PYTHON") and name not in HARMLESS for name in os.environ)
    if is_stained or locale.getpreferredencoding(do_setlocale=False).lower() != "utf-8":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)  # noqa: S606 - this very program, without a shell
    os.environ.clear()
    os.environ.update(wanted)
    time.tzset()


def _proxies(given: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies for other machines; what listens on this one is always reached directly."""
    lowered = {name.lower(): value for name, value in given.items()}
    used = {name: lowered[name] for name in PROXIES if _is_http(lowered.get(name, ""))}
    if not used:
        return {}
    direct = dict.fromkeys([*filter(None, lowered.get("no_proxy", "").split(",")), *LOOPBACK])
    used["no_proxy"] = ",".join(direct)
    return {**used, **{name.upper(): value for name, value in used.items()}}


def own_home(folder: Path) -> dict[str, str]:
    """Return the variables that give a child a home folder of its own: no dotfile of a person reaches it."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), "XDG_CONFIG_HOME": str(folder / ".config")}


def _is_http(proxy: str) -> bool:
    """Tell whether a proxy is one that our HTTP clients can use; on any other (SOCKS) they fail even where they need none."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
