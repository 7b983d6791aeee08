/// @file
/// A client's frames as they are on the wire: RFC 6455, section 5.
#pragma once

#include "libstargate/protocol/frame_text.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::connection {

enum class opcode : std::uint8_t { continuation = 0x0, text = 0x1, binary = 0x2, close = 0x8, ping = 0x9, pong = 0xA };

/// Leaves what it makes as it is, since it is written over at once.
template <class T>
struct uninitialized_allocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = uninitialized_allocator<U>;
  };
  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Values>
  void construct(U* at, Values&&... values) {
    ::new (static_cast<void*>(at)) U(std::forward<Values>(values)...);
  }
};
using byte_buffer = std::vector<unsigned char, uninitialized_allocator<unsigned char>>;

/// The longest header: two bytes, eight for the length, four for the mask.
inline constexpr std::size_t most_header = 14;

/// Appends `payload` as one whole frame, masked with four bytes that nobody can foresee.
void append_masked_frame(byte_buffer& out, std::string_view payload, opcode kind = opcode::text);
/// The same of a text, which is encoded to its place.
void append_masked_frame(byte_buffer& out, const protocol::frame_text& text);

} // namespace stargate::connection
