/// @file
/// Who wakes an actor runs it: on his own thread, instead of waking another one for it.
#pragma once

#include <stargate/caf.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <typeinfo>
#include <utility>
#include <vector>

namespace stargate::internal {

/// As `dynamic_cast`, which takes a thousand instructions among CAF's classes: here it does for the first object of a
/// type, and the others have that base in the same place. @par Threads any thread
[[nodiscard]] inline const inline_runnable* as_inline_runnable(const caf::resumable* what) {
  struct place {
    const std::type_info* in = nullptr;
    bool is_there = false;
    std::ptrdiff_t at = 0; ///< From the `resumable` of such an object.
  };
  thread_local std::array<place, 8> known;
  thread_local std::size_t next = 0;
  const auto& type = typeid(*what);
  const auto* bytes = reinterpret_cast<const char*>(what);
  for (const auto& p : known)
    if (p.in == &type)
      return p.is_there ? reinterpret_cast<const inline_runnable*>(bytes + p.at) : nullptr;
  const auto* found = dynamic_cast<const inline_runnable*>(what);
  known[next++ % known.size()] = {&type, found != nullptr,
                                  found != nullptr ? reinterpret_cast<const char*>(found) - bytes : 0};
  return found;
}

/// Runs actors on this thread: the one that is told something here, if that wakes it, and those that it wakes in turn,
/// as far as they are `inline_runnable`. All others, and what becomes too much, go to the scheduler. It saves the
/// waking of threads, which costs more than what the actors do.
///
/// It lives on the stack; where there is one already (`current`), none is made.
class inline_execution final : public execution {
public:
  inline_execution(caf::actor_system& system, inline_host on)
    : execution{system},
      on_{on},
      outer_{std::exchange(innermost(), this)} {}
  inline_execution(const inline_execution&) = delete;
  inline_execution& operator=(const inline_execution&) = delete;
  ~inline_execution() override {
    innermost() = outer_;
    if (!elsewhere_.empty())
      system_of().spawn([todo = std::move(elsewhere_)](caf::event_based_actor*) {
        for (const auto& f : todo)
          f();
      });
  }

  /// The one that runs an actor on this thread, or null.
  [[nodiscard]] static inline_execution* current() { return innermost(); }
  /// Has an actor made for it do `what`, which must not be done on this stack.
  void elsewhere(std::function<void()> what) { elsewhere_.push_back(std::move(what)); }

  /// Sends `content` to `to` from nobody, and runs whom that wakes.
  template <class Content>
  void post_and_run(const caf::actor& to, Content&& content) {
    post(to, std::forward<Content>(content));
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      if (run(jobs_[i], *this, messages_a_job))
        leave(jobs_[i]);
    jobs_.clear();
  }

private:
  static constexpr std::size_t most_jobs = 12, messages_a_job = 8;

  static inline_execution*& innermost() {
    thread_local inline_execution* value = nullptr;
    return value;
  }
  void take(caf::resumable* what) override {
    const auto* who = jobs_.size() < most_jobs ? as_inline_runnable(what) : nullptr;
    if (who != nullptr && who->may_run_inline(on_))
      jobs_.push_back(what);
    else
      leave(what);
  }

  const inline_host on_;
  inline_execution* const outer_;
  std::vector<std::function<void()>> elsewhere_;
  std::vector<caf::resumable*> jobs_;
};

/// Sends `content` from nobody, and has this thread run whom that wakes, if it does not run an actor so already.
template <class Content>
void post_and_run(const caf::actor& to, inline_host on, Content&& content) {
  if (!to || inline_execution::current() != nullptr)
    return to ? compat::post(to, std::forward<Content>(content)) : void();
  inline_execution{to->home_system(), on}.post_and_run(to, std::forward<Content>(content));
}

} // namespace stargate::internal
