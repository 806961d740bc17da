// Randomness of the Nitro security module, stirred into the kernel's generator before any key is
// made.
#pragma once

#include <span>

#include <cstdint>

namespace keymeld::init {

/// Checks that the kernel draws its hardware randomness from the module (rng_current is
/// "nsm-hwrng"), then asks the module itself for random bytes, gives them to the kernel, and checks
/// that the kernel's generator is ready. False: the enclave must not make keys; the console says
/// why.
bool stir_module_entropy();

/// The random bytes in the module's answer to GetRandom, which is CBOR:
/// {"GetRandom": {"random": bytes}}; a view into it. Empty for any other answer, an error of the
/// module or fewer than 32 bytes.
std::span<const std::uint8_t> random_in(std::span<const std::uint8_t> answer);

} // namespace keymeld::init
