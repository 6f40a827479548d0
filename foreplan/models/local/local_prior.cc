#include "foreplan/models/local/local_prior.h"

namespace foreplan {

void NormalInverseWishart::Clear(int nz) {
  mean.setZero(nz);
  covariance.setZero(nz, nz);
  m = 0;
  n0 = 0;
  scatter = 0;
}

}  // namespace foreplan
