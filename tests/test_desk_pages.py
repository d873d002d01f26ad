"""The desk's pages inside a real Airflow: only for people it knows, with what the registry and the runs really hold."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import SimpleNamespace

import httpx
import pandas as pd
import pytest

from ml.config import Settings
from ml.contract import Rule, Verdict
from ml.files import sha256, write_json, write_parquet, write_verdict
from ml.pipeline import PUBLIC, decide, frozen, handover, promote, storage_id
from ml.pipeline.workspace import single
from ml.registry import ledger
from ml.serving import listing, snapshot
from ml.stack import airflow, objectstore, secret
from ml.stack.process import Children, free_port
from ml.store import Bucket
from ml.use_cases import load
from tests.accessible import faults
from tests.at_browser import signed_in
from tests.promotable_run import lay_out_run, packaged_run, use_case, verdict, walk_in
from tests.told_gate import estimate, measured
from tests.told_report import BROKEN, report, rule

pytestmark = pytest.mark.airflow

NAME = "recommend"
OLDER, RUN = "manual__2026-01-01T03:04:05+00:00", "manual__2026-01-02T03:04:05+00:00"
SCRIPT = "<script>alert(1)</script>"
DAG_FILE = f"""
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG(dag_id="retrain_{NAME}", schedule=None):
    EmptyOperator(task_id="ingest")
for verb in ("decide", "release"):
    with DAG(dag_id=f"{{verb}}_{NAME}", schedule=None) as dag:
        EmptyOperator(task_id=verb)
    globals()[verb] = dag
"""
USERS = {"admin": "admin", "olga": "user", "omar": "op", "vera": "viewer"}
PEOPLE = {"TRADEWIND_DATA_OWNERS": "olga,admin", "TRADEWIND_OPERATORS": "omar,admin"}
WHY = "the till was down for two days"
FIGURES = measured(popularity=0.08, int8=0.1512)
EXPLAINED = {
    "completeness": {"explanations": 100, "largest_gap": 0.0, "residual_share": 0.0125},
    "importance": {
        "reasons": [{"reason": "the product itself was bought", "mean": 2.0, "share": 0.9}],
        "inputs": [{"input": "items", "loss": estimate(0.1)}],
    },
    "examples": [],
}


@dataclass
class Desk:
    """A running Airflow with the plugin, and the store behind it."""

    url: str
    home: object
    secrets: dict
    endpoint: str
    digest: str

    def settings(self, role, **more):
        user = secret.s3_variables(self.secrets, role)
        return settings_of(self.endpoint, self.secrets, user, home=self.home, **more)

    def client(self, user=None, **headers):
        if user:
            answer = httpx.post(f"{self.url}/auth/token", json={"username": user, "password": "pass-word"}, timeout=30)
            headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return httpx.Client(base_url=f"{self.url}/tradewind", headers=headers, timeout=30)


def settings_of(endpoint, secrets, user, **more):
    return Settings(
        s3_endpoint=endpoint,
        s3_access_key=user["TRADEWIND_S3_ACCESS_KEY"],
        s3_secret_key=user["TRADEWIND_S3_SECRET_KEY"],
        **{name: secrets[name] for name in PUBLIC},
        **more,
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    home = tmp_path_factory.mktemp("desk")
    known = secret.load_or_generate(home / "secrets.json")
    children = Children(home / "run")
    s3, port = free_port(), free_port()
    objectstore.start(children, home / "store", s3, known, "tradewind")
    endpoint = f"http://127.0.0.1:{s3}"
    promoter = settings_of(
        endpoint, known, secret.s3_variables(known, "promote"), home=home, signing_key=known["signing_key"]
    )
    keeper = settings_of(endpoint, known, secret.s3_variables(known, "ingest"), freeze_key=known["freeze_key"])
    digest = publish(home, promoter, keeper)
    try:
        start_airflow(children, home, port, known, endpoint)
        yield Desk(f"http://127.0.0.1:{port}", home, known, endpoint, digest)
    finally:
        for name in children.names():
            children.stop(name)


def publish(home, promoter, keeper):
    """Promote a real version and leave a run's reports."""
    folder = home / "work"
    folder.mkdir()
    root, digest = packaged_run(folder, promoter, NAME, metrics=FIGURES, explained=EXPLAINED)
    walk_in(promoter, NAME, root, who="<b>ada</b>", why="nightly")
    run = storage_id(RUN)
    reports = Bucket.open(promoter, "reports")
    reports.put(f"{NAME}/{run}/validate/docs/index.html", f"<h1>Data Docs</h1>{SCRIPT}".encode(), "text/html")
    reports.put(f"{NAME}/{run}/validate/docs/validations/a/b.html", b"<h1>page</h1>", "text/html")
    reports.put(f"{NAME}/{run}/explain/card.html", b"<h1>Card</h1>", "text/html")
    reports.put(f"{NAME}/{run}/explain/run.js", b"alert(1)", "text/javascript")
    refused = {**json.loads((root / "data" / NAME / "evaluate" / "verdict.json").read_text()), "accepted": False}
    refused["rules"][0] |= {"passed": False, "sentence": f"It loses. {SCRIPT}"}
    refused["details"] = {"production": digest, "best": None}
    reports.put(f"{NAME}/{run}/evaluate/verdict.json", json.dumps(refused).encode())
    for number, refusing in enumerate((storage_id(OLDER), run)):
        publish_data_verdict(folder, keeper, refusing)
        told = report([*BROKEN, rule(9)])
        told["trend"][-1]["rows"] += number
        reports.put(f"{NAME}/{refusing}/validate/report.json", json.dumps(told).encode())
    judged = measured(popularity=0.08, int8=0.1712, production=0.1512)
    reports.put(f"{NAME}/{run}/evaluate/metrics.json", json.dumps(judged).encode())
    watched = {
        "version": digest,
        "n_requests": 1207,
        "finding": {"decision": "wait", "sentences": ["No feature moved."]},
    }
    reports.put(f"{NAME}/monitor/{date.today()}/report.json", json.dumps(watched).encode())
    reports.put(f"{NAME}/monitor/{date.today()}/report.html", b"<h1>Watched</h1>", "text/html")
    took = {"variants": {"int8": {"latency_ms": 12.3, "memory_bytes": 50_000_000}}}
    reports.put(f"{NAME}/{run}/evaluate/footprint.json", json.dumps(took).encode())
    files = {name: (root / name).read_bytes() for name in ("inputs.json", "params.yaml")}
    frozen.keep(keeper, NAME, run, {**files, "dvc.yaml": single(NAME)})
    list_orders(folder, promoter, digest)
    return digest


