#include "workflow/saga.h"

#include <stdio.h>
#include <string.h>

const SkyBackoff saga_default_backoff = {.initial_ms = 200, .max_ms = 10000, .multiplier = 2};

void saga_init(Saga *saga) {
  *saga = (Saga){.doing = SAGA_DO_REST};
}

bool saga_is_over(const Saga *saga) {
  return saga->state == SAGA_REJECTED || saga->state == SAGA_FAILED || saga->state == SAGA_CANCELLED;
}

bool saga_can_change(const Saga *saga) {
  return saga->change == SAGA_CHANGE_NONE && !saga->cancel_asked &&
         (saga->state == SAGA_RUNNING || saga->state == SAGA_COMPLETED);
}

/* ---- small things ---- */

/* Texts of peers are cut at a whole character. */
static void copy_text(char *target, size_t size, const char *text) {
  const size_t length = sky_utf8_cut(text, strlen(text), size - 1);
  memmove(target, text, length);
  target[length] = '\0';
}

static void set_reason(SagaReason *reason, const char *code, const char *message) {
  copy_text(reason->code, sizeof(reason->code), code == NULL ? "" : code);
  copy_text(reason->message, sizeof(reason->message), message == NULL ? "" : message);
}

static SagaEffect act(Saga *saga, SagaAction action, SagaStep step) {
  saga->doing = action;
  saga->step = step;
  saga->serial++;
  return (SagaEffect){.action = action, .step = step, .serial = saga->serial};
}

static SagaEffect wait_until(Saga *saga, int64_t until_ms) {
  SagaEffect effect = act(saga, SAGA_DO_WAIT, saga->step);
  effect.until_ms = until_ms;
  /* There is time: keep what was done, so that a crash need not do it again. */
  effect.persist = saga->news.steps != 0;
  return effect;
}

static bool is_settled(const SagaStepInfo *info) {
  return info->state == SAGA_STEP_DONE || info->state == SAGA_STEP_SKIPPED;
}

static bool needs_undo(const Saga *saga, SagaStep step) {
  const SagaStepInfo *info = &saga->steps[step];
  const bool done = info->state == SAGA_STEP_DONE;
  switch (step) {
  case SAGA_TRANSPORT:
    return saga->carrier_booked && (done || info->uncertain);
  case SAGA_PACKAGE:
    return (done && saga->package_created) || info->uncertain;
  case SAGA_DRONE:
  case SAGA_DELIVERY:
    return done || info->uncertain;
  default:
    return false; /* asking for an account changes nothing that must be taken back */
  }
}

static SagaStep last_to_undo(const Saga *saga) {
  for (SagaStep step = SAGA_DELIVERY; step > SAGA_NO_STEP; step--)
    if (needs_undo(saga, step))
      return step;
  return SAGA_NO_STEP;
}

static SagaStep first_open(const Saga *saga) {
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++)
    if (!is_settled(&saga->steps[step]))
      return step;
  return SAGA_NO_STEP;
}

static int64_t retry_delay_ms(const Saga *saga, const SagaEvent *event, const SagaPolicy *policy) {
  int64_t asked = event->retry_after_ms;
  if (asked <= 0)
    return sky_backoff_delay_ms(&policy->backoff, saga->tries, policy->random);
  if (asked > policy->max_retry_after_ms)
    asked = policy->max_retry_after_ms;
  /* Around what the peer asked for, spread so that those who wait for the same thing do not come all at once. */
  return asked / 2 + (int64_t)(sky_random_unit(policy->random) * (double)asked);
}

/* ---- what comes next, when nothing is under way ---- */

