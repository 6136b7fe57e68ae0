"""tools/dev/bench/measure.py: what is measured, and when a target is met."""

import os
import subprocess
from types import SimpleNamespace

import pytest
from dev.bench import echo, gateway, main_job, rpc, wrk
from dev.bench.load import Measured, Shape
from dev.bench.measure import Result, Samples, cpu_seconds, cpu_seconds_of_threads, family


def test_a_target_is_met_or_missed_or_absent():
    assert Result("x", 13, "µs", at_most=13).met is True
    assert Result("x", 13.1, "µs", at_most=13).met is False
    assert Result("x", 4000, "/s", at_least=4000).met is True
    assert Result("x", 3999, "/s", at_least=4000).met is False
    assert Result("x", 1, "/s").met is None


def test_a_row_says_it_all():
    assert Result("echo", 35.25, "µs", "3 rounds", at_most=13).row() == ["echo", "35.25 µs", "≤ 13", "MISSED", "3 rounds"]
    assert Result("echo", 1.0, "×").row() == ["echo", "1 ×", "", "", ""]


def test_samples_are_summed_up_by_their_median():
    samples = Samples()
    for value in (9.0, 1.0, 2.0):
        samples.add(value)
    assert samples.median == 2.0
    assert f"{samples:.1f}" == "2.0"
    assert samples.spread() == "1.0–9.0"


