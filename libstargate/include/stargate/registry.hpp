/// @file
/// A named registry of actors: names, unique or shared, that are looked up from any thread and leave with the actor
/// that holds them. Elixir's `Registry` is the model. It knows nothing of Pulsar and is of use to any CAF program.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/export.hpp>

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::internal {
class name_table;
} // namespace stargate::internal

namespace STARGATE_API stargate {

/// Selects names by their parts: those between the slashes of a name. An unset part matches any; a name with another
/// number of parts is not selected. No pattern at all selects every name.
using name_pattern = std::vector<std::optional<std::string>>;

/// How many living actors may hold one name. @par Source Elixir's `Registry`, `:keys`.
enum class registry_keys : std::uint8_t {
  unique,    ///< One.
  duplicate, ///< Any number, and an actor may hold it several times.
};

/// A name, who holds it, and what that actor registered along with it.
struct registration {
  std::string name; ///< The name.
  caf::actor who;   ///< Who holds it.
  std::any value;   ///< What was registered along with it; may be empty.
};

/// What kind of registry it is.
struct registry_options {
  registry_keys keys = registry_keys::unique; ///< Whether a name has one holder or many.

  /// Are sent `name_registered` and `name_unregistered`. @par Source Elixir's `Registry`, `:listeners`.
  std::vector<caf::actor> listeners = {};
  /// The names of the living stay when the registry's actor ends, for `registry::succeed`.
  bool keeps_names = false;
};

/// @name Messages that the registry actor accepts
/// @{

/// Registers `who` under `name`. Answered with `registered`.
/// @par Errors errc::already_registered when names are unique and a living actor holds this one, and still does after
/// `wait`; the text names the holder. errc::start_failed when `who` has ended itself.
/// @par Source Elixir's `Registry.register/3`; waiting for a holder that is on its way out is ours.
struct register_name {
  std::string name;                  ///< The name.
  caf::actor who;                    ///< Who is to hold it, which need not be the sender.
  std::chrono::milliseconds wait{0}; ///< How long to wait for a holder that is on its way out.
  std::any value = {};               ///< For those who look the name up.
};
/// The answer to `register_name`, `unregister_name` and `update_value`.
struct registered {
  std::string name; ///< The name.
};
/// Takes a name away from `who`, or from whoever holds it if that is empty.
/// @par Errors errc::not_registered when it is not held so.
struct unregister_name {
  std::string name;    ///< The name.
  caf::actor who = {}; ///< Empty: whoever holds it.
};
/// Replaces the value with which `who` holds `name`. @par Errors errc::not_registered when it does not hold it.
/// @par Source Elixir's `Registry.update_value/3`.
struct update_value {
  std::string name; ///< The name.
  caf::actor who;   ///< Its holder.
  std::any value;   ///< What is there from now on.
};
/// Stores something about the registry itself, for `registry::meta`; answered with `registered`.
/// @par Errors none
/// @par Source Elixir's `Registry.put_meta/3`; an empty value deletes.
struct put_meta {
  std::string key; ///< What it is stored under.
  std::any value;  ///< Empty: deletes it.
};
/// Asks for an actor under a name: answered with `found`. @par Errors errc::not_registered when nobody holds it.
struct whereis_name {
  std::string name; ///< The name.
};
/// As `whereis_name`, but waits for the name to appear. @par Errors errc::timed_out when it does not in time.
struct await_name {
  std::string name;                  ///< The name.
  std::chrono::milliseconds timeout; ///< How long to wait.
};
/// The answer to `whereis_name` and `await_name`: who has the name; an empty handle when nobody does.
struct found {
  caf::actor who; ///< Empty when nobody does.
};
/// Asks for the names that match a pattern, or those of one actor: answered with `names`.
struct select_names {
  name_pattern pattern; ///< Which names.
};
/// Asks for the names that an actor has; answered with `names`.
struct keys_of {
  caf::actor who; ///< Of whom.
};
/// Registrations, sorted by name.
struct names {
  std::vector<registration> entries; ///< By name, and for one name in the order in which they came.
};
/// @}

/// @name Messages that listeners are sent
/// @{

/// An actor has taken a name.
struct name_registered {
  std::string registry; ///< Its name.
  registration entry;   ///< Who took which name.
};
/// The name was taken away, or its holder has ended. Of a holder that had it several times, it is told once when it is
/// taken away.
struct name_unregistered {
  std::string registry; ///< Its name.
  std::string name;     ///< The name that is free.
  caf::actor_addr who;  ///< Who had it.
};
/// @}

/// A registry: an actor that owns the names, and a table that any thread may read. It gives living actors only.
class registry {
public:
  registry() = default;

