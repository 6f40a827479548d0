// What this processor and its system offer, asked at run time.
#pragma once

#include <string_view>

namespace foreplan {

/// AVX2 and FMA.
[[nodiscard]] bool ProcessorHasAvx2();
/// AVX-512 F, BW, DQ and VL.
[[nodiscard]] bool ProcessorHasAvx512();
/// The same and AVX512-BF16.
[[nodiscard]] bool ProcessorHasAvx512Bf16();
/// The same and AMX-TILE and AMX-BF16, which the system must grant to this process.
[[nodiscard]] bool ProcessorHasAmxBf16();
/// The last of these that it has: "amx_bf16", "avx512_bf16", "avx512", "avx2", or "other". Kernels
/// are chosen by it, and with them the last bits of results.
[[nodiscard]] std::string_view InstructionSet();

}  // namespace foreplan
