/// @file
/// The actors of a tree that live, whoever started them.
#pragma once

#include <stargate/caf.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace stargate::internal {

/// So that nothing of a tree outlives it, not even the child of a supervisor that was killed. @par Threads any thread
class census {
public:
  void add(const caf::actor& who) {
    {
      const std::lock_guard guard{parts_->mutex};
      parts_->living.emplace(who.id(), who.address());
    }
    caf::actor_cast<caf::abstract_actor*>(who)->attach_functor([p = parts_, id = who.id()] {
      const std::lock_guard guard{p->mutex};
      p->living.erase(id);
    });
  }

  /// Oldest first.
  [[nodiscard]] std::vector<caf::actor> living() const {
    std::vector<caf::actor> result;
    const std::lock_guard guard{parts_->mutex};
    for (const auto& [id, address] : parts_->living)
      if (auto who = caf::actor_cast<caf::actor>(address))
        result.push_back(std::move(who));
    return result;
  }

private:
  struct parts {
    std::mutex mutex;
    std::map<caf::actor_id, caf::actor_addr> living; // guarded by mutex
  };
  std::shared_ptr<parts> parts_ = std::make_shared<parts>();
};

} // namespace stargate::internal
