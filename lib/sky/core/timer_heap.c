#include <sky/core/timer_heap.h>

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void sky_timer_heap_init(SkyTimerHeap *heap, size_t max_timers) {
  *heap = (SkyTimerHeap){.max_timers = max_timers};
}

void sky_timer_heap_finish(SkyTimerHeap *heap) {
  for (size_t i = 0; i < heap->size; i++)
    heap->timers[i]->place = 0;
  free(heap->timers);
  sky_timer_heap_init(heap, heap->max_timers);
}

static bool comes_before(const SkyTimer *a, const SkyTimer *b) {
  return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void put(SkyTimerHeap *heap, size_t index, SkyTimer *timer) {
  heap->timers[index] = timer;
  timer->place = index + 1;
}

static size_t move_up(SkyTimerHeap *heap, size_t index) {
  SkyTimer *timer = heap->timers[index];
  while (index > 0 && comes_before(timer, heap->timers[(index - 1) / 2])) {
    put(heap, index, heap->timers[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  put(heap, index, timer);
  return index;
}

static void move_down(SkyTimerHeap *heap, size_t index) {
  SkyTimer *timer = heap->timers[index];
  for (size_t child = 2 * index + 1; child < heap->size; child = 2 * index + 1) {
    if (child + 1 < heap->size && comes_before(heap->timers[child + 1], heap->timers[child]))
      child++;
    if (!comes_before(heap->timers[child], timer))
      break;
    put(heap, index, heap->timers[child]);
    index = child;
  }
  put(heap, index, timer);
}

static bool grow(SkyTimerHeap *heap) {
  if (heap->size < heap->capacity)
    return true;
  const size_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * 2;
  SkyTimer **timers = realloc(heap->timers, capacity * sizeof(*timers));
  if (timers == NULL)
    return false;
  heap->timers = timers;
  heap->capacity = capacity;
  return true;
}

SkyStatus sky_timer_heap_add(SkyTimerHeap *heap, SkyTimer *timer, int64_t at_ns) {
  if (timer->place == 0) {
    if (heap->size >= heap->max_timers)
      return SKY_RESOURCE_EXHAUSTED("more than %zu timers", heap->max_timers);
    if (!grow(heap))
      return sky_status_no_memory();
    put(heap, heap->size++, timer);
  }
  timer->at_ns = at_ns;
  timer->order = heap->next_order++;
  move_down(heap, move_up(heap, timer->place - 1));
  return SKY_OK;
}

bool sky_timer_heap_remove(SkyTimerHeap *heap, SkyTimer *timer) {
  if (timer->place == 0)
    return false;
  const size_t index = timer->place - 1;
  SkyTimer *last = heap->timers[--heap->size];
  timer->place = 0;
  if (last != timer) {
    put(heap, index, last);
    move_down(heap, move_up(heap, index));
  }
  return true;
}

SkyTimer *sky_timer_heap_pop_due(SkyTimerHeap *heap, int64_t now_ns) {
  if (heap->size == 0 || heap->timers[0]->at_ns > now_ns)
    return NULL;
  SkyTimer *first = heap->timers[0];
  sky_timer_heap_remove(heap, first);
  return first;
}

int64_t sky_timer_heap_next_ns(const SkyTimerHeap *heap) {
  return heap->size == 0 ? INT64_MAX : heap->timers[0]->at_ns;
}
