/*
 * Publish acknowledgement: what JetStream answers to a publication, {"stream":"X","seq":7,"duplicate":true} or
 * {"error":{…}}. Pure.
 */
#pragma once

#include <sky/bus/bus.h>

/* The broker's error as a status; RESOURCE_EXHAUSTED when the stream is full. DATA_LOSS when the reply is not an
 * acknowledgement. */
SKY_MUST_USE SkyStatus pub_ack_parse(SkyStr reply, SkyConfirmation *ret);