static SagaEffect undo_next(Saga *saga) {
  const SagaStep step = last_to_undo(saga);
  if (step != SAGA_NO_STEP)
    return act(saga, SAGA_DO_UNDO, step);
  saga->state = saga->outcome;
  *(saga->state == SAGA_FAILED ? &saga->news.failed : &saga->news.compensated) = true;
  SagaEffect effect = act(saga, SAGA_DO_REST, SAGA_NO_STEP);
  effect.persist = true;
  effect.drop_change = saga->change != SAGA_CHANGE_NONE;
  saga->change = SAGA_CHANGE_NONE;
  return effect;
}

static SagaEffect compensate(Saga *saga, SagaState outcome, SagaStep failed_step, SagaReason reason) {
  saga->state = SAGA_COMPENSATING;
  saga->outcome = outcome;
  saga->failed_step = failed_step;
  saga->reason = reason;
  saga->tries = 0;
  SagaEffect effect = undo_next(saga);
  effect.persist = true; /* a crash must not bring it back on its way */
  return effect;
}

static SagaEffect complete(Saga *saga, const SagaPolicy *policy, int64_t now_ms);

static SagaEffect call_next(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  if (saga->cancel_asked)
    return compensate(saga, SAGA_CANCELLED, SAGA_NO_STEP, saga->cancel_reason);
  const SagaStep step = first_open(saga);
  if (step == SAGA_NO_STEP)
    return complete(saga, policy, now_ms);
  SagaStepInfo *info = &saga->steps[step];
  if (now_ms >= saga->complete_by_ms) {
    SagaReason reason = info->reason;
    if (reason.code[0] == '\0')
      set_reason(&reason, SAGA_TIMED_OUT, "the time for it ran out");
    info->state = SAGA_STEP_FAILED;
    info->end_ms = now_ms;
    return compensate(saga, SAGA_FAILED, step, reason);
  }
  info->state = SAGA_STEP_STARTED;
  info->attempts++;
  if (info->start_ms == 0)
    info->start_ms = now_ms;
  return act(saga, SAGA_DO_CALL, step);
}

static SagaEffect change_next(Saga *saga, int64_t now_ms) {
  switch (saga->change) {
  case SAGA_CHANGE_ASKED:
    return act(saga, SAGA_DO_CHANGE, SAGA_DELIVERY);
  case SAGA_CHANGE_DELIVERY_DONE:
    return act(saga, SAGA_DO_CHANGE_DRONE, SAGA_DRONE);
  case SAGA_CHANGE_REVERT_DRONE:
    return act(saga, SAGA_DO_REVERT_DRONE, SAGA_DRONE);
  case SAGA_CHANGE_REVERT_DELIVERY:
    return act(saga, SAGA_DO_REVERT, SAGA_DELIVERY);
  default:
    return act(saga, SAGA_DO_REST, SAGA_NO_STEP);
  }
}

/* Completed: rests, or does what has been asked meanwhile. */
static SagaEffect serve_owner(Saga *saga, int64_t now_ms) {
  if (saga->cancel_asked)
    return compensate(saga, SAGA_CANCELLED, SAGA_NO_STEP, saga->cancel_reason);
  return change_next(saga, now_ms);
}

static SagaEffect complete(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  saga->state = SAGA_COMPLETED;
  saga->news.completed = !saga->was_completed;
  saga->was_completed = true;
  if (saga->change == SAGA_CHANGE_ASKED)
    saga->change_by_ms = now_ms + policy->change_timeout_ms;
  SagaEffect effect = serve_owner(saga, now_ms);
  effect.persist = true;
  return effect;
}

static SagaEffect proceed(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  switch (saga->state) {
  case SAGA_RUNNING:
    return call_next(saga, policy, now_ms);
  case SAGA_COMPENSATING:
    return undo_next(saga);
  case SAGA_COMPLETED:
    return serve_owner(saga, now_ms);
  default:
    return act(saga, SAGA_DO_REST, SAGA_NO_STEP);
  }
}

/* ---- answers to a step ---- */

