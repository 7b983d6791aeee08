#include "actors/shared/handler_threads.hpp"

#include <caf/spawn_options.hpp>

#include <algorithm>
#include <condition_variable>
#include <system_error>
#include <thread>
#include <utility>

namespace stargate::internal {

namespace {

constexpr std::chrono::seconds patience{10}; // of a thread that has nothing to do
constexpr std::size_t messages_a_turn = 64;

std::size_t processors() {
  static const std::size_t count = std::max(1u, std::thread::hardware_concurrency());
  return count;
}

} // namespace

struct handler_threads::worker {
  handler_threads& of;
  std::condition_variable changed{};
  bool called = false; // guarded by the mutex of `of`, as is what follows
  bool runs = false;   ///< Has something in hand,
  bool aside = false;  ///< and is not ready for more.
};

thread_local handler_threads::worker* handler_threads::mine_ = nullptr;

std::shared_ptr<handler_threads> handler_threads::make(caf::actor_system& system) {
  return std::shared_ptr<handler_threads>{new handler_threads{system}};
}

handler_threads::handler_threads(caf::actor_system& system) : execution{system}, others_{system} {}

std::size_t handler_threads::threads() const {
  const std::lock_guard guard{mutex_};
  return all_.size();
}

void handler_threads::close() {
  const std::lock_guard guard{mutex_};
  closed_ = true;
  for (const auto& who : idle_)
    who->changed.notify_one();
}

void handler_threads::take(caf::resumable* what) {
  call next;
  {
    const std::lock_guard guard{mutex_};
    waiting_.push_back(what);
    ++handed_in_;
    next = see_to_what_waits();
  }
  make(next);
}

void handler_threads::step_aside() {
  if (mine_ == nullptr)
    return;
  auto& here = mine_->of;
  call next;
  {
    const std::lock_guard guard{here.mutex_};
    here.set_aside(*mine_);
    next = here.see_to_what_waits();
  }
  here.make(next);
}

void handler_threads::set_aside(worker& who) {
  if (!who.runs || std::exchange(who.aside, true))
    return;
  --ready_;
  --running_;
}

handler_threads::call handler_threads::see_to_what_waits() {
  if (waiting_.empty())
    return {};
  if (ready_ == 0)
    return one_more();
  if (running_ < ready_ || watch_ || watch_begins_)
    return {};
  if (idle_.empty()) {
    watch_begins_ = true;
    return {.begins = call::beginning::watch};
  }
  watch_ = idle_.front();
  return {.who = watch_};
}

handler_threads::call handler_threads::one_more() {
  ++ready_;
  if (idle_.empty())
    return {.begins = call::beginning::worker};
  call result{.who = std::move(idle_.back())}; // its memory is the warmest
  idle_.pop_back();
  result.who->called = true;
  if (watch_ == result.who)
    watch_.reset();
  return result;
}

void handler_threads::make(const call& what) {
  if (what.who)
    what.who->changed.notify_one();
  else if (what.begins != call::beginning::nothing)
    begin(what.begins == call::beginning::watch);
}

void handler_threads::begin(bool is_watch) {
  try {
    system_of().spawn<caf::detached>(
      [self = shared_from_this(), is_watch](caf::event_based_actor*) { self->work(is_watch); });
  } catch (const std::system_error&) { // the system has no more threads: those that there are do it, or the scheduler
    const std::lock_guard guard{mutex_};
    if (is_watch)
      watch_begins_ = false;
    else
      --ready_;
    if (ready_ == 0)
      leave_all();
  }
}

void handler_threads::leave_all() {
  for (auto* what : std::exchange(waiting_, {}))
    leave(what);
}

void handler_threads::work(bool is_watch) {
  const auto me = std::make_shared<worker>(*this);
  mine_ = me.get();
  std::unique_lock lock{mutex_};
  all_.push_back(me.get());
  if (is_watch) {
    watch_begins_ = false;
    watch_ = me;
  }
  if (!is_watch || wait_for_work(me, lock))
    do {
      while (!waiting_.empty())
        run_next(*me, lock);
      --ready_;
    } while (wait_for_work(me, lock));
  std::erase(all_, me.get());
  mine_ = nullptr;
}

void handler_threads::run_next(worker& me, std::unique_lock<std::mutex>& lock) {
  auto* const what = waiting_.front();
  waiting_.pop_front();
  turns_.fetch_add(1, std::memory_order_relaxed);
  me.runs = true;
  ++running_;
  const auto next = see_to_what_waits();
  lock.unlock();
  make(next);
  const bool again = run(what, others_, messages_a_turn);
  lock.lock();
  me.runs = false;
  if (std::exchange(me.aside, false))
    ++ready_;
  else
    --running_;
  if (again) {
    waiting_.push_back(what);
    ++handed_in_;
  }
}

/// @return whether there is some, and this one is `ready_` again; if not, the thread ends
bool handler_threads::wait_for_work(const worker_ptr& me, std::unique_lock<std::mutex>& lock) {
  idle_.push_back(me);
  while (!me->called) {
    if (watch_ == me)
      watch(me, lock);
    else if (closed_ || !me->changed.wait_for(lock, patience, [&] { return me->called || watch_ == me || closed_; })) {
      std::erase(idle_, me);
      return false;
    }
  }
  me->called = false;
  return true;
}

/// Looks whether what waits is being taken, for as long as anything goes on. Who finds that it is not takes it.
void handler_threads::watch(const worker_ptr& me, std::unique_lock<std::mutex>& lock) {
  const auto turns_before = turns();
  const auto handed_in_before = handed_in_;
  if (me->changed.wait_for(lock, tick, [&] { return me->called; }))
    return;
  const bool stands = turns() == turns_before;
  if (stands && waiting_.empty()) {
    watch_.reset();
    return;
  }
  if (waiting_.empty() || running_ < ready_) // some are on their way
    return;
  std::size_t more = 0;
  if (stands) {
    for (auto* who : all_)
      set_aside(*who);
    more = std::min(waiting_.size(), all_.size()) - 1;
  } else if (handed_in_ - waiting_.size() >= handed_in_before || ready_ >= processors()) {
    return; // it keeps up, or one more would not help
  }
  ++ready_;
  me->called = true;
  std::erase(idle_, me);
  watch_.reset();
  std::vector<call> calls;
  for (std::size_t i = 0; i < more; ++i)
    calls.push_back(one_more());
  lock.unlock();
  for (const auto& c : calls)
    make(c);
  lock.lock();
}

} // namespace stargate::internal
