// Small dense products and factorisations on row-major matrices whose rows are padded to whole
// vectors: those of the Riccati recursion (KnotLayout) and of Gaussian mixtures.
#pragma once

#include <cmath>
#include <utility>

namespace foreplan::row_kernels {

#ifdef __AVX__
constexpr int kLanes = 4;
#else
constexpr int kLanes = 2;
#endif
using Lanes [[gnu::vector_size(kLanes * sizeof(double))]] = double;
using UnalignedLanes
    [[gnu::vector_size(kLanes * sizeof(double)), gnu::aligned(8), gnu::may_alias]] = double;

/// What a product does with what stands in `c0`: c = c0 + a'b, c = c0 - a'b, or c = a'b.
enum class Accumulate { kAdd, kSubtract, kOverwrite };

/// A row-major matrix with its distance between rows.
struct View {
  const double* data;
  int stride;
};

/// One tile of c (Rows x Vectors*kLanes) from k rows of a and b. The sums stay in registers.
template <int Rows, int Vectors, Accumulate kMode>
[[gnu::always_inline]] inline void Tile(int k, View a, View b, const double* c0, int c0_stride,
                                        double* c, int c_stride) {
  Lanes sum[Rows][Vectors];
  for (int i = 0; i < Rows; ++i) {
    for (int v = 0; v < Vectors; ++v) {
      if constexpr (kMode == Accumulate::kOverwrite) {
        sum[i][v] = Lanes{};
      } else {
        sum[i][v] = *reinterpret_cast<const UnalignedLanes*>(c0 + i * c0_stride + v * kLanes);
      }
    }
  }
  for (int p = 0; p < k; ++p) {
    const double* a_row = a.data + p * a.stride;
    const double* b_row = b.data + p * b.stride;
    Lanes right[Vectors];
    for (int v = 0; v < Vectors; ++v) {
      right[v] = *reinterpret_cast<const UnalignedLanes*>(b_row + v * kLanes);
    }
    for (int i = 0; i < Rows; ++i) {
      for (int v = 0; v < Vectors; ++v) {
        if constexpr (kMode == Accumulate::kSubtract) {
          sum[i][v] -= a_row[i] * right[v];
        } else {
          sum[i][v] += a_row[i] * right[v];
        }
      }
    }
  }
  for (int i = 0; i < Rows; ++i) {
    for (int v = 0; v < Vectors; ++v) {
      *reinterpret_cast<UnalignedLanes*>(c + i * c_stride + v * kLanes) = sum[i][v];
    }
  }
}

/// Rows of c from column `begin` (a multiple of kLanes) to n, in tiles of at most three vectors.
template <int Rows, Accumulate kMode>
[[gnu::always_inline]] inline void RowPanel(int begin, int n, int k, View a, View b,
                                            const double* c0, int c0_stride, double* c,
                                            int c_stride) {
  int vectors = (n - begin) / kLanes;
  int j = begin;
  while (vectors > 0) {
    const View right{b.data + j, b.stride};
    // Four vectors are two tiles of two: one of a single vector would wait for its own sums.
    if (vectors == 2 || vectors == 4) {
      Tile<Rows, 2, kMode>(k, a, right, c0 + j, c0_stride, c + j, c_stride);
      j += 2 * kLanes;
      vectors -= 2;
    } else if (vectors >= 3) {
      Tile<Rows, 3, kMode>(k, a, right, c0 + j, c0_stride, c + j, c_stride);
      j += 3 * kLanes;
      vectors -= 3;
    } else {
      Tile<Rows, 1, kMode>(k, a, right, c0 + j, c0_stride, c + j, c_stride);
      j += kLanes;
      --vectors;
    }
  }
}

/// c = c0 (+,-) a'b. a: [k x m], b: [k x n], c, c0: [m x n], n a multiple of kLanes. With `upper`
/// only tiles on and right of the diagonal are computed. c0 may be c.
template <Accumulate kMode>
[[gnu::always_inline]] inline void MultiplyTransposed(int m, int n, int k, View a, View b, View c0,
                                                      double* c, int c_stride, bool upper) {
  int i = 0;
  for (; i + 4 <= m; i += 4) {
    RowPanel<4, kMode>(upper ? i : 0, n, k, {a.data + i, a.stride}, b, c0.data + i * c0.stride,
                       c0.stride, c + i * c_stride, c_stride);
  }
  const View rest{a.data + i, a.stride};
  const double* c0_rest = c0.data + i * c0.stride;
  double* c_rest = c + i * c_stride;
  const int begin = upper ? i : 0;
  switch (m - i) {
    case 1:
      RowPanel<1, kMode>(begin, n, k, rest, b, c0_rest, c0.stride, c_rest, c_stride);
      break;
    case 2:
      RowPanel<2, kMode>(begin, n, k, rest, b, c0_rest, c0.stride, c_rest, c_stride);
      break;
    case 3:
      RowPanel<3, kMode>(begin, n, k, rest, b, c0_rest, c0.stride, c_rest, c_stride);
      break;
    default:
      break;
  }
}

/// y += sum_p x[p] rows[p]; rows: [k x n], n a multiple of kLanes.
[[gnu::always_inline]] inline void AddRows(int k, int n, const double* x, View rows, double* y) {
  for (int p = 0; p < k; ++p) {
    const double* row = rows.data + p * rows.stride;
    for (int j = 0; j < n; ++j) y[j] += x[p] * row[j];
  }
}

/// Sum of products over n entries, n a multiple of kLanes.
[[gnu::always_inline]] inline double Dot(int n, const double* a, const double* b) {
  Lanes sum{};
  for (int j = 0; j < n; j += kLanes) {
    sum += *reinterpret_cast<const UnalignedLanes*>(a + j) *
           *reinterpret_cast<const UnalignedLanes*>(b + j);
  }
  double total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

/// Sum of a (b - c) over n entries, n a multiple of kLanes.
[[gnu::always_inline]] inline double DotDifference(int n, const double* a, const double* b,
                                                   const double* c) {
  Lanes sum{};
  for (int j = 0; j < n; j += kLanes) {
    sum += *reinterpret_cast<const UnalignedLanes*>(a + j) *
           (*reinterpret_cast<const UnalignedLanes*>(b + j) -
            *reinterpret_cast<const UnalignedLanes*>(c + j));
  }
  double total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

/// y = M x; M: [rows x n], n a multiple of kLanes. Four rows at once share the loads of x.
[[gnu::always_inline]] inline void MultiplyVector(int rows, int n, View M, const double* x,
                                                  double* y) {
  constexpr int kTogether = 4;
  int i = 0;
  for (; i + kTogether <= rows; i += kTogether) {
    const double* row = M.data + i * M.stride;
    Lanes sum[kTogether]{};
    for (int j = 0; j < n; j += kLanes) {
      const Lanes right = *reinterpret_cast<const UnalignedLanes*>(x + j);
      for (int r = 0; r < kTogether; ++r) {
        sum[r] += *reinterpret_cast<const UnalignedLanes*>(row + r * M.stride + j) * right;
      }
    }
    for (int r = 0; r < kTogether; ++r) {
      double total = 0;
      for (int lane = 0; lane < kLanes; ++lane) total += sum[r][lane];
      y[i + r] = total;
    }
  }
  for (; i < rows; ++i) y[i] = Dot(n, M.data + i * M.stride, x);
}

/// Copies the upper triangle of a square matrix to the lower one.
[[gnu::always_inline]] inline void MirrorUpper(int n, int stride, double* matrix) {
  for (int i = 0; i < n; ++i) {
    for (int j = i + 1; j < n; ++j) matrix[j * stride + i] = matrix[i * stride + j];
  }
}

/// Row-wise Cholesky H = U'U of the first n columns of `rows` (their upper triangle, shift added on
/// the diagonal), carried through all `columns`: columns behind the first n become U'^-1 times what
/// they were. inverse_diagonal[r] = 1 / U(r, r). False when a pivot is not positive.
[[gnu::always_inline]] inline bool CholeskyRows(int n, int columns, double shift, double* rows,
                                                int stride, double* inverse_diagonal) {
  constexpr int kBlock = 4;
  for (int first = 0; first < n; first += kBlock) {
    const int last = first + kBlock < n ? first + kBlock : n;
    double original[kBlock];
    for (int r = first; r < last; ++r) {
      original[r - first] = rows[r * stride + r] + shift;
      rows[r * stride + r] = original[r - first];
    }
    // All finished rows at once from the block's rows, then the block's rows from each other.
    if (first > 0) {
      double* block = rows + first * stride;
      const View above{rows + first, stride};
      MultiplyTransposed<Accumulate::kSubtract>(last - first, columns - first, first, above, above,
                                                {block + first, stride}, block + first, stride,
                                                false);
    }
    for (int r = first; r < last; ++r) {
      double* row = rows + r * stride;
      for (int i = first; i < r; ++i) {
        const double* finished = rows + i * stride;
        const double factor = finished[r];
        for (int j = first; j < columns; ++j) row[j] -= factor * finished[j];
      }
      // A pivot that is rounding of its diagonal entry is no pivot.
      const double pivot = row[r];
      if (!(pivot > 1e-14 * std::abs(original[r - first]))) return false;
      const double inverse = 1.0 / std::sqrt(pivot);
      inverse_diagonal[r] = inverse;
      for (int j = first; j < columns; ++j) row[j] *= inverse;
    }
  }
  return true;
}

/// X = -U^-1 Y for the upper triangular U of CholeskyRows; Y, X: [n x columns]. From the last row
/// up, the columns in panels whose sums stay in registers.
[[gnu::always_inline]] inline void NegatedBackSubstitution(int n, int columns, View U,
                                                           const double* inverse_diagonal, View Y,
                                                           double* X, int x_stride) {
  constexpr int kVectors = 2;
  for (int j = 0; j < columns;) {
    const bool whole = columns - j >= kVectors * kLanes;
    for (int r = n - 1; r >= 0; --r) {
      const double* y = Y.data + r * Y.stride + j;
      double* x = X + r * x_stride + j;
      Lanes first = *reinterpret_cast<const UnalignedLanes*>(y);
      Lanes second{};
      if (whole) second = *reinterpret_cast<const UnalignedLanes*>(y + kLanes);
      for (int i = r + 1; i < n; ++i) {
        const double factor = U.data[r * U.stride + i];
        const double* finished = X + i * x_stride + j;
        first += factor * *reinterpret_cast<const UnalignedLanes*>(finished);
        if (whole) second += factor * *reinterpret_cast<const UnalignedLanes*>(finished + kLanes);
      }
      *reinterpret_cast<UnalignedLanes*>(x) = first * -inverse_diagonal[r];
      if (whole) *reinterpret_cast<UnalignedLanes*>(x + kLanes) = second * -inverse_diagonal[r];
    }
    j += whole ? kVectors * kLanes : kLanes;
  }
}

}  // namespace foreplan::row_kernels