static void settle_step(Saga *saga, SagaStep step, SagaStepState state, int64_t now_ms) {
  SagaStepInfo *info = &saga->steps[step];
  info->state = state;
  info->uncertain = false;
  info->end_ms = now_ms;
  set_reason(&info->reason, NULL, NULL);
  saga->news.steps |= (uint8_t)(1u << step);
}

static SagaEffect step_done(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  settle_step(saga, saga->step, event->skipped ? SAGA_STEP_SKIPPED : SAGA_STEP_DONE, now_ms);
  if (saga->step == SAGA_PACKAGE)
    saga->package_created = event->created;
  if (saga->step == SAGA_TRANSPORT && event->booked) {
    saga->carrier_booked = true;
    settle_step(saga, SAGA_DRONE, SAGA_STEP_SKIPPED, now_ms);
  }
  saga->tries = 0;
  return proceed(saga, policy, now_ms);
}

static SagaEffect step_refused(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  const SagaStep step = saga->step;
  SagaStepInfo *info = &saga->steps[step];
  info->state = SAGA_STEP_FAILED;
  info->end_ms = now_ms;
  set_reason(&info->reason, event->code, event->message);
  if (saga->cancel_asked)
    return compensate(saga, SAGA_CANCELLED, SAGA_NO_STEP, saga->cancel_reason);
  if (step == SAGA_DRONE && !saga->carrier_forced && strcmp(info->reason.code, SAGA_NO_DRONE_IN_WINDOW) == 0) {
    saga->carrier_forced = true;
    saga->steps[SAGA_TRANSPORT].state = SAGA_STEP_UNTOUCHED;
    saga->tries = 0;
    return proceed(saga, policy, now_ms);
  }
  return compensate(saga, SAGA_REJECTED, step, info->reason);
}

static SagaEffect step_in_trouble(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  SagaStepInfo *info = &saga->steps[saga->step];
  set_reason(&info->reason, event->code, event->message);
  if (!event->definite)
    info->uncertain = true;
  saga->tries++;
  if (saga->cancel_asked)
    return proceed(saga, policy, now_ms);
  int64_t until_ms = now_ms + retry_delay_ms(saga, event, policy);
  if (until_ms > saga->complete_by_ms)
    until_ms = saga->complete_by_ms;
  return wait_until(saga, until_ms);
}

/* ---- answers to an undo ---- */

static SagaEffect step_undone(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  SagaStepInfo *info = &saga->steps[saga->step];
  info->state = SAGA_STEP_UNDONE;
  info->uncertain = false;
  info->end_ms = now_ms;
  saga->tries = 0;
  return proceed(saga, policy, now_ms);
}

static bool is_too_late(const SagaEvent *event) {
  return event->code != NULL &&
         (strcmp(event->code, SAGA_ALREADY_PICKED_UP) == 0 || strcmp(event->code, SAGA_DELIVERY_FINAL) == 0);
}

/* The package is on board (or the flight over): the delivery is a fact, so the saga is complete after all. */
static SagaEffect stays_completed(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++)
    if (!is_settled(&saga->steps[step]))
      settle_step(saga, step, SAGA_STEP_DONE, now_ms);
  saga->cancel_asked = false;
  saga->outcome = SAGA_NEW;
  saga->failed_step = SAGA_NO_STEP;
  set_reason(&saga->reason, NULL, NULL);
  const bool had_change = saga->change != SAGA_CHANGE_NONE;
  saga->change = SAGA_CHANGE_NONE;
  SagaEffect effect = complete(saga, policy, now_ms);
  effect.drop_change = had_change;
  return effect;
}

static SagaEffect undo_refused(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  if (saga->step == SAGA_DELIVERY && is_too_late(event))
    return stays_completed(saga, policy, now_ms);
  if (!event->not_found) /* kept for people to see; what can be undone besides is undone */
    set_reason(&saga->steps[saga->step].reason, event->code, event->message);
  return step_undone(saga, policy, now_ms);
}

