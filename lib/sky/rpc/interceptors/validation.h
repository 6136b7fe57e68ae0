/*
 * Validation: messages are held to the rules of their contract (buf.validate, field_behavior), with every violation
 * named. INVALID_ARGUMENT.
 *
 * Servers validate what they receive without being told (SkyServerOptions.no_validation), after all other
 * interceptors, so that these see the calls that are refused. A client that wants to know before it sends adds this.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

SkyServerInterceptor sky_validation_server(void); /* requests and messages of streams */
SkyClientInterceptor sky_validation_client(void); /* requests and messages of streams, before they are sent */
