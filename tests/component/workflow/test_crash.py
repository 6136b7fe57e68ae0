"""200 requests while things die: each saga ends once, and what the peers hold fits how it ended."""

import random
import uuid
from collections import Counter

from support.waiting import eventually

from peers import Sometimes, away, busy
from rig import FINAL, Rig, order

REQUESTS = 200


def all_end(rig, ids, seconds=90):
    left = set(ids)

    def ended():
        for id in list(left):
            found = rig.get(id)
            if found is not None and found["state"] in FINAL:
                left.discard(id)
        return not left

    eventually(ended, seconds, every=0.2, what="all sagas end")
    return {id: rig.known(id)["state"] for id in ids}


def publish_some(rig, chance, count, cancelled):
    ids = []
    for _ in range(count):
        owner = "suspended-shop" if chance.random() < 0.1 else "shop"
        ids.append(rig.request(order(owner)))
        if chance.random() < 0.15:
            rig.cancel(ids[-1])
            cancelled.add(ids[-1])
    return ids


def check(rig, states, cancelled):
    peers = rig.peers
    done = {id for id, state in states.items() if state == "WORKFLOW_STATE_COMPLETED"}
    assert peers.live_deliveries() == done
    assert peers.live_drones() == done
    assert {creator for creator in peers.packages.values()} == done
    assert len(set(peers.drones.values())) == len(peers.drones)  # never one drone for two
    # A cancellation is refused only after pickup, and nothing is picked up here.
    eventually(lambda: all(rig.known(id)["state"] in ("WORKFLOW_STATE_CANCELLED", "WORKFLOW_STATE_REJECTED") for id in cancelled), 30)
    assert Counter(states.values()).keys() <= {"WORKFLOW_STATE_COMPLETED", "WORKFLOW_STATE_REJECTED", "WORKFLOW_STATE_CANCELLED"}


def check_told_once(rig, states):
    """Every end reaches the broker, each event under one id."""

    def told():
        events = rig.events()
        ends = Counter((kind, id) for kind, id in events if kind in ("saga_completed", "saga_compensated", "saga_failed"))
        starts = Counter(id for kind, id in events if kind == "saga_started")
        untold = [(id, states[id], [kind for kind, of in events if of == id]) for id in states if starts[id] != 1]
        assert not untold and set(starts) == set(states), untold
        for id, state in states.items():
            last = "saga_completed" if state == "WORKFLOW_STATE_COMPLETED" else "saga_compensated"
            assert ends[last, id] == 1, (id, state)
        return True

    eventually(told, 30, every=0.5)


def wait_for_a_moment(rig, chance, before, count):
    """The moment of death is what varies: some way into the sagas of the last count requests. before: calls that the peers had seen."""
    moment = before + chance.randrange(2 * count)  # nearly every saga makes four calls
    eventually(lambda: calls_seen(rig) >= moment, 30, what="the sagas are under way")


def calls_seen(rig):
    with rig.peers.lock:
        return rig.peers.calls.total()


def wait_for_cancellations(rig, ids, cancelled):
    eventually(lambda: all(rig.known(id)["state"] in ("WORKFLOW_STATE_CANCELLED", "WORKFLOW_STATE_REJECTED") for id in cancelled), 60, every=0.2)
    return all_end(rig, ids)


def make_peers_slow_and_flaky(rig, chance):
    for method in ("CheckAccount", "PutPackage", "AssignDrone", "PutDelivery", "Cancel", "ReleaseDrone", "DeletePackage"):
        rig.peers.before(method, Sometimes(chance, 0.05, 0.02))
        rig.peers.after(method, Sometimes(chance, 0.05))