/* Undoing is tried for ever: what is left behind would bind a drone or an owner's money. */
static SagaEffect again_later(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  saga->tries++;
  return wait_until(saga, now_ms + retry_delay_ms(saga, event, policy));
}

/* ---- answers to a change of terms ---- */

static SagaEffect change_over(Saga *saga, bool apply, int64_t now_ms) {
  saga->change = SAGA_CHANGE_NONE;
  saga->change_drone_uncertain = false;
  saga->tries = 0;
  SagaEffect effect = serve_owner(saga, now_ms);
  effect.persist = true;
  effect.apply_change = apply;
  effect.drop_change = !apply;
  return effect;
}

static SagaEffect change_done(Saga *saga, int64_t now_ms) {
  saga->tries = 0;
  switch (saga->doing) {
  case SAGA_DO_CHANGE:
    set_reason(&saga->reason, NULL, NULL);
    if (!saga->change_needs_drone)
      return change_over(saga, true, now_ms);
    saga->change = SAGA_CHANGE_DELIVERY_DONE;
    return serve_owner(saga, now_ms);
  case SAGA_DO_CHANGE_DRONE:
    return change_over(saga, true, now_ms);
  case SAGA_DO_REVERT_DRONE:
    saga->change = SAGA_CHANGE_REVERT_DELIVERY;
    return serve_owner(saga, now_ms);
  default:
    return change_over(saga, false, now_ms);
  }
}

static SagaEffect revert_change(Saga *saga, const SagaEvent *event, int64_t now_ms) {
  set_reason(&saga->reason, event->code, event->message);
  saga->tries = 0;
  saga->change = saga->change_drone_uncertain ? SAGA_CHANGE_REVERT_DRONE : SAGA_CHANGE_REVERT_DELIVERY;
  SagaEffect effect = serve_owner(saga, now_ms);
  effect.persist = true;
  return effect;
}

static SagaEffect change_refused(Saga *saga, const SagaEvent *event, int64_t now_ms) {
  switch (saga->doing) {
  case SAGA_DO_CHANGE: /* nothing has changed */
    set_reason(&saga->reason, event->code, event->message);
    return change_over(saga, false, now_ms);
  case SAGA_DO_CHANGE_DRONE:
    return revert_change(saga, event, now_ms);
  case SAGA_DO_REVERT_DRONE:
    saga->change = SAGA_CHANGE_REVERT_DELIVERY;
    return serve_owner(saga, now_ms);
  default: /* too late to go back: the new terms stand */
    return change_over(saga, true, now_ms);
  }
}

static SagaEffect change_in_trouble(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  if (saga->doing == SAGA_DO_CHANGE_DRONE && !event->definite)
    saga->change_drone_uncertain = true;
  const bool forward = saga->doing == SAGA_DO_CHANGE || saga->doing == SAGA_DO_CHANGE_DRONE;
  if (saga->cancel_asked)
    return serve_owner(saga, now_ms);
  if (forward && now_ms >= saga->change_by_ms)
    return revert_change(saga, event, now_ms);
  return again_later(saga, event, policy, now_ms);
}

/* ---- events ---- */

static SagaEffect begin(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  if (saga->state != SAGA_NEW)
    return (SagaEffect){0};
  saga->state = SAGA_RUNNING;
  saga->complete_by_ms = event->complete_by_ms;
  saga->news.started = true;
  SagaEffect effect = proceed(saga, policy, now_ms);
  effect.persist = true;
  return effect;
}

static SagaEffect resume(Saga *saga, const SagaPolicy *policy, int64_t now_ms) {
  saga->tries = 0;
  if (saga->state == SAGA_RUNNING)
    for (SagaStep step = SAGA_PACKAGE; step < SAGA_STEP_END; step++)
      saga->steps[step].uncertain |= !is_settled(&saga->steps[step]);
  saga->change_drone_uncertain |= saga->change == SAGA_CHANGE_ASKED || saga->change == SAGA_CHANGE_DELIVERY_DONE;
  SagaEffect effect = proceed(saga, policy, now_ms);
  effect.persist = true; /* says who works on it now */
  return effect;
}