def publish_data_verdict(folder, keeper, run, newest="nine days old"):
    """Leave what the run's validation said: a rule refuses, another set a row aside."""
    rules = (
        Rule(name="purchases.fresh", observed=9, limit=7, passed=False, sentence=f"The newest are {newest}."),
        Rule(name="purchases.whole", observed=1, limit=0, passed=False, severity="quarantine", sentence="One is cut."),
    )
    verdict = Verdict(stage="validate", accepted=False, rules=rules, summary="Refused.")
    counted = {"purchases.whole": {"rows": 120, "digest": sha256(b"marks")}}
    write_verdict(folder / "data.json", verdict, aside=counted)
    reports, told = Bucket.open(keeper, "reports"), (folder / "data.json").read_bytes()
    reports.put(f"{NAME}/{run}/validate/verdict.json", told)
    handover.leave(keeper, (NAME, run, "validate"), {"cmd": "python -m ml stage validate"}, sha256(told))
    aside = {
        "rule": "purchases.whole",
        "table": "purchases",
        "count": 120,
        "shown": ["quantity"],
        "hidden": ["household"],
    }
    extract = {"rules": [{**aside, "rows": [[quantity] for quantity in range(60)]}]}
    reports.put(f"{NAME}/{run}/validate/quarantine.json", json.dumps(extract).encode())


def list_orders(folder, promoter, digest):
    """Publish 150 proposals of inventory: line n orders n pieces for 2 n and a half."""
    record = load("inventory")
    numbers = dict.fromkeys(record.service.listing.shown, 1.0)
    lines = [
        {**numbers, "name": f"Tea {n:03d}", "order_quantity": n, "order_value": 2.5 * n, "reason": SCRIPT}
        for n in range(150)
    ]
    made = replace(record.service.listing, make=lambda predictor, state, histories: lines)
    record = replace(record, service=replace(record.service, listing=made))
    write_parquet(folder / "histories.parquet", pd.DataFrame({"unit": ["series=a/b"], "history": ["{}"]}))
    snapshot.publish(promoter, record.name, folder / "histories.parquet", date(2026, 1, 4))
    listing.write(promoter, record, SimpleNamespace(live=SimpleNamespace(digest=digest), predictor=None, state={}))


