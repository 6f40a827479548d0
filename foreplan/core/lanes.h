// Several doubles that go through the same formula together. Formulas that are templates on their
// number type and free of branches become vector code with it.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>

#if defined(__AVX__)
#include <immintrin.h>
#endif

// Files that CMakeLists.txt compiles for AVX-512 with FOREPLAN_WIDE_LANES (their functions are
// called where the processor has it) see lanes of their own, in a namespace of their own: the
// linker must never take their code for other files' functions of the same name.
#if defined(FOREPLAN_WIDE_LANES)
#define FOREPLAN_LANES_NAMESPACE wide
#else
#define FOREPLAN_LANES_NAMESPACE narrow
#endif

namespace foreplan {

inline namespace FOREPLAN_LANES_NAMESPACE {

#if defined(FOREPLAN_WIDE_LANES)
inline constexpr int kLanes = 8;
#elif defined(__AVX__)
inline constexpr int kLanes = 4;
#else
inline constexpr int kLanes = 2;
#endif

/// Of the series below.
constexpr double InverseFactorial(int n) {
  double factorial = 1;
  for (int i = 2; i <= n; ++i) factorial *= i;
  return 1 / factorial;
}
template <size_t kCount, typename Function>
constexpr std::array<double, kCount> Coefficients(Function coefficient) {
  std::array<double, kCount> coefficients{};
  for (size_t i = 0; i < kCount; ++i) coefficients[i] = coefficient(static_cast<int>(i));
  return coefficients;
}

/// kLanes doubles. A lane's bits never depend on the numbers in the other lanes. The functions
/// below differ from those of <cmath> by a few units in the last place, and agree with them on NaN,
/// infinities and zeros.
struct Lanes {
  using Doubles [[gnu::vector_size(8 * kLanes)]] = double;
  using Words [[gnu::vector_size(8 * kLanes)]] = uint64_t;
  using Mask [[gnu::vector_size(8 * kLanes)]] = int64_t;  // all bits of a lane, or none

  Doubles v{};

  Lanes() = default;
  // Written out, as g++ would copy the object in parts smaller than a register.
  Lanes(const Lanes& other) : v(other.v) {}
  Lanes& operator=(const Lanes& other) {
    v = other.v;
    return *this;
  }
  Lanes(double all) : v(all - Doubles{}) {}  // NOLINT(google-explicit-constructor): a number
  Lanes(const Doubles& lanes) : v(lanes) {}  // NOLINT(google-explicit-constructor): a view

  /// One double every `stride`.
  static Lanes Load(const double* from, size_t stride) {
    Lanes result;
    for (int i = 0; i < kLanes; ++i) result.v[i] = from[static_cast<size_t>(i) * stride];
    return result;
  }
  void Store(double* to, size_t stride) const {
    for (int i = 0; i < kLanes; ++i) to[static_cast<size_t>(i) * stride] = v[i];
  }

  /// a_0 b_0 a_1 b_1 ...: 2 kLanes doubles.
  static void StorePairs(const Lanes& a, const Lanes& b, double* to) {
#if defined(FOREPLAN_WIDE_LANES)
    const Doubles low = __builtin_shufflevector(a.v, b.v, 0, 8, 1, 9, 2, 10, 3, 11);
    const Doubles high = __builtin_shufflevector(a.v, b.v, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX__)
    const Doubles low = __builtin_shufflevector(a.v, b.v, 0, 4, 1, 5);
    const Doubles high = __builtin_shufflevector(a.v, b.v, 2, 6, 3, 7);
#else
    const Doubles low = __builtin_shufflevector(a.v, b.v, 0, 2);
    const Doubles high = __builtin_shufflevector(a.v, b.v, 1, 3);
#endif
    Lanes(low).Store(to, 1);
    Lanes(high).Store(to + kLanes, 1);
  }

  friend Lanes operator+(const Lanes& a, const Lanes& b) { return a.v + b.v; }
  friend Lanes operator-(const Lanes& a, const Lanes& b) { return a.v - b.v; }
  friend Lanes operator*(const Lanes& a, const Lanes& b) { return a.v * b.v; }
  friend Lanes operator/(const Lanes& a, const Lanes& b) { return a.v / b.v; }
  friend Lanes operator-(const Lanes& a) { return -a.v; }
  Lanes& operator+=(const Lanes& other) { return *this = *this + other; }
  Lanes& operator-=(const Lanes& other) { return *this = *this - other; }
  Lanes& operator*=(const Lanes& other) { return *this = *this * other; }

  friend Mask operator<(const Lanes& a, const Lanes& b) { return a.v < b.v; }
  friend Mask operator>(const Lanes& a, const Lanes& b) { return a.v > b.v; }
  friend Mask operator==(const Lanes& a, const Lanes& b) { return a.v == b.v; }

  static bool Any(const Mask& mask) {
#if defined(FOREPLAN_WIDE_LANES)
    const auto words = reinterpret_cast<__m512i>(mask);
    return _mm512_test_epi64_mask(words, words) != 0;
#elif defined(__AVX__)
    return _mm256_testz_si256(reinterpret_cast<__m256i>(mask), reinterpret_cast<__m256i>(mask)) ==
           0;
#else
    return (mask[0] | mask[1]) != 0;
#endif
  }
  static Lanes Select(const Mask& mask, const Lanes& yes, const Lanes& no) {
    return mask ? yes.v : no.v;
  }
  [[nodiscard]] Mask IsFinite() const { return abs(*this).v < Infinity().v; }

  /// std::min and std::max: the first argument where the two do not compare, as with NaN.
  friend Lanes min(const Lanes& a, const Lanes& b) { return Select(b < a, b, a); }
  friend Lanes max(const Lanes& a, const Lanes& b) { return Select(a < b, b, a); }
  friend Lanes abs(const Lanes& a) { return FromWords(a.words() & ~kSign); }
  friend Lanes sqrt(const Lanes& a) {
#if defined(FOREPLAN_WIDE_LANES)
    return Lanes(reinterpret_cast<Doubles>(_mm512_sqrt_pd(reinterpret_cast<__m512d>(a.v))));
#endif
    Lanes result;
    for (int i = 0; i < kLanes; ++i) result.v[i] = std::sqrt(a.v[i]);
    return result;
  }

  // Lanes outside a formula's range are looked at afterwards, so that sin(x) and cos(x) of one
  // formula share the work.
  friend Lanes sin(const Lanes& x) {
    Lanes sine;
    Lanes cosine;
    SinCos(x, sine, cosine);
    return Patched(sine, ~(abs(x) < Lanes(kLargeAngle)), x, [](double a) { return std::sin(a); });
  }
  friend Lanes cos(const Lanes& x) {
    Lanes sine;
    Lanes cosine;
    SinCos(x, sine, cosine);
    return Patched(cosine, ~(abs(x) < Lanes(kLargeAngle)), x, [](double a) { return std::cos(a); });
  }

  friend Lanes exp(const Lanes& x) {
    // e^x = 2^k e^r with k = round(x / ln 2), |r| <= ln(2) / 2; r^14 / 14! < 3e-17
    const Doubles shifted = x.v * std::numbers::log2e + kRounder;
    const Lanes k = shifted - kRounder;
    const Lanes r = x - k * Lanes(kLn2High) - k * Lanes(kLn2Low);
    static constexpr auto kSeries = Coefficients<14>([](int i) { return InverseFactorial(i); });
    const Lanes sum = Polynomial(kSeries, r);
    const Lanes power = FromWords(sum.words() + (Lanes(shifted).words() << 52));
    return Patched(power, ~(abs(x) < Lanes(700.0)), x, [](double a) { return std::exp(a); });
  }

  friend Lanes log(const Lanes& x) {
    constexpr double kSmallest = std::numeric_limits<double>::min();
    return Patched(LogOfNormal(x), ~(x.v >= kSmallest) | ~(x < Infinity()), x,
                   [](double a) { return std::log(a); });
  }

  friend Lanes atan2(const Lanes& y, const Lanes& x) {
    constexpr double kSmallest = 1e-290;  // products with it are not yet denormal
    constexpr double kLargest = 1e290;    // sums do not overflow, inverses are not denormal
    const Lanes longer = max(abs(x), abs(y));
    Lanes angle = FirstOctantAngle(min(abs(x), abs(y)), longer);
    angle = Select(abs(x) < abs(y), Lanes(std::numbers::pi / 2) - angle, angle);
    angle = Select(x < Lanes(0.0), Lanes(std::numbers::pi) - angle, angle);
    angle = FromWords(angle.words() | (y.words() & kSign));
    const Mask outside =
        ~(longer > Lanes(kSmallest)) | ~(longer < Lanes(kLargest)) | ~x.IsFinite() | ~y.IsFinite();
    if (Any(outside)) [[unlikely]] {
      for (int i = 0; i < kLanes; ++i) {
        if (outside[i] != 0) angle.v[i] = std::atan2(y.v[i], x.v[i]);
      }
    }
    return angle;
  }

  /// Both for |x| < 1e5, unchecked.
  static void SinCos(const Lanes& x, Lanes& sine, Lanes& cosine) {
    // x = n pi/2 + r, |r| <= pi/4, with pi/2 in three parts of which the first two have 33 bits.
    const Doubles shifted = x.v * (2 / std::numbers::pi) + kRounder;
    const Lanes n = shifted - kRounder;
    const Lanes r = x - n * Lanes(kHalfPi1) - n * Lanes(kHalfPi2) - n * Lanes(kHalfPi3);
    SinCosOfRemainder(r, Lanes(shifted).words(), sine, cosine);
  }

  /// Of 2 pi x for |x| < 1e5, unchecked.
  static void SinCosOfTurns(const Lanes& x, Lanes& sine, Lanes& cosine) {
    const Doubles shifted = x.v * 4.0 + kRounder;
    const Lanes n = shifted - kRounder;
    const Lanes r = (Lanes(4.0) * x - n) * Lanes(std::numbers::pi / 2);
    SinCosOfRemainder(r, Lanes(shifted).words(), sine, cosine);
  }

  /// Logarithm of positive, normal, finite numbers, unchecked.
  static Lanes LogOfNormal(const Lanes& x) {
    // x = 2^k m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1)
    constexpr uint64_t kOne = std::bit_cast<uint64_t>(1.0);
    constexpr uint64_t kRootHalf = std::bit_cast<uint64_t>(std::numbers::sqrt2 / 2);
    const Words moved = x.words() + (kOne - kRootHalf);
    const Lanes k = FromWords((moved >> 52) | kRounderBits) - Lanes(kRounder + 1023);
    const Lanes m = FromWords((moved & kMantissa) + kRootHalf);
    const Lanes s = Quotient(m - Lanes(1.0), m + Lanes(1.0));
    const Lanes z = s * s;  // < 0.0295: z^11 / 23 < 7e-19
    static constexpr auto kSeries = Coefficients<10>([](int i) { return 1.0 / (2 * i + 3); });
    const Lanes sum = Polynomial(kSeries, z);
    return k * Lanes(kLn2High) + (k * Lanes(kLn2Low) + Lanes(2.0) * (s + s * z * sum));
  }

  /// a / b and sqrt(a), which may err by a unit in the last place, for numbers far from the ends of
  /// the range. Where the processor has approximations to start from, this is several times as fast
  /// as its exact operations.
  static Lanes Quotient(const Lanes& a, const Lanes& b) {
#if defined(FOREPLAN_WIDE_LANES)
    const auto divisor = reinterpret_cast<__m512d>(b.v);
    auto inverse = _mm512_rcp14_pd(divisor);
    for (int i = 0; i < 2; ++i) {  // r <- r + r (1 - b r): 14, 28, 52 bits
      const __m512d error = _mm512_fnmadd_pd(divisor, inverse, _mm512_set1_pd(1.0));
      inverse = _mm512_fmadd_pd(inverse, error, inverse);
    }
    const auto dividend = reinterpret_cast<__m512d>(a.v);
    const __m512d quotient = _mm512_mul_pd(dividend, inverse);
    const __m512d rest = _mm512_fnmadd_pd(divisor, quotient, dividend);
    return reinterpret_cast<Doubles>(_mm512_fmadd_pd(rest, inverse, quotient));
#else
    return a / b;
#endif
  }
  static Lanes Root(const Lanes& a) {
#if defined(FOREPLAN_WIDE_LANES)
    const __m512d x = _mm512_max_pd(reinterpret_cast<__m512d>(a.v), _mm512_set1_pd(1e-300));
    auto inverse = _mm512_rsqrt14_pd(x);
    const __m512d half = _mm512_mul_pd(x, _mm512_set1_pd(0.5));
    // r <- r + r (1/2 - x/2 r^2): 14, 28 bits; then q = x r with q <- q + r / 2 (x - q^2)
    const __m512d error =
        _mm512_fnmadd_pd(_mm512_mul_pd(half, inverse), inverse, _mm512_set1_pd(0.5));
    inverse = _mm512_fmadd_pd(inverse, error, inverse);
    const __m512d root = _mm512_mul_pd(x, inverse);
    const __m512d rest = _mm512_fnmadd_pd(root, root, x);
    return reinterpret_cast<Doubles>(
        _mm512_fmadd_pd(rest, _mm512_mul_pd(inverse, _mm512_set1_pd(0.5)), root));
#else
    return sqrt(a);
#endif
  }

  [[nodiscard]] Words words() const { return reinterpret_cast<Words>(v); }
  static Lanes FromWords(const Words& words) { return reinterpret_cast<Doubles>(words); }

 private:
  /// sum_i c_i z^i in pairs of terms, pairs of pairs, ... (Estrin): the processor waits for a chain
  /// of log2(terms) products where Horner's scheme has one per term.
  template <size_t kCount>
  static Lanes Polynomial(const std::array<double, kCount>& c, const Lanes& z) {
    static_assert(kCount > 4 && kCount <= 16);
    const Lanes z2 = z * z;
    const Lanes z4 = z2 * z2;
    return Terms<0, kCount>(c, {z, z2, z4, z4 * z4});
  }

  /// The kTerms terms from c_kFirst on, over z^kFirst; powers: z, z^2, z^4, z^8.
  template <size_t kFirst, size_t kTerms, size_t kCount>
  static Lanes Terms(const std::array<double, kCount>& c, const std::array<Lanes, 4>& powers) {
    if constexpr (kTerms == 1) {
      return c[kFirst];
    } else {
      constexpr size_t kHalf = std::bit_floor(kTerms - 1);
      return Terms<kFirst, kHalf>(c, powers) +
             powers[std::bit_width(kHalf) - 1] * Terms<kFirst + kHalf, kTerms - kHalf>(c, powers);
    }
  }

  static constexpr uint64_t kSign = uint64_t{1} << 63;
  static constexpr uint64_t kMantissa = (uint64_t{1} << 52) - 1;
  // Adding it rounds to an integer, which then stands in the low bits.
  static constexpr double kRounder = 0x1.8p52;
  static constexpr uint64_t kRounderBits = std::bit_cast<uint64_t>(kRounder);
  static constexpr double kLargeAngle = 1e5;
  static constexpr double kHalfPi1 = 0x1.921fb544p+0;
  static constexpr double kHalfPi2 = 0x1.0b4611a6p-34;
  static constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;
  static constexpr double kLn2High = 0x1.62e42feep-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

  static Lanes Infinity() { return std::numeric_limits<double>::infinity(); }

  /// `fast`, and in the lanes `outside` its range the library's `function`.
  template <typename Function>
  static Lanes Patched(const Lanes& fast, const Mask& outside, const Lanes& x, Function function) {
    if (!Any(outside)) [[likely]]
      return fast;
    Lanes result = fast;
    for (int i = 0; i < kLanes; ++i) {
      if (outside[i] != 0) result.v[i] = function(x.v[i]);
    }
    return result;
  }

  /// Of n pi/2 + r with |r| <= pi/4 and the integer n in the low bits of `n`.
  static void SinCosOfRemainder(const Lanes& r, const Words& n, Lanes& sine, Lanes& cosine) {
    const Lanes z = r * r;
    // Taylor: r^17 / 17! < 5e-17 and r^18 / 18! < 2e-18
    static constexpr auto kSine =
        Coefficients<7>([](int i) { return (i % 2 == 0 ? -1 : 1) * InverseFactorial(2 * i + 3); });
    static constexpr auto kCosine =
        Coefficients<8>([](int i) { return (i % 2 == 0 ? -1 : 1) * InverseFactorial(2 * i + 2); });
    sine = r * (Lanes(1.0) + z * Polynomial(kSine, z));
    cosine = Lanes(1.0) + z * Polynomial(kCosine, z);
    // Odd n swap the two; bit 1 of n (of n + 1) is the sign of the sine (cosine).
    const Mask odd = (n & 1) != 0;
    const Lanes even_sine = sine;
    sine = FromWords(Select(odd, cosine, sine).words() ^ ((n & 2) << 62));
    cosine = FromWords(Select(odd, even_sine, cosine).words() ^ (((n + 1) & 2) << 62));
  }

  /// atan(a / b) for 0 <= a <= b.
  static Lanes FirstOctantAngle(const Lanes& a, const Lanes& b) {
    // atan(a/b) = c + atan((a - t b) / (b + t a)), t = tan c, for the nearest c of 0, pi/8, pi/4
    constexpr double kTan1 = 0.19891236737965800691;  // of pi/16
    constexpr double kTan2 = 0.41421356237309504880;  // of pi/8
    constexpr double kTan3 = 0.66817863791929891999;  // of 3 pi/16
    const Mask first = a < b * Lanes(kTan1);
    const Mask third = a > b * Lanes(kTan3);
    const Lanes t = Select(first, 0.0, Select(third, 1.0, kTan2));
    const Lanes c = Select(first, 0.0, Select(third, std::numbers::pi / 4, std::numbers::pi / 8));
    const Lanes s = Quotient(a - t * b, b + t * a);
    const Lanes z = s * s;  // < 0.0396: z^12 / 25 < 6e-19
    static constexpr auto kSeries =
        Coefficients<11>([](int i) { return (i % 2 == 0 ? 1.0 : -1.0) / (2 * i + 3); });
    return c + (s - s * z * Polynomial(kSeries, z));
  }
};

/// Twice as many: while one half waits for the result of an operation, the processor works on the
/// other. What formulas over rows are computed with.
struct LanePair {
  static constexpr int kRows = 2 * kLanes;

  Lanes low;
  Lanes high;

  LanePair() = default;
  LanePair(const LanePair& other) : low(other.low), high(other.high) {}
  LanePair& operator=(const LanePair& other) {
    low = other.low;
    high = other.high;
    return *this;
  }
  LanePair(double all) : low(all), high(all) {}  // NOLINT(google-explicit-constructor): a number
  LanePair(const Lanes& first, const Lanes& second) : low(first), high(second) {}

  /// One double every `stride`.
  static LanePair Load(const double* from, size_t stride) {
    return {Lanes::Load(from, stride), Lanes::Load(from + kLanes * stride, stride)};
  }
  void Store(double* to, size_t stride) const {
    low.Store(to, stride);
    high.Store(to + kLanes * stride, stride);
  }

  using Pair = const LanePair&;
  friend LanePair operator+(Pair a, Pair b) { return {a.low + b.low, a.high + b.high}; }
  friend LanePair operator-(Pair a, Pair b) { return {a.low - b.low, a.high - b.high}; }
  friend LanePair operator*(Pair a, Pair b) { return {a.low * b.low, a.high * b.high}; }
  friend LanePair operator/(Pair a, Pair b) { return {a.low / b.low, a.high / b.high}; }
  friend LanePair operator-(Pair a) { return {-a.low, -a.high}; }
  LanePair& operator+=(Pair other) { return *this = *this + other; }
  LanePair& operator-=(Pair other) { return *this = *this - other; }
  LanePair& operator*=(Pair other) { return *this = *this * other; }

  friend LanePair min(Pair a, Pair b) { return {min(a.low, b.low), min(a.high, b.high)}; }
  friend LanePair max(Pair a, Pair b) { return {max(a.low, b.low), max(a.high, b.high)}; }
  friend LanePair abs(Pair a) { return {abs(a.low), abs(a.high)}; }
  friend LanePair sqrt(Pair a) { return {sqrt(a.low), sqrt(a.high)}; }
  friend LanePair sin(Pair a) { return {sin(a.low), sin(a.high)}; }
  friend LanePair cos(Pair a) { return {cos(a.low), cos(a.high)}; }
  friend LanePair exp(Pair a) { return {exp(a.low), exp(a.high)}; }
  friend LanePair log(Pair a) { return {log(a.low), log(a.high)}; }
  friend LanePair atan2(Pair y, Pair x) { return {atan2(y.low, x.low), atan2(y.high, x.high)}; }
};

#if defined(FOREPLAN_WIDE_LANES)
// Entry i of a permutation of two vectors that keeps what the first holds already and takes from
// the second what stands there: of a column of rows in memory, or of memory from columns.
template <size_t kColumns, size_t kColumn, size_t kVector>
struct Interleaving {
  static constexpr int64_t OfColumn(size_t row) {
    const size_t place = row * kColumns + kColumn;
    if (place / 8 == kVector) return static_cast<int64_t>(8 + place % 8);
    return static_cast<int64_t>(place / 8 == 0 && kVector == 1 ? place % 8 : row);
  }
  static constexpr int64_t OfMemory(size_t entry) {
    const size_t place = kVector * 8 + entry;
    if (place % kColumns == kColumn) return static_cast<int64_t>(8 + place / kColumns);
    return static_cast<int64_t>(place % kColumns == 0 && kColumn == 1 ? place / kColumns : entry);
  }
  template <size_t... i>
  static __m512d Column(__m512d a, __m512d b, std::index_sequence<i...> /*entries*/) {
    alignas(64) static constexpr int64_t kIndex[] = {OfColumn(i)...};
    return _mm512_permutex2var_pd(a, _mm512_load_si512(kIndex), b);
  }
  template <size_t... i>
  static __m512d Memory(__m512d a, __m512d b, std::index_sequence<i...> /*entries*/) {
    alignas(64) static constexpr int64_t kIndex[] = {OfMemory(i)...};
    return _mm512_permutex2var_pd(a, _mm512_load_si512(kIndex), b);
  }
};

template <size_t kColumns, size_t kColumn, size_t... k>
Lanes ColumnOfRows(const double* from, std::index_sequence<k...> /*vectors after the first*/) {
  __m512d column = _mm512_loadu_pd(from);
  ((column = Interleaving<kColumns, kColumn, k + 1>::Column(
        column, _mm512_loadu_pd(from + 8 * (k + 1)), std::make_index_sequence<8>())),
   ...);
  return reinterpret_cast<Lanes::Doubles>(column);
}

template <size_t kColumns, size_t kVector, size_t... c>
void StoreVectorOfRows(const std::array<LanePair, kColumns>& columns, Lanes LanePair::*half,
                       double* to, std::index_sequence<c...> /*columns after the first*/) {
  auto memory = reinterpret_cast<__m512d>((columns[0].*half).v);
  ((memory = Interleaving<kColumns, c + 1, kVector>::Memory(
        memory, reinterpret_cast<__m512d>((columns[c + 1].*half).v),
        std::make_index_sequence<8>())),
   ...);
  _mm512_storeu_pd(to + 8 * kVector, memory);
}
inline constexpr size_t kMostInterleaved = 4;  // columns; for more, one by one is as fast
#endif

/// Columns of LanePair::kRows rows of kColumns doubles each.
template <size_t kColumns>
[[gnu::always_inline]] inline void LoadRows(const double* from,
                                            std::array<LanePair, kColumns>& columns) {
#if defined(FOREPLAN_WIDE_LANES)
  if constexpr (kColumns > 1 && kColumns <= kMostInterleaved) {
    [&]<size_t... c>(std::index_sequence<c...>) {
      constexpr auto kRest = std::make_index_sequence<kColumns - 1>();
      ((columns[c] = LanePair(ColumnOfRows<kColumns, c>(from, kRest),
                              ColumnOfRows<kColumns, c>(from + kLanes * kColumns, kRest))),
       ...);
    }(std::make_index_sequence<kColumns>());
    return;
  }
#endif
  for (size_t c = 0; c < kColumns; ++c) columns[c] = LanePair::Load(from + c, kColumns);
}

/// The reverse.
template <size_t kColumns>
[[gnu::always_inline]] inline void StoreRows(const std::array<LanePair, kColumns>& columns,
                                             double* to) {
#if defined(FOREPLAN_WIDE_LANES)
  if constexpr (kColumns > 1 && kColumns <= kMostInterleaved) {
    [&]<size_t... k>(std::index_sequence<k...>) {
      constexpr auto kRest = std::make_index_sequence<kColumns - 1>();
      (StoreVectorOfRows<kColumns, k>(columns, &LanePair::low, to, kRest), ...);
      (StoreVectorOfRows<kColumns, k>(columns, &LanePair::high, to + kLanes * kColumns, kRest),
       ...);
    }(std::make_index_sequence<kColumns>());
    return;
  }
#endif
  if constexpr (kColumns == 2) {
    Lanes::StorePairs(columns[0].low, columns[1].low, to);
    Lanes::StorePairs(columns[0].high, columns[1].high, to + 2 * kLanes);
  } else {
    for (size_t c = 0; c < kColumns; ++c) columns[c].Store(to + c, kColumns);
  }
}

}  // namespace FOREPLAN_LANES_NAMESPACE
}  // namespace foreplan
