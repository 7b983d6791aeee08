#include "libstargate/protocol/option_values.hpp"

namespace stargate::protocol {

std::string option_type<backoff_options>::text(const backoff_options& value) {
  return text_of(value.first) + ", " + text_of(value.most) + ", " + text_of(value.stable);
}

bool option_type<backoff_options>::parse(std::string_view text, backoff_options& value) {
  std::vector<std::chrono::milliseconds> times;
  for (std::size_t at = 0; at <= text.size();) {
    const auto comma = std::min(text.find(',', at), text.size());
    auto part = text.substr(at, comma - at);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    if (!parse_value(part, times.emplace_back()))
      return false;
    at = comma + 1;
  }
  if (times.size() != 3)
    return false;
  value = {times[0], times[1], times[2]};
  return true;
}

bool option_type<topic_name>::parse(std::string_view text, topic_name& value) {
  auto parsed = parse_topic(text);
  if (parsed)
    value = std::move(*parsed);
  return static_cast<bool>(parsed);
}

std::string option_type<host>::text(const host& value) {
  return (value.name.find(':') == std::string::npos ? value.name : "[" + value.name + "]") + ":"
         + std::to_string(value.port);
}

bool option_type<host>::parse(std::string_view text, host& value) {
  value = {};
  std::string_view port;
  if (text.starts_with('[')) { // an IPv6 address
    const auto end = text.find(']');
    if (end == std::string_view::npos)
      return false;
    value.name = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    value.name = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (!port.empty() && (port.front() != ':' || !parse_number(port.substr(1), value.port)))
    return false;
  return !value.name.empty() && value.port != 0 && value.name.find_first_of("/?#@ ") == std::string::npos;
}

} // namespace stargate::protocol
