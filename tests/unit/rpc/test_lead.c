/* Who of two threads leads: short work changes nothing, long work changes who leads, and nobody leads twice. */
#include "sky_check.h"

#include <sched.h>

#include <sky/rpc/lead.h>

static SkyLead lead;
static pthread_t other;

/* The other thread: waits until it leads. */
typedef struct Spare {
  atomic_bool leads, ended;
} Spare;

static Spare spare;

static void *wait_once(void *user) {
  Spare *self = user;
  atomic_store(&self->leads, sky_lead_wait(&lead));
  atomic_store(&self->ended, true);
  return NULL;
}

static void begin(void) {
  sky_lead_init(&lead);
  spare = (Spare){0};
  pthread_create(&other, NULL, wait_once, &spare);
  SKY_CHECK_EVENTUALLY(sky_lead_has_spare(&lead));
}

static void end(void) {
  sky_lead_over(&lead);
  pthread_join(other, NULL);
  sky_lead_finish(&lead);
}

/* Where this thread was kept from running for so long that its work was not short, it all begins again: then false. */
static bool stays_leader(int pieces) {
  for (; pieces > 0; pieces--) {
    sky_lead_begin_work(&lead);
    if (sky_lead_end_work(&lead))
      continue;
    end();
    begin();
    return false;
  }
  return true;
}

START_TEST(short_work_changes_nothing) {
  SKY_CHECK_EVENTUALLY(stays_leader(10000));
  ck_assert(!atomic_load(&spare.ended));
}
END_TEST

START_TEST(the_spare_takes_over_from_long_work) {
  sky_lead_begin_work(&lead);
  SKY_CHECK_EVENTUALLY(atomic_load(&spare.leads));
  ck_assert(!sky_lead_has_spare(&lead)); /* until the one that works has ended */
  ck_assert(!sky_lead_end_work(&lead));
}
END_TEST

START_TEST(a_spare_that_sleeps_is_woken) {
  SKY_CHECK_EVENTUALLY(!atomic_load(&lead.spare_looks));
  sky_lead_begin_work(&lead);
  SKY_CHECK_EVENTUALLY(atomic_load(&spare.leads));
  ck_assert(!sky_lead_end_work(&lead));
}
END_TEST

START_TEST(a_spare_sleeps_again_after_short_work) {
  SKY_CHECK_EVENTUALLY(!atomic_load(&lead.spare_looks));
  SKY_CHECK_EVENTUALLY(stays_leader(1));
  SKY_CHECK_EVENTUALLY(!atomic_load(&lead.spare_looks));
  ck_assert(!atomic_load(&spare.ended));
}
END_TEST

START_TEST(the_wait_ends_when_it_is_over) {
  sky_lead_over(&lead);
  SKY_CHECK_EVENTUALLY(atomic_load(&spare.ended));
  ck_assert(!atomic_load(&spare.leads));
}
END_TEST

/* Only the leader touches it: ThreadSanitizer sees to that. */
typedef struct Queue {
  uint64_t events, changes;
} Queue;

enum { CHANGES = 200, SHORT = 100 };

static Queue queue;
static SkyLead both;

/* Leads until the other does (true), or it is over. Of a hundred pieces of work one is long: until it is noticed. */
static bool drive(void) {
  queue.changes++;
  for (unsigned i = 1; queue.changes < CHANGES; i++) {
    queue.events++;
    if (!sky_lead_has_spare(&both))
      continue;
    sky_lead_begin_work(&both);
    while (i % SHORT == 0 && sky_lead_has_spare(&both))
      sched_yield();
    if (!sky_lead_end_work(&both))
      return true;
  }
  sky_lead_over(&both);
  return false;
}

static void *drive_in_turn(void *leads) {
  bool mine = leads != NULL || sky_lead_wait(&both);
  while (mine && drive())
    mine = sky_lead_wait(&both);
  return NULL;
}

START_TEST(two_threads_lead_in_turn) {
  pthread_t threads[2];
  queue = (Queue){0};
  sky_lead_init(&both);
  pthread_create(&threads[0], NULL, drive_in_turn, &queue);
  pthread_create(&threads[1], NULL, drive_in_turn, NULL);
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
  ck_assert_uint_eq(queue.changes, CHANGES);
  sky_lead_finish(&both);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/lead", begin, end, short_work_changes_nothing, the_spare_takes_over_from_long_work,
                    a_spare_that_sleeps_is_woken, a_spare_sleeps_again_after_short_work, the_wait_ends_when_it_is_over,
                    two_threads_lead_in_turn)
