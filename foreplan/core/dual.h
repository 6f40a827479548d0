// Numbers that carry derivatives: exact forward-mode differentiation of formulas that are templates
// on their scalar type.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>

namespace foreplan {

/// value + sum_i partial[i] eps_i with eps_i eps_j = 0. T is double, or a Dual itself for second
/// derivatives. Every function applies the chain rule: f(a) = (f(a.value), f'(a.value) a.partial).
template <typename T, int N>
struct Dual {
  T value{};
  std::array<T, static_cast<size_t>(N)> partial{};

  Dual() = default;
  Dual(double constant) : value(constant) {}  // NOLINT(google-explicit-constructor): a number
  Dual(const T& constant)                     // NOLINT(google-explicit-constructor): a number
    requires(!std::same_as<T, double>)
      : value(constant) {}

  /// Variable number `index` of the N that are differentiated by.
  static Dual Variable(const T& value, int index) {
    Dual result;
    result.value = value;
    result.partial[static_cast<size_t>(index)] = T(1.0);
    return result;
  }

  /// (f, slope * partial): the chain rule for a function of this number.
  [[nodiscard]] Dual Chain(const T& f, const T& slope) const {
    Dual result;
    result.value = f;
    for (size_t i = 0; i < N; ++i) result.partial[i] = slope * partial[i];
    return result;
  }

  friend Dual operator+(const Dual& a, const Dual& b) {
    Dual result;
    result.value = a.value + b.value;
    for (size_t i = 0; i < N; ++i) result.partial[i] = a.partial[i] + b.partial[i];
    return result;
  }
  friend Dual operator-(const Dual& a, const Dual& b) {
    Dual result;
    result.value = a.value - b.value;
    for (size_t i = 0; i < N; ++i) result.partial[i] = a.partial[i] - b.partial[i];
    return result;
  }
  friend Dual operator*(const Dual& a, const Dual& b) {
    Dual result;
    result.value = a.value * b.value;
    for (size_t i = 0; i < N; ++i) {
      result.partial[i] = a.value * b.partial[i] + b.value * a.partial[i];
    }
    return result;
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    // (a / b)' = (a' - (a / b) b') / b
    Dual result;
    const T inverse = 1.0 / b.value;
    result.value = a.value * inverse;
    for (size_t i = 0; i < N; ++i) {
      result.partial[i] = (a.partial[i] - result.value * b.partial[i]) * inverse;
    }
    return result;
  }

  friend Dual operator+(const Dual& a, double b) {
    Dual result = a;
    result.value = a.value + b;
    return result;
  }
  friend Dual operator+(double a, const Dual& b) { return b + a; }
  friend Dual operator-(const Dual& a, double b) { return a + (-b); }
  friend Dual operator-(double a, const Dual& b) { return (-b) + a; }
  friend Dual operator*(const Dual& a, double b) {
    Dual result;
    result.value = a.value * b;
    for (size_t i = 0; i < N; ++i) result.partial[i] = a.partial[i] * b;
    return result;
  }
  friend Dual operator*(double a, const Dual& b) { return b * a; }
  friend Dual operator/(const Dual& a, double b) { return a * (1.0 / b); }
  friend Dual operator/(double a, const Dual& b) { return Dual(a) / b; }
  friend Dual operator-(const Dual& a) { return a * -1.0; }

  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) { return *this = *this / b; }

  // Comparisons look at the value: a branch is differentiated along the side that is taken.
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return b < a; }
  friend bool operator<(const Dual& a, double b) { return a.value < b; }
  friend bool operator>(const Dual& a, double b) { return a.value > b; }
  friend bool operator<=(const Dual& a, double b) { return a.value <= b; }
  friend bool operator>=(const Dual& a, double b) { return a.value >= b; }

  friend Dual sin(const Dual& a) {
    using std::cos;
    using std::sin;
    return a.Chain(sin(a.value), cos(a.value));
  }
  friend Dual cos(const Dual& a) {
    using std::cos;
    using std::sin;
    return a.Chain(cos(a.value), -sin(a.value));
  }
  friend Dual exp(const Dual& a) {
    using std::exp;
    const T e = exp(a.value);
    return a.Chain(e, e);
  }
  friend Dual log(const Dual& a) {
    using std::log;
    return a.Chain(log(a.value), 1.0 / a.value);
  }
  friend Dual sqrt(const Dual& a) {
    using std::sqrt;
    const T root = sqrt(a.value);
    return a.Chain(root, 0.5 / root);
  }
  friend Dual abs(const Dual& a) { return a < 0.0 ? -a : a; }
  friend Dual atan2(const Dual& y, const Dual& x) {
    using std::atan2;
    // d atan2 = (x dy - y dx) / (x^2 + y^2)
    Dual result;
    const T inverse = 1.0 / (x.value * x.value + y.value * y.value);
    result.value = atan2(y.value, x.value);
    for (size_t i = 0; i < N; ++i) {
      result.partial[i] = (x.value * y.partial[i] - y.value * x.partial[i]) * inverse;
    }
    return result;
  }
  friend Dual min(const Dual& a, const Dual& b) { return b < a ? b : a; }
  friend Dual max(const Dual& a, const Dual& b) { return a < b ? b : a; }
  friend bool isfinite(const Dual& a) {
    using std::isfinite;
    return isfinite(a.value);
  }
};

/// Carries first and second derivatives by N variables.
template <int N>
using SecondDual = Dual<Dual<double, N>, N>;

/// Variable number `index` with both orders of derivatives.
template <int N>
SecondDual<N> SecondVariable(double value, int index) {
  return SecondDual<N>::Variable(Dual<double, N>::Variable(value, index), index);
}

}  // namespace foreplan
