/*
 * Thousands of sagas in virtual time against peers that lose requests and answers, are busy, refuse, answer late and
 * twice, while the saga's process crashes at any point: every saga ends, and what it leaves behind at its peers is
 * right.
 */
#include <stdio.h>
#include <string.h>

#include "sky_check.h"
#include "workflow/saga.h"

enum { SAGAS = 20000, MAX_EVENTS = 3000, COMPLETE_BY_MS = 300000 };

/* What the peers know of one saga. */
typedef struct World {
  bool account_refuses, package_foreign, no_drone_ever, delivery_conflicts;
  int busy_rounds; /* AssignDrone finds all drones busy so often */
  bool package, assigned, assignment_ended, delivery, delivery_cancelled, picked_up;
  int assignments; /* times a drone was really given */
  int64_t pickup_at_ms;
  int terms_delivery, terms_drone; /* 0: old, 1: new */
} World;

typedef struct Sim {
  SkySeededRandom chance;
  SagaPolicy policy;
  World world;
  Saga saga, stored; /* in memory, and what a crash leaves */
  SagaEffect effect;
  int64_t now_ms;
  SagaStep last_undone;
  int terms_order;
  double loss, crash;
  int started, completed, ended; /* news that were stored */
} Sim;

static bool happens(Sim *sim, double probability) {
  return sky_random_unit(&sim->chance.random) < probability;
}

static void age_world(Sim *sim) {
  World *world = &sim->world;
  if (world->delivery && !world->delivery_cancelled && world->assigned && !world->assignment_ended &&
      world->pickup_at_ms != 0 && sim->now_ms >= world->pickup_at_ms)
    world->picked_up = true;
}

static SagaEvent refused(const char *code) {
  return (SagaEvent){.kind = SAGA_EVENT_REFUSED, .code = code};
}

static const SagaEvent fine = {.kind = SAGA_EVENT_OK};

static SagaEvent assign(World *world) {
  if (world->assignment_ended)
    return refused("ASSIGNMENT_ENDED");
  if (world->assigned)
    return fine;
  if (world->no_drone_ever)
    return refused(SAGA_NO_DRONE_IN_WINDOW);
  if (world->busy_rounds-- > 0)
    return (SagaEvent){
        .kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .definite = true, .retry_after_ms = 500};
  world->assigned = true;
  world->assignments++;
  return fine;
}

static SagaEvent put_delivery(Sim *sim, World *world) {
  if (world->delivery_conflicts || world->delivery_cancelled)
    return refused("DELIVERY_CONFLICT");
  ck_assert_msg(world->assigned && world->package, "a delivery without drone or package");
  world->delivery = true;
  if (world->pickup_at_ms == 0)
    world->pickup_at_ms = sim->now_ms + (int64_t)(sky_random_unit(&sim->chance.random) * 20000);
  return fine;
}

static SagaEvent call(Sim *sim, World *world, SagaStep step) {
  switch (step) {
  case SAGA_ACCOUNT:
    return world->account_refuses ? refused("ACCOUNT_SUSPENDED") : fine;
  case SAGA_TRANSPORT:
    return sim->saga.carrier_forced ? refused(SAGA_NO_CARRIER) : (SagaEvent){.kind = SAGA_EVENT_OK, .skipped = true};
  case SAGA_PACKAGE:
    world->package = true;
    return (SagaEvent){.kind = SAGA_EVENT_OK, .created = !world->package_foreign};
  case SAGA_DRONE:
    return assign(world);
  default:
    return put_delivery(sim, world);
  }
}

static SagaEvent undo(Sim *sim, World *world, SagaStep step) {
  sim->last_undone = step;
  switch (step) {
  case SAGA_PACKAGE:
    world->package = world->package_foreign;
    return fine;
  case SAGA_DRONE:
    if (world->picked_up)
      return refused(SAGA_ALREADY_PICKED_UP);
    world->assignment_ended = true;
    return fine;
  default:
    if (world->picked_up)
      return refused(SAGA_ALREADY_PICKED_UP);
    world->delivery_cancelled = true;
    return fine;
  }
}

static SagaEvent change_terms(World *world, bool of_drone, int terms) {
  if (world->picked_up)
    return refused(SAGA_ALREADY_PICKED_UP);
  if (of_drone && terms == 1 && world->no_drone_ever)
    return refused(SAGA_NO_DRONE_IN_WINDOW);
  *(of_drone ? &world->terms_drone : &world->terms_delivery) = terms;
  return fine;
}

