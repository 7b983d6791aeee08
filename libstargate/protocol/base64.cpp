#include "libstargate/protocol/base64.hpp"

#include "libstargate/protocol/base64_vector.hpp"

#include <openssl/evp.h>

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

void append_base64(std::string& out, std::string_view bytes) {
  const auto begin = out.size();
  const auto size = base64_size(bytes.size());
  out.resize(begin + size + 1); // OpenSSL ends its output with a NUL
  auto* to = out.data() + begin;
  const auto done = encode_bulk(bytes, to);
  bytes.remove_prefix(done);
  to += done / 3 * 4;
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, piece_of_bytes);
    to += EVP_EncodeBlock(raw(to), raw(piece.data()), static_cast<int>(piece.size()));
    bytes.remove_prefix(piece.size());
  }
  out.resize(begin + size);
}

bool decode_base64(std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % 4 != 0)
    return false;
  if (text.empty())
    return true;
  const std::size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  out.resize(text.size() / 4 * 3);
  auto* to = out.data();
  const auto done = decode_bulk(text, to);
  text.remove_prefix(done);
  to += done / 4 * 3;
  // OpenSSL refuses what is not base64, but skips white space at both ends of what it is given, and takes padding
  // anywhere.
  if (text.substr(0, text.size() - padding).find('=') != std::string_view::npos)
    return false;
  while (!text.empty()) {
    const auto piece = text.substr(0, piece_of_text);
    text.remove_prefix(piece.size());
    const auto last = piece[piece.size() - 1 - (text.empty() ? padding : 0)];
    const auto written = EVP_DecodeBlock(raw(to), raw(piece.data()), static_cast<int>(piece.size()));
    if (!is_base64_character(piece.front()) || !is_base64_character(last) || written < 0)
      return false;
    to += written;
  }
  out.resize(out.size() - padding);
  return true;
}

} // namespace stargate::protocol
