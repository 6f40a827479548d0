// Pictures of closed forms, from a few lines each. What moves in a plane moves in that of x and z.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "foreplan/systems/scene.h"

namespace foreplan {

/// Bodies in a state: [bodies of the scene].
using PlaceBodies = std::function<void(std::span<const double> state, std::span<ScenePose> bodies)>;

/// A picture whose bodies stand where the function says; what is traced and followed is the
/// scene's.
std::unique_ptr<Picture> MakePictureOf(Scene scene, PlaceBodies place);

/// How a pole's angle is counted: a = sign (angle - upright) is the one from standing up to the
/// left, the tip at (x - l sin a, l cos a).
struct PoleAngle {
  double upright = 0;
  int sign = 1;
};
/// A cart on a rail and a pole: state (x [m], angle [rad], ...).
std::unique_ptr<Picture> CartPolePicture(double length, PoleAngle angle);
/// A link of `length` that stands up at angle 0, or two links that hang at angles 0.
std::unique_ptr<Picture> PendulumPicture(double length);
std::unique_ptr<Picture> AcrobotPicture(double length1, double length2);
/// Rotors at `arm` from the centre: state (x, z, pitch, ...), and (x, y, z, roll, pitch, yaw, ...).
std::unique_ptr<Picture> PlanarQuadrotorPicture(double arm);
std::unique_ptr<Picture> QuadrotorPicture(double arm);
/// Seen from its own place along the road: state (y [m], heading [rad]).
std::unique_ptr<Picture> CarPicture(double wheelbase);
/// State (x, y [m], heading [rad]).
std::unique_ptr<Picture> UnicyclePicture();

}  // namespace foreplan
