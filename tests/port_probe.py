"""A stranger on the same machine, without credentials, at every port and socket that a process listens on."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import psutil

from ml.stack.certificate import private_authority
from tests.other_user import NOBODY

PATHS = (
    "/",
    "/?list-type=2",
    "/buckets/?pretty=y",
    "/tradewind-work?list-type=2",
    "/tradewind-work/planted/key",
    "/buckets/tradewind-work/planted/key",
    "/dir/assign",
    "/dir/lookup?volumeId=1",
    "/dir/status",
    "/cluster/status",
    "/vol/status",
    "/vol/vacuum",
    "/col/delete?collection=tradewind-work",
    "/status",
    "/stats/health",
    "/stats/disk",
    "/debug/pprof/",
    "/metrics",
    "/1,01637037d6",
    "/etc/iam/identity.json?pretty=y",
    "/?Action=ListUsers&Version=2010-05-08",
    "/api/v2/connections",
    "/api/v2/variables",
    "/api/v2/dags/retrain_rating/dagRuns",
    "/api/v2/config",
    "/execution/variables/any",
    "/tradewind/gate/rating",
    "/openapi.json",
    "/admin/users",
    "/traces",
)
WAYS = ("http", "https", "foreign certificate")


def listening(processes: Any) -> Any:
    """Return the TCP ports on which the processes listen, and the paths of their Unix sockets."""
    found = [one for process in processes for one in process.net_connections("all")]
    inet = [one for one in found if one.family != socket.AF_UNIX and one.laddr]
    ports = {one.laddr.port for one in inet if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM}
    return sorted(ports), sorted({one.laddr for one in found if one.family == socket.AF_UNIX and one.laddr})


def addresses(processes: Any) -> Any:
    """Return the addresses on which the processes listen."""
    found = [one for process in processes for one in process.net_connections("inet")]
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def foreign_client(folder: Path) -> Any:
    """Return TLS settings of a client whose certificate comes from an authority of its own."""
    (folder / "foreign.pem").write_text(private_authority("store"))
    context = trusting()
    context.load_cert_chain(folder / "foreign.pem")
    return context


def trusting() -> Any:
    """Return TLS settings of a client that speaks with anybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def answers(port: int, folder: Path) -> Any:
    """Ask a port in every way for every path: {(way, method, path): (status, body)} of all that answered."""
    found = {}
    for way, tls in zip(WAYS, (None, trusting(), foreign_client(folder)), strict=True):
        for path in PATHS:
            for method in ("GET", "POST", "PUT", "DELETE") if path in PATHS[:7] else ("GET",):
                answer = _ask(port, tls, method, path)
                if answer is None:
                    break
                found[way, method, path] = answer
            if answer is None:
                break  # it spoke no such language, or wanted a certificate: the next path changes nothing
    return found


def _ask(port: int, tls: Any, method: Any, path: Any) -> Any:
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=10)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    )
    try:
        connection.request(method, path, body=b"planted" if method in ("POST", "PUT") else None)
        answer = connection.getresponse()
        return answer.status, answer.read(1 << 20)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def opens_for_nobody(path: Any, folder: Path) -> Any:
    """Tell whether another user can connect to a Unix socket; a relative path is one below the folder."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(Path(folder) / path))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
