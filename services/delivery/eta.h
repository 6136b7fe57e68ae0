/*
 * Eta: when a drone reaches pickup and drop-off, from where it is and how fast it flies. Pure.
 *
 * Time = way / speed × factor. The factor is that of the weather times what history shows: how much longer than first
 * estimated deliveries took lately. A speed that the drone reports already contains both, so then the factor is 1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/geo.h>

typedef struct EtaInput {
  int64_t now_ms;
  SkyPoint drone;
  SkyPoint pickup;
  SkyPoint dropoff;
  bool picked_up;
  double speed_mps; /* reported ground speed; 0 or less: not known */
} EtaInput;

typedef struct EtaModel {
  double cruise_mps;     /* assumed when no speed is reported */
  double weather_factor; /* 1: calm; 1.2: everything takes a fifth longer */
  double history_factor; /* learned; 0.5 to 2 */
} EtaModel;

typedef struct EtaEstimate {
  int64_t pickup_ms;  /* Unix time; 0 after pickup */
  int64_t dropoff_ms; /* Unix time */
  double confidence;  /* 0 to 1 */
  double remaining_m; /* way still to go to the drop-off */
} EtaEstimate;

EtaEstimate eta_estimate(const EtaModel *model, const EtaInput *input);

/* A delivery that was first estimated to take estimated_ms took actual_ms: moves history_factor a little towards their
 * ratio. */
void eta_learn(EtaModel *model, int64_t estimated_ms, int64_t actual_ms);
