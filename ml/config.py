"""Where things are and which secrets open them: read once from the environment by an entry point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ml.errors import ConfigInvalid

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Role: TypeAlias = Literal["ingest", "train", "judge", "promote", "serve", "read", "custodian", "retention"]
ROLES: tuple[Role, ...] = get_args(Role)

BucketName: TypeAlias = Literal[
    "raw", "work", "runs", "models", "ledger", "reports", "state", "requests", "keys", "erasures", "serving-keys"
]
# What each role may do, bucket by bucket: r read, w write. The embedded stack and compose build their S3 users from it.
GRANTS: dict[Role, dict[BucketName, str]] = {
    "ingest": {
        "raw": "rw",
        "work": "rw",
        "runs": "rw",
        "reports": "rw",
        "ledger": "r",
        "models": "r",
        "keys": "rw",
        "erasures": "r",
        "serving-keys": "rw",
    },
    "train": {"work": "rw", "runs": "r", "reports": "rw", "ledger": "r", "models": "r", "requests": "r", "state": "r"},
    "judge": {"work": "rw", "runs": "r", "reports": "rw", "models": "r"},
    "promote": {
        "work": "r",
        "runs": "rw",
        "reports": "rw",
        "ledger": "rw",
        "models": "rw",
        "state": "rw",
        "erasures": "r",
    },
    "serve": {"ledger": "r", "models": "r", "state": "rw", "requests": "w", "erasures": "r", "serving-keys": "r"},
    "read": {"runs": "r", "reports": "r", "ledger": "r", "models": "r", "requests": "r", "state": "r"},
    "custodian": {
        **{"raw": "r", "work": "r", "models": "r"},
        **{
            "runs": "rw",
            "ledger": "rw",
            "state": "rw",
            "requests": "rw",
            "keys": "rw",
            "erasures": "rw",
            "serving-keys": "rw",
        },
    },
    "retention": {
        **{"raw": "rw", "work": "rw", "runs": "rw", "reports": "rw", "requests": "rw"},
        **{"ledger": "r", "models": "r"},
    },
}
BUCKETS: tuple[BucketName, ...] = get_args(BucketName)


class Settings(BaseSettings):
    """Addresses, folders and secrets; every name in the environment starts with `TRADEWIND_`."""

    model_config = SettingsConfigDict(env_prefix="TRADEWIND_", frozen=True, extra="ignore")

    home: Path = Path(".tradewind")
    """Folder for everything a machine keeps: data of the embedded store, caches, logs, keys."""
    data_dir: Path | None = None
    """Folder with the public benchmark data sets; what needs them is skipped without it."""

    min_free_mb: int = Field(512, ge=0, le=1_000_000)
    """A run starts only where so much is free below `home`; 0 never asks [MiB]."""

    s3_endpoint: str | None = None
    """URL of the S3 endpoint; none means AWS."""
    s3_region: str = "us-east-1"
    """Region sent to the S3 endpoint."""
    s3_prefix: str = "tradewind"
    """Bucket names are `<prefix>-<bucket>`."""
    s3_role: Role | None = None
    """The S3 user this process acts as."""
    s3_access_key: str | None = None
    """Access key of that user."""
    s3_secret_key: SecretStr | None = None
    """Secret of that user."""
    s3_attempts: int = Field(5, ge=1, le=10)
    """Tries per call to the S3 endpoint, with exponential back-off; what looks again anyway takes fewer."""
    s3_timeout_s: float = Field(30, gt=0, le=600)
    """How long one try waits for an answer of the S3 endpoint [s]."""

    store_admin: Path | None = None
    """Folder with SeaweedFS's `security.toml`, certificate and `ports.json`: destroyed keys are vacuumed out of its volumes;
    the embedded stack knows its own. None where the store is somebody else's."""

    source_password: SecretStr | None = None
    """Password of the shop's database for the source `sql`; only `ingest` uses it, and only a configured account gets it."""
    source_locations: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    """Places that a run's form may name as its source, by name [JSON]: `{"tills": "s3://shop-landing/tills"}`."""
    source_password_for: str = ""
    """Name of the database among them that the password belongs to, where they hold several accounts."""
    pseudonym_key: SecretStr | None = None
    """Key for household pseudonyms [64 hexadecimal digits]; only `anonymise` and the server's door hold it."""
    master_key: SecretStr | None = None
    """Wraps the keys of customers [128 hexadecimal digits]; only `ingest`, `validate`, `anonymise` and who erases hold it."""
    signing_key: SecretStr | None = None
    """Ed25519 private key that signs versions, ledger entries and publications [PEM]; only `promote` and `custodian` hold it."""
    verify_key: str | None = None
    """Ed25519 public key(s) that verify them [PEM, concatenated]."""
    freeze_key: SecretStr | None = None
    """Ed25519 private key that signs what a run is frozen on and what its first stages make [PEM]; only role `ingest` holds it."""
    freeze_verify_key: str | None = None
    """Ed25519 public key(s) that verify it [PEM, concatenated]; every role holds them."""
    train_key: SecretStr | None = None
    """Ed25519 private key that signs what the stages from `features` on make [PEM]; only role `train` holds it."""
    train_verify_key: str | None = None
    """Ed25519 public key(s) that verify it [PEM, concatenated]; every role holds them."""
    judge_key: SecretStr | None = None
    """Ed25519 private key that signs what the gate judged [PEM]; only `evaluate` holds it."""
    judge_verify_key: str | None = None
    """Ed25519 public key(s) that verify it [PEM, concatenated]."""
    approvers: str = ""
    """Who may approve a version, by login and separated by commas; empty means the operators."""
    operators: str = ""
    """Who may promote and roll back by hand, by login; empty means whoever Airflow lets start `release_<use case>`."""
    data_owners: str = ""
    """Who may decide about data, by login; empty means whoever Airflow lets start `decide_<use case>`."""
    answer_hours: float = Field(24, gt=0, le=720)
    """How long a run waits for a person, at either step; no answer is a rejection [h]."""
    checkpoints: Path | None = None
    """Folder with signed checkpoints, `<use case>.json`: a ledger that ends before one of them is refused."""
    server_token: SecretStr | None = None
    """Bearer token of the model server."""
    customer_key: SecretStr | None = None
    """Ed25519 private key that signs customers' tokens [PEM]; the shop's back end holds it, and never the model server."""
    customer_verify_key: str | None = None
    """Ed25519 public key(s) that verify them [PEM, concatenated]; without one no customer can prove who they are."""
    llm_url: str | None = None
    """Base URL of a language model that words answers, OpenAI-compatible (`https://…/v1`); none means that none is asked."""
    llm_model: str = ""
    """Its name there."""
    llm_key: SecretStr | None = None
    """Its key, if it wants one."""
    llm_timeout_s: float = Field(4.0, gt=0, le=60)
    """How long an answer waits for it, before it goes out as it is [s]."""
    server_url: str = "http://127.0.0.1:8500"
    """Where the model server answers."""
    runtime_base: Path | None = None
    """OCI layout of the runtime base image; none means that no runnable image is assembled."""

    airflow_url: str = "http://127.0.0.1:8080"
    """Where people reach the Airflow UI: links in messages lead there."""
    notify_webhook: SecretStr | None = None
    """Incoming webhook of a chat; it takes Slack's `{"text": …}`. None sends none."""
    notify_smtp: str | None = None
    """Mail server, `smtp[s]://[user@]host[:port]`; none sends no mail."""
    notify_smtp_password: SecretStr | None = None
    """Password of that user."""
    notify_from: str = "tradewind@localhost"
    """Sender of mails."""
    notify_to: str = ""
    """Receivers of mails, separated by commas."""
    notify_hours: float = Field(24, ge=0, le=720)
    """How long the same message is not sent again [h]."""

    keep_versions: int = Field(10, ge=1, le=10_000)
    """Newest versions of a use case that maintenance keeps."""
    keep_version_days: int = Field(90, ge=90, le=36_500)
    """Versions that a move of these days names are kept too; the gate looks back on 90 [days]."""
    keep_runs: int = Field(10, ge=1, le=10_000)
    """Newest runs of a use case that maintenance keeps."""
    keep_run_days: int = Field(90, ge=31, le=36_500)
    """How long what a run is frozen on and what it handed over is kept; a run may wait for a person for 30 days [days]."""
    keep_quarantine_days: int = Field(90, ge=31, le=36_500)
    """How long extracts of quarantined rows are kept [days]."""
    keep_report_days: int = Field(365, ge=31, le=36_500)
    """How long reports are kept, those of kept runs longer [days]."""
    keep_request_days: int = Field(365, ge=91, le=36_500)
    """How long the request log is kept; monitoring joins up to 90 days [days]."""
    keep_airflow_days: int = Field(90, ge=31, le=36_500)
    """How long Airflow's database and task logs are kept [days]."""
    keep_log_days: int = Field(30, ge=1, le=36_500)
    """How long rotated logs of the stack's parts are kept [days]."""
    keep_cache_days: int = Field(30, ge=2, le=36_500)
    """How long a file of DVC's cache on this machine is kept; what is missing there is fetched or made again [days]."""
    airflow_database: SecretStr | None = None
    """SQLAlchemy URL of Airflow's database; None means `airflow/airflow.db` below `home`. Only maintenance cleans it."""
    airflow_logs: Path | None = None
    """Folder of Airflow's task logs; None means `airflow/logs` below `home`."""

    server_threads: int = Field(4, ge=1, le=64)
    """Requests of one use case that the model server works on at once."""
    server_waiting: int = Field(64, ge=0, le=10_000)
    """Requests of one use case that wait for their turn; one more is told 503."""
    server_patience_s: float = Field(10, gt=0, le=300)
    """How long one waits [s]."""
    server_connections: int = Field(1000, ge=10, le=100_000)
    """Connections of the model server that are open at a time; then the idlest are closed for new ones."""
    server_head_s: float = Field(10, gt=0, le=300)
    """How long the head of a request may take [s]."""
    server_body_s: float = Field(30, gt=0, le=300)
    """How long its body may take, from the head's end [s]."""
    server_idle_s: float = Field(30, gt=0, le=3600)
    """How long a connection may wait for its next request [s]."""
    session_idle_s: float = Field(1800, gt=0, le=28_800)
    """How long a session on the model server's pages lasts without a request [s]."""
    server_send_s: float = Field(30, gt=0, le=300)
    """How long a client may take until it reads on [s]."""

    channel: str = "production"
    """The channel the model server follows; another one gives a server for trying a candidate."""
    poll_seconds: float = Field(2.0, gt=0, le=300)
    """How often the model server looks at its channels [s]."""

    @field_validator("source_locations", mode="before")
    @classmethod
    def _parsed(cls, value: object) -> object:
        """Return the places from their JSON text; empty text is none, and a fault quotes nothing of it."""
        try:
            return json.loads(value or "{}") if isinstance(value, str) else value
        except ValueError:
            raise ValueError("no JSON object of names and locations") from None

    def approver_names(self) -> frozenset[str]:
        """Return the logins of those who may approve; empty means that Airflow alone decides."""
        return _names(self.approvers) or self.operator_names()

    def operator_names(self) -> frozenset[str]:
        """Return the logins of those who may move a channel; empty means that Airflow alone decides."""
        return _names(self.operators)

    def data_owner_names(self) -> frozenset[str]:
        """Return the logins of those who may decide about data; empty means that Airflow alone decides."""
        return _names(self.data_owners)

    def bucket(self, name: BucketName) -> str:
        """Return the full name of a bucket."""
        return f"{self.s3_prefix}-{name}"


def is_secret(setting: FieldInfo) -> bool:
    """Tell whether a field of `Settings` holds a secret."""
    return SecretStr in (setting.annotation, *get_args(setting.annotation))


def _names(listed: str) -> frozenset[str]:
    return frozenset(name.strip() for name in listed.split(",") if name.strip())


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigInvalid: A variable is out of range or of the wrong type.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise settings_fault(error) from error


def settings_fault(error: ValidationError) -> ConfigInvalid:
    """Return the error that names the variables behind settings that are out of range or of the wrong type."""
    fields = ", ".join(f"TRADEWIND_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
    return ConfigInvalid("valid settings in the environment", fields, "Correct the variables named.")


def require_secret(value: SecretStr | None, name: str) -> str:
    """Return the secret's text.

    Raises:
        ConfigInvalid: The secret is not set: there is no default for a secret.
    """
    if value is None:
        raise ConfigInvalid(
            f"the secret TRADEWIND_{name.upper()}", "nothing", "Set it, or let `make run` generate one."
        )
    return value.get_secret_value()
