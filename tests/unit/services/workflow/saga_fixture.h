/* A saga under test: events go in, the last effect is kept. Backoff without chance, so that times can be told. */
#pragma once

#include <string.h>

#include "sky_check.h"
#include "workflow/saga.h"

enum { COMPLETE_BY = 100000 };

static Saga saga;
static SagaEffect effect;
static int64_t now_ms;

static void fill_max(void *self, void *data, size_t size) {
  memset(data, 0xff, size);
}

static const SkyRandom no_chance = {.fill = fill_max};
static const SagaPolicy policy = {.backoff = {.initial_ms = 100, .max_ms = 1000, .multiplier = 2},
                                  .max_retry_after_ms = 30000,
                                  .change_timeout_ms = 5000,
                                  .random = &no_chance};

static inline void send(SagaEvent event) {
  event.serial = saga.serial;
  effect = saga_step(&saga, &event, &policy, now_ms);
  saga.news = effect.persist ? (SagaNews){0} : saga.news;
}

static inline void send_keeping_news(SagaEvent event) {
  event.serial = saga.serial;
  effect = saga_step(&saga, &event, &policy, now_ms);
}

static inline void begin(void) {
  send((SagaEvent){.kind = SAGA_EVENT_BEGIN, .complete_by_ms = COMPLETE_BY});
}

static inline void ok(void) {
  send((SagaEvent){.kind = SAGA_EVENT_OK, .created = saga.step == SAGA_PACKAGE});
}

static inline void refuse(const char *code) {
  send((SagaEvent){.kind = SAGA_EVENT_REFUSED, .code = code, .message = "no"});
}

static inline void trouble(void) {
  send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "UNAVAILABLE", .message = "away"});
}

static inline void cancel(void) {
  send((SagaEvent){.kind = SAGA_EVENT_CANCEL, .code = SAGA_CANCELLED_BY_OWNER, .message = "changed my mind"});
}

static inline void ask_change(bool needs_drone) {
  send((SagaEvent){.kind = SAGA_EVENT_CHANGE, .needs_drone = needs_drone});
}

static inline void timer(void) {
  now_ms = effect.until_ms;
  send((SagaEvent){.kind = SAGA_EVENT_TIMER});
}

static inline void expect(SagaAction action, SagaStep step) {
  ck_assert_int_eq(effect.action, action);
  ck_assert_int_eq(effect.step, step);
}

/* Up to the call of this step; SAGA_STEP_END: completed. */
static inline void run_to(SagaStep step) {
  begin();
  while (saga.state == SAGA_RUNNING && effect.step < step)
    ok();
}

static inline void setup(void) {
  saga_init(&saga);
  effect = (SagaEffect){0};
  now_ms = 1000;
}
