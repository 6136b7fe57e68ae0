/*
 * Metadata: what travels beside the messages of a call.
 *
 * Who a call is made for travels as sky-principal-subject, sky-principal-owner and sky-principal-scopes. The gateway
 * sets them after it has authenticated the caller (and drops what the outside sent under these names); services pass
 * them on to child calls. They are worth what the mesh's authorization is worth: only mesh peers may reach a service's
 * port.
 *
 * The trace travels as W3C traceparent, https://www.w3.org/TR/trace-context/
 */
#pragma once

#define SKY_METADATA_SUBJECT "sky-principal-subject"
#define SKY_METADATA_OWNER "sky-principal-owner"
#define SKY_METADATA_SCOPES "sky-principal-scopes"
#define SKY_METADATA_TRACEPARENT "traceparent"
/* gRFC A6: when a server that fails a call wants to see it again, in milliseconds; negative: not at all. */
#define SKY_METADATA_RETRY_PUSHBACK "grpc-retry-pushback-ms"
