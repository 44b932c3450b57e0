#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::storage {

/// Castagnoli CRC, as iSCSI (RFC 3720, appendix B.4): crc32c(0, "123456789") = 0xE3069283.
/// Chains: pass the previous value.
using Checksum = std::uint32_t (*)(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;

/// Any CPU, eight table look-ups for eight bytes.
std::uint32_t crc32c_portable(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;

/// The one in use: crc32c_portable until set_checksum() names a quicker one.
std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;

/// For the whole process. This room may not look at the kernels, so who may hands theirs in.
void set_checksum(Checksum checksum) noexcept;

}  // namespace vicinal::storage
