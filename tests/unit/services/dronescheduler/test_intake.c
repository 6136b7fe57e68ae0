/* Telemetry frames: what they change in memory and what must be stored before they are acknowledged. */
#include "intake.h"

#include <string.h>

#include "fleet_fixture.h"

#define DELIVERY "00000000-0000-4000-8000-00000000000a"

static Fleet fleet;
static FleetDrone *drone;
static IntakeEffects effects;

static void setup(void) {
  ck_assert_ptr_null(fleet_init(&fleet));
  drone = fixture_drone(&fleet, "drone-1", fixture_base(&fleet, "home", fixture_seattle));
}

static void teardown(void) {
  fleet_finish(&fleet);
}

static void give_mission(void) {
  drone->life.busy = true;
  drone->life.mission = (LifeMission){.revision = 1, .version = 1};
  strcpy(drone->life.mission.delivery_id, DELIVERY);
  drone->life.mission.pickup = (LifePlace){.point = fixture_at(90, 1000), .known = true};
  drone->life.mission.dropoff = (LifePlace){.point = fixture_at(90, 3000), .known = true};
  fleet_refresh(&fleet, drone);
}

static IntakeFrame frame_at(uint64_t sequence, SkyPoint point) {
  return (IntakeFrame){
      .stream = 1, .sequence = sequence, .observe_ms = FIXTURE_NOW_MS, .place = {.point = point, .known = true}};
}

static IntakeFrame phase_frame(uint64_t sequence, LifePhase phase) {
  IntakeFrame frame = frame_at(sequence, fixture_at(90, 1000));
  frame.phase = phase;
  frame.revision = 1;
  strcpy(frame.delivery_id, DELIVERY);
  return frame;
}

static IntakeResult take(IntakeFrame frame) {
  return intake_take(&fleet, drone, &frame, FIXTURE_NOW_MS, 1000, &effects);
}

START_TEST(repeats_old_and_late_frames_move_nothing) {
  ck_assert_int_eq(take(frame_at(5, fixture_at(0, 100))), INTAKE_TAKEN);
  ck_assert(effects.moved);
  const SkyPoint where = drone->place.point;
  ck_assert_int_eq(take(frame_at(5, fixture_at(0, 200))), INTAKE_REPEATED);
  ck_assert_int_eq(take(frame_at(4, fixture_at(0, 200))), INTAKE_REPEATED);
  IntakeFrame late = frame_at(6, fixture_at(0, 200));
  late.observe_ms -= INTAKE_LATE_MS + 1;
  ck_assert_int_eq(take(late), INTAKE_LATE);
  ck_assert(!effects.moved && !effects.durable);
  ck_assert_double_eq(drone->place.point.latitude, where.latitude);
  ck_assert_uint_eq(drone->dropped_count, 3);
  late.observe_ms++;
  ck_assert_int_eq(take(late), INTAKE_TAKEN);
}
END_TEST

START_TEST(a_late_phase_is_dropped_too) {
  give_mission();
  IntakeFrame late = phase_frame(1, LIFE_PHASE_TO_PICKUP);
  late.observe_ms -= INTAKE_LATE_MS + 1;
  ck_assert_int_eq(take(late), INTAKE_LATE);
  ck_assert(!effects.durable);
}
END_TEST

START_TEST(a_delta_needs_the_key_frame_of_its_stream) {
  IntakeFrame delta = frame_at(2, fixture_at(0, 50));
  delta.delta = true;
  ck_assert_int_eq(take(delta), INTAKE_KEY_NEEDED);
  ck_assert_int_eq(take(frame_at(1, fixture_at(0, 10))), INTAKE_TAKEN);
  delta.has_battery = true;
  delta.battery_fraction = 0.5;
  delta.place.known = false;
  const SkyPoint where = drone->place.point;
  ck_assert_int_eq(take(delta), INTAKE_TAKEN);
  ck_assert_double_eq(drone->battery_fraction, 0.5);
  ck_assert_double_eq(drone->place.point.latitude, where.latitude); /* what is missing is as it was */
  delta.sequence = 3;
  delta.stream = 2;
  ck_assert_int_eq(take(delta), INTAKE_KEY_NEEDED);
}
END_TEST

