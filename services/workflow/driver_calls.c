/* The driver's actions: calls through bulkhead and breaker, and waits. */
#include <sky/core/log.h>

#include "workflow/driver_internal.h"

enum { CALL_TIMEOUT_MS = 3000, SPREAD_MS = 50 };

/* ---- waiting ---- */

static void on_timer(void *user) {
  Flight *flight = user;
  Driver *driver = flight->driver;
  pthread_mutex_lock(&driver->lock);
  if (!driver->stopping && !flight->removed) {
    flight_feed(flight, (SagaEvent){.kind = SAGA_EVENT_TIMER, .serial = flight->record.saga.serial});
    driver_go_on(driver, flight);
  }
  pthread_mutex_unlock(&driver->lock);
}

static void wait_for_timer(Driver *driver, Flight *flight, int64_t until_ms) {
  const int64_t delay_ms = until_ms - driver_now_ms(driver);
  const int64_t now_ns = sky_clock_monotonic_ns(driver->options.clock);
  flight->timer.fire = on_timer;
  flight->timer.user = flight;
  SkyStatus status =
      sky_timers_schedule(driver->timers, &flight->timer, now_ns + (delay_ms > 0 ? delay_ms : 0) * SKY_NS_PER_MS);
  if (status != SKY_OK) /* there is a timer for every flight; this is a lack of memory, and the supervisor's to mend */
    sky_log_status(SKY_ERROR, NULL, "saga.timer", status, "a saga's timer could not be set");
}

/* ---- calling ---- */

static void on_answer(void *user, const StepsAnswer *answer, SagaAction action, SagaStep step,
                      const ProtobufCMessage *response);

/* With the lock held, which it releases and takes again. */
static void call(Driver *driver, Flight *flight, SagaEffect effect) {
  flight->is_calling = true;
  driver->calls++;
  /* A copy: a cancellation may touch the record meanwhile. What it points to stays as it is. */
  const SagaRecord record = flight->record;
  const SkyContext background = sky_context_background();
  SkyContext context = sky_context_with_timeout_ms(&background, CALL_TIMEOUT_MS);
  if (sky_trace_is_valid(&flight->trace))
    context.trace = sky_trace_child(&flight->trace);
  pthread_mutex_unlock(&driver->lock);
  steps_perform(&driver->options.steps, &context, &record, &effect, on_answer, flight);
  pthread_mutex_lock(&driver->lock);
}

static void block(Driver *driver, Flight *flight, uint32_t serial, int64_t for_ms) {
  const int64_t until_ms =
      driver_now_ms(driver) + for_ms + (int64_t)(sky_random_unit(driver->options.random) * SPREAD_MS);
  flight_feed(flight, (SagaEvent){.kind = SAGA_EVENT_BLOCKED, .serial = serial, .until_ms = until_ms});
  driver_go_on(driver, flight);
}

static void call_if_allowed(Driver *driver, Flight *flight, SagaEffect effect) {
  const StepsPeer peer = steps_peer(effect.action, effect.step);
  if (peer == PEER_NONE) {
    call(driver, flight, effect);
    return;
  }
  const int64_t now_ms = driver_uptime_ms(driver);
  int64_t until_ms = now_ms;
  const SkyBreakerAnswer answer = sky_breaker_begin(&driver->breakers[peer], now_ms, &until_ms);
  switch (answer) {
  case SKY_BREAKER_GO:
  case SKY_BREAKER_PROBE:
    flight->begun = answer;
    call(driver, flight, effect);
    return;
  case SKY_BREAKER_OPEN:
    block(driver, flight, effect.serial, until_ms - now_ms);
    return;
  case SKY_BREAKER_FULL:
    flight->is_calling = true; /* so that nothing else is begun */
    flight->effect = effect;
    flight_queue_push(&driver->blocked[peer], flight, false);
  }
}

void driver_perform(Driver *driver, Flight *flight, SagaEffect effect) {
  if (driver->stopping)
    return;
  if (effect.action == SAGA_DO_WAIT)
    wait_for_timer(driver, flight, effect.until_ms);
  else
    call_if_allowed(driver, flight, effect);
}

static bool has_room(const SkyBreaker *breaker) {
  return breaker->open_until_ms != 0 || breaker->calls < breaker->policy.max_calls;
}

/* A call has ended: those that wait for this peer may go, or come back later when its circuit has opened. */
static void let_next_go(Driver *driver, StepsPeer peer) {
  Flight *next;
  while (has_room(&driver->breakers[peer]) && (next = flight_queue_pop(&driver->blocked[peer], false)) != NULL) {
    next->is_calling = false;
    call_if_allowed(driver, next, next->effect);
  }
}

static void end_call(Driver *driver, SagaAction action, SagaStep step, SkyBreakerAnswer begun, bool sick) {
  const StepsPeer peer = steps_peer(action, step);
  if (peer == PEER_NONE)
    return;
  sky_breaker_end(&driver->breakers[peer], begun, sick, driver_uptime_ms(driver));
  if (!driver->stopping)
    let_next_go(driver, peer);
}

static void on_answer(void *user, const StepsAnswer *answer, SagaAction action, SagaStep step,
                      const ProtobufCMessage *response) {
  Flight *flight = user;
  Driver *driver = flight->driver;
  pthread_mutex_lock(&driver->lock);
  SagaEvent event = answer->event;
  SkyStatus status = SKY_OK;
  if (event.kind == SAGA_EVENT_OK)
    status = steps_take_result(&flight->record, action, step, response);
  if (status != SKY_OK) {
    sky_log_status(SKY_ERROR, NULL, "saga.result", status, "a step's result could not be kept");
    event = (SagaEvent){.kind = SAGA_EVENT_TROUBLE, .serial = event.serial, .code = "RESOURCE_EXHAUSTED"};
  }
  flight->is_calling = false;
  flight_feed(flight, event);
  end_call(driver, action, step, flight->begun, answer->sick);
  driver->calls--;
  if (driver->stopping)
    pthread_cond_broadcast(&driver->changed);
  else
    driver_go_on(driver, flight);
  pthread_mutex_unlock(&driver->lock);
}
