/// @file
/// The names of one registry and who holds them: written by the registry actor, read by any thread.
#pragma once

#include <stargate/registry.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stargate::internal {

class name_table {
public:
  explicit name_table(std::string registry) : registry_{std::move(registry)} {}

  [[nodiscard]] const std::string& registry() const { return registry_; }

  /// The living holder of a name, or an empty handle.
  [[nodiscard]] caf::actor whereis(std::string_view name) const;
  [[nodiscard]] names select(const name_pattern& pattern) const;
  [[nodiscard]] names held_by(const caf::actor& who) const;

  /// Gives the name to `who`, unless a living actor has it: then that one is given back.
  [[nodiscard]] caf::actor insert(const std::string& name, const caf::actor& who);
  /// Takes the name from whoever has it. False when nobody has.
  [[nodiscard]] bool erase(std::string_view name);
  /// Takes all names from an actor that has ended, by its identity; gives the names.
  [[nodiscard]] std::vector<std::string> erase_all(const caf::actor_addr& who);
  void clear();

private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  void forget(const std::string& name, const caf::actor& holder);

  const std::string registry_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, caf::actor, hash, std::equal_to<>> holders_;
  std::unordered_map<caf::actor_addr, std::vector<std::string>> names_; // by holder
};

/// Whether a name has the pattern's parts; a pattern without parts matches every name.
[[nodiscard]] bool matches(std::string_view name, const name_pattern& pattern);

} // namespace stargate::internal
