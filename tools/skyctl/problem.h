/*
 * Problem: an error answer of the gateway (application/problem+json, RFC 9457) as a status.
 */
#pragma once

#include <sky/core/status.h>
#include <sky/core/str.h>

/* Never SKY_OK. A body that is no problem gives the HTTP status alone. */
SKY_MUST_USE SkyStatus problem_status(long http_status, SkyStr body);
