#include "workflow/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

#include "workflow/store.h"

enum {
  ARENA_BYTES = 16 << 20,
  PAGE = 256,
  HOST_SIZE = 64,
  OWN_CHECK_MS = 30000, /* for sagas of our own that are not in memory */
  RESIGN_TIMEOUT_MS = 1000,
};

static const char supervisor_id[] = "supervisor";

/* ---- leases ---- */

static void host_name(char name[HOST_SIZE]) {
  if (gethostname(name, HOST_SIZE) != 0)
    name[0] = '\0';
  name[HOST_SIZE - 1] = '\0';
}

/* On our own machine a process that does not exist is dead, and one that has our number was there before us. */
static bool is_dead_here(const workflow_store_Lease *lease) {
  char host[HOST_SIZE];
  host_name(host);
  if (host[0] == '\0' || strcmp(host, lease->host) != 0 || lease->pid <= 0)
    return false;
  return lease->pid == getpid() || (kill((pid_t)lease->pid, 0) != 0 && errno == ESRCH);
}

static bool is_over(const Supervisor *supervisor, const workflow_store_Lease *lease, int64_t now_ms) {
  if (strcmp(lease->holder, supervisor->instance_id) == 0)
    return false;
  return sky_timestamp_ms(lease->expire_time) <= now_ms || is_dead_here(lease);
}

static SkyStatus fill_lease(const Supervisor *supervisor, const char *id, int64_t now_ms, char host[HOST_SIZE],
                            SkyArena *arena, workflow_store_Lease *lease) {
  host_name(host);
  lease->id = id;
  lease->holder = supervisor->instance_id;
  lease->host = host;
  lease->pid = getpid();
  lease->expire_time = sky_timestamp_create(arena, now_ms + supervisor->lease_ms);
  return lease->expire_time == NULL ? sky_status_no_memory() : SKY_OK;
}

/* Takes or renews a lease, unless another holds it: *ret_held tells. */
static SkyStatus hold(Supervisor *supervisor, const SkyContext *context, const char *id, int64_t now_ms,
                      SkyArena *arena, bool *ret_held) {
  workflow_store_Lease lease = workflow_store_Lease_INIT;
  char host[HOST_SIZE];
  ProtobufCMessage *present;
  int64_t version;
  *ret_held = false;
  SKY_TRY(fill_lease(supervisor, id, now_ms, host, arena, &lease));
  SkyStatus status = sky_store_get(supervisor->store, context, &workflow_leases, id, arena, &present, &version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    status = sky_store_insert(supervisor->store, context, &workflow_leases, &lease.base);
  } else if (status == SKY_OK) {
    const workflow_store_Lease *held = (const workflow_store_Lease *)present;
    const bool ours = strcmp(held->holder, supervisor->instance_id) == 0;
    if (!ours && !is_over(supervisor, held, now_ms))
      return SKY_OK;
    *ret_held = true;
    if (ours && sky_timestamp_ms(held->expire_time) - now_ms > supervisor->lease_ms * 2 / 3)
      return SKY_OK; /* holds for a while yet */
    status = sky_store_replace(supervisor->store, context, &workflow_leases, &lease.base, version, NULL);
  }
  *ret_held = status == SKY_OK;
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS) || sky_status_take(&status, SKY_CODE_ABORTED))
    return SKY_OK; /* another was faster */
  return status;
}

static SkyStatus renew(Supervisor *supervisor, const SkyContext *context, int64_t now_ms, SkyArena *arena) {
  if (supervisor->renewed_ms != 0 && now_ms - supervisor->renewed_ms <= supervisor->lease_ms / 3)
    return SKY_OK;
  bool held;
  SKY_TRY(hold(supervisor, context, supervisor->instance_id, now_ms, arena, &held));
  if (!held)
    return SKY_ABORTED("the lease of this process is held by another");
  supervisor->renewed_ms = now_ms;
  driver_set_lease(supervisor->driver, now_ms + supervisor->lease_ms);
  return SKY_OK;
}

/* ---- taking over ---- */

static bool is_full(const SkyError *status) {
  return sky_status_code(status) == SKY_CODE_UNAVAILABLE;
}

/* Resumes one page of a process's sagas. *ret_more: there may be others. */
static SkyStatus resume_page(Supervisor *supervisor, const SkyContext *context, SkyQuery *query, SkyArena *arena,
                             bool *ret_more) {
  SkyPage page;
  SKY_TRY(sky_store_find(supervisor->store, context, &workflow_sagas, query, arena, &page));
  query->page_token = page.next_page_token;
  *ret_more = page.next_page_token[0] != '\0';
  for (size_t i = 0; i < page.count; i++) {
    const char *id = ((const workflow_store_Saga *)page.documents[i])->id;
    SkyStatus status = driver_resume(supervisor->driver, context, id);
    if (is_full(status))
      return status;
    *ret_more |= status != SKY_OK; /* it will be looked at again */
    sky_log_status(SKY_WARN, context, "saga.resume", status, id);
  }
  return SKY_OK;
}

