/*
 * The end of the process while clients go away: a call is finished only when its callback, which is on its way, has
 * returned; that takes the lock. Calls are the test's own (--wrap).
 */
#include "sky_check.h"

#include <pthread.h>

#include "scheduler.h"

static Scheduler scheduler;
static int finished;

void __wrap_sky_call_finish(SkyCall *call, SkyStatus status);

/* A callback of any call. */
static void *call_back(void *user) {
  pthread_mutex_lock(&scheduler.mutex);
  pthread_mutex_unlock(&scheduler.mutex);
  pthread_mutex_lock(&scheduler.streams_mutex);
  pthread_mutex_unlock(&scheduler.streams_mutex);
  return NULL;
}

void __wrap_sky_call_finish(SkyCall *call, SkyStatus status) {
  pthread_t io_thread;
  finished++;
  sky_status_free(status);
  ck_assert_int_eq(pthread_create(&io_thread, NULL, call_back, NULL), 0);
  pthread_join(io_thread, NULL);
}

static void setup(void) {
  pthread_mutex_init(&scheduler.mutex, NULL);
  pthread_mutex_init(&scheduler.streams_mutex, NULL);
}

static void teardown(void) {
  pthread_mutex_destroy(&scheduler.mutex);
  pthread_mutex_destroy(&scheduler.streams_mutex);
}

START_TEST(subscriptions_end_without_the_lock) {
  FeedSubscriber first = {.scheduler = &scheduler}, second = {.scheduler = &scheduler};
  ck_assert(feed_add(&scheduler.feeds, &first));
  ck_assert(feed_add(&scheduler.feeds, &second));
  orders_end_all(&scheduler);
  ck_assert_int_eq(finished, 2);
  ck_assert(first.ended && second.ended);
  FeedSubscriber late = {.scheduler = &scheduler};
  ck_assert(!feed_add(&scheduler.feeds, &late));
}
END_TEST

START_TEST(reports_end_without_the_lock) {
  ReportStream streams[] = {
      {.scheduler = &scheduler}, {.scheduler = &scheduler, .working = true}, {.scheduler = &scheduler}};
  for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
    streams[i].next = scheduler.streams;
    scheduler.streams = &streams[i];
  }
  report_end_all(&scheduler);
  ck_assert_int_eq(finished, 2);
  ck_assert(!streams[1].ended); /* its callback ends it */
}
END_TEST

SKY_CHECK_MAIN_WITH("dronescheduler/orders", setup, teardown, subscriptions_end_without_the_lock,
                    reports_end_without_the_lock)