static SagaEvent perform(Sim *sim, World *world) {
  age_world(sim);
  switch (sim->effect.action) {
  case SAGA_DO_CALL:
    return call(sim, world, sim->effect.step);
  case SAGA_DO_UNDO:
    return undo(sim, world, sim->effect.step);
  case SAGA_DO_CHANGE:
    return change_terms(world, false, 1);
  case SAGA_DO_CHANGE_DRONE:
    return change_terms(world, true, 1);
  case SAGA_DO_REVERT_DRONE:
    return change_terms(world, true, 0);
  default:
    return change_terms(world, false, 0);
  }
}

static void check_undone_in_reverse(Sim *sim) {
  for (SagaStep step = SAGA_PACKAGE; step < SAGA_STEP_END; step++)
    if (sim->effect.action == SAGA_DO_UNDO && step > sim->effect.step)
      ck_assert_msg(sim->saga.steps[step].state != SAGA_STEP_DONE, "step %d is undone before step %d",
                    (int)sim->effect.step, (int)step);
}

static void store(Sim *sim) {
  sim->started += sim->saga.news.started;
  sim->completed += sim->saga.news.completed;
  sim->ended += sim->saga.news.compensated + sim->saga.news.failed;
  sim->saga.news = (SagaNews){0};
  sim->stored = sim->saga;
}

static void send(Sim *sim, SagaEvent event, uint32_t serial) {
  event.serial = serial;
  const SagaEffect effect = saga_step(&sim->saga, &event, &sim->policy, sim->now_ms);
  if (effect.apply_change)
    sim->terms_order = 1;
  if (effect.persist && happens(sim, sim->crash)) { /* before the store had it */
    sim->saga = sim->stored;
    event = (SagaEvent){.kind = SAGA_EVENT_RESUME};
    if (sim->saga.state == SAGA_NEW) /* the order is delivered again */
      event = (SagaEvent){.kind = SAGA_EVENT_BEGIN, .complete_by_ms = COMPLETE_BY_MS};
    sim->now_ms += 3000;
    sim->effect = saga_step(&sim->saga, &event, &sim->policy, sim->now_ms);
    store(sim);
  } else {
    if (effect.persist)
      store(sim);
    if (effect.action != SAGA_DO_NOTHING)
      sim->effect = effect;
  }
  check_undone_in_reverse(sim);
}

static void crash(Sim *sim) {
  sim->saga = sim->stored;
  sim->now_ms += 3000;
  send(sim, (SagaEvent){.kind = SAGA_EVENT_RESUME}, 0);
}

static void answer(Sim *sim) {
  const uint32_t serial = sim->effect.serial;
  sim->now_ms += 1 + (int64_t)(sky_random_unit(&sim->chance.random) * 50);
  const bool request_lost = happens(sim, sim->loss);
  SagaEvent event = {.kind = SAGA_EVENT_TROUBLE, .code = "UNAVAILABLE"};
  if (!request_lost)
    event = perform(sim, &sim->world);
  if (happens(sim, sim->crash)) {
    crash(sim);
    return;
  }
  if (!request_lost && happens(sim, sim->loss)) /* the answer is lost */
    event = (SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "DEADLINE_EXCEEDED"};
  send(sim, event, serial);
  if (happens(sim, 0.1)) /* comes twice */
    send(sim, event, serial);
}

static void let_owner_act(Sim *sim, double cancels, double changes) {
  if (happens(sim, cancels))
    send(sim, (SagaEvent){.kind = SAGA_EVENT_CANCEL, .code = SAGA_CANCELLED_BY_OWNER}, 0);
  if (saga_can_change(&sim->saga) && happens(sim, changes))
    send(sim, (SagaEvent){.kind = SAGA_EVENT_CHANGE, .needs_drone = true}, 0);
}

static void advance(Sim *sim) {
  if (sim->effect.action == SAGA_DO_WAIT) {
    sim->now_ms = sim->now_ms > sim->effect.until_ms ? sim->now_ms : sim->effect.until_ms;
    send(sim, (SagaEvent){.kind = SAGA_EVENT_TIMER}, sim->effect.serial);
  } else if (sim->effect.action != SAGA_DO_REST) {
    answer(sim);
  }
}

