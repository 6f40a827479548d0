// What this processor and its system offer, asked at run time.
#pragma once

namespace foreplan {

/// AVX2 and FMA.
[[nodiscard]] bool ProcessorHasAvx2();
/// AVX-512 F, BW, DQ and VL.
[[nodiscard]] bool ProcessorHasAvx512();
/// The same and AVX512-BF16.
[[nodiscard]] bool ProcessorHasAvx512Bf16();
/// The same and AMX-TILE and AMX-BF16, which the system must grant to this process.
[[nodiscard]] bool ProcessorHasAmxBf16();

}  // namespace foreplan
