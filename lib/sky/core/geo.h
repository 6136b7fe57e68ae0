/*
 * Geo: distances and ways on a sphere of the Earth's mean radius (great circles); off by at most 0.6 % against the
 * ellipsoid. Pure.
 *
 * Angles are degrees, WGS 84: latitude -90 to 90, longitude -180 to 180. Distances are metres. Formulas: R. W. Sinnott,
 * "Virtues of the Haversine", Sky and Telescope 68 (1984); https://www.movable-type.co.uk/scripts/latlong.html
 */
#pragma once

#include <stdbool.h>

#define SKY_EARTH_RADIUS_M 6371008.8 /* mean radius R1 of IUGG */

typedef struct SkyPoint {
  double latitude;
  double longitude;
} SkyPoint;

/* Finite and in range. */
bool sky_point_is_valid(SkyPoint point);

/* Length of the great circle between two points, in metres; 0 to half the circumference. */
double sky_geo_distance_m(SkyPoint from, SkyPoint to);

/* Direction at the start of the great circle, in degrees clockwise from north, 0 to 360. 0 when the points are the
 * same. */
double sky_geo_bearing(SkyPoint from, SkyPoint to);

/* The point that lies distance_m along the great circle from `from` towards `to`; `to` itself when that is not further.
 */
SkyPoint sky_geo_towards(SkyPoint from, SkyPoint to, double distance_m);

/* The point at distance_m from `from` in the direction bearing (degrees). */
SkyPoint sky_geo_destination(SkyPoint from, double bearing, double distance_m);
