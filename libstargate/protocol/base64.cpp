#include "libstargate/protocol/base64.hpp"

#include "libstargate/protocol/base64_vector.hpp"

#include <openssl/evp.h>

#include <optional>

namespace stargate::protocol {

namespace {

// OpenSSL counts in int, so long inputs go piece by piece; both sizes are whole groups.
constexpr std::size_t piece_of_bytes = 3u << 20;
constexpr std::size_t piece_of_text = 4u << 20;

unsigned char* raw(char* p) {
  return reinterpret_cast<unsigned char*>(p);
}
const unsigned char* raw(const char* p) {
  return reinterpret_cast<const unsigned char*>(p);
}

bool is_base64_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

} // namespace

void write_base64(char* to, std::string_view bytes) {
  const auto done = encode_bulk(bytes, to);
  bytes.remove_prefix(done);
  to += done / 3 * 4;
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, piece_of_bytes);
    to += EVP_EncodeBlock(raw(to), raw(piece.data()), static_cast<int>(piece.size())); // and a NUL
    bytes.remove_prefix(piece.size());
  }
}

void append_base64(std::string& out, std::string_view bytes) {
  const auto begin = out.size();
  const auto size = base64_size(bytes.size());
  out.resize(begin + size + 1);
  write_base64(out.data() + begin, bytes);
  out.resize(begin + size);
}

namespace {

/// Decodes to a place that has room, and may begin where the text does, or before it. Gives how many bytes there are.
std::optional<std::size_t> decode(std::string_view text, char* const begin) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  if (text.empty())
    return 0;
  const std::size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  const auto size = text.size() / 4 * 3 - padding;
  const auto done = decode_bulk(text, begin);
  text.remove_prefix(done);
  auto* to = begin + done / 4 * 3;
  // OpenSSL refuses what is not base64, but skips white space at both ends of what it is given, and takes padding
  // anywhere.
  if (text.substr(0, text.size() - padding).find('=') != std::string_view::npos)
    return std::nullopt;
  while (!text.empty()) {
    const auto piece = text.substr(0, piece_of_text);
    text.remove_prefix(piece.size());
    const auto first = piece.front(), last = piece[piece.size() - 1 - (text.empty() ? padding : 0)];
    const auto written = EVP_DecodeBlock(raw(to), raw(piece.data()), static_cast<int>(piece.size()));
    if (!is_base64_character(first) || !is_base64_character(last) || written < 0)
      return std::nullopt;
    to += written;
  }
  return size;
}

} // namespace

bool decode_base64(std::string_view text, std::string& out) {
  out.resize(text.size() / 4 * 3);
  const auto size = decode(text, out.data());
  out.resize(size.value_or(0));
  return size.has_value();
}

bool decode_base64_in_place(std::string& text, std::size_t at, std::size_t size) {
  const auto decoded = decode(std::string_view{text}.substr(at, size), text.data());
  text.resize(decoded.value_or(0));
  return decoded.has_value();
}

} // namespace stargate::protocol
