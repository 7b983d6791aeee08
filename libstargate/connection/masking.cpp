#include "libstargate/connection/masking.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace stargate::connection {

namespace {

/// OpenSSL's random bytes, for many masks at a time.
std::uint32_t next_mask() {
  thread_local std::array<std::uint32_t, 256> pool;
  thread_local std::size_t used = pool.size();
  if (used == pool.size()) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(pool.data()), sizeof pool) != 1)
      throw std::runtime_error{"OpenSSL has no random bytes"};
    used = 0;
  }
  return pool[used++];
}

} // namespace

void append_masked_frame(byte_buffer& out, std::string_view payload, opcode kind) {
  constexpr unsigned char final_fragment = 0x80, masked = 0x80;
  const auto size = payload.size();
  const auto header = size < 126 ? 2u : size < 65'536 ? 4u : 10u;
  const auto begin = out.size();
  out.resize(begin + header + 4 + size);
  auto* at = out.data() + begin;
  *at++ = static_cast<unsigned char>(final_fragment | static_cast<unsigned char>(kind));
  if (header == 2) {
    *at++ = static_cast<unsigned char>(masked | size);
  } else {
    *at++ = header == 4 ? masked | 126 : masked | 127;
    for (int shift = header == 4 ? 8 : 56; shift >= 0; shift -= 8)
      *at++ = static_cast<unsigned char>(static_cast<std::uint64_t>(size) >> shift);
  }
  const std::uint32_t mask = next_mask();
  std::memcpy(at, &mask, 4);
  at += 4;
  const std::uint64_t wide = (static_cast<std::uint64_t>(mask) << 32) | mask; // the same bytes twice, in any order
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t piece = 0;
    std::memcpy(&piece, payload.data() + i, 8);
    piece ^= wide;
    std::memcpy(at + i, &piece, 8);
  }
  unsigned char bytes[4];
  std::memcpy(bytes, &mask, 4);
  for (; i < size; ++i)
    at[i] = static_cast<unsigned char>(static_cast<unsigned char>(payload[i]) ^ bytes[i & 3]);
}

} // namespace stargate::connection
