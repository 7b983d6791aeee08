/// @file
/// Where a tree says what happens in it.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>

#include <cstdint>
#include <functional>
#include <string_view>

namespace STARGATE_API stargate {

/// How important a line of a log is.
enum class log_level : std::uint8_t { debug, info, warning, error };

/// `debug`, `info`, `warning` or `error`. @par Threads any thread
[[nodiscard]] std::string_view name_of(log_level level) noexcept;

/// Takes one line of a log: how important it is, the actor's key or name, and a sentence. It never sees a token.
/// @par Threads any thread, several at once; it must not block or throw
using log_hook = std::function<void(log_level level, std::string_view source, std::string_view text)>;

/// The hook that is used where none is set: CAF's own logger, which prints nothing unless it is configured to.
[[nodiscard]] log_hook caf_log(caf::actor_system& system);

} // namespace stargate
