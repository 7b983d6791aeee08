#include "actors/plan.hpp"

#include "actors/roles.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <algorithm>

namespace stargate::internal {

namespace {

void append(pipelines& to, const pipelines& from) {
  to.producers.insert(to.producers.end(), from.producers.begin(), from.producers.end());
  to.consumers.insert(to.consumers.end(), from.consumers.begin(), from.consumers.end());
  to.readers.insert(to.readers.end(), from.readers.begin(), from.readers.end());
}

pipelines everything(const plan::snapshot& s) {
  auto all = s.topics;
  for (const auto& [who, what] : s.instances)
    append(all, what);
  return all;
}

template <class Options>
bool erase_by_socket(std::vector<Options>& list, const std::string& socket) {
  return std::erase_if(list, [&](const Options& o) { return keys_of(o).socket() == socket; }) > 0;
}

} // namespace

plan::plan(const options& o)
  : with_{[&] {
      auto own = o;
      own.producers.clear();
      own.consumers.clear();
      own.readers.clear();
      return own;
    }()} {
  static_cast<void>(check_and_index({{o.producers, o.consumers, o.readers}, {}}));
}

plan::snapshot plan::now() const {
  const std::shared_lock guard{mutex_};
  return now_;
}

std::vector<producer_options> plan::dead_letter_producers(const snapshot& s) {
  const auto all = everything(s);
  std::vector<producer_options> result;
  const auto add = [&](const auto& receiver) {
    if (receiver.on_failure != failure_action::dead_letter)
      return;
    const auto topic = protocol::dead_letter_topic_of(receiver);
    const auto has_it = [&](const std::vector<producer_options>& list) {
      return std::any_of(list.begin(), list.end(), [&](const producer_options& p) { return p.topic == topic; });
    };
    if (!has_it(all.producers) && !has_it(result))
      result.push_back({.topic = topic});
  };
  for (const auto& c : all.consumers)
    add(c);
  for (const auto& r : all.readers)
    add(r);
  return result;
}

/// Takes the next plan if there is no mistake in it.
caf::error plan::check_and_index(const snapshot& next) {
  auto all = everything(next);
  auto o = with_;
  o.producers = all.producers;
  o.consumers = std::move(all.consumers);
  o.readers = std::move(all.readers);
  if (auto wrong = validate(o))
    return wrong;
  const auto before = std::exchange(producing_, {});
  const auto index = [&](const producer_options& p) {
    auto name = to_string(p.topic);
    const auto old = before.find(name);
    auto entrance = old != before.end() && old->second.entrance->most() == p.max_pending
                      ? old->second.entrance
                      : std::make_shared<gate>(p.max_pending);
    producing_.emplace(std::move(name), producing{p.send_timeout, std::move(entrance)});
  };
  for (const auto& p : o.producers)
    index(p);
  for (const auto& p : dead_letter_producers(next))
    index(p);
  now_ = next;
  return {};
}

caf::error plan::add(const pipelines& what) {
  const std::lock_guard guard{mutex_};
  auto next = now_;
  append(next.topics, what);
  return check_and_index(next);
}

caf::error plan::add(const instance& who, const pipelines& what) {
  const std::lock_guard guard{mutex_};
  auto next = now_;
  if (!next.instances.emplace(who, what).second)
    return make_error(errc::child_running, "'" + who.second + "' of the template '" + who.first + "' is in the tree");
  return check_and_index(next);
}

bool plan::remove(const std::string& socket) {
  const std::lock_guard guard{mutex_};
  auto next = now_;
  const bool found = erase_by_socket(next.topics.producers, socket) || erase_by_socket(next.topics.consumers, socket)
                     || erase_by_socket(next.topics.readers, socket);
  if (found)
    static_cast<void>(check_and_index(next));
  return found;
}

caf::expected<pipelines> plan::remove(const instance& who) {
  const std::lock_guard guard{mutex_};
  auto next = now_;
  const auto found = next.instances.find(who);
  if (found == next.instances.end())
    return make_error(errc::child_not_found,
                      "no '" + who.second + "' of the template '" + who.first + "' is in the tree");
  auto what = std::move(found->second);
  next.instances.erase(found);
  static_cast<void>(check_and_index(next));
  return what;
}

std::optional<plan::producing> plan::producing_to(const topic_name& topic) const {
  const auto name = to_string(topic);
  const std::shared_lock guard{mutex_};
  const auto found = producing_.find(name);
  return found == producing_.end() ? std::nullopt : std::optional{found->second};
}

std::vector<std::string> socket_keys(const pipelines& p) {
  std::vector<std::string> keys;
  for (const auto& o : p.producers)
    keys.push_back(keys_of(o).socket());
  for (const auto& o : p.consumers)
    keys.push_back(keys_of(o).socket());
  for (const auto& o : p.readers)
    keys.push_back(keys_of(o).socket());
  return keys;
}

} // namespace stargate::internal
