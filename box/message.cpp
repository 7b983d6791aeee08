#include "box/message.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/json.hpp"

#include <chrono>

namespace stargate::box {

namespace {

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7u)
    out.push_back(static_cast<char>((value & 0x7fu) | 0x80u));
  out.push_back(static_cast<char>(value));
}

void append_field(std::string& out, unsigned number, std::int64_t value) {
  append_varint(out, number << 3u);
  append_varint(out, static_cast<std::uint64_t>(value));
}

} // namespace

std::string message_id::text() const {
  std::string bytes;
  append_field(bytes, 1, at.ledger);
  append_field(bytes, 2, at.entry);
  if (partition >= 0)
    append_field(bytes, 3, partition);
  if (batch_index >= 0)
    append_field(bytes, 4, batch_index);
  append_field(bytes, 6, batch_size);
  std::string encoded;
  protocol::append_base64(encoded, bytes);
  return encoded;
}

std::string instant_of(std::int64_t milliseconds) {
  auto text = protocol::format_instant(std::chrono::system_clock::time_point{std::chrono::milliseconds{milliseconds}});
  text.erase(text.find_last_not_of("0Z") + 1); // of 12:00:00.000Z all that is not needed, and more
  const auto whole = std::string_view{"2026-01-31T12:00:00"}.size();
  if (text.size() <= whole + 1)
    text = protocol::format_instant(std::chrono::system_clock::time_point{std::chrono::milliseconds{milliseconds}})
             .substr(0, whole);
  return text + "Z";
}

std::string frame_of(const message& m, const std::string& id, int redeliveries, bool to_reader) {
  std::string text;
  text.reserve(m.payload.size() + id.size() + 160);
  text += R"({"messageId":")" + id + R"(","payload":")" + m.payload + R"(","properties":{)";
  for (bool first = true; const auto& [name, value] : m.properties) {
    text += first ? "" : ",";
    static_cast<void>(protocol::json::append_string(text, name)); // it was parsed as UTF-8
    text += ':';
    static_cast<void>(protocol::json::append_string(text, value));
    first = false;
  }
  text +=
    R"(},"publishTime":")" + instant_of(m.publish_time) + R"(","redeliveryCount":)" + std::to_string(redeliveries);
  if (m.event_time != 0)
    text += R"(,"eventTime":")" + instant_of(m.event_time) + '"';
  if (m.key) {
    text += R"(,"key":)";
    static_cast<void>(protocol::json::append_string(text, *m.key));
  }
  if (!m.encryption.empty() && !to_reader)
    text += R"(,"encryptionContext":)" + m.encryption;
  return text + "}";
}

} // namespace stargate::box
