/// @file
/// What was started as which child of the supervisor of all topics: written by who starts it, so that it is true also
/// after any of the actors that bring it about has been restarted.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

/// @par Threads any thread
class roster {
public:
  struct entry {
    std::uint64_t version = 0; ///< Of the plan's item.
    std::vector<std::string> sockets;
  };

  void enter(const std::string& id, entry what) {
    const std::lock_guard guard{mutex_};
    entries_.insert_or_assign(id, std::move(what));
  }
  [[nodiscard]] std::optional<entry> find(const std::string& id) const {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(id);
    return found == entries_.end() ? std::nullopt : std::optional{found->second};
  }
  void erase(const std::string& id) {
    const std::lock_guard guard{mutex_};
    entries_.erase(id);
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, entry> entries_;
};

} // namespace stargate::internal