def test_the_service_is_killed_again_and_again(rig):
    chance = random.Random(20261121)
    make_peers_slow_and_flaky(rig, chance)
    cancelled = set()
    ids = []
    for _ in range(5):
        before = calls_seen(rig)
        ids += publish_some(rig, chance, REQUESTS // 5, cancelled)
        wait_for_a_moment(rig, chance, before, REQUESTS // 5)
        rig.workflow.kill()
        rig.workflow.start()
    rig.workflow.wait_ready()
    all_end(rig, ids)
    states = wait_for_cancellations(rig, ids, cancelled)
    check(rig, states, cancelled)
    check_told_once(rig, states)


def test_the_broker_is_killed_again_and_again(rig):
    chance = random.Random(4)
    make_peers_slow_and_flaky(rig, chance)
    cancelled = set()
    ids = []
    for _ in range(4):
        before = calls_seen(rig)
        ids += publish_some(rig, chance, REQUESTS // 4, cancelled)
        wait_for_a_moment(rig, chance, before, REQUESTS // 4)
        rig.nats.kill()
        rig.nats.start()
    all_end(rig, ids, seconds=180)  # a consumer that a killed broker left stuck is found out after 41 s of quiet
    states = wait_for_cancellations(rig, ids, cancelled)
    check(rig, states, cancelled)
    check_told_once(rig, states)


def test_the_peers_die_and_come_back(rig):
    ids = [rig.request() for _ in range(30)]
    rig.peers.stop()
    ids += [rig.request() for _ in range(30)]
    eventually(lambda: all(rig.get(id) is not None for id in ids), 20)
    rig.peers.start()
    states = all_end(rig, ids)
    assert set(states.values()) == {"WORKFLOW_STATE_COMPLETED"}
    check(rig, states, set())


def no_drone(request):
    raise busy()


def unreachable(request):
    raise away()


def test_a_peer_that_is_away_holds_up_nothing_but_its_own_step(rig):
    """More orders than sagas are under way at first: those that wait for the peer leave their room to others."""
    rig.peers.before("AssignDrone", unreachable)
    ids = [rig.request() for _ in range(300)]
    eventually(lambda: len(rig.peers.packages) == len(ids), 20)
    rig.peers.clear()
    assert set(all_end(rig, ids).values()) == {"WORKFLOW_STATE_COMPLETED"}


def test_killed_in_the_middle_of_a_write_a_saga_that_goes_on_is_not_forgotten(rig):
    """One that was at rest, and one whose cancellation came before its order: what is to be done is found by their documents, which cannot be
    written before the service dies."""
    completed, early = rig.request(), str(uuid.uuid4())
    rig.ends(completed, "COMPLETED")
    rig.cancel(early)
    eventually(lambda: rig.stored("sagas") == 2)
    rig.change_store("create trigger hold before update on sagas begin select raise(abort, 'held by the test'); end")
    rig.cancel(completed)
    rig.request(id=early)
    eventually(lambda: rig.workflow.log.read_text().count("held by the test") >= 10, what="both writes were tried")
    rig.workflow.kill()
    rig.change_store("drop trigger hold")
    rig.workflow.start()
    for id in (completed, early):  # what a killed process held comes again after ten seconds
        eventually(lambda: rig.known(id)["state"] == "WORKFLOW_STATE_CANCELLED", 30)


def test_a_cancellation_beside_an_order_that_is_known_already_is_not_lost(rig):
    """Both come again after a crash, and meet in one write; the saga has been completed meanwhile."""
    id = rig.request()
    rig.ends(id, "COMPLETED")
    rig.change_store("create trigger hold before insert on sagas begin select raise(abort, 'held by the test'); end")
    rig.publish("DeliveryRequested", id, {"ownerId": "shop", "order": order()})
    eventually(lambda: "held by the test" in rig.workflow.log.read_text())
    rig.cancel(id)
    eventually(lambda: rig.unsettled("workflow-cancel") == 1)
    rig.change_store("drop trigger hold")
    eventually(lambda: rig.known(id)["state"] == "WORKFLOW_STATE_CANCELLED")


def test_killed_before_its_first_record_a_cancelled_saga_is_told_all_the_same(rig):
    """Order and cancellation came so close that the first write held its end; of that write the crash left the document."""
    id = str(uuid.uuid4())
    rig.change_store("create trigger hold before insert on sagas begin select raise(abort, 'held by the test'); end")
    rig.cancel(id)
    eventually(lambda: "held by the test" in rig.workflow.log.read_text())
    rig.request(id=id)
    eventually(lambda: rig.unsettled("workflow") == 1, what="the order has come, too")
    rig.change_store("create trigger hold_log before insert on saga_events begin select raise(abort, 'held by the test'); end")
    rig.change_store("drop trigger hold")
    eventually(lambda: rig.stored("sagas") == 1)
    rig.workflow.kill()
    rig.change_store("drop trigger hold_log")
    rig.workflow.start()
    eventually(lambda: rig.stored("saga_events") > 0, 30)  # what a killed process held comes again after ten seconds
    rig.ends(id, "CANCELLED")


def test_killed_while_it_waits_it_resumes_long_before_its_lease_ends(tmp_path):
    rig = Rig(tmp_path, SKY_LEASE="1h")
    try:
        rig.start()
        rig.peers.before("AssignDrone", no_drone)
        ids = [rig.request() for _ in range(20)]
        eventually(lambda: all(rig.known(id).get("step") == "WORKFLOW_STEP_DRONE" for id in ids))
        rig.workflow.kill()
        rig.peers.clear()
        rig.workflow.start()
        states = all_end(rig, ids)
        assert set(states.values()) == {"WORKFLOW_STATE_COMPLETED"}
    finally:
        rig.stop()


def test_killed_between_the_document_and_its_log_it_begins_again(rig):
    """The document may say anything then, also that all is over: it is not believed, for nobody was told."""
    rig.peers.before("CheckAccount", unreachable)
    id = rig.request()
    eventually(lambda: rig.stored("saga_events") == 1)
    rig.workflow.kill()
    rig.change_store("delete from saga_events")
    rig.change_store("update sagas set open = 0")
    rig.peers.clear()
    rig.workflow.start()
    rig.publish("DeliveryRequested", id, {"ownerId": "shop", "order": order()})  # it was not acknowledged
    rig.ends(id, "COMPLETED", seconds=30)
    eventually(lambda: [kind for kind, _ in rig.events()] == ["saga_started", "saga_step_completed", "saga_completed"])


def test_killed_between_its_log_and_its_document_a_cancelled_saga_is_known(rig):
    """The order comes while the cancellation before it is still being written, so that one record holds its end: neither document says that
    something is left to do."""
    id = str(uuid.uuid4())
    rig.change_store("create trigger hold_log before insert on saga_events begin select raise(abort, 'held by the test'); end")
    rig.cancel(id)
    eventually(lambda: rig.stored("sagas") == 1)
    rig.request(id=id)
    eventually(lambda: rig.unsettled("workflow") == 1, what="the order has come, too")
    rig.change_store("create trigger hold before update on sagas begin select raise(abort, 'held by the test'); end")
    rig.change_store("drop trigger hold_log")
    eventually(lambda: rig.stored("saga_events") > 0)
    rig.workflow.kill()
    rig.change_store("drop trigger hold")
    rig.workflow.start()
    rig.ends(id, "CANCELLED", seconds=30)  # what a killed process held comes again after ten seconds


def test_no_more_sagas_at_once_than_allowed(tmp_path):
    rig = Rig(tmp_path, SKY_MAX_ACTIVE="5")
    try:
        rig.start()
        rig.peers.before("AssignDrone", no_drone)
        ids = [rig.request() for _ in range(30)]
        eventually(lambda: rig.stored("sagas") == 5)
        # A cancellation does not wait behind the orders that wait.
        working = [id for id in ids if rig.get(id) is not None]
        rig.cancel(working[0])
        eventually(lambda: rig.known(working[0])["state"] == "WORKFLOW_STATE_CANCELLED")
        rig.peers.clear()
        states = all_end(rig, ids)
        assert sorted(states.values()) == ["WORKFLOW_STATE_CANCELLED"] + 29 * ["WORKFLOW_STATE_COMPLETED"]
    finally:
        rig.stop()


def test_an_unsound_message_goes_to_the_dead_letters(rig):
    id = str(uuid.uuid4())
    rig.publish("DeliveryRequested", id, {"ownerId": "shop"})  # no order
    good = rig.request()
    rig.ends(good, "COMPLETED")
    assert rig.get(id) is None

    async def dead():
        return (await rig.connection.jetstream().stream_info("DEADLETTERS")).state.messages

    eventually(lambda: rig.loop.run_until_complete(dead()) == 1)
