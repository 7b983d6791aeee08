#include "actors/tree/tree_guard.hpp"

#include "actors/receiver/own_handler.hpp"
#include "actors/shared/apart.hpp"
#include "actors/shared/messages.hpp"
#include "actors/tree/wiring.hpp"

#include <stargate/tree.hpp>

#include <caf/spawn_options.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace stargate {

using namespace compat;

namespace internal {

namespace {

constexpr std::chrono::seconds kill_timeout{5}; // for a killed actor to look at its mailbox
constexpr std::chrono::seconds unattended{30};  // for a tree that is stopped because its last handle has gone

/// The trees there are, for `stop_all`, and so that no two have one name. @par Threads any thread
class all_trees {
public:
  /// False when a tree of that name runs in the system.
  [[nodiscard]] bool add(const tree_context_ptr& tree_context) {
    std::vector<tree_context_ptr> others; // the last handle to one of them may go here: without the lock
    const std::lock_guard lock{mutex_};
    std::erase_if(all_, [](const auto& e) { return e.second.expired(); });
    for (const auto& [system, context] : all_)
      if (system == &tree_context->system)
        if (auto other = context.lock())
          others.push_back(std::move(other));
    for (const auto& other : others)
      if (other->description.name == tree_context->description.name && runs(*other))
        return false;
    all_.emplace_back(&tree_context->system, tree_context);
    return true;
  }
  [[nodiscard]] std::vector<std::shared_ptr<tree_guard>> of(const caf::actor_system& system) {
    std::vector<tree_context_ptr> contexts;
    {
      const std::lock_guard lock{mutex_};
      for (const auto& [in, context] : all_)
        if (auto there = in == &system ? context.lock() : nullptr)
          contexts.push_back(std::move(there));
    }
    std::vector<std::shared_ptr<tree_guard>> result;
    for (const auto& context : contexts)
      if (auto guard = context->guard())
        result.push_back(std::move(guard));
    return result;
  }

private:
  /// A supervisor that waits for the tree's end may hear of it before the tree has noted it.
  static bool runs(const tree_context& tree) {
    const auto guard = tree.guard();
    return !tree.board.why_ended() && !(guard && has_ended(guard->supervisor));
  }

  std::mutex mutex_;
  std::vector<std::pair<const caf::actor_system*, std::weak_ptr<tree_context>>> all_;
};

all_trees& trees() {
  static all_trees all;
  return all;
}

// The undertaker: it ends a tree, and sees to it that nothing of the tree is left, whoever started it.
//
// accepts  expire from itself; the down messages of those it waits for
// sends    exit messages
// dies of  its work being done
struct undertaker_state {
  static inline const char* name = "stargate.undertaker";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const caf::actor top;
  const std::chrono::milliseconds timeout;
  const std::shared_ptr<outcome<caf::error>> result;
  const bool nobody_waits;
  caf::error failure;
  bool by_force = false;

  undertaker_state(caf::event_based_actor* of, tree_context_ptr in, caf::actor whom, std::chrono::milliseconds patience,
                   std::shared_ptr<outcome<caf::error>> told, bool nobody)
    : self{of},
      tree{std::move(in)},
      top{std::move(whom)},
      timeout{patience},
      result{std::move(told)},
      nobody_waits{nobody} {}

  void look() {
    if (!has_ended(top))
      return;
    const auto left = tree->census.living();
    if (left.empty())
      return done();
    for (const auto& who : left) { // orphans of a supervisor that was killed
      send_exit(who, caf::exit_reason::kill);
      monitor(self, who);
    }
    if (!std::exchange(by_force, true))
      send_later(self, kill_timeout, expire{2});
  }

  void on_expire(const expire& m) {
    if (m.generation == 2)
      return done(); // a thread that hangs in a handler: nothing can end it
    if (has_ended(top))
      return;
    failure = make_error(errc::timed_out, "the tree '" + tree->description.name + "' did not stop within "
                                            + std::to_string(timeout.count()) + " ms, and was killed");
    send_exit(top, caf::exit_reason::kill);
    if (!std::exchange(by_force, true))
      send_later(self, kill_timeout, expire{2});
  }

  void done() {
    if (nobody_waits && tree->world->has_threads()) // to stop the transport blocks
      self->home_system().spawn<caf::detached>([t = tree](caf::event_based_actor*) { t->transport->stop(); });
    result->set(failure);
    self->quit();
  }

  caf::behavior make_behavior() {
    monitor(self, top);
    send_exit(top, make_error(exit_code::shutdown, "the tree is stopped"));
    send_later(self, timeout, expire{1});
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error&) { look(); };
    return behave(self, std::move(signals), [this](const expire& m) { on_expire(m); });
  }
};

} // namespace

caf::expected<std::shared_ptr<tree_guard>> tree_guard::make(const tree_context_ptr& tree_context,
                                                            const caf::actor& parent) {
  if (!trees().add(tree_context))
    return make_error(errc::already_registered, "a tree with the name '" + tree_context->description.name
                                                  + "' runs in this actor system; give this one another, or stop that");
  auto one = std::make_shared<tree_guard>(tree_context, spawn_tree(tree_context, parent));
  tree_context->set_guard(one);
  return one;
}

std::shared_ptr<tree_guard> tree_guard::find(const caf::actor_system& system, std::string_view name) {
  for (auto& one : trees().of(system))
    if (one->tree_context->description.name == name && !has_ended(one->supervisor))
      return std::move(one);
  return nullptr;
}

tree_guard::tree_guard(tree_context_ptr s, caf::actor top) : tree_context{std::move(s)}, supervisor{std::move(top)} {}

tree_guard::~tree_guard() {
  if (apart_)
    return;
  if (is_over() || may_wait())
    static_cast<void>(stop(unattended));
  else
    begin_to_stop(unattended, true); // it goes on by itself
}

/// Nothing of the tree is left; the actor system may have gone, too.
bool tree_guard::is_over() const {
  return has_ended(supervisor) && tree_context->census.living().empty();
}

bool tree_guard::may_wait() const {
  return !own_handler::is_running(tree_context.get()) && tree_context->world->may_wait();
}

tree_guard::ending tree_guard::begin_to_stop(std::chrono::milliseconds timeout, bool nobody_waits) {
  const std::lock_guard guard{mutex_};
  if (ending_)
    return ending_;
  inspection.reset();
  tree_context->idle_watch.close();
  if (monitoring) // it waits for what it has asked of actors, which may need this thread
    run_apart(tree_context, [gone = std::make_shared<decltype(monitoring)>(std::move(monitoring))] { gone->reset(); });
  ending_ = std::make_shared<outcome<caf::error>>();
  apart_ = nobody_waits;
  if (is_over() && !nobody_waits)
    ending_->set({});
  else
    spawn_state<undertaker_state>(tree_context->system, tree_context, supervisor, timeout, ending_, nobody_waits);
  return ending_;
}

void tree_guard::clean_up() {
  begin_to_stop(unattended, true);
}

caf::error tree_guard::stop(std::chrono::milliseconds timeout) {
  if (!is_over() && !may_wait())
    return would_block("tree::stop");
  auto outcome = begin_to_stop(timeout, false)->wait(*tree_context->world, environment::clock::time_point::max());
  tree_context->transport->stop();
  return outcome.value_or(caf::error{});
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
