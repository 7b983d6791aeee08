#include "libstargate/rest/failure.hpp"

#include "libstargate/protocol/json.hpp"

namespace stargate::rest {

namespace {

errc code_of_status(int status) {
  switch (status) {
    case 400: return errc::bad_request;
    case 401: return errc::unauthorized;
    case 403: return errc::forbidden;
    case 404: return errc::not_found;
    case 405:
    case 409:
    case 412:
    case 422: return errc::conflict;
    default: return errc::broker_unavailable;
  }
}

std::string reason_in(const std::string& body) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(body.c_str(), body.size());
  if (!document.HasParseError() && document.IsObject())
    if (const auto* reason = protocol::json::find_string(document, "reason"))
      return std::string{protocol::json::view(*reason)};
  constexpr std::size_t enough = 200;
  return body.substr(0, enough);
}

} // namespace

caf::error failure(const std::string& what, int status, const std::string& body) {
  return make_error(code_of_status(status), what + ": status " + std::to_string(status) + ": " + reason_in(body));
}

} // namespace stargate::rest
