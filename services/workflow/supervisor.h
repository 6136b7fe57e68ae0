/*
 * Supervisor: who works on which sagas, and who takes over from processes that are gone.
 *
 * Every process holds a lease under its own id and renews it; the sagas it works on are locked by that id. One process
 * at a time holds the lease "supervisor": it looks for processes whose lease has run out (on the same machine: that are
 * dead), resumes their sagas, and forgets them. Resuming is safe even if such a process comes back: whoever appends to
 * a saga's log second is refused and lets go.
 */
#pragma once

#include "workflow/driver.h"

typedef struct Supervisor {
  Driver *driver;
  SkyStore *store;
  const SkyClock *clock;
  const char *instance_id;
  int64_t lease_ms;
  int64_t renewed_ms; /* 0: not registered yet */
  int64_t checked_ms; /* own sagas */
} Supervisor;

/* Registers, renews, and takes over what is left; for sky_service_every(), and once at start. */
SKY_MUST_USE SkyStatus supervisor_tick(Supervisor *supervisor, const SkyContext *context);
/* At a clean stop: others need not wait for the lease to run out. */
void supervisor_resign(Supervisor *supervisor);
