#include <sky/rpc/lead.h>

#include <sky/core/deadline_wait.h>
#include <sky/core/time.h>

enum {
  LOOK_MS = 1,
  QUIET_LOOKS = 3 /* looks at a leader that has done no work of its own; then the spare sleeps */
};

void sky_lead_init(SkyLead *lead) {
  *lead = (SkyLead){0};
  pthread_mutex_init(&lead->lock, NULL);
  sky_deadline_cond_init(&lead->changed);
}

void sky_lead_finish(SkyLead *lead) {
  pthread_cond_destroy(&lead->changed);
  pthread_mutex_destroy(&lead->lock);
}

static bool is_working(uint_fast64_t turn) {
  return (turn & 1) != 0;
}

/* ---- the leader's ---- */

static void wake_spare(SkyLead *lead) {
  pthread_mutex_lock(&lead->lock);
  atomic_store(&lead->spare_looks, true);
  pthread_cond_signal(&lead->changed);
  pthread_mutex_unlock(&lead->lock);
}

/* The spare says that it looks no longer before it looks for the last time, so one of the two sees the other. */
void sky_lead_begin_work(SkyLead *lead) {
  atomic_fetch_add(&lead->turn, 1);
  if (!atomic_load(&lead->spare_looks))
    wake_spare(lead);
}

bool sky_lead_end_work(SkyLead *lead) {
  uint_fast64_t mine = atomic_load_explicit(&lead->turn, memory_order_relaxed);
  return is_working(mine) && atomic_compare_exchange_strong(&lead->turn, &mine, mine + 1);
}

void sky_lead_over(SkyLead *lead) {
  pthread_mutex_lock(&lead->lock);
  lead->over = true;
  pthread_cond_signal(&lead->changed);
  pthread_mutex_unlock(&lead->lock);
}

/* ---- the spare's, with the lock held ---- */

static void wait_for_a_look(SkyLead *lead) {
  const int64_t until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + LOOK_MS * SKY_NS_PER_MS;
  while (!lead->over && sky_deadline_cond_wait(&lead->changed, &lead->lock, until_ns)) {
  }
}

/* Until the leader works again. */
static void sleep_until_woken(SkyLead *lead, uint_fast64_t seen) {
  atomic_store(&lead->spare_looks, false);
  if (atomic_load(&lead->turn) != seen)
    atomic_store(&lead->spare_looks, true);
  while (!lead->over && !atomic_load(&lead->spare_looks))
    pthread_cond_wait(&lead->changed, &lead->lock);
}

/* True when this thread is the leader now. Nobody else waits then, which the work that follows must not overlook. */
static bool take_over(SkyLead *lead, uint_fast64_t turn) {
  atomic_store(&lead->spare_waits, false);
  if (atomic_compare_exchange_strong(&lead->turn, &turn, turn + 1))
    return true;
  atomic_store(&lead->spare_waits, true);
  return false;
}

static bool wait_for_the_lead(SkyLead *lead) {
  uint_fast64_t seen = atomic_load(&lead->turn);
  for (unsigned quiet = 0; !lead->over;) {
    wait_for_a_look(lead);
    const uint_fast64_t turn = atomic_load(&lead->turn);
    if (turn != seen)
      quiet = 0;
    else if (is_working(turn) && take_over(lead, turn))
      return true;
    else if (++quiet == QUIET_LOOKS)
      sleep_until_woken(lead, seen);
    if (quiet == QUIET_LOOKS)
      quiet = 0;
    seen = turn;
  }
  return false;
}

bool sky_lead_wait(SkyLead *lead) {
  pthread_mutex_lock(&lead->lock);
  atomic_store(&lead->spare_looks, true);
  atomic_store(&lead->spare_waits, true);
  const bool leads = wait_for_the_lead(lead);
  pthread_mutex_unlock(&lead->lock);
  return leads;
}
