/* The flight of one delivery by one drone: every event in every phase, and that state is the fold of the log. */
#include "life.h"

#include <stdio.h>
#include <string.h>

#include "sky_check.h"

#define ID_A "00000000-0000-4000-8000-00000000000a"
#define ID_B "00000000-0000-4000-8000-00000000000b"

static Life life;
static LifeFacts facts;

static void reset(void) {
  life = (Life){0};
  facts.count = 0;
}

static LifeOutcome act(const LifeEvent *event) {
  const LifeOutcome outcome = life_step(&life, event, 1000, &facts);
  if (outcome == LIFE_CHANGED)
    ck_assert_uint_gt(facts.count, 0);
  else
    ck_assert_uint_eq(facts.count, 0);
  for (size_t i = 0; i < facts.count; i++)
    life_apply(&life, &facts.fact[i]);
  return outcome;
}

static LifeEvent assignment(const char *id, uint64_t revision) {
  LifeEvent event = {.kind = LIFE_ASSIGN, .mission = {.revision = revision, .distance_m = 900}};
  strcpy(event.mission.delivery_id, id);
  strcpy(event.mission.owner_id, "owner");
  return event;
}

static LifeEvent report(const char *id, uint64_t revision, LifePhase phase) {
  LifeEvent event = {.kind = LIFE_REPORT, .revision = revision, .phase = phase, .flown_m = 500};
  strcpy(event.delivery_id, id);
  return event;
}

static LifeEvent releasing(const char *id) {
  LifeEvent event = {.kind = LIFE_RELEASE};
  strcpy(event.delivery_id, id);
  return event;
}

static LifeOutcome assign(const char *id, uint64_t revision) {
  const LifeEvent event = assignment(id, revision);
  return act(&event);
}

static LifeOutcome say(const char *id, uint64_t revision, LifePhase phase) {
  const LifeEvent event = report(id, revision, phase);
  return act(&event);
}

static LifeOutcome release(const char *id) {
  const LifeEvent event = releasing(id);
  return act(&event);
}

START_TEST(a_mission_is_flown_phase_by_phase_and_its_milestones_have_consecutive_versions) {
  reset();
  ck_assert_int_eq(assign(ID_A, 1), LIFE_CHANGED);
  ck_assert_uint_eq(life.mission.version, 1);
  uint64_t version = 1;
  for (LifePhase phase = LIFE_PHASE_TO_PICKUP; phase < LIFE_PHASE_ENDED; phase++) {
    ck_assert_int_eq(say(ID_A, 1, phase), LIFE_CHANGED);
    ck_assert_uint_eq(facts.count, 1);
    ck_assert_int_eq(facts.fact[0].mission.phase, phase);
    ck_assert_int_eq(facts.fact[0].previous_phase, phase - 1);
    ck_assert(facts.fact[0].passing == life_is_passing(phase));
    version += life_is_passing(phase) ? 0 : 1;
    ck_assert_uint_eq(facts.fact[0].mission.version, version);
    ck_assert_int_eq(say(ID_A, 1, phase), LIFE_SAME);
  }
  ck_assert_int_eq(say(ID_A, 1, LIFE_PHASE_ENDED), LIFE_CHANGED);
  ck_assert_uint_eq(facts.count, 2);
  ck_assert(facts.fact[0].passing);
  ck_assert_int_eq(facts.fact[1].kind, LIFE_RELEASED);
  ck_assert(facts.fact[1].completed);
  ck_assert_uint_eq(facts.fact[1].mission.version, version + 1);
  ck_assert_double_eq(facts.fact[1].distance_m, 900); /* flown to the end: at least what was planned */
  ck_assert(!life.busy && !life.homing);
  ck_assert_int_eq(say(ID_A, 1, LIFE_PHASE_ENDED), LIFE_SAME); /* its acknowledgement was lost */
}
END_TEST

