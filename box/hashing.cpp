#include "box/hashing.hpp"

#include <cstddef>

namespace stargate::box {

namespace {

constexpr std::int32_t not_negative(std::uint32_t hash) {
  return static_cast<std::int32_t>(hash & 0x7fffffffu);
}

constexpr std::uint32_t rotated(std::uint32_t x, unsigned by) {
  return (x << by) | (x >> (32u - by));
}

/// The next code point of UTF-8; what is not UTF-8 is taken byte by byte.
std::uint32_t take_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = byte(0);
  const std::size_t size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  std::uint32_t value = size == 1 ? first : first & (0x7fu >> size);
  const auto taken = size <= text.size() ? size : 1;
  for (std::size_t i = 1; i < taken; ++i)
    value = (value << 6u) | (byte(i) & 0x3fu);
  text.remove_prefix(taken);
  return value;
}

} // namespace

std::int32_t java_string_hash(std::string_view text) {
  std::uint32_t hash = 0;
  while (!text.empty()) {
    auto c = take_code_point(text);
    if (c >= 0x10000) { // two of Java's characters
      c -= 0x10000;
      hash = hash * 31 + (0xd800 + (c >> 10u));
      c = 0xdc00 + (c & 0x3ffu);
    }
    hash = hash * 31 + c;
  }
  return not_negative(hash);
}

std::int32_t murmur3_32_hash(std::string_view bytes) {
  const auto mixed = [](std::uint32_t k) { return rotated(k * 0xcc9e2d51u, 15) * 0x1b873593u; };
  std::uint32_t hash = 0;
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  for (; at + 4 <= bytes.size(); at += 4)
    hash = rotated(hash ^ mixed(byte(at) | byte(at + 1) << 8u | byte(at + 2) << 16u | byte(at + 3) << 24u), 13) * 5
           + 0xe6546b64u;
  std::uint32_t rest = 0;
  for (auto i = bytes.size(); i > at; --i)
    rest = rest << 8u | byte(i - 1);
  if (at < bytes.size())
    hash ^= mixed(rest);
  hash ^= static_cast<std::uint32_t>(bytes.size());
  hash = (hash ^ hash >> 16u) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13u) * 0xc2b2ae35u;
  return not_negative(hash ^ hash >> 16u);
}

} // namespace stargate::box
