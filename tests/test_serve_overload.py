"""Half-open connections, floods and slow clients stop nobody who asks as one should; who is refused is told when to try again."""

import json
import socket
import statistics
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx
import pytest

from ml.serving.app import create_apps
from ml.serving.connection import LINGER_S, Crowd, Deadlines
from ml.serving.guard import BODY_LIMIT_BYTES
from ml.serving.run import http_server
from ml.stack.process import free_port
from tests.served_shop import Shop, answer, wait

MOST = 60  # connections
THREADS, WAITING = 2, 6
HEAD_S, BODY_S, IDLE_S, SEND_S = 0.6, 0.6, 1.0, 1.0
SLOW_S = 0.1  # of processor time: what the slow use case takes
SLOW_MS = SLOW_S * 1000
HEALTH_MS = 200  # promised at ten times the limit
WHOLE = b"GET /health HTTP/1.1\r\nHost: shop\r\n\r\n"


def slow(predictor, state, request, history):
    end = time.thread_time() + (SLOW_S if request.basket_id else 0)
    while time.thread_time() < end:
        sum(range(1000))
    return answer(predictor, state, request, history)


class Served:
    """A server of two use cases with short deadlines, and its listener for health."""

    def __init__(self, object_store, folder, most, seconds):
        self.most = most
        self.deadlines = Deadlines(**seconds)
        self.fast = Shop(object_store, folder / "fast", f"toy-f{uuid.uuid4().hex[:8]}")
        self.slow = Shop(object_store, folder / "slow", f"toy-w{uuid.uuid4().hex[:8]}")
        self.slow.record = replace(self.slow.record, service=replace(self.slow.record.service, answer=slow))
        self.port, self.health_port = free_port(), free_port()
        self.headers = {"Authorization": f"Bearer {self.fast.token}"}
        for shop in (self.fast, self.slow):
            shop.promote()

    @contextmanager
    def running(self):
        held = self.fast.settings.model_copy(
            update={
                "server_threads": THREADS,
                "server_waiting": WAITING,
                "server_body_s": BODY_S,
                "server_patience_s": 2,
            }
        )
        apps = create_apps(held, {shop.name: shop.record for shop in (self.fast, self.slow)})
        crowd = Crowd(self.most, self.deadlines, apps.meters.connection_closed)
        main = http_server(apps.main, "127.0.0.1", self.port, crowd)
        health = http_server(
            apps.health, "127.0.0.1", self.health_port, Crowd(self.most, self.deadlines), lifespan="off"
        )
        threads = [threading.Thread(target=one.run) for one in (main, health)]
        for thread in threads:
            thread.start()
        try:
            with self.client() as client:
                wait(
                    lambda: main.started and health.started and self.fast.is_live(client) and self.slow.is_live(client)
                )
            yield self
        finally:
            main.should_exit = health.should_exit = True
            for thread in threads:
                thread.join()

    def client(self, **options):
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=self.headers, timeout=20, **options)

    def post(self, shop, body, length=None, token=True):
        """Return the bytes of a request, of which the length may promise more than there is."""
        data = json.dumps(body).encode()
        guard = f"Authorization: Bearer {shop.token}\r\n" if token else ""
        head = f"POST /v1/{shop.name}/predict HTTP/1.1\r\nHost: shop\r\n{guard}Content-Type: application/json\r\n"
        return f"{head}Content-Length: {length or len(data)}\r\n\r\n".encode() + data

    def closed(self, reason):
        with self.client() as client:
            text = client.get("/metrics").text
        found = [line for line in text.splitlines() if f'closed_total{{reason="{reason}"}}' in line]
        return float(found[0].split()[-1]) if found else 0.0


@pytest.fixture(scope="module")
def served(object_store, tmp_path_factory):
    seconds = {"head": HEAD_S, "body": BODY_S, "idle": IDLE_S, "send": SEND_S}
    with Served(object_store, tmp_path_factory.mktemp("impatient"), MOST, seconds).running() as made:
        yield made


