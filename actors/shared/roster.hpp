/// @file
/// What was started as which child of the supervisor of all topics: written by who starts it, so that it is true also
/// after any of the actors that bring it about has been restarted.
#pragma once

#include "actors/shared/plan.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace stargate::internal {

/// @par Threads any thread
class roster {
public:
  void enter(std::shared_ptr<const plan::item> what) {
    const std::lock_guard guard{mutex_};
    if (!closed_)
      std::swap(entries_[what->id], what); // what was there goes without the lock: it holds handlers
  }
  /// Null where nothing was started.
  [[nodiscard]] std::shared_ptr<const plan::item> find(const std::string& id) const {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : found->second;
  }
  /// It was ended for good; what was started in its place stays.
  void leave(const std::shared_ptr<const plan::item>& what) {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(what->id);
    if (found != entries_.end() && found->second == what)
      entries_.erase(found);
  }

  /// The tree has ended: nothing is started any more.
  void close() {
    std::map<std::string, std::shared_ptr<const plan::item>> all;
    const std::lock_guard guard{mutex_};
    closed_ = true;
    std::swap(all, entries_);
  }

private:
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::map<std::string, std::shared_ptr<const plan::item>> entries_;
};

} // namespace stargate::internal
