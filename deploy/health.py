"""Health of one part of Airflow as its API tells it, or of a worker, for the containers' health checks: exit code 0 if healthy.

Usage: health.py scheduler|dag_processor|triggerer|metadatabase
       health.py worker SOCKET
"""

import json
import os
import socket
import sys
import urllib.request

URL = os.environ.get("TRADEWIND_AIRFLOW_API", "http://127.0.0.1:8080")
TIMEOUT_S = 8


def is_healthy(part: str) -> bool:
    """Tell whether Airflow's API reports the part as healthy."""
    with urllib.request.urlopen(f"{URL}/api/v2/monitor/health", timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own URL
        return json.load(answer)[part]["status"] == "healthy"


def answers(path: str) -> bool:
    """Tell whether a worker says which role it runs."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(TIMEOUT_S)
        line.connect(path)
        line.sendall(b"{}\n")
        return "role" in json.loads(line.makefile().readline())


if __name__ == "__main__":
    part, *place = sys.argv[1:]
    sys.exit(0 if (answers(*place) if part == "worker" else is_healthy(part)) else 1)