START_TEST(a_phase_must_be_stored_and_counts_until_it_is_even_under_the_same_number) {
  give_mission();
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_TO_PICKUP)), INTAKE_TAKEN);
  ck_assert(effects.durable);
  ck_assert_int_eq(effects.event.phase, LIFE_PHASE_TO_PICKUP);
  ck_assert_str_eq(effects.event.delivery_id, DELIVERY);
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_TO_PICKUP)), INTAKE_TAKEN); /* the store was away: sent again */
  ck_assert(effects.durable);
  LifeFacts facts;
  ck_assert_int_eq(life_step(&drone->life, &effects.event, FIXTURE_NOW_MS, &facts), LIFE_CHANGED);
  life_apply(&drone->life, &facts.fact[0]);
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_TO_PICKUP)), INTAKE_REPEATED);
  ck_assert(!effects.durable);
  ck_assert_int_eq(take(phase_frame(2, LIFE_PHASE_TO_PICKUP)), INTAKE_TAKEN);
  ck_assert(!effects.durable);
}
END_TEST

START_TEST(what_lies_between_two_milestones_is_kept_in_memory_only) {
  give_mission();
  LifeFacts facts;
  take(phase_frame(1, LIFE_PHASE_TO_PICKUP));
  ck_assert_int_eq(life_step(&drone->life, &effects.event, FIXTURE_NOW_MS, &facts), LIFE_CHANGED);
  life_apply(&drone->life, &facts.fact[0]);
  ck_assert_int_eq(take(phase_frame(2, LIFE_PHASE_AT_PICKUP)), INTAKE_TAKEN);
  ck_assert(!effects.durable);
  ck_assert_int_eq(drone->life.mission.phase, LIFE_PHASE_AT_PICKUP);
  ck_assert_int_eq(take(phase_frame(3, LIFE_PHASE_AT_DROPOFF)), INTAKE_TAKEN); /* with PICKED_UP before it */
  ck_assert(effects.durable);
  ck_assert_int_eq(drone->life.mission.phase, LIFE_PHASE_AT_PICKUP);
}
END_TEST

START_TEST(after_a_phase_that_was_refused_nothing_later_of_its_stream_is_acknowledged) {
  give_mission();
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_TO_PICKUP)), INTAKE_TAKEN);
  intake_refuse(drone, 1, &effects.event); /* there was no room for it, or no store */
  ck_assert_int_eq(take(frame_at(2, fixture_at(0, 10))), INTAKE_RETRY);
  ck_assert(effects.moved);
  ck_assert_int_eq(take(phase_frame(2, LIFE_PHASE_AT_PICKUP)), INTAKE_RETRY);
  ck_assert(!effects.durable);
  ck_assert_int_eq(drone->life.mission.phase, LIFE_PHASE_NONE);
  IntakeFrame other = frame_at(3, fixture_at(0, 20));
  other.stream = 2;
  ck_assert_int_eq(take(other), INTAKE_TAKEN); /* a new stream begins with all phases */
  ck_assert_int_eq(take(phase_frame(4, LIFE_PHASE_TO_PICKUP)), INTAKE_TAKEN);
  ck_assert(effects.durable);
  ck_assert_int_eq(take(frame_at(5, fixture_at(0, 30))), INTAKE_TAKEN);
}
END_TEST

START_TEST(while_an_earlier_phase_is_being_stored_a_later_one_is_not_judged) {
  give_mission();
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_RETURNING)), INTAKE_INVALID);
  ck_assert_int_eq(take(phase_frame(2, LIFE_PHASE_DELIVERED)), INTAKE_TAKEN);
  drone->held = true; /* the writer stores DELIVERED at this moment */
  ck_assert_int_eq(take(phase_frame(3, LIFE_PHASE_RETURNING)), INTAKE_TAKEN);
  ck_assert(effects.durable);
}
END_TEST

START_TEST(what_cannot_be_is_invalid_but_the_position_counts) {
  ck_assert_int_eq(take(phase_frame(1, LIFE_PHASE_TO_PICKUP)), INTAKE_INVALID);
  ck_assert(!effects.durable);
  ck_assert_double_eq_tol(sky_geo_distance_m(drone->place.point, fixture_at(90, 1000)), 0, 0.1);
}
END_TEST