def start_airflow(children, home, port, known, endpoint):
    """Start the api-server alone, with people of every role, and two runs in its database."""
    variables = {
        **airflow.environment(home, port, known),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        **PEOPLE,
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "TRADEWIND_S3_ENDPOINT": endpoint,
        **{f"TRADEWIND_{name.upper()}": known[name] for name in PUBLIC},
        "TRADEWIND_HOME": str(home),
        **secret.s3_variables(known, "read"),
    }
    write_json(home / "airflow" / "passwords.json", dict.fromkeys(USERS, "pass-word"))
    (home / "dags").mkdir()
    (home / "dags" / "retrain.py").write_text(DAG_FILE)
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([sys.executable, "-m", "airflow", *command], env={**os.environ, **variables}, check=True)
    children.start("api", [sys.executable, "-m", "airflow", "api-server"], variables, cwd=home / "airflow")
    url = f"http://127.0.0.1:{port}"
    children.wait("api", lambda: answers(f"{url}/api/v2/version"), 90)
    token = httpx.post(f"{url}/auth/token", json={"username": "admin", "password": "pass-word"}, timeout=60).json()
    for run in (OLDER, RUN):
        made = httpx.post(
            f"{url}/api/v2/dags/retrain_{NAME}/dagRuns",
            json={"dag_run_id": run, "logical_date": None},
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=30,
        )
        assert made.status_code == 200, made.text


def answers(url):
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=30).status_code == 200
    return False


def paths(digest):
    run = storage_id(RUN)
    return [
        "/",
        f"/use-case/{NAME}",
        f"/dag/retrain_{NAME}",
        f"/run/{NAME}/{run}",
        f"/dag/retrain_{NAME}/run/{RUN}",
        f"/run/{NAME}/{run}/task/validate",
        f"/dag/retrain_{NAME}/run/{RUN}/task/ingest",
        f"/gate/{NAME}/{run}",
        f"/decide/{NAME}/{run}",
        f"/quarantine/{NAME}/{run}",
        f"/move/{NAME}",
        f"/ledger/{NAME}",
        f"/data/{NAME}/{run}",
        f"/version/{NAME}/{digest}",
        f"/compare/{NAME}",
        f"/compare/{NAME}?one={run}",
        f"/report/{NAME}/{run}/validate/docs/index.html",
        f"/report/{NAME}/{run}/validate/docs/validations/a/b.html",
        f"/report/{NAME}/{run}/explain/card.html",
        f"/version/{NAME}/{digest}/card",
        f"/version/{NAME}/{digest}/gate",
        f"/version/{NAME}/{digest}/record",
        "/listing/inventory",
        "/listing/inventory/csv",
        "/icon.svg",
        "/icon-dark.svg",
    ]


def test_anonymous_programs_get_401_and_people_the_login_page(desk):
    with desk.client() as nobody, desk.client(accept="text/html") as person:
        for path in [*paths(desk.digest), "/nothing", "/openapi.json", "/docs"]:
            assert nobody.get(path).status_code in (401, 404), path
            sent = person.get(path)
            assert sent.status_code in (302, 404), path
            if sent.status_code == 302:
                assert sent.headers["location"].startswith("/auth/login?next=")
        statuses = [nobody.get(path).status_code for path in paths(desk.digest)]
    assert set(statuses) == {401}


@pytest.mark.parametrize(
    "path", ["/", "/auth/login", "/api/v2/version", "/api/v2/dags", "/no/such/page", "/tradewind/"]
)
def test_no_other_site_shows_airflow_or_the_desk_in_a_frame(desk, path):
    for found in (httpx.get(f"{desk.url}{path}", timeout=30), desk.client("vera").get(f"{desk.url}{path}")):
        assert "frame-ancestors 'self'" in found.headers["content-security-policy"], (path, found.status_code)
        assert found.headers["x-frame-options"] == "SAMEORIGIN"


def test_the_headers_of_a_page_of_the_desk_can_be_asked_for(desk):
    with desk.client("vera") as client:
        for path in ("/", "/icon.svg", f"/use-case/{NAME}", "/no-such-page"):
            whole, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b""), path
            assert head.headers["content-type"] == whole.headers["content-type"]


