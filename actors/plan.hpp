/// @file
/// What is to run on topics, now: what the description began with, and what was added and removed since.
#pragma once

#include "actors/gate.hpp"

#include <stargate/error.hpp>
#include <stargate/options.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stargate::internal {

/// A tree is wired by its plan, so that what was added to it outlives the restart of any of its supervisors. The plan
/// is right at any time: what would be wrong, or twice, is refused.
/// @par Threads any thread
class plan {
public:
  /// Of an instance of a template: the template's name and the argument.
  using instance = std::pair<std::string, std::string>;

  struct snapshot {
    pipelines topics; ///< Directly below the supervisor of all topics.
    std::map<instance, pipelines> instances;
  };

  explicit plan(const options& o);

  [[nodiscard]] snapshot now() const;
  /// Everything together, and a producer for each dead-letter topic that has none.
  [[nodiscard]] static std::vector<producer_options> dead_letter_producers(const snapshot& s);

  /// @par Errors errc::invalid_option with every mistake, such as a topic that has a producer already
  [[nodiscard]] caf::error add(const pipelines& what);
  [[nodiscard]] caf::error add(const instance& who, const pipelines& what);

  /// Forgets the producer, consumer or reader with this socket. False when it stands in no description of its own.
  bool remove(const std::string& socket);
  /// Forgets an instance, and gives what it was. @par Errors errc::child_not_found
  [[nodiscard]] caf::expected<pipelines> remove(const instance& who);

  /// What callers need to know of a topic's producer.
  struct producing {
    std::chrono::milliseconds send_timeout{0};
    std::shared_ptr<gate> entrance;
  };
  /// Nothing where there is no such producer.
  [[nodiscard]] std::optional<producing> producing_to(const topic_name& topic) const;

private:
  caf::error check_and_index(const snapshot& next);

  const options with_; ///< The tree's own options.
  mutable std::shared_mutex mutex_;
  snapshot now_;
  std::unordered_map<std::string, producing> producing_;
};

/// The keys of all sockets.
[[nodiscard]] std::vector<std::string> socket_keys(const pipelines& p);

} // namespace stargate::internal
