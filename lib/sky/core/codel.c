#include "codel.h"

void sky_codel_init(SkyCodel *codel, int64_t target_ns, int64_t interval_ns) {
  *codel = (SkyCodel){.target_ns = target_ns, .interval_ns = interval_ns};
}

/* An interval without work says that there was no queue. */
static void begin_interval(SkyCodel *codel, int64_t waited_ns, int64_t now_ns) {
  const bool followed = now_ns - codel->interval_end_ns <= codel->interval_ns;
  codel->overloaded = codel->interval_end_ns != 0 && followed && codel->shortest_ns > codel->target_ns;
  codel->interval_end_ns = now_ns + codel->interval_ns;
  codel->shortest_ns = waited_ns;
}

bool sky_codel_is_late(SkyCodel *codel, int64_t waited_ns, int64_t now_ns) {
  if (now_ns >= codel->interval_end_ns)
    begin_interval(codel, waited_ns, now_ns);
  else if (waited_ns < codel->shortest_ns)
    codel->shortest_ns = waited_ns;
  return codel->overloaded && waited_ns > 2 * codel->target_ns;
}