def test_a_forged_token_is_refused(desk):
    with desk.client(Authorization="Bearer eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.AAAA") as forger:
        assert {forger.get(path).status_code for path in paths(desk.digest)} == {403}


def test_a_viewer_gets_every_page_and_no_page_may_run_a_script(desk):
    with desk.client("vera", accept="text/html") as vera:
        for path in paths(desk.digest):
            page = vera.get(path, follow_redirects=True)
            assert page.status_code == 200, (path, page.text)
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert page.headers["x-content-type-options"] == "nosniff"
            assert "no-store" in page.headers["cache-control"]


def test_the_index_says_what_is_live_since_when_by_whom_and_why(desk):
    with desk.client("vera") as vera:
        page = vera.get("/").text
    assert desk.digest in page
    assert "nightly" in page
    assert "&lt;b&gt;ada&lt;/b&gt;" in page
    assert "ledger entry 1" in page
    assert "Better than before." in page
    assert f"/tradewind/run/{NAME}/{storage_id(RUN)}" in page
    assert "queued" in page


def test_a_runs_page_links_what_its_stages_reported(desk):
    with desk.client("vera") as vera:
        page = vera.get(f"/dag/retrain_{NAME}/run/{RUN}", follow_redirects=True).text
    for title in ("Data Docs", "Model card", "Gate report"):
        assert f">{title}</a>" in page
    assert "Privacy report" not in page
    assert "2017-12-31" in page


@pytest.mark.parametrize(
    ("task", "page"),
    [
        ("validate", "data/{name}/{run}"),
        ("evaluate", "gate/{name}/{run}"),
        ("explain", "report/{name}/{run}/explain/card.html"),
        ("anonymise", "run/{name}/{run}"),
        ("ingest", "run/{name}/{run}"),
    ],
)
def test_a_task_leads_to_what_its_stage_reported_else_to_the_run(desk, task, page):
    with desk.client("vera") as vera:
        sent = vera.get(f"/dag/retrain_{NAME}/run/{RUN}/task/{task}", follow_redirects=True)
    assert sent.status_code == 200
    assert sent.url.path == f"/tradewind/{page.format(name=NAME, run=storage_id(RUN))}"


def test_a_refused_runs_gate_report_says_why_and_shows_the_figures(desk):
    with desk.client("vera") as vera:
        page = vera.get(f"/gate/{NAME}/{storage_id(RUN)}").text
    assert "Refused." in page
    assert "It loses. &lt;script&gt;" in page
    assert '<td class="number">0.2</td><td class="number">0</td>' in page
    assert "12.3</td>" in page
    assert "0.1512" in page
    assert "0.0700 to 0.0900" in page


def test_a_script_is_never_served_as_one(desk):
    with desk.client("vera") as vera:
        sent = vera.get(f"/report/{NAME}/{storage_id(RUN)}/explain/run.js")
    assert sent.headers["content-type"] == "application/octet-stream"


PLANTED = """<!doctype html><title>planted</title><meta http-equiv="refresh" content="0;url=/tradewind/planted">
<img src="x" onerror="document.title='ran'"><script>document.title='ran'</script>
<iframe srcdoc="<script>parent.document.title='ran'</script>"></iframe>
<form id="f" action="/tradewind/planted" method="post"><button id="b">Next page</button></form>
<a id="a" href="javascript:document.title='ran'">More</a>"""


def test_a_page_that_somebody_planted_in_the_store_cannot_act_as_who_reads_it(desk, chromium):
    run = storage_id(RUN)
    train = Bucket.open(desk.settings("train"), "reports")
    train.put(f"{NAME}/{run}/compress/planted.html", PLANTED.encode(), "text/html")
    with desk.client("olga") as olga:
        held = {"Authorization": olga.headers["Authorization"]}
    page, asked = chromium.new_context(extra_http_headers=held).new_page(), []
    page.on("request", lambda request: asked.append((request.method, request.url)))
    try:
        place = f"{desk.url}/tradewind/report/{NAME}/{run}/compress/planted.html"
        assert page.goto(place).status == 200
        for button in ("#b", "#a"):
            page.click(button)
        page.wait_for_timeout(500)
        assert page.title() == "planted"
        assert page.url == place
        assert not [(method, url) for method, url in asked if method == "POST" or url.endswith("/planted")]
    finally:
        page.context.close()
        train.delete(f"{NAME}/{run}/compress/planted.html")


