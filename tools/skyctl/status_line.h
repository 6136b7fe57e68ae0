/*
 * Status line: where a delivery stands, in one line for people.
 */
#pragma once

#include <stdint.h>

#include "fabrikam/delivery/v1/delivery.sky.h"
#include "fabrikam/ingestion/v1/ingestion.sky.h"

enum { STATUS_LINE_SIZE = 512 };

/* "headed to drop-off   47.6312, -122.3301   21.4 m/s   2.1 km to go   arrives in 1 min 40 s (14:03:20)" */
void status_line(const delivery_DeliveryStatus *status, int64_t now_ms, char text[STATUS_LINE_SIZE]);

/* "SCHEDULED" of DELIVERY_REQUEST_STATE_SCHEDULED, in lower case with spaces. */
const char *status_stage_name(common_DeliveryStage stage);
const char *status_request_state_name(ingestion_DeliveryRequestState state);
