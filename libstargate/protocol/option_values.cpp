#include "libstargate/protocol/option_values.hpp"

namespace stargate::protocol {

bool parse_host(std::string_view text, host& value) {
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
