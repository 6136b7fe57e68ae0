#include <sky/core/context.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct SkyCancel {
  atomic_size_t references;
  atomic_bool set;
  pthread_mutex_t lock;
  pthread_cond_t listener_ended;
  SkyCancelListener listeners; /* head of a ring */
  SkyCancelListener *running;
  pthread_t runner;
};

SkyCancel *sky_cancel_create(void) {
  SkyCancel *cancel = calloc(1, sizeof(*cancel));
  if (cancel == NULL)
    return NULL;
  cancel->references = 1;
  pthread_mutex_init(&cancel->lock, NULL);
  pthread_cond_init(&cancel->listener_ended, NULL);
  cancel->listeners.next = cancel->listeners.previous = &cancel->listeners;
  return cancel;
}

SkyCancel *sky_cancel_ref(SkyCancel *cancel) {
  if (cancel != NULL)
    cancel->references++;
  return cancel;
}

void sky_cancel_unref(SkyCancel *cancel) {
  if (cancel == NULL || --cancel->references > 0)
    return;
  pthread_cond_destroy(&cancel->listener_ended);
  pthread_mutex_destroy(&cancel->lock);
  free(cancel);
}

bool sky_cancel_is_set(const SkyCancel *cancel) {
  return cancel != NULL && cancel->set;
}

/* A listener is in the ring exactly while its next is not NULL. */
static void unlink_listener(SkyCancelListener *listener) {
  listener->previous->next = listener->next;
  listener->next->previous = listener->previous;
  listener->next = listener->previous = NULL;
}

/* Runs one listener with the lock released; its memory may be gone when it returns. */
static void run_listener(SkyCancel *cancel, SkyCancelListener *listener) {
  unlink_listener(listener);
  cancel->running = listener;
  cancel->runner = pthread_self();
  pthread_mutex_unlock(&cancel->lock);
  listener->cancelled(listener->user);
  pthread_mutex_lock(&cancel->lock);
  cancel->running = NULL;
  pthread_cond_broadcast(&cancel->listener_ended);
}

void sky_cancel_trigger(SkyCancel *cancel) {
  sky_cancel_ref(cancel); /* a listener may drop the last other reference */
  pthread_mutex_lock(&cancel->lock);
  if (!cancel->set) {
    cancel->set = true;
    while (cancel->listeners.next != &cancel->listeners)
      run_listener(cancel, cancel->listeners.next);
  }
  pthread_mutex_unlock(&cancel->lock);
  sky_cancel_unref(cancel);
}

void sky_cancel_add(SkyCancel *cancel, SkyCancelListener *listener) {
  listener->next = listener->previous = NULL;
  if (cancel == NULL)
    return;
  pthread_mutex_lock(&cancel->lock);
  const bool set = cancel->set;
  if (!set) {
    listener->next = &cancel->listeners;
    listener->previous = cancel->listeners.previous;
    listener->previous->next = listener;
    cancel->listeners.previous = listener;
  }
  pthread_mutex_unlock(&cancel->lock);
  if (set)
    listener->cancelled(listener->user);
}

void sky_cancel_remove(SkyCancel *cancel, SkyCancelListener *listener) {
  if (cancel == NULL)
    return;
  pthread_mutex_lock(&cancel->lock);
  if (listener->next != NULL)
    unlink_listener(listener);
  /* A listener that removes itself must not wait for its own end. */
  while (cancel->running == listener && !pthread_equal(cancel->runner, pthread_self()))
    pthread_cond_wait(&cancel->listener_ended, &cancel->lock);
  pthread_mutex_unlock(&cancel->lock);
}
