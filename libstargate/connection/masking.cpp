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

/// Masks what stands at a place, many bytes at a time.
void mask_in_place(unsigned char* at, std::size_t size, std::uint32_t mask) {
  using piece [[gnu::vector_size(32)]] = std::uint32_t;
  const auto wide = piece{} + mask;
  std::size_t i = 0;
  for (piece p; i + sizeof p <= size; i += sizeof p) {
    std::memcpy(&p, at + i, sizeof p);
    p ^= wide;
    std::memcpy(at + i, &p, sizeof p);
  }
  unsigned char bytes[4];
  std::memcpy(bytes, &mask, 4);
  for (; i < size; ++i)
    at[i] = static_cast<unsigned char>(at[i] ^ bytes[i & 3]);
}

/// Appends a frame of `size` bytes, which `write` writes to their place.
template <class Write>
void append_frame(byte_buffer& out, std::size_t size, opcode kind, Write write) {
  constexpr unsigned char final_fragment = 0x80, masked = 0x80;
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
  write(reinterpret_cast<char*>(at));
  mask_in_place(at, size, mask);
}

} // namespace

void append_masked_frame(byte_buffer& out, std::string_view payload, opcode kind) {
  append_frame(out, payload.size(), kind, [payload](char* at) { payload.copy(at, payload.size()); });
}

void append_masked_frame(byte_buffer& out, const protocol::frame_text& text) {
  append_frame(out, text.size(), opcode::text, [&text](char* at) { text.write(at); });
}

} // namespace stargate::connection
