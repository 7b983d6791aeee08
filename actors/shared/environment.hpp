/// @file
/// What a tree takes from the world around it: its transport, its randomness, how a thread waits. Programs have the
/// real one; a simulation gives one of its own, in which a whole tree runs on one thread, in virtual time, from a seed.
///
/// The time is that of the actor system (`tree_context::now`), which is virtual on CAF's deterministic scheduler.
#pragma once

#include "libstargate/connection/transport.hpp"

#include <stargate/admin.hpp>
#include <stargate/caf.hpp>
#include <stargate/options.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace stargate::internal {

class tree_context;

/// @par Threads any thread
class environment {
public:
  using clock = std::chrono::steady_clock;

  environment() = default;
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;
  virtual ~environment() = default;

  /// What carries a tree's frames; each tree has its own. @throws as `connection::event_loop::start`
  [[nodiscard]] virtual std::shared_ptr<connection::transport> make_transport(const options& o) = 0;
  /// A tree is about to start in this world.
  virtual void on_tree(const std::weak_ptr<tree_context>&) {}
  /// The broker's administration.
  [[nodiscard]] virtual admin make_admin(const options& o, std::chrono::milliseconds timeout) = 0;
  /// 64 random bits.
  [[nodiscard]] virtual std::uint64_t random() = 0;
  /// Whether an actor may have a thread of its own.
  [[nodiscard]] virtual bool has_threads() const = 0;
  /// Whether this thread may wait. One of the scheduler's may not: those it waits for may need it to run.
  [[nodiscard]] virtual bool may_wait() const = 0;
  /// Waits on `changed` until `done`, which is asked with the lock held, or the time is up; gives what `done` says
  /// then.
  virtual bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, clock::time_point until,
                    const std::function<bool()>& done) = 0;
};

/// The environment of programs: real connections, the system's clock and randomness, threads.
[[nodiscard]] std::shared_ptr<environment> real_environment(caf::actor_system& system);

/// The error of a call that would wait on a thread of the scheduler. @param call its name
[[nodiscard]] caf::error would_block(std::string_view call);

} // namespace stargate::internal
