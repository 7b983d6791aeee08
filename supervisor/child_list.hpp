/// @file
/// The children of a supervisor, in start order, each found by its id or its actor in constant time.
#pragma once

#include <stargate/supervisor.hpp>

#include "supervisor/restart.hpp"

#include <any>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace stargate::internal {

struct child {
  std::shared_ptr<const child_spec> spec; ///< Never null. Set by `child_list` only.
  std::any argument;                      ///< Of a dynamic child: what `start_dynamic_child` brought.
  caf::actor who;                         ///< Set by `child_list` only.
  caf::actor_addr last_actor;             ///< Who it was before it ended.
  child_state state = child_state::stopped;
  std::uint64_t restarts = 0;
  caf::error last_exit;
  std::chrono::steady_clock::time_point since;
  std::optional<std::chrono::steady_clock::time_point> began; ///< When it last began to run.
  backoff_count waits;
  std::uint64_t wait = 0;          ///< Which of the supervisor's restarts it waits for.
  std::optional<caf::error> ended; ///< It has ended, and nothing was done about that yet.
  bool awaited = false;            ///< The operation in hand waits for its end.
};

/// A child's address stays the same until it is erased.
class child_list {
public:
  using iterator = std::list<child>::iterator;

  [[nodiscard]] iterator begin() { return children_.begin(); }
  [[nodiscard]] iterator end() { return children_.end(); }
  [[nodiscard]] auto begin() const { return children_.begin(); }
  [[nodiscard]] auto end() const { return children_.end(); }
  [[nodiscard]] std::size_t size() const { return children_.size(); }

  child& add(std::shared_ptr<const child_spec> spec, std::chrono::steady_clock::time_point now) {
    auto& c = children_.emplace_back();
    c.spec = std::move(spec);
    c.since = now;
    by_id_.emplace(c.spec->id, std::prev(children_.end()));
    return c;
  }

  /// @param spec has the same id
  void change_spec(child& c, std::shared_ptr<const child_spec> spec) {
    const auto place = place_of(c);
    by_id_.erase(c.spec->id);
    c.spec = std::move(spec);
    by_id_.emplace(c.spec->id, place);
  }

  [[nodiscard]] child* find(const child_id& id) {
    const auto i = by_id_.find(id);
    return i == by_id_.end() ? nullptr : &*i->second;
  }
  [[nodiscard]] child* find(const caf::actor_addr& who) {
    const auto i = by_actor_.find(who);
    return i == by_actor_.end() ? nullptr : &*i->second;
  }
  [[nodiscard]] iterator place_of(const child& c) { return by_id_.find(c.spec->id)->second; }

  /// The child is this actor now, or none.
  void assign(child& c, const caf::actor& who) {
    if (c.who)
      by_actor_.erase(c.who.address());
    c.who = who;
    if (who)
      by_actor_.emplace(who.address(), place_of(c));
  }

  void erase(child& c) {
    assign(c, {});
    const auto i = by_id_.find(c.spec->id);
    const auto place = i->second;
    by_id_.erase(i);
    children_.erase(place);
  }

  /// Puts a child behind all others.
  void move_to_end(child& c) { children_.splice(children_.end(), children_, place_of(c)); }

private:
  std::list<child> children_;
  std::unordered_map<std::string_view, iterator> by_id_; ///< The ids are those of the specs.
  std::unordered_map<caf::actor_addr, iterator> by_actor_;
};

} // namespace stargate::internal
