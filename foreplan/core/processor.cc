#include "foreplan/core/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foreplan {

#if defined(__x86_64__)

namespace {

// By the processor's own word; not every compiler's __builtin_cpu_supports knows these.
bool HasTiles() {
  constexpr unsigned kAmxBf16 = 1U << 22;
  constexpr unsigned kAmxTile = 1U << 24;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxTile) != 0 && (d & kAmxBf16) != 0;
}

// Linux gives tiles to processes that ask.
bool TilesAreGranted() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool ProcessorHasAvx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}

bool ProcessorHasAvx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

bool ProcessorHasAvx512Bf16() {
  return ProcessorHasAvx512() && __builtin_cpu_supports("avx512bf16") != 0;
}

bool ProcessorHasAmxBf16() {
  static const bool has = ProcessorHasAvx512Bf16() && HasTiles() && TilesAreGranted();
  return has;
}

#else

bool ProcessorHasAvx2() { return false; }
bool ProcessorHasAvx512() { return false; }
bool ProcessorHasAvx512Bf16() { return false; }
bool ProcessorHasAmxBf16() { return false; }

#endif

std::string_view InstructionSet() {
  if (ProcessorHasAmxBf16()) return "amx_bf16";
  if (ProcessorHasAvx512Bf16()) return "avx512_bf16";
  if (ProcessorHasAvx512()) return "avx512";
  if (ProcessorHasAvx2()) return "avx2";
  return "other";
}

}  // namespace foreplan
