#include "box/java.hpp"

#include "libstargate/protocol/base64.hpp"

#include <charconv>
#include <stdexcept>

namespace stargate::box {

namespace {

bool is_digit_of_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

std::string hexadecimal(unsigned char c) {
  char text[4];
  return {text, std::to_chars(text, text + sizeof text, static_cast<unsigned>(c), 16).ptr};
}

} // namespace

std::optional<std::string> normalize_base64(std::string_view text, std::string& out) {
  if (text.size() == 1)
    return "Input byte[] should at least have 2 bytes for base64 bytes";
  std::size_t at = 0;
  while (at < text.size() && is_digit_of_base64(text[at]))
    ++at;
  const auto digits = at;
  const auto left = digits % 4; // in the last unit
  if (at < text.size()) {
    if (text[at] != '=')
      return "Illegal base64 character " + hexadecimal(static_cast<unsigned char>(text[at]));
    ++at;
    if (left == 0 || (left == 2 && (at == text.size() || text[at++] != '=')))
      return "Input byte array has wrong 4-byte ending unit";
  }
  if (left == 1)
    return "Last unit does not have enough valid bits";
  if (at < text.size())
    return "Input byte array has incorrect ending byte at " + std::to_string(at);
  out = text.substr(0, digits);
  if (left == 0)
    return std::nullopt;
  auto unit = out.substr(digits - left);
  out.resize(digits - left);
  unit.append(4 - left, '=');
  std::string bytes;
  if (!protocol::decode_base64(unit, bytes)) // bits that belong to no byte: Java overlooks them
    return "Last unit does not have enough valid bits";
  protocol::append_base64(out, bytes);
  return std::nullopt;
}

std::optional<std::string> text_member(const rapidjson::Value& object, const char* name) {
  const auto found = object.FindMember(name);
  if (found == object.MemberEnd() || found->value.IsNull())
    return std::nullopt;
  const auto& value = found->value;
  if (value.IsString())
    return std::string{protocol::json::view(value)};
  if (value.IsObject() || value.IsArray())
    throw std::invalid_argument{std::string{"Cannot deserialize value of type `java.lang.String` ("} + name + ")"};
  std::string text;
  protocol::json::string_stream stream{text};
  protocol::json::writer w{stream};
  value.Accept(w);
  return text;
}

template <class Number>
std::optional<Number> number_member(const rapidjson::Value& object, const char* name) {
  const auto text = text_member(object, name);
  if (!text || text->empty())
    return std::nullopt;
  Number value = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failure != std::errc{} || end != text->data() + text->size())
    throw std::invalid_argument{"Cannot deserialize value of type `long` from String \"" + *text
                                + "\": not a valid `long` value"};
  return value;
}

template std::optional<std::int32_t> number_member(const rapidjson::Value&, const char*);
template std::optional<std::int64_t> number_member(const rapidjson::Value&, const char*);

void parse_frame(std::string& text, protocol::json::document& into) {
  into.ParseInsitu<protocol::json::parse_flags | rapidjson::kParseStopWhenDoneFlag>(text.data());
  if (into.HasParseError())
    throw std::invalid_argument{text.empty() ? "No content to map due to end-of-input"
                                             : "Unrecognized token: was expecting (JSON String, Number, Array, Object "
                                               "or token 'null', 'true' or 'false')"};
  if (!into.IsObject())
    throw std::invalid_argument{"Cannot deserialize value of type `org.apache.pulsar.websocket.data.ProducerMessage`"};
}

} // namespace stargate::box