static SagaEffect cancel(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  if (saga_is_over(saga) || saga->cancel_asked || saga->state == SAGA_COMPENSATING)
    return (SagaEffect){0};
  saga->cancel_asked = true;
  set_reason(&saga->cancel_reason, event->code, event->message);
  if (saga->doing == SAGA_DO_WAIT || saga->doing == SAGA_DO_REST) {
    SagaEffect effect = proceed(saga, policy, now_ms);
    effect.persist = true;
    return effect;
  }
  return (SagaEffect){.persist = true}; /* what is under way comes to its end first */
}

/* The drone has not heard of the old terms: they can simply be replaced. */
static bool is_free_to_change(const Saga *saga) {
  const bool calling = saga->doing == SAGA_DO_CALL && saga->step >= SAGA_DRONE;
  return saga->state == SAGA_RUNNING && !calling && !needs_undo(saga, SAGA_DRONE) && !needs_undo(saga, SAGA_DELIVERY);
}

static SagaEffect change(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  if (!saga_can_change(saga))
    return (SagaEffect){.drop_change = true};
  if (is_free_to_change(saga))
    return (SagaEffect){.persist = true, .apply_change = true};
  saga->change = SAGA_CHANGE_ASKED;
  saga->change_needs_drone = event->needs_drone;
  saga->change_by_ms = now_ms + policy->change_timeout_ms;
  SagaEffect effect = {0};
  if (saga->state == SAGA_COMPLETED && saga->doing == SAGA_DO_REST)
    effect = serve_owner(saga, now_ms);
  effect.persist = true;
  return effect;
}

static SagaEffect answered(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  const SagaEventKind kind = event->kind;
  if (kind == SAGA_EVENT_BLOCKED)
    return saga->cancel_asked ? proceed(saga, policy, now_ms) : wait_until(saga, event->until_ms);
  switch (saga->doing) {
  case SAGA_DO_CALL:
    return kind == SAGA_EVENT_OK        ? step_done(saga, event, policy, now_ms)
           : kind == SAGA_EVENT_REFUSED ? step_refused(saga, event, policy, now_ms)
                                        : step_in_trouble(saga, event, policy, now_ms);
  case SAGA_DO_UNDO:
    return kind == SAGA_EVENT_OK        ? step_undone(saga, policy, now_ms)
           : kind == SAGA_EVENT_REFUSED ? undo_refused(saga, event, policy, now_ms)
                                        : again_later(saga, event, policy, now_ms);
  case SAGA_DO_WAIT:
  case SAGA_DO_REST:
  case SAGA_DO_NOTHING:
    return (SagaEffect){0};
  default:
    return kind == SAGA_EVENT_OK        ? change_done(saga, now_ms)
           : kind == SAGA_EVENT_REFUSED ? change_refused(saga, event, now_ms)
                                        : change_in_trouble(saga, event, policy, now_ms);
  }
}

SagaEffect saga_step(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms) {
  switch (event->kind) {
  case SAGA_EVENT_BEGIN:
    return begin(saga, event, policy, now_ms);
  case SAGA_EVENT_RESUME:
    return resume(saga, policy, now_ms);
  case SAGA_EVENT_CANCEL:
    return cancel(saga, event, policy, now_ms);
  case SAGA_EVENT_CHANGE:
    return change(saga, event, policy, now_ms);
  case SAGA_EVENT_TIMER:
    return event->serial == saga->serial && saga->doing == SAGA_DO_WAIT ? proceed(saga, policy, now_ms)
                                                                        : (SagaEffect){0};
  default:
    return event->serial == saga->serial ? answered(saga, event, policy, now_ms) : (SagaEffect){0};
  }
}
