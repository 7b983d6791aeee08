/// @file
/// The children of a supervisor, in start order, each found by its id or its actor in constant time.
#pragma once

#include <stargate/supervisor.hpp>

#include "supervisor/restart.hpp"

#include <algorithm>
#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
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
    if (index_)
      index_->enter(std::prev(children_.end()));
    else if (children_.size() > few)
      make_index();
    return c;
  }

  /// @param spec has the same id
  void change_spec(child& c, std::shared_ptr<const child_spec> spec) {
    const auto place = place_of(c);
    if (index_)
      index_->by_id.erase(c.spec->id);
    c.spec = std::move(spec);
    if (index_)
      index_->by_id.emplace(c.spec->id, place);
  }

  [[nodiscard]] child* find(const child_id& id) {
    if (!index_)
      return first([&](const child& c) { return c.spec->id == id; });
    const auto i = index_->by_id.find(id);
    return i == index_->by_id.end() ? nullptr : &*i->second;
  }
  [[nodiscard]] child* find(const caf::actor_addr& who) {
    if (!index_)
      return who ? first([&](const child& c) { return c.who && c.who.address() == who; }) : nullptr;
    const auto i = index_->by_actor.find(who);
    return i == index_->by_actor.end() ? nullptr : &*i->second;
  }

  [[nodiscard]] iterator place_of(const child& c) {
    return index_ ? index_->by_id.find(c.spec->id)->second
                  : std::find_if(children_.begin(), children_.end(), [&](const child& other) { return &other == &c; });
  }

  /// The child is this actor now, or none.
  void assign(child& c, const caf::actor& who) {
    if (index_ && c.who)
      index_->by_actor.erase(c.who.address());
    c.who = who;
    if (index_ && who)
      index_->by_actor.emplace(who.address(), place_of(c));
  }

  void erase(child& c) {
    const auto place = place_of(c);
    if (index_)
      index_->leave(place);
    children_.erase(place);
  }

  /// Puts a child behind all others.
  void move_to_end(child& c) { children_.splice(children_.end(), children_, place_of(c)); }

private:
  static constexpr std::size_t few = 8; ///< So many are looked through: most supervisors have no more.

  struct index {
    std::unordered_map<std::string_view, iterator> by_id; ///< The ids are those of the specs.
    std::unordered_map<caf::actor_addr, iterator> by_actor;

    void enter(iterator place) {
      by_id.emplace(place->spec->id, place);
      if (place->who)
        by_actor.emplace(place->who.address(), place);
    }
    void leave(iterator place) {
      by_id.erase(place->spec->id);
      if (place->who)
        by_actor.erase(place->who.address());
    }
  };

  void make_index() {
    index_ = std::make_unique<index>();
    for (auto i = children_.begin(); i != children_.end(); ++i)
      index_->enter(i);
  }

  template <class Which>
  [[nodiscard]] child* first(Which which) {
    const auto i = std::find_if(children_.begin(), children_.end(), which);
    return i == children_.end() ? nullptr : &*i;
  }

  std::list<child> children_;
  std::unique_ptr<index> index_; ///< Null as long as there were few.
};

} // namespace stargate::internal
