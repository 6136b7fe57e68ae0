#include "workflow/intake.h"

const IntakePolicy intake_default_policy = {.least = 16, .first = 128, .most = 4096, .target_ms = 300};

static const double DECREASE = 0.75;
static const double QUEUEING = 3;          /* times the quickest: that long is still fine */
static const double FORGETTING = 1 / 512.; /* of the quickest, per saga */

void intake_init(Intake *intake, IntakePolicy policy) {
  if (policy.least > policy.most)
    policy.least = policy.most;
  if (policy.first > policy.most)
    policy.first = policy.most;
  *intake = (Intake){.policy = policy, .limit = (double)policy.first};
}

bool intake_has_room(const Intake *intake, size_t busy) {
  return (double)busy < intake->limit;
}

bool intake_has_much_room(const Intake *intake, size_t busy) {
  return (double)busy <= intake->limit * 7 / 8;
}

static double clamp(const Intake *intake, double limit) {
  const double least = (double)intake->policy.least;
  const double most = (double)intake->policy.most;
  return limit < least ? least : limit > most ? most : limit;
}

static void note_quickest(Intake *intake, double took_ms) {
  if (intake->quickest_ms == 0 || took_ms < intake->quickest_ms)
    intake->quickest_ms = took_ms;
  else
    intake->quickest_ms += (took_ms - intake->quickest_ms) * FORGETTING;
}

static bool is_slow(const Intake *intake, double took_ms) {
  return took_ms > (double)intake->policy.target_ms && took_ms > intake->quickest_ms * QUEUEING;
}

void intake_note(Intake *intake, int64_t begun_ms, int64_t now_ms, size_t busy) {
  const double took_ms = (double)(now_ms - begun_ms);
  note_quickest(intake, took_ms);
  if (is_slow(intake, took_ms)) {
    if (begun_ms < intake->settled_ms)
      return;
    intake->limit = clamp(intake, intake->limit * DECREASE);
    intake->settled_ms = now_ms;
  } else if ((double)busy * 2 > intake->limit) { /* it is the limit that is being tried, not a quiet hour */
    intake->limit = clamp(intake, intake->limit + 1 / intake->limit);
  }
}