START_TEST(positions_are_published_at_most_once_per_interval_and_only_on_a_mission) {
  take(frame_at(1, fixture_at(0, 10)));
  ck_assert(!effects.publish);
  give_mission();
  take(frame_at(2, fixture_at(0, 10))); /* it has not left yet */
  ck_assert(!effects.publish);
  drone->life.mission.phase = LIFE_PHASE_TO_PICKUP;
  IntakeFrame frame = frame_at(2, fixture_at(0, 20));
  for (int i = 0; i < 30; i++) {
    frame.sequence++;
    ck_assert_int_eq(intake_take(&fleet, drone, &frame, FIXTURE_NOW_MS + i * 100, 1000, &effects), INTAKE_TAKEN);
    ck_assert(effects.publish == (i % 10 == 0));
  }
  drone->life.mission.phase = LIFE_PHASE_DELIVERED; /* nobody waits for it any more */
  frame.sequence++;
  ck_assert_int_eq(intake_take(&fleet, drone, &frame, FIXTURE_NOW_MS + 9000, 1000, &effects), INTAKE_TAKEN);
  ck_assert(!effects.publish);
}
END_TEST

START_TEST(the_way_flown_is_measured_on_a_mission_and_the_way_left_to_the_next_stop) {
  take(frame_at(1, fixture_at(90, 100)));
  ck_assert_double_eq(drone->flown_m, 0);
  give_mission();
  take(frame_at(2, fixture_at(90, 400)));
  ck_assert_double_eq_tol(drone->flown_m, 300, 1);
  ck_assert_double_eq_tol(intake_remaining_m(drone), 600, 1);
  drone->life.mission.phase = LIFE_PHASE_PICKED_UP;
  ck_assert_double_eq_tol(intake_remaining_m(drone), 2600, 1);
  drone->life.mission.phase = LIFE_PHASE_DELIVERED;
  ck_assert_double_eq_tol(intake_remaining_m(drone), 400, 1);
}
END_TEST

START_TEST(one_called_off_is_free_when_it_stands_at_home) {
  drone->life.homing = true;
  IntakeFrame frame = frame_at(1, fixture_at(0, 10));
  frame.flight_mode = 3;
  take(frame);
  ck_assert(drone->life.homing);
  frame.flight_mode = INTAKE_LANDED;
  frame.sequence = 2;
  strcpy(frame.delivery_id, DELIVERY); /* still believes it flies it */
  take(frame);
  ck_assert(drone->life.homing);
  frame.delivery_id[0] = '\0';
  frame.sequence = 3;
  take(frame);
  ck_assert(!drone->life.homing);
  ck_assert(drone->item.inside);
}
END_TEST

START_TEST(a_fault_must_be_stored_once) {
  IntakeFrame frame = frame_at(1, fixture_at(0, 10));
  frame.health_failed = true;
  ck_assert_int_eq(take(frame), INTAKE_TAKEN);
  ck_assert(effects.durable && effects.event.health_failed);
  drone->life.failed = true;
  frame.sequence = 2;
  ck_assert_int_eq(take(frame), INTAKE_TAKEN);
  ck_assert(!effects.durable);
}
END_TEST

SKY_CHECK_MAIN_WITH("dronescheduler/intake", setup, teardown, repeats_old_and_late_frames_move_nothing,
                    a_late_phase_is_dropped_too, a_delta_needs_the_key_frame_of_its_stream,
                    a_phase_must_be_stored_and_counts_until_it_is_even_under_the_same_number,
                    what_lies_between_two_milestones_is_kept_in_memory_only,
                    after_a_phase_that_was_refused_nothing_later_of_its_stream_is_acknowledged,
                    while_an_earlier_phase_is_being_stored_a_later_one_is_not_judged,
                    what_cannot_be_is_invalid_but_the_position_counts,
                    positions_are_published_at_most_once_per_interval_and_only_on_a_mission,
                    the_way_flown_is_measured_on_a_mission_and_the_way_left_to_the_next_stop,
                    one_called_off_is_free_when_it_stands_at_home, a_fault_must_be_stored_once)
