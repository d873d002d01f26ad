"""Health of one part of Airflow as its API tells it, for the containers' health checks: exit code 0 if healthy.

Usage: health.py scheduler|dag_processor|triggerer|metadatabase
"""

import json
import os
import sys
import urllib.request

URL = os.environ.get("TRADEWIND_AIRFLOW_API", "http://127.0.0.1:8080")
TIMEOUT_S = 8


def is_healthy(part: str) -> bool:
    """Tell whether Airflow's API reports the part as healthy."""
    with urllib.request.urlopen(f"{URL}/api/v2/monitor/health", timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own URL
        return json.load(answer)[part]["status"] == "healthy"


if __name__ == "__main__":
    sys.exit(0 if is_healthy(sys.argv[1]) else 1)