  /// Starts a registry actor. Its name is for people: it appears in errors, listings and what listeners are sent. There
  /// may be any number of registries in an actor system.
  [[nodiscard]] static registry spawn(caf::actor_system& system, std::string name, registry_options options = {});

  /// Starts a new actor for the names of a registry whose actor has ended, and that was spawned with `keeps_names`: who
  /// holds a name and lives holds it still. Names can be looked up all the while. An empty predecessor is none: then it
  /// is `spawn`, with `keeps_names`.
  /// @par Source OTP: a table of ETS that outlives its owner by its `heir`.
  [[nodiscard]] static registry succeed(caf::actor_system& system, const registry& predecessor, std::string name,
                                        registry_options options = {});

  /// Forgets all names, for a registry that `keeps_names` and gets no successor: until then the table keeps whoever
  /// held one from being freed. @par Threads any thread
  void clear() const;

  /// The actor, for messages and supervision. When it ends, its names are gone, unless it `keeps_names`.
  [[nodiscard]] const caf::actor& actor() const { return actor_; }
  /// As it was given to `spawn`.
  [[nodiscard]] const std::string& name() const;
  /// Whether there is one: not for a default-made handle.
  [[nodiscard]] explicit operator bool() const { return table_ != nullptr; }

  /// @name Looking up
  /// @par Threads any thread; no message is sent, and readers do not wait for each other @{

  /// The actor under a name, the first of them if there are several, or an empty handle.
  [[nodiscard]] caf::actor whereis(std::string_view name) const;
  /// Everybody under a name, in the order of registration. @par Source Elixir's `Registry.lookup/2`.
  [[nodiscard]] std::vector<registration> lookup(std::string_view name) const;
  /// The names of an actor, sorted, each as often as it holds it. @par Source Elixir's `Registry.keys/2`.
  [[nodiscard]] std::vector<std::string> keys(const caf::actor& who) const;
  /// The values with which an actor holds a name. @par Source Elixir's `Registry.values/3`.
  [[nodiscard]] std::vector<std::any> values(std::string_view name, const caf::actor& who) const;
  /// The registrations whose names match a pattern, sorted by name. @par Source Elixir's `Registry.select/2`.
  [[nodiscard]] names select(const name_pattern& pattern = {}) const;
  /// How many registrations there are. @par Source Elixir's `Registry.count/1`.
  [[nodiscard]] std::size_t count() const;
  /// What `put_meta` stored, or an empty value. @par Source Elixir's `Registry.meta/2`.
  [[nodiscard]] std::any meta(std::string_view key) const;
  /// Calls `deliver` with everybody under a name, on this thread and without a lock, unless there is nobody. Gives how
  /// many there were. @par Source Elixir's `Registry.dispatch/3`.
  template <class Deliver>
  std::size_t dispatch(std::string_view name, Deliver&& deliver) const {
    const auto everybody = lookup(name);
    if (!everybody.empty())
      std::forward<Deliver>(deliver)(everybody);
    return everybody.size();
  }
  /// @}

private:
  static registry spawn_on(caf::actor_system& system, std::shared_ptr<internal::name_table> table,
                           registry_options options);

  caf::actor actor_;
  std::shared_ptr<internal::name_table> table_;
};

} // namespace stargate

// clang-format off
#define STARGATE_REGISTRY_MESSAGES(X) \
  X(stargate::register_name) \
  X(stargate::registered) \
  X(stargate::unregister_name) \
  X(stargate::update_value) \
  X(stargate::put_meta) \
  X(stargate::whereis_name) \
  X(stargate::await_name) \
  X(stargate::found) \
  X(stargate::select_names) \
  X(stargate::keys_of) \
  X(stargate::names) \
  X(stargate::name_registered) \
  X(stargate::name_unregistered)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_registry, type)
STARGATE_BEGIN_TYPES(stargate_registry, STARGATE_FIRST_TYPE_ID + 110)
STARGATE_REGISTRY_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_registry)
#undef STARGATE_ID
STARGATE_REGISTRY_MESSAGES(STARGATE_LOCAL_MESSAGE)
