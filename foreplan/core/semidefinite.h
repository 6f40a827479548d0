// The nearest semidefinite matrix.
#pragma once

namespace foreplan {

/// Sets the negative eigenvalues of a symmetric matrix to 0, by cyclic Jacobi rotations (Golub and
/// Van Loan, section 8.5). One that is not finite stays. All are [n x n]; `vectors` and `scratch`
/// are memory.
void ProjectToPositiveSemidefinite(int n, double* matrix, double* vectors, double* scratch);

}  // namespace foreplan
