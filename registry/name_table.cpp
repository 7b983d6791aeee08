#include "registry/name_table.hpp"

#include <algorithm>

namespace stargate::internal {

bool matches(std::string_view name, const name_pattern& pattern) {
  if (pattern.empty())
    return true;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const auto slash = name.find('/');
    const bool last = i + 1 == pattern.size();
    if (last != (slash == std::string_view::npos) || (pattern[i] && *pattern[i] != name.substr(0, slash)))
      return false;
    name.remove_prefix(last ? name.size() : slash + 1);
  }
  return true;
}

caf::actor name_table::whereis(std::string_view name) const {
  const std::shared_lock guard{mutex_};
  const auto found = holders_.find(name);
  return found == holders_.end() || has_ended(found->second) ? caf::actor{} : found->second;
}

names name_table::select(const name_pattern& pattern) const {
  names result;
  {
    const std::shared_lock guard{mutex_};
    for (const auto& [name, holder] : holders_)
      if (matches(name, pattern) && !has_ended(holder))
        result.entries.emplace_back(name, holder);
  }
  std::sort(result.entries.begin(), result.entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return result;
}

names name_table::held_by(const caf::actor& who) const {
  names result;
  const std::shared_lock guard{mutex_};
  if (const auto found = names_.find(who.address()); found != names_.end() && !has_ended(who))
    for (const auto& name : found->second)
      result.entries.emplace_back(name, who);
  std::sort(result.entries.begin(), result.entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return result;
}

caf::actor name_table::insert(const std::string& name, const caf::actor& who) {
  const std::unique_lock guard{mutex_};
  if (const auto found = holders_.find(name); found != holders_.end()) {
    if (!has_ended(found->second))
      return found->second;
    forget(name, found->second);
    holders_.erase(found);
  }
  holders_.emplace(name, who);
  names_[who.address()].push_back(name);
  return {};
}

bool name_table::erase(std::string_view name) {
  const std::unique_lock guard{mutex_};
  const auto found = holders_.find(name);
  if (found == holders_.end())
    return false;
  const bool alive = !has_ended(found->second);
  forget(found->first, found->second);
  holders_.erase(found);
  return alive;
}

std::vector<std::string> name_table::erase_all(const caf::actor_addr& who) {
  const std::unique_lock guard{mutex_};
  const auto held = names_.find(who);
  if (held == names_.end())
    return {};
  auto freed = std::move(held->second);
  names_.erase(held);
  for (const auto& name : freed)
    holders_.erase(name);
  return freed;
}

void name_table::clear() {
  const std::unique_lock guard{mutex_};
  holders_.clear();
  names_.clear();
}

void name_table::forget(const std::string& name, const caf::actor& holder) {
  const auto held = names_.find(holder.address());
  if (held == names_.end())
    return;
  std::erase(held->second, name);
  if (held->second.empty())
    names_.erase(held);
}

} // namespace stargate::internal