START_TEST(from_every_phase_only_later_phases_count) {
  for (int from = LIFE_PHASE_NONE; from <= LIFE_PHASE_RETURNING; from++) {
    for (int to = LIFE_PHASE_TO_PICKUP; to <= LIFE_PHASE_ENDED; to++) {
      reset();
      assign(ID_A, 1);
      if (from >= LIFE_PHASE_RETURNING)
        say(ID_A, 1, LIFE_PHASE_DELIVERED);
      if (from != LIFE_PHASE_NONE)
        ck_assert_int_eq(say(ID_A, 1, (LifePhase)from), LIFE_CHANGED);
      const bool unexplained = to > LIFE_PHASE_DELIVERED && from < LIFE_PHASE_DELIVERED;
      const LifeOutcome expected = to <= from ? LIFE_SAME : unexplained ? LIFE_IMPOSSIBLE : LIFE_CHANGED;
      ck_assert_msg(say(ID_A, 1, (LifePhase)to) == expected, "from %d to %d", from, to);
      if (expected == LIFE_CHANGED && to != LIFE_PHASE_ENDED)
        ck_assert_int_eq((int)life.mission.phase, to);
    }
  }
}
END_TEST

START_TEST(milestones_whose_frames_were_lost_are_filled_in) {
  reset();
  assign(ID_A, 1);
  ck_assert_int_eq(say(ID_A, 1, LIFE_PHASE_AT_DROPOFF), LIFE_CHANGED);
  const LifePhase expected[] = {LIFE_PHASE_TO_PICKUP, LIFE_PHASE_PICKED_UP, LIFE_PHASE_AT_DROPOFF};
  ck_assert_uint_eq(facts.count, 3);
  for (size_t i = 0; i < 3; i++) {
    ck_assert_int_eq(facts.fact[i].mission.phase, expected[i]);
    ck_assert_uint_eq(facts.fact[i].mission.version, i < 2 ? i + 2 : 3); /* the last is passing */
    ck_assert(facts.fact[i].passing == (i == 2));
  }
}
END_TEST

START_TEST(a_drone_never_gets_a_second_delivery) {
  reset();
  assign(ID_A, 1);
  ck_assert_int_eq(assign(ID_A, 1), LIFE_SAME);
  ck_assert_int_eq(assign(ID_B, 1), LIFE_IMPOSSIBLE);
  ck_assert_int_eq(say(ID_B, 1, LIFE_PHASE_TO_PICKUP), LIFE_IMPOSSIBLE);
  ck_assert_int_eq(release(ID_B), LIFE_SAME);
  ck_assert(life.busy);
}
END_TEST

START_TEST(release_before_the_start_frees_at_once_in_the_air_it_flies_home_after_pickup_it_is_too_late) {
  for (int phase = LIFE_PHASE_NONE; phase <= LIFE_PHASE_RETURNING; phase++) {
    reset();
    assign(ID_A, 1);
    if (phase >= LIFE_PHASE_RETURNING)
      say(ID_A, 1, LIFE_PHASE_DELIVERED);
    if (phase != LIFE_PHASE_NONE)
      say(ID_A, 1, (LifePhase)phase);
    const bool late = phase >= LIFE_PHASE_PICKED_UP;
    ck_assert_int_eq(release(ID_A), late ? LIFE_TOO_LATE : LIFE_CHANGED);
    ck_assert(life.busy == late);
    ck_assert(life.homing == (!late && phase != LIFE_PHASE_NONE));
    if (!late)
      ck_assert_int_eq(release(ID_A), LIFE_SAME);
  }
}
END_TEST

START_TEST(new_terms_start_the_flight_anew_and_old_frames_say_nothing) {
  reset();
  assign(ID_A, 1);
  say(ID_A, 1, LIFE_PHASE_TO_PICKUP);
  const uint64_t version = life.mission.version;
  ck_assert_int_eq(assign(ID_A, 2), LIFE_CHANGED);
  ck_assert_int_eq(life.mission.phase, LIFE_PHASE_NONE);
  ck_assert_uint_eq(life.mission.version, version + 1);
  ck_assert_int_eq(say(ID_A, 1, LIFE_PHASE_PICKED_UP), LIFE_SAME);
  ck_assert_int_eq(say(ID_A, 3, LIFE_PHASE_PICKED_UP), LIFE_IMPOSSIBLE);
  ck_assert_int_eq(say(ID_A, 2, LIFE_PHASE_PICKED_UP), LIFE_CHANGED);
  ck_assert_int_eq(assign(ID_A, 3), LIFE_TOO_LATE);
}
END_TEST

