/// @file
/// The names of one registry and who holds them: written by the registry actor, read by any thread.
#pragma once

#include <stargate/registry.hpp>

#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stargate::internal {

class name_table {
public:
  explicit name_table(std::string registry, registry_keys keys = registry_keys::unique)
    : registry_{std::move(registry)},
      keys_{keys} {}

  [[nodiscard]] const std::string& registry() const { return registry_; }

  // -- for any thread: living holders only

  [[nodiscard]] caf::actor whereis(std::string_view name) const;
  [[nodiscard]] std::vector<registration> lookup(std::string_view name) const;
  [[nodiscard]] names select(const name_pattern& pattern) const;
  [[nodiscard]] names held_by(const caf::actor& who) const;
  [[nodiscard]] std::size_t count() const;
  [[nodiscard]] std::any meta(std::string_view key) const;

  // -- for the registry actor

  /// Everybody who holds a name, also those who have ended; oldest first.
  [[nodiscard]] std::vector<caf::actor> holders() const;
  struct insertion {
    caf::actor holder;   ///< The living actor that has the name, so that it was refused; otherwise empty.
    caf::actor replaced; ///< An actor that has ended and held the name until now.
  };
  /// Gives the name to `who`, unless names are unique and a living actor has it.
  [[nodiscard]] insertion insert(const std::string& name, const caf::actor& who, std::any value = {});
  /// Takes the name from `who`, or from everybody if that is empty; gives those who had it, and may have ended.
  [[nodiscard]] std::vector<caf::actor> erase(std::string_view name, const caf::actor& who = {});
  /// Takes all names from an actor that has ended, by its identity; gives the names.
  [[nodiscard]] std::vector<std::string> erase_all(const caf::actor_addr& who);
  [[nodiscard]] bool update(std::string_view name, const caf::actor& who, const std::any& value);
  void set_meta(const std::string& key, std::any value);
  void clear();

private:
  struct holder {
    caf::actor who;
    std::any value;
  };
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  template <class Value>
  using by_name = std::unordered_map<std::string, Value, hash, std::equal_to<>>;

  void forget(const std::string& name, const caf::actor& who);
  static void sort(std::vector<registration>& entries);

  const std::string registry_;
  const registry_keys keys_;
  mutable std::shared_mutex mutex_;
  by_name<std::vector<holder>> holders_;
  std::unordered_multimap<caf::actor_addr, const std::string*> names_; // by holder: keys of holders_
  by_name<std::any> meta_;
};

/// Whether a name has the pattern's parts; a pattern without parts matches every name.
[[nodiscard]] bool matches(std::string_view name, const name_pattern& pattern);

} // namespace stargate::internal
