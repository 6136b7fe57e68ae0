#include <sky/core/context.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "sky_check.h"

static const char *const example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

START_TEST(traceparent_of_the_recommendation) {
  SkyTrace trace;
  char text[SKY_TRACEPARENT_SIZE];
  ck_assert(sky_trace_parse(sky_str(example), &trace));
  ck_assert_uint_eq(trace.trace_id[0], 0x4b);
  ck_assert_uint_eq(trace.span_id[7], 0xb7);
  ck_assert_uint_eq(trace.flags, 1);
  sky_trace_format(&trace, text);
  ck_assert_str_eq(text, example);
}
END_TEST

START_TEST(later_versions_are_read_as_far_as_known) {
  SkyTrace trace;
  ck_assert(sky_trace_parse(SKY_STR("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff"), &trace));
  ck_assert_uint_eq(trace.flags, 1);
  ck_assert(sky_trace_parse(SKY_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more"), &trace));
  ck_assert_uint_eq(trace.flags, 0);
  ck_assert(!sky_trace_parse(SKY_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00.more"), &trace));
}
END_TEST

START_TEST(broken_traceparents_are_refused) {
  static const char *const wrong[] = {"",
                                      "00",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
                                      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e47-6-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    SkyTrace trace = {.flags = 77};
    ck_assert_msg(!sky_trace_parse(sky_str(wrong[i]), &trace), "%s", wrong[i]);
    ck_assert_uint_eq(trace.flags, 77);
  }
}
END_TEST

START_TEST(a_child_keeps_the_trace_and_has_its_own_span) {
  SkyTrace parent;
  ck_assert(sky_trace_parse(SKY_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), &parent));
  const SkyTrace child = sky_trace_child(&parent);
  ck_assert_mem_eq(child.trace_id, parent.trace_id, 16);
  ck_assert_mem_ne(child.span_id, parent.span_id, 8);
  ck_assert_uint_eq(child.flags, 0);
  const SkyTrace invalid = {.flags = 0};
  const SkyTrace root = sky_trace_child(&invalid), other = sky_trace_child(NULL);
  ck_assert(sky_trace_is_valid(&root) && sky_trace_is_valid(&other));
  ck_assert_uint_eq(root.flags, 1);
  ck_assert_mem_ne(root.trace_id, other.trace_id, 16);
}
END_TEST

START_TEST(background_has_no_end) {
  const SkyContext context = sky_context_background();
  ck_assert(sky_context_remaining_ms(&context) == INT64_MAX);
  ck_assert_ptr_null(sky_context_check(&context));
  ck_assert(sky_trace_is_valid(&context.trace));
}
END_TEST

START_TEST(the_earlier_deadline_wins) {
  const SkyContext background = sky_context_background();
  const SkyContext minute = sky_context_with_timeout_ms(&background, 60000);
  const SkyContext hour = sky_context_with_timeout_ms(&minute, 3600000);
  const SkyContext second = sky_context_with_timeout_ms(&minute, 1000);
  ck_assert(hour.deadline_ns == minute.deadline_ns);
  ck_assert(second.deadline_ns < minute.deadline_ns);
  ck_assert_int_le(sky_context_remaining_ms(&minute), 60000);
  ck_assert_int_gt(sky_context_remaining_ms(&minute), 50000);
  const SkyContext endless = sky_context_with_timeout_ms(&background, INT64_MAX);
  ck_assert(endless.deadline_ns == SKY_NO_DEADLINE);
}
END_TEST

START_TEST(past_its_deadline_a_context_says_so) {
  const SkyContext background = sky_context_background();
  static const int64_t timeouts_ms[] = {0, -1, INT64_MIN};
  for (size_t i = 0; i < 3; i++) {
    const SkyContext context = sky_context_with_timeout_ms(&background, timeouts_ms[i]);
    ck_assert_int_eq(sky_context_remaining_ms(&context), 0);
    SkyStatus status = sky_context_check(&context);
    ck_assert(sky_status_take(&status, SKY_CODE_DEADLINE_EXCEEDED));
  }
}
END_TEST

START_TEST(remaining_time_is_rounded_up) {
  SkyContext context = sky_context_background();
  context.deadline_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + 3600 * SKY_NS_PER_S + 1;
  ck_assert_int_gt(sky_context_remaining_ms(&context), 3590000);
  ck_assert_int_le(sky_context_remaining_ms(&context), 3600001);
}
END_TEST

START_TEST(cancellation_goes_before_the_deadline) {
  const SkyContext background = sky_context_background();
  SkyContext context = sky_context_with_timeout_ms(&background, 0);
  context.cancel = sky_cancel_create();
  SkyStatus status = sky_context_check(&context);
  ck_assert(sky_status_take(&status, SKY_CODE_DEADLINE_EXCEEDED));
  sky_cancel_trigger(context.cancel);
  const SkyContext child = sky_context_child(&context);
  status = sky_context_check(&child);
  ck_assert(sky_status_take(&status, SKY_CODE_CANCELLED));
  ck_assert_mem_eq(child.trace.trace_id, context.trace.trace_id, 16);
  ck_assert_mem_ne(child.trace.span_id, context.trace.span_id, 8);
  sky_cancel_unref(context.cancel);
}
END_TEST

static void count(void *user) {
  (*(atomic_int *)user)++;
}

START_TEST(listeners_run_once) {
  atomic_int first = 0, second = 0, late = 0;
  SkyCancel *cancel = sky_cancel_create();
  SkyCancelListener a = {.cancelled = count, .user = &first}, b = {.cancelled = count, .user = &second};
  SkyCancelListener c = {.cancelled = count, .user = &late};
  sky_cancel_add(cancel, &a);
  sky_cancel_add(cancel, &b);
  sky_cancel_remove(cancel, &b);
  ck_assert(!sky_cancel_is_set(cancel));
  sky_cancel_trigger(cancel);
  sky_cancel_trigger(cancel);
  ck_assert(sky_cancel_is_set(cancel));
  ck_assert_int_eq(first, 1);
  ck_assert_int_eq(second, 0);
  sky_cancel_add(cancel, &c);
  ck_assert_int_eq(late, 1);
  sky_cancel_remove(cancel, &a);
  sky_cancel_remove(cancel, &c);
  sky_cancel_unref(cancel);
}
END_TEST

START_TEST(without_a_cancel_nothing_happens) {
  atomic_int calls = 0;
  SkyCancelListener listener = {.cancelled = count, .user = &calls};
  sky_cancel_add(NULL, &listener);
  sky_cancel_remove(NULL, &listener);
  sky_cancel_unref(sky_cancel_ref(NULL));
  ck_assert(!sky_cancel_is_set(NULL));
  ck_assert_int_eq(calls, 0);
}
END_TEST

typedef struct SelfRemover {
  SkyCancel *cancel;
  SkyCancelListener listener;
  SkyCancelListener *other;
} SelfRemover;

static void remove_itself_and_another(void *user) {
  SelfRemover *self = user;
  sky_cancel_remove(self->cancel, &self->listener);
  sky_cancel_remove(self->cancel, self->other);
  SkyCancel *cancel = self->cancel;
  free(self); /* a listener may free its own memory */
  sky_cancel_unref(cancel);
}

START_TEST(a_listener_may_remove_itself_and_drop_the_last_reference) {
  atomic_int calls = 0;
  SkyCancelListener other = {.cancelled = count, .user = &calls};
  SelfRemover *self = malloc(sizeof(*self));
  *self = (SelfRemover){.cancel = sky_cancel_create(), .other = &other};
  self->listener = (SkyCancelListener){.cancelled = remove_itself_and_another, .user = self};
  SkyCancel *cancel = self->cancel;
  sky_cancel_add(cancel, &self->listener);
  sky_cancel_add(cancel, &other);
  sky_cancel_trigger(cancel);
  ck_assert_int_eq(calls, 0);
}
END_TEST

typedef struct Race {
  SkyCancel *cancel;
  pthread_barrier_t start;
} Race;

static void *trigger_on_start(void *user) {
  Race *race = user;
  pthread_barrier_wait(&race->start);
  sky_cancel_trigger(race->cancel);
  return NULL;
}

static void *add_and_remove_on_start(void *user) {
  Race *race = user;
  pthread_barrier_wait(&race->start);
  for (int i = 0; i < 50; i++) {
    int calls = 0; /* on this stack: a listener that still ran after remove() would be seen by the sanitizer */
    void (*plain_count)(void *) = count;
    atomic_int *counter = calloc(1, sizeof(*counter));
    SkyCancelListener listener = {.cancelled = plain_count, .user = counter};
    sky_cancel_add(race->cancel, &listener);
    sky_cancel_remove(race->cancel, &listener);
    calls = *counter;
    free(counter);
    ck_assert_int_le(calls, 1);
  }
  return NULL;
}

START_TEST(remove_waits_for_a_running_listener) {
  for (int round = 0; round < 100; round++) {
    Race race = {.cancel = sky_cancel_create()};
    pthread_barrier_init(&race.start, NULL, 4);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
      pthread_create(&threads[i], NULL, i < 2 ? add_and_remove_on_start : trigger_on_start, &race);
    for (int i = 0; i < 4; i++)
      pthread_join(threads[i], NULL);
    ck_assert(sky_cancel_is_set(race.cancel));
    pthread_barrier_destroy(&race.start);
    sky_cancel_unref(race.cancel);
  }
}
END_TEST

SKY_CHECK_MAIN("core/context", traceparent_of_the_recommendation, later_versions_are_read_as_far_as_known,
               broken_traceparents_are_refused, a_child_keeps_the_trace_and_has_its_own_span, background_has_no_end,
               the_earlier_deadline_wins, past_its_deadline_a_context_says_so, remaining_time_is_rounded_up,
               cancellation_goes_before_the_deadline, listeners_run_once, without_a_cancel_nothing_happens,
               a_listener_may_remove_itself_and_drop_the_last_reference, remove_waits_for_a_running_listener)
