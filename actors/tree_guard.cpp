#include "actors/tree_guard.hpp"

#include <stargate/tree.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace stargate {

namespace internal {

ending::ending(const caf::actor& who) {
  caf::actor_cast<caf::abstract_actor*>(who)->attach_functor([p = parts_] {
    {
      const std::lock_guard guard{p->mutex};
      p->ended = true;
    }
    p->changed.notify_all();
  });
}

bool ending::wait(std::chrono::milliseconds timeout) const {
  std::unique_lock lock{parts_->mutex};
  return parts_->changed.wait_for(lock, timeout, [this] { return parts_->ended; });
}

namespace {

/// The trees there are, for `stop_all`. @par Threads any thread
class all_trees {
public:
  void add(const caf::actor_system& system, std::weak_ptr<tree_guard> one) {
    const std::lock_guard lock{mutex_};
    std::erase_if(all_, [](const auto& entry) { return entry.second.expired(); });
    all_.emplace_back(&system, std::move(one));
  }
  [[nodiscard]] std::vector<std::shared_ptr<tree_guard>> of(const caf::actor_system& system) {
    std::vector<std::shared_ptr<tree_guard>> result;
    const std::lock_guard lock{mutex_};
    for (const auto& [where, one] : all_)
      if (auto there = where == &system ? one.lock() : nullptr)
        result.push_back(std::move(there));
    return result;
  }

private:
  std::mutex mutex_;
  std::vector<std::pair<const caf::actor_system*, std::weak_ptr<tree_guard>>> all_;
};

all_trees& trees() {
  static all_trees all;
  return all;
}

} // namespace

std::shared_ptr<tree_guard> tree_guard::make(site_ptr site, caf::actor supervisor) {
  auto one = std::make_shared<tree_guard>(std::move(site), std::move(supervisor));
  trees().add(one->site->system, one);
  return one;
}

tree_guard::tree_guard(site_ptr s, caf::actor top)
  : site{std::move(s)},
    supervisor{std::move(top)},
    ended_{supervisor} {}

tree_guard::~tree_guard() {
  static_cast<void>(stop(std::chrono::seconds{30}));
}

caf::error tree_guard::stop(std::chrono::milliseconds timeout) {
  std::call_once(stopped_, [&] {
    inspection.reset();
    outcome_ = end(timeout);
    site->loop->stop();
  });
  return outcome_;
}

caf::error tree_guard::end(std::chrono::milliseconds timeout) const {
  if (ended_.wait({})) // the actor system may have gone, too
    return {};
  send_exit(supervisor, make_error(exit_code::shutdown, "the tree is stopped"));
  if (ended_.wait(timeout))
    return {};
  send_exit(supervisor, caf::exit_reason::kill);
  static_cast<void>(ended_.wait(std::chrono::seconds{5}));
  return make_error(errc::timed_out, "the tree '" + site->description.name + "' did not stop within "
                                       + std::to_string(timeout.count()) + " ms, and was killed");
}

} // namespace internal

caf::error stop_all(caf::actor_system& system, std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  caf::error outcome;
  for (const auto& one : internal::trees().of(system)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (auto failure = one->stop(std::max(left, std::chrono::milliseconds::zero())); failure && !outcome)
      outcome = std::move(failure);
  }
  return outcome;
}

} // namespace stargate
