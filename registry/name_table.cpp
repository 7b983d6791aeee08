#include "registry/name_table.hpp"

#include <algorithm>
#include <set>
#include <utility>

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

void name_table::sort(std::vector<registration>& entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

caf::actor name_table::whereis(std::string_view name) const {
  const std::shared_lock guard{mutex_};
  if (const auto found = holders_.find(name); found != holders_.end())
    for (const auto& h : found->second)
      if (!has_ended(h.who))
        return h.who;
  return {};
}

std::vector<registration> name_table::lookup(std::string_view name) const {
  std::vector<registration> result;
  const std::shared_lock guard{mutex_};
  if (const auto found = holders_.find(name); found != holders_.end())
    for (const auto& h : found->second)
      if (!has_ended(h.who))
        result.push_back({found->first, h.who, h.value});
  return result;
}

names name_table::select(const name_pattern& pattern) const {
  names result;
  {
    const std::shared_lock guard{mutex_};
    for (const auto& [name, holders] : holders_)
      if (matches(name, pattern))
        for (const auto& h : holders)
          if (!has_ended(h.who))
            result.entries.push_back({name, h.who, h.value});
  }
  sort(result.entries);
  return result;
}

names name_table::held_by(const caf::actor& who) const {
  names result;
  {
    const std::shared_lock guard{mutex_};
    if (has_ended(who))
      return result;
    std::set<std::string_view> each;
    const auto [begin, end] = names_.equal_range(who.address());
    std::for_each(begin, end, [&](const auto& entry) { each.insert(*entry.second); });
    for (const auto name : each)
      for (const auto& h : holders_.find(name)->second)
        if (h.who == who)
          result.entries.push_back({std::string{name}, who, h.value});
  }
  return result;
}

std::size_t name_table::count() const {
  const std::shared_lock guard{mutex_};
  std::size_t result = 0;
  for (const auto& [name, holders] : holders_)
    result += static_cast<std::size_t>(
      std::count_if(holders.begin(), holders.end(), [](const holder& h) { return !has_ended(h.who); }));
  return result;
}

std::vector<caf::actor> name_table::holders() const {
  std::vector<caf::actor> result;
  {
    const std::shared_lock guard{mutex_};
    for (const auto& [name, holders] : holders_)
      for (const auto& h : holders)
        result.push_back(h.who);
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::any name_table::meta(std::string_view key) const {
  const std::shared_lock guard{mutex_};
  const auto found = meta_.find(key);
  return found == meta_.end() ? std::any{} : found->second;
}

name_table::insertion name_table::insert(const std::string& name, const caf::actor& who, std::any value) {
  const std::unique_lock guard{mutex_};
  auto& [key, holders] = *holders_.try_emplace(name).first;
  caf::actor replaced;
  if (keys_ == registry_keys::unique && !holders.empty()) {
    replaced = holders.front().who;
    if (!has_ended(replaced))
      return {std::move(replaced), {}};
    forget(name, replaced);
    holders.clear();
  }
  holders.push_back({who, std::move(value)});
  names_.emplace(who.address(), &key);
  return {{}, std::move(replaced)};
}

std::vector<caf::actor> name_table::erase(std::string_view name, const caf::actor& who) {
  std::vector<caf::actor> result;
  const std::unique_lock guard{mutex_};
  const auto found = holders_.find(name);
  if (found == holders_.end())
    return result;
  std::erase_if(found->second, [&](const holder& h) {
    if (who && h.who != who)
      return false;
    forget(found->first, h.who);
    result.push_back(h.who);
    return true;
  });
  if (found->second.empty())
    holders_.erase(found);
  return result;
}

std::vector<std::string> name_table::erase_all(const caf::actor_addr& who) {
  const std::unique_lock guard{mutex_};
  std::vector<std::string> freed;
  const auto [begin, end] = names_.equal_range(who);
  std::for_each(begin, end, [&](const auto& entry) { freed.push_back(*entry.second); });
  names_.erase(begin, end);
  for (const auto& name : freed) {
    const auto found = holders_.find(name);
    if (found == holders_.end())
      continue;
    std::erase_if(found->second, [&](const holder& h) { return h.who.address() == who; });
    if (found->second.empty())
      holders_.erase(found);
  }
  return freed;
}

bool name_table::update(std::string_view name, const caf::actor& who, const std::any& value) {
  const std::unique_lock guard{mutex_};
  const auto found = holders_.find(name);
  bool done = false;
  if (found != holders_.end())
    for (auto& h : found->second)
      if (h.who == who && !has_ended(who)) {
        h.value = value;
        done = true;
      }
  return done;
}

void name_table::set_meta(const std::string& key, std::any value) {
  const std::unique_lock guard{mutex_};
  if (value.has_value())
    meta_[key] = std::move(value);
  else
    meta_.erase(key);
}

void name_table::clear() {
  const std::unique_lock guard{mutex_};
  holders_.clear();
  names_.clear();
  meta_.clear();
}

void name_table::forget(const std::string& name, const caf::actor& who) {
  const auto [begin, end] = names_.equal_range(who.address());
  const auto one = std::find_if(begin, end, [&](const auto& entry) { return *entry.second == name; });
  if (one != end)
    names_.erase(one);
}

} // namespace stargate::internal
