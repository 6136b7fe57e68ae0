"""tools/dev/supervise.py: when and how often a process that ended is started again. Time is given, nothing waits."""

from dev.supervise import BackOff, Supervisor


class FakeProcess:
    def __init__(self):
        self.running, self.code, self.started_at = True, None, 0.0

    def alive(self):
        return self.running

    def exit_code(self):
        return self.code

    def end(self, code):
        self.running, self.code = False, code


class FakeSystem:
    def __init__(self, *names):
        self.services = {name: None for name in names}
        self.processes = {name: FakeProcess() for name in names}
        self.started = []

    def start(self, name):
        self.started.append(name)
        self.processes[name].running = True


def test_pauses_double_up_to_a_limit():
    back_off = BackOff()
    assert [back_off.pause(0.1) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_process_that_ran_long_begins_anew():
    back_off = BackOff()
    for _ in range(5):
        back_off.pause(0.1)
    assert back_off.pause(31.0) == 0.2
    assert back_off.pause(0.1) == 0.4


def test_one_that_ended_is_started_again_after_the_pause_and_said_once():
    system, said = FakeSystem("a", "b"), []
    supervisor = Supervisor(system, lambda name, message: said.append((name, message)))
    system.processes["a"].end(-9)
    assert not supervisor.tick(100.0)
    assert not supervisor.tick(100.1)
    assert said == [("a", "ended by signal 9; starts again in 0.2 s")]
    assert supervisor.tick(100.2)
    assert (system.started, supervisor.restarts) == (["a"], {"a": 1, "b": 0})
    assert not supervisor.tick(100.3)


def test_an_exit_code_is_named():
    system, said = FakeSystem("a"), []
    system.processes["a"].end(2)
    Supervisor(system, lambda name, message: said.append(message)).tick(1.0)
    assert said == ["ended with exit code 2; starts again in 0.2 s"]
