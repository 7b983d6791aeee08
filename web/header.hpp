/// @file
/// What a request says, from libwebsockets.
#pragma once

#include <libwebsockets.h>

#include <cstddef>
#include <string>

namespace stargate::web {

/// A header of the request, or another part that libwebsockets has a name for; empty where there is none.
/// @par Threads the one that serves
[[nodiscard]] inline std::string header(lws* wsi, lws_token_indexes which) {
  const auto size = lws_hdr_total_length(wsi, which);
  if (size <= 0)
    return {};
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  const auto copied = lws_hdr_copy(wsi, text.data(), static_cast<int>(text.size()), which);
  text.resize(copied < 0 ? 0 : static_cast<std::size_t>(copied));
  return text;
}

} // namespace stargate::web