START_TEST(a_fault_ends_the_mission_and_says_whether_the_package_is_on_board) {
  for (int phase = LIFE_PHASE_NONE; phase <= LIFE_PHASE_RETURNING; phase++) {
    reset();
    assign(ID_A, 1);
    if (phase >= LIFE_PHASE_RETURNING)
      say(ID_A, 1, LIFE_PHASE_DELIVERED);
    if (phase != LIFE_PHASE_NONE)
      say(ID_A, 1, (LifePhase)phase);
    LifeEvent event = report("", 0, LIFE_PHASE_NONE);
    event.health_failed = true;
    life_reason_set(&event.reason, "MOTOR", "motor 3 stands still");
    ck_assert_int_eq(act(&event), LIFE_CHANGED);
    const bool delivered = phase >= LIFE_PHASE_DELIVERED;
    const LifeFact *last = &facts.fact[facts.count - 1];
    ck_assert_int_eq(last->kind, LIFE_FAILED);
    ck_assert(last->package_on_board == (phase >= LIFE_PHASE_PICKED_UP && !delivered));
    ck_assert(facts.fact[facts.count - 2].completed == delivered);
    ck_assert_uint_eq(facts.count, delivered ? 2 : 3);
    ck_assert(life.failed && !life.busy);
    ck_assert_str_eq(life.fault.code, "MOTOR");
    ck_assert_int_eq(act(&event), LIFE_SAME);
    ck_assert_int_eq(assign(ID_B, 1), LIFE_IMPOSSIBLE);
  }
}
END_TEST

START_TEST(a_lost_drone_fails_only_with_a_delivery) {
  reset();
  const LifeEvent lost = {.kind = LIFE_LOSE};
  ck_assert_int_eq(act(&lost), LIFE_SAME);
  assign(ID_A, 1);
  ck_assert_int_eq(act(&lost), LIFE_CHANGED);
  ck_assert(life.failed);
}
END_TEST

/* Random events: facts folded from nothing give the same state, versions never jump, and no two deliveries overlap. */
START_TEST(any_history_folds_to_the_same_state) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 7);
  for (int round = 0; round < 2000; round++) {
    reset();
    Life again = {0};
    char last_id[SKY_UUID_TEXT_SIZE] = "";
    uint64_t last_version = 0;
    for (int step = 0; step < 40; step++) {
      const uint64_t dice = sky_random_uint64(&random.random);
      char id[SKY_UUID_TEXT_SIZE];
      snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012u", (unsigned)(dice % 3));
      const uint64_t revision = 1 + (dice >> 8) % 3;
      LifeEvent event = (dice >> 16) % 4 == 0   ? assignment(id, revision)
                        : (dice >> 16) % 4 == 1 ? releasing(id)
                                                : report(id, revision, (LifePhase)((dice >> 24) % 11));
      act(&event);
      for (size_t i = 0; i < facts.count; i++) {
        const LifeFact *fact = &facts.fact[i];
        life_apply(&again, fact);
        if (fact->kind == LIFE_FAILED)
          continue;
        if (strcmp(last_id, fact->mission.delivery_id) == 0 && fact->mission.version != 1)
          ck_assert_uint_eq(fact->mission.version, last_version + (fact->passing ? 0 : 1));
        strcpy(last_id, fact->mission.delivery_id);
        last_version = fact->mission.version;
      }
      ck_assert_mem_eq(&again, &life, sizeof(life));
      if (life.failed || life.homing)
        reset(), again = life;
    }
  }
}
END_TEST

SKY_CHECK_MAIN("dronescheduler/life", a_mission_is_flown_phase_by_phase_and_its_milestones_have_consecutive_versions,
               from_every_phase_only_later_phases_count, milestones_whose_frames_were_lost_are_filled_in,
               a_drone_never_gets_a_second_delivery,
               release_before_the_start_frees_at_once_in_the_air_it_flies_home_after_pickup_it_is_too_late,
               new_terms_start_the_flight_anew_and_old_frames_say_nothing,
               a_fault_ends_the_mission_and_says_whether_the_package_is_on_board,
               a_lost_drone_fails_only_with_a_delivery, any_history_folds_to_the_same_state)