static void check_nothing_left(const Sim *sim) {
  const World *world = &sim->world;
  ck_assert_msg(!world->assigned || world->assignment_ended, "a drone stays bound");
  ck_assert_msg(!world->delivery || world->delivery_cancelled, "a delivery stays");
  ck_assert_msg(!world->package || world->package_foreign, "a package stays");
  ck_assert_msg(!world->picked_up, "undone after pickup");
  ck_assert_int_eq(sim->ended, 1);
}

static void check_complete(const Sim *sim) {
  const World *world = &sim->world;
  ck_assert(world->package && world->assigned && world->delivery);
  ck_assert(!world->assignment_ended && !world->delivery_cancelled);
  ck_assert_int_eq(sim->completed, 1);
  ck_assert_int_eq(sim->ended, 0);
  if (!world->picked_up) {
    ck_assert_int_eq(world->terms_delivery, world->terms_drone);
  }
}

static void simulate(uint64_t seed) {
  Sim sim = {.now_ms = 1};
  sky_seeded_random_init(&sim.chance, seed);
  sim.policy = (SagaPolicy){.backoff = saga_default_backoff,
                            .max_retry_after_ms = 30000,
                            .change_timeout_ms = 60000,
                            .random = &sim.chance.random};
  sim.loss = happens(&sim, 0.5) ? sky_random_unit(&sim.chance.random) * 0.6 : 0;
  sim.crash = happens(&sim, 0.5) ? sky_random_unit(&sim.chance.random) * 0.2 : 0;
  sim.world = (World){.account_refuses = happens(&sim, 0.05),
                      .package_foreign = happens(&sim, 0.1),
                      .no_drone_ever = happens(&sim, 0.1),
                      .delivery_conflicts = happens(&sim, 0.05),
                      .busy_rounds = happens(&sim, 0.3) ? (int)(sky_random_unit(&sim.chance.random) * 2000) : 0};
  sim.world.package = sim.world.package_foreign;
  const double cancels = happens(&sim, 0.4) ? 0.1 : 0;
  const double changes = happens(&sim, 0.4) ? 0.1 : 0;
  saga_init(&sim.saga);
  sim.stored = sim.saga;
  if (happens(&sim, 0.05))
    let_owner_act(&sim, 1, 0);
  send(&sim, (SagaEvent){.kind = SAGA_EVENT_BEGIN, .complete_by_ms = COMPLETE_BY_MS}, 0);
  int events = 0;
  for (; sim.effect.action != SAGA_DO_REST || sim.saga.state == SAGA_NEW; events++) {
    ck_assert_msg(events < MAX_EVENTS, "seed %llu does not end", (unsigned long long)seed);
    let_owner_act(&sim, cancels, changes);
    advance(&sim);
  }
  age_world(&sim);
  for (int i = 0; i < 20 && sim.saga.state == SAGA_COMPLETED; i++) { /* and still until pickup, and after it */
    sim.now_ms += 1000;
    let_owner_act(&sim, cancels, changes);
    while (sim.effect.action != SAGA_DO_REST) {
      ck_assert_msg(events++ < MAX_EVENTS, "seed %llu does not end", (unsigned long long)seed);
      advance(&sim);
    }
  }
  ck_assert_int_le(sim.world.assignments, 1);
  ck_assert_int_eq(sim.started, 1);
  if (sim.saga.state == SAGA_COMPLETED)
    check_complete(&sim);
  else if (sim.completed == 0 || saga_is_over(&sim.saga))
    check_nothing_left(&sim);
}

static void simulate_range(uint64_t first) {
  for (uint64_t seed = first; seed < first + SAGAS / 4; seed++)
    simulate(seed);
}

START_TEST(every_saga_ends_and_leaves_nothing_half_done_1) {
  simulate_range(1);
}
END_TEST

START_TEST(every_saga_ends_and_leaves_nothing_half_done_2) {
  simulate_range(1000000);
}
END_TEST

START_TEST(every_saga_ends_and_leaves_nothing_half_done_3) {
  simulate_range(2000000);
}
END_TEST

START_TEST(every_saga_ends_and_leaves_nothing_half_done_4) {
  simulate_range(3000000);
}
END_TEST

SKY_CHECK_MAIN("workflow/saga-sim", every_saga_ends_and_leaves_nothing_half_done_1,
               every_saga_ends_and_leaves_nothing_half_done_2, every_saga_ends_and_leaves_nothing_half_done_3,
               every_saga_ends_and_leaves_nothing_half_done_4)