/* Resumes what a process has left, and forgets the process when nothing is left. */
static SkyStatus take_over(Supervisor *supervisor, const SkyContext *context, const char *instance, SkyArena *arena,
                           bool *ret_done) {
  SkyQuery query = {.index = SAGAS_BY_OPEN, .equal = {SKY_V_BOOL(true), SKY_V_TEXT(instance)}, .page_size = PAGE};
  bool more = true;
  *ret_done = true;
  while (more) {
    SKY_TRY(resume_page(supervisor, context, &query, arena, &more));
    if (more && query.page_token[0] == '\0') {
      *ret_done = false;
      return SKY_OK;
    }
  }
  return SKY_OK;
}

/*
 * A process is forgotten only when a look finds none of its sagas: those resumed just now still carry its name until
 * they are written.
 */
static SkyStatus has_sagas(Supervisor *supervisor, const SkyContext *context, const char *instance, SkyArena *arena,
                           bool *ret) {
  SkyPage page;
  const SkyQuery query = {.index = SAGAS_BY_OPEN, .equal = {SKY_V_BOOL(true), SKY_V_TEXT(instance)}, .page_size = 1};
  SKY_TRY(sky_store_find(supervisor->store, context, &workflow_sagas, &query, arena, &page));
  *ret = page.count > 0;
  return SKY_OK;
}

static SkyStatus clear_up(Supervisor *supervisor, const SkyContext *context, const workflow_store_Lease *lease,
                          SkyArena *arena) {
  bool left, done;
  SKY_TRY(has_sagas(supervisor, context, lease->id, arena, &left));
  if (left)
    return take_over(supervisor, context, lease->id, arena, &done);
  return sky_store_delete(supervisor->store, context, &workflow_leases, lease->id, 0);
}

static SkyStatus supervise(Supervisor *supervisor, const SkyContext *context, int64_t now_ms, SkyArena *arena) {
  bool leads;
  SKY_TRY(hold(supervisor, context, supervisor_id, now_ms, arena, &leads));
  if (!leads)
    return SKY_OK;
  SkyPage page;
  const SkyQuery all = {.page_size = SKY_PAGE_MAX};
  SKY_TRY(sky_store_find(supervisor->store, context, &workflow_leases, &all, arena, &page));
  for (size_t i = 0; i < page.count; i++) {
    const workflow_store_Lease *lease = (const workflow_store_Lease *)page.documents[i];
    if (strcmp(lease->id, supervisor_id) != 0 && is_over(supervisor, lease, now_ms))
      SKY_TRY(clear_up(supervisor, context, lease, arena));
  }
  return SKY_OK;
}

/* A saga of ours that is not in memory (lost for lack of memory, or to a process that then died) is taken up again. */
static SkyStatus check_own(Supervisor *supervisor, const SkyContext *context, int64_t now_ms, SkyArena *arena) {
  if (now_ms - supervisor->checked_ms < OWN_CHECK_MS)
    return SKY_OK;
  bool done;
  supervisor->checked_ms = now_ms;
  return take_over(supervisor, context, supervisor->instance_id, arena, &done);
}

SkyStatus supervisor_tick(Supervisor *supervisor, const SkyContext *context) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  const int64_t now_ms = sky_clock_wall_ms(supervisor->clock);
  SkyStatus status = renew(supervisor, context, now_ms, &arena);
  if (status == SKY_OK)
    status = supervise(supervisor, context, now_ms, &arena);
  if (status == SKY_OK)
    status = check_own(supervisor, context, now_ms, &arena);
  sky_arena_finish(&arena);
  return is_full(status) && driver_has_lease(supervisor->driver) ? (sky_status_free(status), SKY_OK) : status;
}

void supervisor_resign(Supervisor *supervisor) {
  workflow_store_Lease lease = workflow_store_Lease_INIT;
  char host[HOST_SIZE];
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, RESIGN_TIMEOUT_MS);
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  const int64_t over_ms = sky_clock_wall_ms(supervisor->clock) - supervisor->lease_ms;
  SkyStatus status = fill_lease(supervisor, supervisor->instance_id, over_ms, host, &arena, &lease);
  ProtobufCMessage *present;
  int64_t version;
  if (status == SKY_OK)
    status = sky_store_get(supervisor->store, &context, &workflow_leases, supervisor->instance_id, &arena, &present,
                           &version);
  if (status == SKY_OK)
    status = sky_store_replace(supervisor->store, &context, &workflow_leases, &lease.base, version, NULL);
  sky_status_free(status); /* then the lease runs out */
  sky_arena_finish(&arena);
}
