#include "cli/message_json.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/json.hpp"

#include <utility>

namespace stargate::cli {

namespace {

void append_text(std::string& out, const std::string& text) {
  const auto mark = out.size();
  if (protocol::json::append_string(out, text))
    return;
  out.resize(mark);
  out += "null"; // it is not UTF-8
}

void append_rest(std::string& out, const received_message& m) {
  out += R"("key":)";
  if (m.key)
    append_text(out, *m.key);
  else
    out += "null";
  out += R"(,"properties":)" + json_of(m.properties) + R"(,"publishTime":")" + protocol::format_instant(m.publish_time)
         + R"(","redeliveryCount":)" + std::to_string(m.redelivery_count);
  if (m.event_time)
    out += R"(,"eventTime":")" + protocol::format_instant(*m.event_time) + '"';
  out += m.encryption ? R"(,"encrypted":true})" : "}";
}

} // namespace

std::string json_of(const properties& p) {
  std::string out = "{";
  for (const auto& [name, value] : p) {
    out += out.size() > 1 ? "," : "";
    append_text(out, name);
    out += ':';
    append_text(out, value);
  }
  return out + "}";
}

std::string json_of(const received_message& m) {
  std::string out = R"({"messageId":)";
  append_text(out, m.id.value);
  const auto mark = out.size();
  out += R"(,"payload":)";
  if (!protocol::json::append_string(out, m.payload)) {
    out.resize(mark);
    out += R"(,"payloadBase64":")";
    protocol::append_base64(out, m.payload);
    out += '"';
  }
  out += ',';
  append_rest(out, m);
  return out;
}

std::string json_without_payload(const received_message& m) {
  std::string out = R"({"topic":)";
  append_text(out, to_string(m.topic()));
  out += R"(,"messageId":)";
  append_text(out, m.id.value);
  out += ',';
  append_rest(out, m);
  return out;
}

} // namespace stargate::cli
