/// @file
/// Equal children of a supervisor, each for its share of the keys.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>
#include <stargate/supervisor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>

namespace STARGATE_API stargate {

/// Makes one child specification into many, and finds the child that a key belongs to: for work that must be in order
/// for each key and may go on at once for different ones.
/// @par Source Elixir's `PartitionSupervisor` @par Threads any thread
class partitions {
public:
  /// @param each what every partition runs: its id is followed by `/` and the partition's number, and its start
  /// function finds the number, a `std::size_t`, in `start_context::argument`
  /// @param count at least one; by default as many as there are processors
  explicit partitions(child_spec each, std::size_t count = std::thread::hardware_concurrency());

  /// A supervisor of the partitions, for `spawn_supervisor` or `supervisor_spec`.
  /// @param with its other settings: those of its children and its strategy are replaced
  [[nodiscard]] supervisor_options supervisor(supervisor_options with = {}) const;

  /// How many there are.
  [[nodiscard]] std::size_t size() const;
  /// The actor of a partition; empty while it does not run. Look it up again instead of keeping it.
  /// @param index is taken modulo `size()`
  [[nodiscard]] caf::actor at(std::size_t index) const;
  /// The actor that a key belongs to, as `at`.
  template <class Key>
  [[nodiscard]] caf::actor of(const Key& key) const {
    return at(std::hash<Key>{}(key));
  }

private:
  struct table;
  std::shared_ptr<table> table_;
};

} // namespace stargate