def test_work_of_children_counts():
    script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line <&3"
    with subprocess.Popen(["sh", "-c", f"exec 3<&0; ({script}) & wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "done\n"
        assert len(family(parent.pid)) >= 2
        assert cpu_seconds(parent.pid) > 0.02
        parent.stdin.close()


def test_a_process_that_is_gone_used_nothing():
    assert cpu_seconds(2**22 + 1) == 0
    assert os.getpid() in family(os.getpid())


def test_percentages_of_wrk_are_read(tmp_path, monkeypatch):
    output = 'Running 1s test\n\nREPORT {"requests": 100, "seconds": 2.0, "p50_us": 10.0, "p99_us": 20.0, "bad": 1}\n'
    monkeypatch.setattr(wrk.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess([], 0, output))
    report = wrk.run("http://127.0.0.1:1/", 1, tmp_path, script="-- nothing")
    assert (report.rate, report.bad) == (pytest.approx(50), 1)
    assert (tmp_path / "wrk.lua").read_text().startswith("-- nothing")


def test_cpu_time_of_threads_grows_with_work():
    before = cpu_seconds_of_threads(os.getpid())
    assert sum(range(1_000_000)) > 0
    assert cpu_seconds_of_threads(os.getpid()) > before
    assert cpu_seconds_of_threads(2**22 + 1) == 0


def measured(server_us: float, client_us: float = 1.0) -> list[Measured]:
    return [Measured(rate=1000.0, server_us=server_us, client_us=client_us, p50_us=10.0, p99_us=20.0)]


def test_our_rpc_servers_must_beat_the_bare_core_by_ratio_and_every_peer():
    row = {rpc.BARE: measured(20), rpc.INLINE: measured(21.9), rpc.WORKERS: measured(31), rpc.CPP: measured(30), rpc.GO: measured(50)}
    verdicts = {result.name: result.met for result in rpc.server_results({"row": row})}
    assert verdicts["rpc server, row: inline"] is True
    assert verdicts["rpc server, row: workers"] is False  # the C++ peer needs less
    assert verdicts["rpc server, row: inline / bare"] is True
    assert verdicts["rpc server, row: workers / bare"] is None
    assert verdicts["rpc server, row: grpc-go"] is None
    slow = row | {rpc.INLINE: measured(22.1)}
    assert {result.name: result.met for result in rpc.server_results({"row": slow})}["rpc server, row: inline / bare"] is False


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    """A machine that slows down for one of the rounds slows down both; the medians of each alone would be of different rounds."""
    bare = measured(10) + measured(30) + measured(11)
    ours = measured(10) + measured(30) + measured(22)
    row = {rpc.BARE: bare, rpc.INLINE: ours, rpc.CPP: measured(50), rpc.GO: measured(50)}
    (ratio,) = [result for result in rpc.server_results({"row": row}) if result.name == "rpc server, row: inline / bare"]
    assert (ratio.value, ratio.met) == (1.0, True)
    assert ratio.detail == "1.00–2.00"


def test_streams_have_no_row_for_workers_and_no_target_beside_the_bare_core():
    row = {rpc.BARE: measured(1), rpc.INLINE: measured(2), rpc.CPP: measured(3), rpc.GO: measured(4)}
    verdicts = {result.name: result.met for result in rpc.server_results({"stream": row})}
    assert verdicts["rpc server, stream: inline"] is True
    assert verdicts["rpc server, stream: inline / bare"] is None
    assert not any("workers" in name for name in verdicts)


def test_our_rpc_client_must_beat_both_peers():
    row = {rpc.INLINE: measured(1, 9.9), rpc.CPP: measured(1, 12), rpc.GO: measured(1, 10)}
    verdicts = {result.name: result.met for result in rpc.client_results({"row": row})}
    assert verdicts["rpc client, row: lib/sky/rpc"] is True
    row[rpc.INLINE] = measured(1, 10.2)
    assert rpc.client_results({"row": row})[0].met is False
    assert rpc.client_results({"stream": row})[0].met is None


def test_the_gateway_must_take_a_third_of_the_cpu_of_the_peer_that_does_the_same_job_with_few_and_many_clients():
    report = wrk.Report(requests=100, seconds=1.0, p50_us=1.0, p99_us=2.0, bad=0)
    few = {gateway.OURS: [(10.0, report), (60.0, report), (10.0, report)], gateway.PEER: [(31.0, report), (200.0, report), (31.0, report)],
           gateway.BARE: [(20.0, report), (100.0, report), (25.0, report)]}
    many = {gateway.OURS: [(11.0, report)], gateway.PEER: [(32.0, report)], gateway.BARE: [(40.0, report)]}
    verdicts = {result.name: result.met for result in gateway.results({32: few, 256: many})}
    assert verdicts["gateway GET, 32 at once: skyhook / grpc-gateway"] is True
    assert verdicts["gateway GET, 256 at once: skyhook / grpc-gateway"] is False
    assert verdicts["gateway GET, 32 at once: skyhook"] is None
    assert verdicts["gateway GET, 32 at once: skyhook / bare grpc-gateway"] is None


def test_the_target_of_the_echo_server_is_a_ratio_to_the_bare_core():
    rows = {echo.BARE: measured(21.2), echo.INLINE: measured(25.9), echo.WORKERS: measured(40), echo.GO: measured(50)}
    verdicts = {result.name: result.met for result in echo.results(rows)}
    assert verdicts["echo, lib/sky/rpc inline / bare core"] is True
    rows[echo.INLINE] = measured(26.1)
    assert {result.name: result.met for result in echo.results(rows)}["echo, lib/sky/rpc inline / bare core"] is False


def test_a_shape_says_its_calls_and_what_is_counted():
    shape = Shape("Repeat", 64, 64, 100, 2500)
    assert shape.operations == 160_000
    assert shape.arguments("127.0.0.1:1", 6) == ["127.0.0.1:1", "6", "6", "Repeat", "100", "2500"]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def drained(monkeypatch, counts: list[int], expected: int) -> tuple[int, float]:
    """What _drain makes of these completed counts, one per look; seconds from its begin."""
    clock, left = Clock(), iter(counts)
    monkeypatch.setattr(main_job.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(main_job.time, "sleep", clock.sleep)
    api = SimpleNamespace(get=lambda path, **query: SimpleNamespace(status=200, body={"completedCount": str(next(left, counts[-1]))}))
    completed, end = main_job._drain(api, expected, 300)
    return completed, end - 1000


def test_the_bench_does_not_sleep_once_all_are_completed(monkeypatch):
    assert drained(monkeypatch, [10], 10) == (10, 0)
    assert drained(monkeypatch, [4, 8, 10], 10) == (10, 6)


def test_completions_that_stay_away_cost_no_time(monkeypatch):
    assert drained(monkeypatch, [4, 8], 10) == (8, 3)
