#include "delivery/eta.h"

#include <math.h>

#include <sky/core/time.h>

static const double MOVING_MPS = 0.5;     /* slower than this a drone hovers, and its speed says nothing */
static const double LEARNING_RATE = 0.05; /* weight of one delivery */
static const double LEAST_FACTOR = 0.5, MOST_FACTOR = 2.0;
static const double ASSUMED_CONFIDENCE = 0.6; /* before the drone reports a speed */
static const double HALF_LIFE_M = 20000;      /* a far goal leaves more room for surprises */

EtaEstimate eta_estimate(const EtaModel *model, const EtaInput *input) {
  const bool moving = input->speed_mps > MOVING_MPS;
  const double speed = moving ? input->speed_mps : model->cruise_mps;
  const double factor = moving ? 1.0 : model->weather_factor * model->history_factor;
  const double to_pickup_m = input->picked_up ? 0 : sky_geo_distance_m(input->drone, input->pickup);
  const double to_dropoff_m = sky_geo_distance_m(input->picked_up ? input->drone : input->pickup, input->dropoff);
  const double remaining_m = to_pickup_m + to_dropoff_m;
  EtaEstimate estimate = {.remaining_m = remaining_m};
  if (!input->picked_up)
    estimate.pickup_ms = input->now_ms + (int64_t)(to_pickup_m / speed * factor * SKY_MS_PER_S);
  estimate.dropoff_ms = input->now_ms + (int64_t)(remaining_m / speed * factor * SKY_MS_PER_S);
  const double nearness = exp2(-remaining_m / HALF_LIFE_M);
  estimate.confidence = moving ? 0.8 + 0.2 * nearness : ASSUMED_CONFIDENCE * (0.5 + 0.5 * nearness);
  return estimate;
}

void eta_learn(EtaModel *model, int64_t estimated_ms, int64_t actual_ms) {
  if (estimated_ms <= 0 || actual_ms <= 0)
    return;
  const double ratio = fmin(MOST_FACTOR, fmax(LEAST_FACTOR, (double)actual_ms / (double)estimated_ms));
  model->history_factor += (ratio - model->history_factor) * LEARNING_RATE;
}
