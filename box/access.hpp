/// @file
/// Who asks, and what they may do: Pulsar's tokens, and its own authorization.
#pragma once

#include "box/catalogue.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace stargate::box {

/// As in Pulsar's configuration; without a key everybody may do everything.
struct access_rules {
  std::string token_secret_key; ///< Bytes, at least 32.
  std::set<std::string> super_user_roles;
};

/// Who has shown a token that is good. Without a subject it is nobody's.
struct caller {
  std::optional<std::string> role;
};

/// By HMAC with SHA-256, and with the longer ones for keys that are as long as theirs; `exp` and `nbf` are kept.
/// @param now seconds since 1970
[[nodiscard]] std::optional<caller> caller_of(std::string_view token, const access_rules& rules, std::int64_t now);

enum class action { produce, consume };

/// Whether a connection of `who` may be made to the topic. Its namespace must be there.
[[nodiscard]] bool may(const caller& who, action what, const std::string& topic, const catalogue& all,
                       const access_rules& rules);

/// Checks that `who` may make a request of the administration. @param path its parts behind /admin/v2, decoded
/// @throws refusal with Pulsar's status and reason when not
void check_request(const caller& who, std::string_view method, const std::vector<std::string>& path,
                   const catalogue& all, const access_rules& rules);

} // namespace stargate::box
