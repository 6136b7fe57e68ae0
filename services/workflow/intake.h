/*
 * Intake: how many sagas may be under way at once, so that what is taken up is done soon and the rest waits in the
 * stream, where it costs nothing. The number follows what the system can do: as long as sagas take less than the target
 * it grows by one per so many sagas, and when they take longer it shrinks by a part (the additive increase and
 * multiplicative decrease of TCP's congestion control, RFC 5681 §3.1, with time in the place of loss). Where even a
 * saga on its own takes long, because peers are far away, the target is a multiple of what the quickest take.
 *
 * Pure: times come from the caller, who takes them from a clock that never jumps. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IntakePolicy {
  size_t least, first, most;
  int64_t target_ms;
} IntakePolicy;

extern const IntakePolicy intake_default_policy;

typedef struct Intake {
  IntakePolicy policy;
  double limit;
  double quickest_ms; /* of late */
  int64_t settled_ms; /* sagas that began before say nothing of the limit as it is now */
} Intake;

void intake_init(Intake *intake, IntakePolicy policy);
/* Whether one more may be taken up. */
bool intake_has_room(const Intake *intake, size_t busy);
/* Whether there is room for many: for who had to wait, so that orders come in groups and not one by one. */
bool intake_has_much_room(const Intake *intake, size_t busy);
/* A saga went through without a pause. busy: those under way, this one too. */
void intake_note(Intake *intake, int64_t begun_ms, int64_t now_ms, size_t busy);
