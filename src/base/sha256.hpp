// The compression function of SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace qtool {

using Sha256State = std::array<uint32_t, 8>;

// Adds blocks of 64 bytes, by the processor's own instructions where it has them.
void add_sha256_blocks(Sha256State& state, const unsigned char* blocks, size_t count);
void add_sha256_blocks_portably(Sha256State& state, const unsigned char* blocks, size_t count);

}  // namespace qtool