def test_the_newest_report_of_maintenance_is_shown_as_a_document_and_a_planted_one_is_not_led_to(desk):
    reports = Bucket.open(desk.settings("train"), "reports")
    for day in ("2026-11-24", "2026-11-25", "9999-12-31", "no-day"):
        reports.put(f"maintenance/{day}/report.html", f"<h1>Maintenance of {day}</h1>".encode(), "text/html")
    for path in ("/maintenance", "/dag/maintain", "/dag/maintain/run/x", "/dag/maintain/run/x/task/audit"):
        answer = desk.client("vera").get(path, follow_redirects=True)
        assert (answer.status_code, answer.text) == (200, "<h1>Maintenance of 2026-11-25</h1>")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert desk.client().get("/maintenance/2026-11-25").status_code == 401
    assert desk.client("vera").get("/maintenance/2026-11-23").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/report/{name}/{run}/../../../ledger/x",
        "/report/{name}/{run}/%2e%2e/%2e%2e/x.html",
        "/report/{name}/{run}/a//b.html",
        "/report/{name}/{run}/.hidden",
        "/report/{name}/{run}/nothing.html",
        "/report/{name}/%2e%2e/x",
        "/report/nothing/{run}/validate/docs/index.html",
        "/run/nothing/{run}",
        "/version/{name}/sha256:0000/card",
        "/version/{name}/nothing/card",
        "/version/{name}/..%2f..%2fx/card",
        "/dag/somebody_elses_dag",
        "/decide/{name}/nothing",
    ],
)
def test_names_that_are_none_are_404(desk, path):
    with desk.client("vera") as vera:
        sent = vera.get(path.format(name=NAME, run=storage_id(RUN)), follow_redirects=True)
    assert sent.status_code == 404, sent.text
    assert "127.0.0.1" not in sent.text  # where things are kept is nobody's business


def test_airflow_lists_the_navigation_item_and_the_tabs(desk):
    with desk.client("vera") as vera:
        listed = vera.get(f"{desk.url}/ui/config", follow_redirects=True)
        plugins = vera.get(f"{desk.url}/api/v2/plugins").status_code
    with desk.client("admin") as admin:
        found = admin.get(f"{desk.url}/api/v2/plugins").json()["plugins"]
    views = {
        view["destination"]: view for one in found if one["name"] == "tradewind_ui" for view in one["external_views"]
    }
    assert set(views) == {"nav", "dag", "dag_run", "task_instance"}
    assert views["dag_run"]["href"] == "/tradewind/dag/{DAG_ID}/run/{RUN_ID}"
    assert listed.status_code == 200
    assert plugins in (200, 403)


