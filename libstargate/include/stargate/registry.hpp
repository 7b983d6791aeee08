/// @file
/// A named registry of actors: unique names, looked up from any thread, that leave with the actor that holds them.
/// It knows nothing of Pulsar and is of use to any CAF program.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stargate {

/// Selects names by their parts: those between the slashes of a name. An unset part matches any; a name with another
/// number of parts is not selected. No pattern at all selects every name.
using name_pattern = std::vector<std::optional<std::string>>;

/// @name Messages that the registry actor accepts @{

/// Registers `who` under `name`. Answered with `caf::unit_t`-like `registered`.
/// @par Errors errc::already_registered when a living actor holds the name, and still does after `wait`; the text
/// names the holder. errc::start_failed when `who` has ended itself.
/// @par Source Erlang's `register_name`; waiting for a holder that is on its way out is ours.
struct register_name {
  std::string name;
  caf::actor who;
  std::chrono::milliseconds wait{0};
};
/// The answer to `register_name` and `unregister_name`.
struct registered {
  std::string name;
};
/// Takes a name away from its holder. @par Errors errc::not_registered when nobody holds it.
struct unregister_name {
  std::string name;
};
/// Asks for the actor under a name: answered with `found`. @par Errors errc::not_registered when nobody holds it.
struct whereis_name {
  std::string name;
};
/// As `whereis_name`, but waits for the name to appear. @par Errors errc::timed_out when it does not in time.
struct await_name {
  std::string name;
  std::chrono::milliseconds timeout;
};
struct found {
  caf::actor who;
};
/// Asks for the names that match a pattern, or those of one actor: answered with `names`.
struct select_names {
  name_pattern pattern;
};
struct keys_of {
  caf::actor who;
};
/// Names and their holders, sorted by name.
struct names {
  std::vector<std::pair<std::string, caf::actor>> entries;
};
/// @}

namespace internal {
class name_table;
}

/// A registry: an actor that owns the names, and a table that any thread may read.
class registry {
public:
  registry() = default;

  /// Starts a registry actor. Its name is for people: it appears in errors and listings.
  [[nodiscard]] static registry spawn(caf::actor_system& system, std::string name);

  /// The actor, for messages and supervision. When it ends, its names are gone.
  [[nodiscard]] const caf::actor& actor() const { return actor_; }
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] explicit operator bool() const { return table_ != nullptr; }

  /// The living actor under a name, or an empty handle. It never gives an actor that has ended.
  /// @par Threads any thread; no message is sent
  [[nodiscard]] caf::actor whereis(std::string_view name) const;

  /// The names that match a pattern, and their living holders, sorted by name. @par Threads any thread
  [[nodiscard]] names select(const name_pattern& pattern = {}) const;

private:
  caf::actor actor_;
  std::shared_ptr<const internal::name_table> table_;
};

} // namespace stargate

// clang-format off
#define STARGATE_REGISTRY_MESSAGES(X) \
  X(stargate::register_name) \
  X(stargate::registered) \
  X(stargate::unregister_name) \
  X(stargate::whereis_name) \
  X(stargate::await_name) \
  X(stargate::found) \
  X(stargate::select_names) \
  X(stargate::keys_of) \
  X(stargate::names)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_registry, type)
STARGATE_BEGIN_TYPES(stargate_registry, STARGATE_FIRST_TYPE_ID + 10)
STARGATE_REGISTRY_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_registry)
#undef STARGATE_ID
STARGATE_REGISTRY_MESSAGES(STARGATE_LOCAL_MESSAGE)
