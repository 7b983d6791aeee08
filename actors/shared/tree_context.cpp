#include "actors/shared/tree_context.hpp"

#include <utility>

namespace stargate::internal {

namespace {

/// A copy without what runs on topics, which may be much: also without room for it.
options without_topics(options& o) {
  pipelines kept{std::move(o.producers), std::move(o.consumers), std::move(o.readers)};
  auto templates = std::exchange(o.templates, {});
  auto result = o;
  o.producers = std::move(kept.producers);
  o.consumers = std::move(kept.consumers);
  o.readers = std::move(kept.readers);
  o.templates = std::move(templates);
  return result;
}

} // namespace

tree_context::tree_context(caf::actor_system& system_, options o, std::shared_ptr<environment> in)
  : system{system_},
    world{in ? std::move(in) : real_environment(system_)},
    last_lines{o.monitor.port ? std::make_shared<log_tail>() : nullptr},
    description{[&] {
      auto own = without_topics(o);
      if (!own.log)
        own.log = caf_log(system_);
      if (last_lines)
        own.log = [tail = last_lines, next = own.log](log_level level, std::string_view source, std::string_view text) {
          tail->add(level, source, text);
          next(level, source, text);
        };
      return own;
    }()},
    plan{description, pipelines{std::move(o.producers), std::move(o.consumers), std::move(o.readers)},
         std::move(o.templates)},
    transport{world->make_transport(description)} {}

std::shared_ptr<tree_guard> tree_context::guard() const {
  const std::lock_guard guard{mutex_};
  return guard_.lock();
}

void tree_context::set_guard(const std::shared_ptr<tree_guard>& who) {
  const std::lock_guard guard{mutex_};
  guard_ = who;
}

stargate::registry tree_context::registry() const {
  const std::lock_guard guard{mutex_};
  return registry_;
}

void tree_context::set_registry(stargate::registry r) {
  const std::lock_guard guard{mutex_};
  registry_ = std::move(r);
}

void tree_context::expect_all() {
  for (const auto& k : plan.keys())
    board.expect(k.socket());
}

caf::expected<std::string> tree_context::broker_version() {
  constexpr std::chrono::milliseconds patience{10'000};
  {
    const std::lock_guard guard{mutex_};
    if (!broker_version_.empty())
      return broker_version_;
  }
  auto version = world->make_admin(description, patience).version();
  if (version) {
    const std::lock_guard guard{mutex_};
    broker_version_ = *version;
  }
  return version;
}

bool tree_context::knows_broker_version() const {
  const std::lock_guard guard{mutex_};
  return !broker_version_.empty();
}

void tree_context::say(log_level level, std::string_view source, std::string_view text) const {
  description.log(level, source, text);
}

void tree_context::note_arrival() {
  // Who waits looks with the lock held: taken here, it has either looked already or sees the name.
  { const std::lock_guard guard{mutex_}; }
  changed_.notify_all();
}

void tree_context::note_start(const std::string& supervisor) {
  const std::lock_guard guard{mutex_};
  gone_.erase(supervisor);
}

void tree_context::note_place(const plan::item& what) {
  for (const auto& k : what.keys)
    board.set_drained(k.socket(), what.is_drained);
  if (!what.is_drained)
    return;
  {
    const std::lock_guard guard{mutex_};
    for (const auto& k : what.keys)
      gone_[k.supervisor()] =
        make_error(errc::stopping, k.supervisor() + " was drained, and stays so until it is restarted (tree::restart)");
  }
  changed_.notify_all();
}

void tree_context::note_give_up(const std::string& supervisor, const caf::error& why, const caf::actor& who) {
  {
    const std::lock_guard guard{mutex_};
    if (who && has_ended(who))
      return; // and its successor may have begun
    const auto code = code_of(why);
    gone_[supervisor] = make_error(code == errc::none ? errc::stopping : code,
                                   supervisor + " has given up, the last time with: " + describe(why));
  }
  metrics.give_ups.add();
  changed_.notify_all();
}

void tree_context::note_end(const caf::error& why) {
  idle_watch.close();
  const auto how = why == caf::exit_reason::kill ? "it was killed" : describe(why);
  board.end(make_error(errc::stopping, "the tree '" + description.name + "' has ended: " + how));
  note_arrival();
  events.tell({.what = event::kind::stopped, .key = description.name, .why = why});
  registry().clear();
  plan.clear();
  roster.close();
  handler_threads->close();
}

caf::error tree_context::why_gone(const std::string& supervisor) const {
  const std::lock_guard guard{mutex_};
  return why_gone_locked(supervisor);
}

caf::error tree_context::why_gone_locked(const std::string& supervisor) const {
  if (auto ended = board.why_ended())
    return ended;
  const auto found = gone_.find(supervisor);
  return found == gone_.end() ? caf::error{} : found->second;
}

caf::expected<caf::actor> tree_context::wait_for(const std::string& name, const std::string& supervisor,
                                                 environment::clock::time_point until) {
  caf::actor who;
  caf::error gone;
  std::unique_lock lock{mutex_};
  world->wait(lock, changed_, until, [&] {
    who = registry_.whereis(name);
    gone = who ? caf::error{} : why_gone_locked(supervisor);
    return who || gone;
  });
  if (who)
    return who;
  if (gone)
    return gone;
  return make_error(errc::timed_out, "nobody registered '" + name + "' in time");
}

} // namespace stargate::internal
