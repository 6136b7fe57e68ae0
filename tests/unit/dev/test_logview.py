"""tools/dev/logview.py: how log lines are shown."""

import json
import re

from dev.logview import LogView

VIEW = LogView(["nats", "delivery"], colour=False)


def otel(**changes):
    entry = {"timestamp": "2026-11-21T03:26:01.123456789Z", "severity_text": "INFO", "severity_number": 9, "body": "delivery completed",
             "service.name": "delivery", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "attributes": {"skyhook.delivery.id": "d1", "eta_s": 4}}
    return json.dumps({**entry, **changes})


def test_a_services_line():
    assert VIEW.line("delivery", otel()) == "03:26:01.123 delivery INFO  delivery completed  skyhook.delivery.id=d1 eta_s=4 trace=4bf92f35"


def test_without_attributes_and_trace():
    assert VIEW.line("delivery", otel(attributes={}, trace_id="")) == "03:26:01.123 delivery INFO  delivery completed"


def test_lines_of_nats_server():
    raw = "[4242] 2026/11/21 03:26:01.123456 [INF] Server is ready"
    assert VIEW.line("nats", raw) == "03:26:01.123 nats     INFO  Server is ready"


def test_lines_of_nginx():
    raw = "2026/11/21 03:26:01 [error] 17#17: *3 upstream timed out"
    assert VIEW.line("delivery", raw) == "03:26:01     delivery ERROR *3 upstream timed out"


def test_anything_else_is_shown_as_it_is():
    assert VIEW.line("nats", "Segmentation fault").endswith("nats     INFO  Segmentation fault")
    assert VIEW.line("nats", '{"not": "a log line"}').endswith('{"not": "a log line"}')
    assert VIEW.line("nats", "{broken").endswith("{broken")
    assert VIEW.line("nats", "[1, 2]").endswith("[1, 2]")


def test_control_characters_do_not_reach_the_terminal():
    shown = VIEW.line("delivery", otel(body="a\x1b[2Jb\nc", attributes={"tag": "\x07"}))
    assert "\x1b" not in shown and "\n" not in shown and "\x07" not in shown
    assert "a\\x1b[2Jb\\nc" in shown


def test_errors_stand_out_only_in_colour():
    shown = LogView(["delivery"], colour=True).line("delivery", otel(severity_text="ERROR"))
    assert "\x1b[31mdelivery completed\x1b[0m" in shown
    assert "\x1b" not in VIEW.line("delivery", otel(severity_text="ERROR"))


def test_a_batch_is_sorted_by_time_and_followers_stay_behind():
    late, early = otel(timestamp="2026-11-21T03:26:02Z", body="late"), otel(timestamp="2026-11-21T03:26:01Z", body="early")
    lines = VIEW.sorted_lines([("delivery", late), ("delivery", "its second line"), ("nats", early)])
    assert [word for line in lines for word in ("late", "its second line", "early") if word in line] == ["early", "late", "its second line"]


def test_a_note_of_our_own_has_the_time():
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} dev      INFO  nats ended", VIEW.note("dev", "nats ended"))


def test_a_quiet_service_is_heard_only_when_something_is_wrong():
    view = LogView(["nats", "delivery"], colour=False, quiet=["nats"])
    batch = [("nats", "[1] 2026/11/21 03:26:01.123456 [INF] Starting"), ("nats", "[1] 2026/11/21 03:26:01.2 [WRN] slow"), ("delivery", otel())]
    assert [line.split()[1] for line in view.sorted_lines(batch)] == ["delivery", "nats"]
