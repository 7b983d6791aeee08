/// @file
/// What a WebSocket client sent, taken apart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stargate::integration {

struct sent_frames {
  std::vector<std::string> texts;
  bool closed = false; ///< There was a close frame.
};

/// Reads the bytes of one connection: the handshake's request, and whole masked frames behind it.
inline sent_frames frames_in(std::string_view bytes) {
  sent_frames result;
  const auto head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos)
    return result;
  bytes.remove_prefix(head + 4);
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  while (bytes.size() >= 2) {
    const int kind = byte(0) & 0x0f;
    std::uint64_t size = byte(1) & 0x7f;
    const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
    const auto start = 2 + more + 4;
    if (bytes.size() < start)
      break;
    if (more > 0)
      size = 0;
    for (std::size_t i = 0; i < more; ++i)
      size = size << 8 | byte(2 + i);
    if (bytes.size() < start + size)
      break;
    result.closed = result.closed || kind == 8;
    if (kind == 1) {
      auto& text = result.texts.emplace_back();
      for (std::size_t i = 0; i < size; ++i)
        text += static_cast<char>(byte(start + i) ^ byte(2 + more + i % 4));
    }
    bytes.remove_prefix(start + size);
  }
  return result;
}

} // namespace stargate::integration
