/*
 * Status on the wire: google.rpc.Status in the trailing metadata grpc-status-details-bin. ErrorInfo, RetryInfo,
 * BadRequest, PreconditionFailure and ResourceInfo become what a SkyStatus has for them, others stay bytes.
 *
 * https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
 */
#pragma once

#include <sky/core/buf.h>
#include <sky/core/status.h>

/* What peers accept as metadata by default is 8 KiB in all, and these bytes travel in base64. */
enum { SKY_STATUS_DETAILS_MAX_BYTES = 4096 };

#define SKY_STATUS_DETAILS_KEY "grpc-status-details-bin"

/* True when the status says more than its code and message. */
bool sky_status_has_details(const SkyError *status);
/* Writes google.rpc.Status with as many of the details as fit into the buffer's maximum. */
void sky_status_encode(const SkyError *status, SkyBuf *out);
/*
 * An error of this code and message with the details found in the bytes. Malformed bytes lose the details, never the
 * code. OK gives SKY_OK.
 */
SKY_MUST_USE SkyStatus sky_status_decode(SkyCode code, SkyStr message, SkyStr details);
