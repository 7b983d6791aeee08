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
    if (closed_)
      return;
    auto& place = entries_[what->id];
    if (place.what != what)
      place.is_told = what->is_first;
    std::swap(place.what, what); // what was there goes without the lock: it holds handlers
  }
  /// Whether it was started, and this is the first time that somebody asks.
  [[nodiscard]] bool is_news(const std::shared_ptr<const plan::item>& what) {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(what->id);
    return found != entries_.end() && found->second.what == what && !std::exchange(found->second.is_told, true);
  }
  /// Null where nothing was started.
  [[nodiscard]] std::shared_ptr<const plan::item> find(const std::string& id) const {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : found->second.what;
  }
  [[nodiscard]] plan::items all() const {
    const std::lock_guard guard{mutex_};
    plan::items result;
    for (const auto& [id, e] : entries_)
      result.push_back(e.what);
    return result;
  }
  /// It was ended for good; what was started in its place stays.
  void leave(const std::shared_ptr<const plan::item>& what) {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(what->id);
    if (found != entries_.end() && found->second.what == what)
      entries_.erase(found);
  }

  /// The tree has ended: nothing is started any more.
  void close() {
    std::map<std::string, entry> all;
    const std::lock_guard guard{mutex_};
    closed_ = true;
    std::swap(all, entries_);
  }

private:
  struct entry {
    std::shared_ptr<const plan::item> what;
    bool is_told = false;
  };

  mutable std::mutex mutex_;
  bool closed_ = false;
  std::map<std::string, entry> entries_;
};

} // namespace stargate::internal