def test_the_plugin_file_imports_nothing_heavy(tmp_path):
    script = (
        "import sys; sys.path.insert(0, 'plugins'); import airflow.plugins_manager; before = set(sys.modules)\n"
        "import tradewind_ui\n"
        "new = set(sys.modules) - before\n"
        "print([name for name in ('fastapi', 'boto3', 'jinja2', 'pandas', 'ml.desk') if name in new])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_version_that_is_live_shows_its_own_card(desk):
    promoter = desk.settings("promote", signing_key=desk.secrets["signing_key"])
    context = lay_out_run(desk.home / "again", promoter, name=NAME)
    card = (context.data("explain") / "card.html").read_text()
    with desk.client("vera") as vera:
        assert vera.get(f"/version/{NAME}/{desk.digest}/card").text == card
    assert verdict().accepted


def test_a_version_tells_where_it_is_live_what_it_leans_on_and_what_it_came_from(desk):
    with desk.client("vera", accept="text/html") as vera:
        page = vera.get(f"/version/{NAME}/{desk.digest}").text
        assert "Live on production" in page
        assert "ledger entry 1): nightly" in page
        assert "1.2% of the movement" in page
        assert "the product itself was bought" in page
        assert '<svg viewBox="0 0 360' in page
        assert f"/tradewind/data/{NAME}/run-1" not in page  # the reports of its run are gone
        nothing = vera.get(f"/version/{NAME}/sha256:{'0' * 64}")
        assert (nothing.status_code, "<strong>404.</strong>" in nothing.text) == (404, True)


def test_every_digest_of_a_version_leads_to_its_page(desk):
    named = (f"/use-case/{NAME}", f"/move/{NAME}", f"/ledger/{NAME}", f"/compare/{NAME}?one={storage_id(RUN)}")
    pages = ["/", *named, "/listing/inventory"]
    with desk.client("vera") as vera:
        for page in pages:
            assert re.search(rf'href="/tradewind/version/\w+/{desk.digest}"', vera.get(page).text), page


def test_a_candidate_is_compared_with_what_its_gate_measured_on_the_same_rows(desk):
    """Of 0.1712 and 0.1512 the gate told a paired gain of 0.02, in each part too."""
    with desk.client("vera") as vera:
        home, page = vera.get("/").text, vera.get(f"/compare/{NAME}?one={storage_id(RUN)}").text
        alone = vera.get(f"/compare/{NAME}").text
    assert f"/tradewind/compare/{NAME}?one={storage_id(RUN)}" in home
    assert "on the same 1,300 test rows (1,234 customers)" in page
    assert page.count("+0.0200") == 3
    assert page.count("<svg") == 2
    assert "+0.0300" in page
    assert page.count(">better</span>") == 3
    assert "no two versions to compare" in alone


def test_home_says_how_it_does_and_when_it_runs_next(desk):
    with desk.client("vera") as vera:
        page = vera.get("/").text
    assert "No feature moved." in page
    assert "1,207 requests" in page
    assert "None is planned; one starts where drift is found, or by hand." in page
    assert page.count("Airflow does not know this DAG") == 4


def test_home_answers_with_what_it_knew_while_the_store_hangs(desk):
    """The store's own process is halted: it accepts connections and answers nothing."""
    store = Children(desk.home / "run").find(objectstore.CHILD)
    with desk.client("vera") as vera:
        vera.get("/")
        store.suspend()
        try:
            time.sleep(3)  # for as long what was read counts as new
            started = time.monotonic()
            page = vera.get("/")
            took = time.monotonic() - started
        finally:
            store.resume()
        assert (page.status_code, took < 8) == (200, True)
        assert "has not answered in time" in page.text
        assert desk.digest in page.text
        assert "queued" in page.text


def test_refused_runs_stand_in_the_trend(desk):
    with desk.client("vera") as vera:
        page = vera.get(f"/data/{NAME}/{storage_id(RUN)}").text
    line = r'<th scope="row">(?:<a [^>]*>)?([^<]*)[^\n]*?class="state (\w+)">[^\n]*?class="number">([\d,]+)<'
    rows = re.findall(line, page.partition('<h2 id="trend">')[2])
    assert rows == [("this run", "bad", "1,001"), (storage_id(OLDER), "bad", "1,000")]


def test_the_language_that_a_reader_chose_stays(desk):
    with desk.client("vera") as vera:
        assert '<html lang="zh">' in vera.get(f"/ledger/{NAME}?lang=zh").text
        assert '<html lang="zh">' in vera.get("/").text
        assert '<html lang="en">' in vera.get("/?lang=en").text


def rows_of(page):
    return re.findall(r'<th scope="row">(Tea \d+)</th>', page)


def test_proposals_are_sorted_summed_paged_and_downloaded(desk):
    """150 lines of 0, 2.5, 5 … 372.5 add up to 2.5 · 149 · 150 / 2."""
    with desk.client("vera", accept="text/html") as vera:
        page = vera.get("/listing/inventory").text
        assert "<strong>27,937.50</strong>" in page
        assert "149 of 150 lines" in page
        assert rows_of(page) == [f"Tea {n:03d}" for n in range(149, 49, -1)]
        assert SCRIPT not in page
        rest = vera.get("/listing/inventory", params={"sort": "name", "order": "asc", "page": 2}).text
        assert rows_of(rest) == [f"Tea {n:03d}" for n in range(100, 150)]
        for wrong in ({"sort": "secret"}, {"page": 3}):
            assert vera.get("/listing/inventory", params=wrong).status_code == 404
        assert vera.get("/listing/recommend").status_code == 404
        csv = vera.get("/listing/inventory/csv")
        assert csv.headers["content-disposition"] == 'attachment; filename="inventory.csv"'
        assert len(csv.text.splitlines()) == 151


DECIDE = f"/decide/{NAME}/{storage_id(RUN)}"
MOVE = f"/move/{NAME}"


def token_of(client, page):
    """Return the slip of a page's form; none where the page has no form."""
    found = re.search(r'name="token" value="([^"]+)"', client.get(page).text)
    return found and found.group(1)


def sent(client, desk, page, token, origin=None, **said):
    """Send a form as a browser does."""
    said = (
        {"kind": "reject", "reason": WHY, **said} if page == DECIDE else {"digest": desk.digest, "reason": WHY, **said}
    )
    return client.post(page, data={"token": token, **said}, headers={"Origin": origin or desk.url})


def asked(desk, verb):
    """Return the runs of a DAG that forms have started, newest last: (who, what was asked)."""
    with desk.client("admin") as admin:
        found = admin.get(f"{desk.url}/api/v2/dags/{verb}_{NAME}/dagRuns?order_by=run_after").json()["dag_runs"]
    return [(run["triggering_user_name"], run["conf"]) for run in found]


def test_only_a_data_owner_may_decide_and_only_an_operator_may_move(desk):
    """Airflow's roles contain each other, so an operator could do what an owner may: the lists of names part them."""
    may = {DECIDE: {"admin", "olga"}, MOVE: {"admin", "omar"}}
    before = asked(desk, "decide"), asked(desk, "release")
    with desk.client() as nobody:
        assert {sent(nobody, desk, page, "any").status_code for page in may} == {401}
    for user in USERS:
        with desk.client(user) as client:
            for page, allowed in may.items():
                policy = client.get(page).headers["content-security-policy"]
                assert ("form-action 'self'" in policy) == (user in allowed)
                assert "script-src" not in policy
                if user not in allowed:
                    assert sent(client, desk, page, "any").status_code == 403
    assert (asked(desk, "decide"), asked(desk, "release")) == before


def test_a_form_is_refused_from_another_site_altered_for_somebody_else_or_without_a_reason(desk):
    with desk.client("olga") as olga, desk.client("admin") as admin:
        token, foreign = token_of(olga, DECIDE), token_of(admin, DECIDE)
        before = asked(desk, "decide")
        assert sent(olga, desk, DECIDE, token, origin="https://evil.example").status_code == 403
        assert olga.post(DECIDE, data={"token": token, "kind": "reject", "reason": WHY}).status_code == 403
        crossed = {"Origin": desk.url, "Sec-Fetch-Site": "cross-site"}
        said = {"token": token, "kind": "reject", "reason": WHY}
        assert olga.post(DECIDE, data=said, headers=crossed).status_code == 403
        assert sent(olga, desk, DECIDE, token[:-4] + "AAAA").status_code == 403
        assert sent(olga, desk, DECIDE, foreign).status_code == 403
        assert sent(olga, desk, DECIDE, token_of(admin, MOVE)).status_code == 403
        assert sent(olga, desk, DECIDE, token, reason="no").status_code == 422
        assert asked(desk, "decide") == before


def test_a_decision_is_sent_once_by_who_is_logged_in_about_what_was_shown(desk):
    promoter = desk.settings("promote", signing_key=desk.secrets["signing_key"], data_owners="olga")
    with desk.client("olga") as olga:
        token = token_of(olga, DECIDE)
        until = (date.today() + timedelta(days=3)).isoformat()
        waiver = {"kind": "waive", "rule": "purchases.fresh", "until": until}
        led = sent(olga, desk, DECIDE, token, **waiver)
        assert led.status_code == 303
        assert "Under way" in olga.get(led.headers["location"].removeprefix("/tradewind")).text
        assert sent(olga, desk, DECIDE, token, **waiver).status_code == 409
        who, form = asked(desk, "decide")[-1]
        assert (who, form["kind"], form["rule"], form["until"], form["reason"]) == (
            "olga",
            "waive",
            "purchases.fresh",
            until,
            WHY,
        )
        keeper, kept = desk.settings("ingest", freeze_key=desk.secrets["freeze_key"]), token_of(olga, DECIDE)
        publish_data_verdict(desk.home / "work", keeper, storage_id(RUN), newest="ten days old")
        assert sent(olga, desk, DECIDE, kept).status_code == 409
        publish_data_verdict(desk.home / "work", keeper, storage_id(RUN))
        decide.run(promoter, NAME, {"train": {}}, {"who": who, "request": "form", "target": form})
        page = olga.get(DECIDE).text
        assert "<h2>In force</h2>" in page
        assert f'<td class="when">{until}</td>' in page
        assert "waive" in olga.get(f"/ledger/{NAME}", params={"action": "decide", "who": "olga"}).text
        assert "No entries" in olga.get(f"/ledger/{NAME}", params={"who": "olga", "since": "2999-01-01"}).text


def test_the_form_offers_the_very_rows_that_were_set_aside_and_sends_which(desk):
    with desk.client("olga") as olga:
        assert "Release these 120 rows" in olga.get(DECIDE).text
        said = {"kind": "release_rows", "rule": "purchases.whole", "rows": "1, 3-5"}
        assert sent(olga, desk, DECIDE, token_of(olga, DECIDE), **said).status_code == 303
    assert said.items() <= asked(desk, "decide")[-1][1].items()


def test_the_home_page_says_what_waits_until_somebody_decided(desk):
    decided = [entry for entry in ledger.history(desk.settings("read"), NAME) if entry.action == "decide"]
    with desk.client("vera") as vera:
        for _ in range(20):  # home may show for some seconds what it read before the decision
            waits = f"The newest data of {NAME}" in vera.get("/").text
            if waits == (not decided):
                break
            time.sleep(1)
    assert waits == (not decided)


def test_rows_set_aside_are_counted_and_paged_and_hidden_columns_are_only_named(desk):
    place = f"/quarantine/{NAME}/{storage_id(RUN)}"
    with desk.client("vera") as vera:
        first, second = vera.get(place).text, vera.get(place, params={"rule": "purchases.whole", "page": 2}).text
        assert "120 rows of purchases; the first 60 are shown" in first
        assert "may name somebody: household" in first
        assert first.count("<tr><td") == 50
        assert second.count("<tr><td") == 10
        assert vera.get(place, params={"rule": "nothing"}).status_code == 404


def test_every_page_can_be_used_by_keyboard_with_a_screen_reader_and_on_a_phone(desk, chromium):
    """The reports that stages wrote are pages of their own, and what tests put in their place is none."""
    tab, found = signed_in(chromium, desk.url, "admin", "pass-word"), {}
    shown = [path for path in paths(desk.digest) if not re.search(r"/(report|dag|task)/|/card|/record|/csv|svg$", path)]
    for path in [*shown, f"/asked/decide/{NAME}/none", f"/data/{NAME}/{storage_id(RUN)}?columns=all&lang=zh"]:
        tab.goto(f"{desk.url}/tradewind{path}")
        found[path] = faults(tab)
    assert {path: told for path, told in found.items() if told} == {}


def test_in_a_browser_an_owner_rejects_and_an_operator_rolls_back(desk, chromium, tmp_path):
    """The forms as people use them; what Airflow was asked is carried out by the same code as its task runs."""
    promoter = desk.settings("promote", signing_key=desk.secrets["signing_key"], operators="omar")
    root, newer = packaged_run(tmp_path, promoter, NAME, seed=2, production=desk.digest)
    walk_in(promoter, NAME, root)
    for user, page, button in (("olga", DECIDE, "Reject the data"), ("omar", MOVE, "Make it live")):
        tab = signed_in(chromium, desk.url, user, "pass-word", viewport={"width": 390, "height": 800})
        tab.goto(f"{desk.url}/tradewind{page}")
        if page == MOVE:
            tab.check(f"input[value='{desk.digest}']")
        form = tab.locator("form").last
        form.locator("textarea").fill(WHY)
        form.get_by_role("button", name=button).click()
        tab.get_by_text("Under way").wait_for()
    assert asked(desk, "decide")[-1][0] == "olga"
    assert asked(desk, "decide")[-1][1]["kind"] == "reject"
    who, form = asked(desk, "release")[-1]
    order = promote.Order(digest=form["digest"], who=who, reason=form["reason"], request="move")
    done = {"rollback": promote.rollback}[form["action"]](promoter, use_case(NAME), order)
    assert (done.digest, ledger.live(promoter, NAME, "production").who) == (desk.digest, "omar")
    walk_back = promote.rollback(promoter, use_case(NAME), replace(order, digest=newer, request="another"))
    assert not promote.rollback(promoter, use_case(NAME), order).is_new
    assert ledger.live(promoter, NAME, "production").digest == walk_back.digest == newer