@pytest.fixture(scope="module")
def patient(object_store, tmp_path_factory):
    """A server with deadlines that no honest client misses on a busy machine."""
    seconds = dict.fromkeys(("head", "body", "idle", "send"), 60.0)
    with Served(object_store, tmp_path_factory.mktemp("patient"), 200, seconds).running() as made:
        yield made


@contextmanager
def opened(served, count=1, sent=b""):
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port))) for _ in range(count)]
        for line in lines:
            line.sendall(sent)
        yield lines


def rest(line, seconds=10):
    """Return all that comes until the server closes, and how long that took."""
    line.settimeout(seconds)
    began, found = time.monotonic(), b""
    try:
        while part := line.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found, time.monotonic() - began


def milliseconds(ask):
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def error(found):
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"], head.lower()


def test_a_connection_that_sends_nothing_is_closed_in_time(served):
    with opened(served) as (line,):
        found, seconds = rest(line)
    assert found == b""
    assert HEAD_S * 0.9 < seconds < HEAD_S + 2


def test_a_head_that_comes_byte_by_byte_is_refused_when_its_time_is_over(served):
    with opened(served, sent=b"GET /health HTTP/1.1\r\nX-A: ") as (line,):
        began = time.monotonic()
        trickled = iter(lambda: (time.sleep(0.05), line.sendall(b"a")) and time.monotonic() > began + 10, True)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            list(trickled)
        assert time.monotonic() - began < HEAD_S + LINGER_S + 3
    with opened(served, sent=b"GET /hea") as (line,):
        status, told, head = error(rest(line)[0])
    assert (status, told["received"]) == (408, "a part of its head")
    assert b"connection: close" in head


def test_half_a_body_is_told_so_and_anonymous_ones_are_not_waited_for(served):
    with opened(served, sent=served.post(served.fast, {"k": 1}, length=1000)) as (line,):
        status, told, _ = error(rest(line)[0])
    assert (status, told["received"]) == (408, "a part of it")
    with opened(served, sent=served.post(served.fast, {"k": 1}, length=1000, token=False)) as (line,):
        assert line.recv(4096).startswith(b"HTTP/1.1 401")
        assert rest(line)[1] < BODY_S + 3  # nor may it go on for long


def test_a_body_that_is_too_long_is_refused_before_it_comes_and_not_read_for_ever(served):
    with opened(served, sent=served.post(served.fast, {}, length=10**12)) as (line,):
        assert line.recv(4096).startswith(b"HTTP/1.1 413")
        line.settimeout(5)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            line.sendall(b"x" * 100_000_000)
    with served.client() as client:
        long = client.post(f"/v1/{served.fast.name}/predict", json={"history": ["x" * BODY_LIMIT_BYTES]})
        assert long.status_code == 413


def test_an_idle_connection_is_closed_and_so_is_one_whose_answers_nobody_reads(served):
    with opened(served, sent=WHOLE) as (line,):
        found, seconds = rest(line)
    assert b"200 OK" in found
    assert IDLE_S * 0.9 < seconds < IDLE_S + 2
    before = served.closed("blocked")
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer %s\r\n\r\n" % served.fast.token.encode()
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects, so that little fits on the way
        line.connect(("127.0.0.1", served.port))
        line.sendall(ask * 300)
        wait(lambda: served.closed("blocked") > before, 40)


