#include "libstargate/connection/handshake.hpp"

#include "libstargate/protocol/base64.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace stargate::connection {

namespace {

constexpr std::string_view end_of_line = "\r\n";
constexpr std::string_view end_of_head = "\r\n\r\n";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool lists(std::string_view list, std::string_view word) {
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    if (is_same_word(trimmed(list.substr(at, end - at)), word))
      return true;
    at = end + 1;
  }
  return false;
}

std::string base64_of(std::string_view bytes) {
  std::string text;
  protocol::append_base64(text, bytes);
  return text;
}

std::string accept_for(std::string_view key) {
  const auto text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error{"OpenSSL has no SHA-1"};
  return base64_of({reinterpret_cast<const char*>(digest.data()), size});
}

} // namespace

std::string authority_of(const endpoint& to) {
  const bool is_ipv6 = to.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + to.host + "]" : to.host) + ":" + std::to_string(to.port);
}

std::size_t request_size(const endpoint& to) {
  auto size = to.path.size() + authority_of(to).size();
  for (const auto& [name, value] : to.headers)
    size += name.size() + value.size() + 4;
  return size;
}

std::string make_key() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error{"OpenSSL has no random bytes"};
  return base64_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string upgrade_request(const endpoint& to, std::string_view key) {
  auto text = "GET " + to.path + " HTTP/1.1\r\nHost: " + authority_of(to)
              + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
              + std::string{key} + "\r\n";
  for (const auto& [name, value] : to.headers)
    text += name + " " + value + "\r\n";
  return text + "\r\n";
}

std::string connect_request(const endpoint& to, const proxy& through) {
  const auto where = authority_of(to);
  auto text = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n";
  if (!through.credentials.empty())
    text += "Proxy-Authorization: Basic " + base64_of(through.credentials) + "\r\n";
  return text + "\r\n";
}

answer_reader::outcome answer_reader::no_http(std::string problem) {
  problem_ = std::move(problem);
  return outcome::no_http;
}

answer_reader::outcome answer_reader::feed(std::string_view bytes) {
  text_ += bytes;
  while (head_size_ == 0) {
    constexpr std::string_view begin = "HTTP/1.";
    if (text_.compare(0, std::min(begin.size(), text_.size()), begin, 0, std::min(begin.size(), text_.size())) != 0)
      return no_http("what answers there does not speak HTTP");
    const auto end = text_.find(end_of_head);
    if (std::min(end, text_.size()) > most_answer_headers)
      return no_http("its answer has more than " + std::to_string(most_answer_headers >> 10) + " KiB of headers");
    if (end == std::string::npos)
      return outcome::wants_more;
    if (const auto now = read_head(end + end_of_head.size()); now == outcome::no_http)
      return now;
    if (status_ < 200 && status_ != 101) { // what it says meanwhile
      text_.erase(0, head_size_);
      head_size_ = 0;
      if (text_.empty())
        return outcome::wants_more;
    }
  }
  return read_body();
}

answer_reader::outcome answer_reader::read_head(std::size_t end) {
  const std::string_view line{text_.data(), text_.find(end_of_line)};
  const auto space = line.find(' ');
  const auto* const number = line.data() + std::min(space + 1, line.size());
  const auto [behind, failure] = std::from_chars(number, line.data() + line.size(), status_);
  if (space == std::string_view::npos || failure != std::errc{} || behind != number + 3 || status_ < 100)
    return no_http("its answer has no status");
  head_size_ = end;
  reason_ = trimmed(line.substr(static_cast<std::size_t>(behind - line.data())));
  is_chunked_ = lists(header("transfer-encoding"), "chunked");
  const bool has_none = status_ == 101 || status_ == 204 || status_ == 304 || (!has_body_ && status_ / 100 == 2);
  body_size_ = has_none ? 0 : std::string::npos;
  if (const auto length = header("content-length"); !has_none && !is_chunked_ && !length.empty())
    if (std::size_t size = 0; std::from_chars(length.data(), length.data() + length.size(), size).ec == std::errc{})
      body_size_ = size;
  return outcome::whole;
}

answer_reader::outcome answer_reader::read_body() {
  const auto there = text_.size() - head_size_;
  const auto wanted = std::min(body_size_, most_answer_body);
  const bool is_last_chunk = is_chunked_ && body_size_ != 0 && text_.ends_with("0\r\n\r\n");
  if (there < wanted && !is_last_chunk)
    return outcome::wants_more;
  if (there > wanted) {
    behind_ = text_.substr(head_size_ + wanted);
    text_.resize(head_size_ + wanted);
  }
  return outcome::whole;
}

answer_reader::outcome answer_reader::end() {
  if (head_size_ > 0)
    return outcome::whole;
  return no_http(text_.empty() ? "it ended the connection without an answer" : "its answer ended within the headers");
}

std::string answer_reader::header(std::string_view name) const {
  std::string all;
  const auto head = std::string_view{text_}.substr(0, head_size_);
  for (auto at = head.find(end_of_line); at + end_of_line.size() < head.size();) {
    at += end_of_line.size();
    const auto end = head.find(end_of_line, at);
    const auto line = head.substr(at, end - at);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && is_same_word(line.substr(0, colon), name))
      all += (all.empty() ? "" : ", ") + std::string{trimmed(line.substr(colon + 1))};
    at = end;
  }
  return all;
}

std::string wrong_with_upgrade(const answer_reader& answer, std::string_view key) {
  if (!is_same_word(answer.header("upgrade"), "websocket") || !lists(answer.header("connection"), "upgrade"))
    return "its answer does not upgrade to WebSocket";
  if (answer.header("sec-websocket-accept") != accept_for(key))
    return "its answer is to another handshake";
  if (!answer.header("sec-websocket-extensions").empty() || !answer.header("sec-websocket-protocol").empty())
    return "its answer chooses an extension or a protocol that nobody offered";
  return {};
}

} // namespace stargate::connection
