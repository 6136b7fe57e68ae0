#include <sky/core/geo.h>

#include <math.h>

static double radians(double degrees) {
  return degrees * (M_PI / 180.0);
}

static double degrees(double radians) {
  return radians * (180.0 / M_PI);
}

static double wrapped_longitude(double longitude) {
  const double turned = fmod(longitude + 540.0, 360.0);
  return turned - 180.0;
}

bool sky_point_is_valid(SkyPoint point) {
  return isfinite(point.latitude) && isfinite(point.longitude) && fabs(point.latitude) <= 90.0 &&
         fabs(point.longitude) <= 180.0;
}

double sky_geo_distance_m(SkyPoint from, SkyPoint to) {
  const double half_latitude = sin(radians(to.latitude - from.latitude) / 2);
  const double half_longitude = sin(radians(to.longitude - from.longitude) / 2);
  const double haversine = half_latitude * half_latitude +
                           cos(radians(from.latitude)) * cos(radians(to.latitude)) * half_longitude * half_longitude;
  return 2 * SKY_EARTH_RADIUS_M * asin(fmin(1.0, sqrt(haversine)));
}

double sky_geo_bearing(SkyPoint from, SkyPoint to) {
  const double turn = radians(to.longitude - from.longitude);
  const double from_latitude = radians(from.latitude), to_latitude = radians(to.latitude);
  const double east = sin(turn) * cos(to_latitude);
  const double north = cos(from_latitude) * sin(to_latitude) - sin(from_latitude) * cos(to_latitude) * cos(turn);
  const double bearing = degrees(atan2(east, north));
  return bearing < 0 ? bearing + 360.0 : bearing;
}

SkyPoint sky_geo_destination(SkyPoint from, double bearing, double distance_m) {
  const double angle = distance_m / SKY_EARTH_RADIUS_M, direction = radians(bearing);
  const double from_latitude = radians(from.latitude);
  const double sine = sin(from_latitude) * cos(angle) + cos(from_latitude) * sin(angle) * cos(direction);
  const double latitude = asin(fmax(-1.0, fmin(1.0, sine)));
  const double turn = atan2(sin(direction) * sin(angle) * cos(from_latitude), cos(angle) - sin(from_latitude) * sine);
  return (SkyPoint){degrees(latitude), wrapped_longitude(from.longitude + degrees(turn))};
}

SkyPoint sky_geo_towards(SkyPoint from, SkyPoint to, double distance_m) {
  if (distance_m >= sky_geo_distance_m(from, to))
    return to;
  if (distance_m <= 0)
    return from;
  return sky_geo_destination(from, sky_geo_bearing(from, to), distance_m);
}
