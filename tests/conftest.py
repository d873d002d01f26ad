"""What the tests share: one real object store a session, with one S3 user a role."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ml.config import Role, Settings
from ml.files import sha256
from ml.pipeline import PUBLIC, RUN_KEYS
from ml.stack import objectstore, secret
from ml.stack.process import Children, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.whole_shop import WholeShop

CHROMIUM = "/usr/bin/chromium"

# PySpark takes a main module without a file for a doctest run and ends the process; pytest-xdist's workers have none.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__


@dataclass(frozen=True)
class ObjectStore:
    """A running SeaweedFS."""

    endpoint: str
    secrets: dict[str, str]
    home: Path

    def settings(self, role: Role, prefix: str = "tradewind", **changes: object) -> Settings:
        """Return the settings of a process that acts as one role and holds that role's secrets."""
        user = secret.s3_variables(self.secrets, role)
        held: dict[str, Any] = {
            "home": self.home,
            "s3_endpoint": self.endpoint,
            "s3_prefix": prefix,
            "s3_role": role,
            "s3_access_key": user["TRADEWIND_S3_ACCESS_KEY"],
            "s3_secret_key": user["TRADEWIND_S3_SECRET_KEY"],
            "pseudonym_key": self.secrets["pseudonym_key"] if role in ("ingest", "serve", "custodian") else None,
            "master_key": self.secrets["master_key"] if role in ("ingest", "custodian") else None,
            "signing_key": self.secrets["signing_key"] if role in ("promote", "custodian") else None,
            **{f"{name}_key": self.secrets[f"{name}_key"] for name in filter(None, (RUN_KEYS.get(role),))},
            **{name: self.secrets[name] for name in PUBLIC},
            "server_token": self.secrets["server_token"],
        }
        return Settings(**{**held, **changes})


@contextmanager
def running_store(folder: Path) -> Iterator[ObjectStore]:
    """Run an object store of its own below a folder."""
    known = secret.load_or_generate(folder / "secrets.json")
    children = Children(folder / "run")
    port = free_port()
    objectstore.start(children, folder / "store", port, known, "tradewind")
    try:
        yield ObjectStore(f"http://127.0.0.1:{port}", known, folder)
    finally:
        children.stop(objectstore.CHILD)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with running_store(tmp_path_factory.mktemp("läden 店")) as store:  # no part may mind such a path
        yield store


@pytest.fixture(scope="session")
def whole_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeShop]:
    """All applications in production, in a store of their own: tests may add to its histories, and leave the rest as it was."""
    from tests.whole_shop import WholeShop

    with running_store(tmp_path_factory.mktemp("läden 店")) as store:
        yield WholeShop(store, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs a Chromium at {CHROMIUM}")
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])


@pytest.fixture
def keeper(object_store: ObjectStore) -> Settings:
    """The settings of who ingests: holds the keys of customers."""
    return object_store.settings("ingest")


@pytest.fixture
def promoter(object_store: ObjectStore) -> Settings:
    """The settings of who promotes."""
    return object_store.settings("promote")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A use case of its own for each test, so that ledgers start empty."""
    return f"toy-{sha256(request.node.nodeid.encode())[7:15]}"


@pytest.fixture
def ready(tmp_path: Path, promoter: Settings, name: str) -> Callable[..., tuple[Path, str]]:
    """Make a packaged run: (workspace, digest)."""
    from tests.promotable_run import packaged_run

    return partial(packaged_run, tmp_path, promoter, name)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)