def test_requests_in_one_go_are_answered_one_after_the_other(served):
    unknown = (
        b"GET /v1/nothing/version HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer %s\r\n\r\n"
        % served.fast.token.encode()
    )
    with opened(served, sent=WHOLE + unknown + WHOLE) as (line,):
        found = rest(line)[0]
    assert [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


@pytest.mark.parametrize("bad", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", WHOLE[:-2] + b"X: " + b"a" * 100_000])
def test_what_is_no_http_is_400_in_the_same_shape(served, bad):
    with opened(served, sent=bad) as (line,):
        status, told, head = error(rest(line)[0])
    assert (status, set(told)) == (400, {"expected", "received", "action"})
    assert b"x-frame-options: deny" in head


HALF_HEAD = b"POST /v1/x/predict HTTP/1.1\r\nHost: shop\r\nContent-Le"


@pytest.mark.parametrize("sent", [b"", HALF_HEAD, WHOLE], ids=["open", "head", "idle"])
def test_more_connections_than_there_may_be_stop_no_honest_client(patient, sent):
    def ask(client):
        return milliseconds(lambda: patient.fast.predict(client, k=1).raise_for_status())

    before = patient.closed("shed")
    with ExitStack() as stack, patient.client() as kept:
        ask(kept)
        for _ in range(4):
            stack.enter_context(opened(patient, patient.most, sent))
            with patient.client() as new:
                assert max(ask(new), ask(kept)) < 5000
    assert patient.closed("shed") > before


def test_a_use_case_that_is_flooded_says_when_to_try_again_and_holds_up_no_other(patient):
    codes, ended = [], threading.Event()

    def flood(_):
        with patient.client() as one:
            while not ended.is_set():
                codes.append(patient.slow.predict(one, basket_id="slow"))
                time.sleep(0.05)

    clients = (THREADS + WAITING) * 3
    health_url = f"http://127.0.0.1:{patient.health_port}"
    with patient.client() as client, httpx.Client(base_url=health_url) as other, ThreadPoolExecutor(clients) as pool:
        flooding = pool.map(flood, range(clients))
        wait(lambda: any(code.status_code == 503 for code in list(codes)))
        beside = [milliseconds(lambda: patient.fast.predict(client, k=1).raise_for_status()) for _ in range(30)]
        health = [milliseconds(lambda: other.get("/health").raise_for_status()) for _ in range(30)]
        ended.set()
        list(flooding)
    assert {code.status_code for code in codes} == {200, 503}
    for refused in (code for code in codes if code.status_code == 503):
        assert 1 <= int(refused.headers["Retry-After"]) <= 30
        assert set(refused.json()["error"]) == {"expected", "received", "action"}
    waited = (
        SLOW_MS * (THREADS + WAITING) / THREADS
    )  # what one waits for in the line of the slow use case, at the least
    assert statistics.median(beside) < waited
    assert statistics.median(health) < HEALTH_MS


def test_a_client_that_went_away_while_it_waited_is_not_worked_for(patient):
    with patient.client() as client:
        before = written(client, patient.slow)
        with opened(patient, THREADS + WAITING, patient.post(patient.slow, {"basket_id": "slow"})):
            time.sleep(SLOW_S)
        wait(lambda: patient.slow.predict(client).status_code == 200)
        time.sleep(SLOW_S * (THREADS + WAITING))
        assert written(client, patient.slow) - before < THREADS + WAITING


def written(client, shop):
    name = f'tradewind_requests_total{{status="200",use_case="{shop.name}",verb="predict"}}'
    return sum(float(line.split()[-1]) for line in client.get("/metrics").text.splitlines() if line.startswith(name))


def test_the_listener_for_health_answers_nothing_else(served):
    with httpx.Client(base_url=f"http://127.0.0.1:{served.health_port}", headers=served.headers) as other:
        assert other.get("/health").json()["alive"] is True
        assert "tradewind_requests_total" in other.get("/metrics").text
        assert other.get("/metrics", headers={"Authorization": ""}).status_code == 401
        assert other.get(f"/v1/{served.fast.name}/version").status_code == 404
        assert other.get("/openapi.json").status_code == 404


def test_what_can_be_read_can_be_asked_for_its_headers(served):
    with served.client() as client:
        for path in ("/health", "/metrics", "/openapi.json", "/v1/out-of-stock", f"/v1/{served.fast.name}/version"):
            whole, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b"") == (200, b"")
            assert head.headers["content-type"] == whole.headers["content-type"]
        assert client.head(f"/v1/{served.fast.name}/predict").status_code == 405
        assert client.head("/v1/nothing").status_code == 404
        assert client.head("/metrics", headers={"Authorization": ""}).status_code == 401


def test_no_answer_may_be_shown_in_a_frame(served):
    with served.client() as client:
        answers = [client.get(path) for path in ("/health", "/nothing", "/openapi.json")]
        answers += [
            served.fast.predict(client, k=1),
            served.fast.predict(client, k=99),
            client.get("/metrics", headers={"Authorization": ""}),
        ]
    for found in answers:
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["x-content-type-options"] == "nosniff"
